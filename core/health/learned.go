package health

import (
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// learnedFor is how long a gap between starts is kept that no reset ends.
const learnedFor = time.Hour

// Learn applies what a response said.
func (l *Limiters) Learn(scope string, v Learned) {
	x := l.table.get(scope)
	now := l.clock.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.learned(now)
	if v.Open {
		x.gap, x.bounded, x.paused = 0, false, time.Time{}
	}
	if v.Gap >= 0 {
		x.gap = v.Gap
	}
	if v.Reservoir >= 0 && !v.Open {
		x.fill(v.Reservoir, v.Refill, max(v.Every, time.Second))
		x.refillAt = now.Add(x.every)
		x.wake(now)
	}
	if t := v.Tokens; t != nil && t.Limit > 0 {
		x.told.tell(t, now)
		x.counts++
	}
	if after := x.learned(now); after != before {
		l.save(x, now)
	}
}

// fill sets the reservoir: n starts are left, and refill of them in each window
// that follows; x.mu is held.
func (x *limiter) fill(n, refill int, every time.Duration) {
	x.bounded, x.reservoir, x.refill, x.every = true, n, max(refill, 1), every
	x.taught++
}

// tell sets a bucket to what the provider counted. It fills up evenly until the
// provider's reset.
func (b *bucket) tell(t *TokenWindow, now time.Time) {
	b.size, b.at = float64(t.Limit), now
	b.level = min(float64(max(t.Remaining, 0)), b.size)
	b.rate = b.size / 60
	if short := b.size - b.level; short > 0 && t.Reset > 0 {
		b.rate = short / t.Reset.Seconds()
	}
}

// limitRecord is the stored form of what was learnt about a scope.
type limitRecord struct {
	Gap       time.Duration `json:"gap,omitempty"`
	Reservoir int           `json:"reservoir"`
	Refill    int           `json:"refill,omitempty"`
	Every     time.Duration `json:"every,omitempty"`
	RefillAt  time.Time     `json:"refill_at,omitzero"`
	Paused    time.Time     `json:"paused,omitzero"`
	Pause     time.Duration `json:"pause,omitempty"`
	Size      float64       `json:"size,omitempty"` // of tokens
	Level     float64       `json:"level,omitempty"`
	Rate      float64       `json:"rate,omitempty"`
	At        time.Time     `json:"at,omitzero"`
}

// learned is what is worth keeping; x.mu is held. Tokens are kept only while
// they are scarce: the next answer tells anew.
func (x *limiter) learned(now time.Time) limitRecord {
	r := limitRecord{Gap: x.gap, Reservoir: -1}
	if x.bounded && now.Before(x.refillAt) {
		r.Reservoir, r.Refill, r.Every, r.RefillAt = max(x.reservoir, 0), x.refill, x.every, x.refillAt
	}
	if now.Before(x.paused) {
		r.Paused, r.Pause = x.paused, x.paused.Sub(now)
	}
	if x.told.size > 0 && x.told.level < x.told.size/10 {
		r.Size, r.Level, r.Rate, r.At = x.told.size, x.told.level, x.told.rate, x.told.at
	}
	return r
}

// save queues what was learnt, to be forgotten when it no longer holds; x.mu is
// held.
func (l *Limiters) save(x *limiter, now time.Time) {
	if l.keep == nil {
		return
	}
	key, r := state.Key(kindLimit, x.scope), x.learned(now)
	if r == (limitRecord{Reservoir: -1}) {
		l.keep.put(key, nil, 0)
		return
	}
	ttl := max(r.RefillAt.Sub(now), r.Paused.Sub(now))
	if r.Gap > 0 {
		ttl = max(ttl, learnedFor)
	}
	if r.Rate > 0 {
		ttl = max(ttl, time.Duration((r.Size-r.Level)/r.Rate*float64(time.Second)))
	}
	l.keep.put(key, &r, max(ttl, time.Second))
}

// restore takes what was learnt earlier, unless its reset has passed.
func (l *Limiters) restore(scope string, r *limitRecord) {
	now := l.clock.now()
	x := l.table.get(scope)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gap = max(r.Gap, 0)
	if at := closer(r.RefillAt, now, r.Every); r.Reservoir >= 0 && now.Before(at) {
		x.fill(r.Reservoir, r.Refill, max(r.Every, time.Second))
		x.refillAt = at
	}
	if until := closer(r.Paused, now, r.Pause); now.Before(until) {
		x.paused = until
	}
	if r.Size > 0 && r.Rate > 0 && !r.At.After(now) {
		x.told = bucket{size: r.Size, level: r.Level, rate: r.Rate, at: r.At}
	}
}

// Forget drops what was learnt about a scope: its limits are those of the rules
// again. It reports whether there was anything.
func (l *Limiters) Forget(scope string) bool {
	x := l.table.find(scope)
	if x == nil {
		return false
	}
	now := l.clock.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	known := x.learned(now) != limitRecord{Reservoir: -1}
	x.gap, x.bounded, x.paused, x.told = 0, false, time.Time{}, bucket{}
	x.counts++
	x.wake(now)
	l.save(x, now)
	return known
}
