package health

import (
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// Options configure the tables.
type Options struct {
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// After waits; nil = time.NewTimer. Tests replace it together with Now.
	After func(time.Duration) (c <-chan time.Time, stop func())
	// CacheBytes, CacheEntries and CacheEntry bound the response cache; 0 = defaults
	// (32 MiB, 10,000, 1 MiB).
	CacheBytes   int64
	CacheEntries int
	CacheEntry   int64
	// Store keeps breakers, lockouts, bans, learnt limits and cached answers over
	// restarts; nil = memory only. [Health.Restore] reads them.
	Store state.Store
	// Writer takes the writes whose loss in the last moment is harmless; nil =
	// everything is written at once.
	Writer *state.Writer
}

// Health is the set of tables.
type Health struct {
	Breakers *Breakers
	Limits   *Limiters
	Gates    *Gates
	Lockouts *Lockouts
	Bans     *Bans
	Stats    *Stats
	Combos   *Combos
	Cache    *Cache
	Idem     *Idempotency
	Flights  *Flights
}

// clock is the time as the tables see it.
type clock struct {
	now   func() time.Time
	after func(time.Duration) (<-chan time.Time, func())
}

// New makes empty tables.
func New(opt Options) *Health {
	c := clock{now: opt.Now, after: opt.After}
	if c.now == nil {
		c.now = time.Now
	}
	if c.after == nil {
		c.after = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTimer(d)
			return t.C, func() { t.Stop() }
		}
	}
	k := newKeeper(opt)
	return &Health{
		Breakers: newBreakers(c, k),
		Limits:   newLimiters(c, k),
		Gates:    newGates(c),
		Lockouts: newLockouts(c, k),
		Bans:     newBans(c, k),
		Stats:    newStats(c),
		Combos:   newCombos(),
		Cache:    newCache(c, k, opt),
		Idem:     newIdempotency(c),
		Flights:  newFlights(),
	}
}

// ceilMS is a wait in whole milliseconds, rounded up so that nobody comes early.
func ceilMS(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
