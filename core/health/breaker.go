package health

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// BreakerState is closed, half_open or open.
type BreakerState string

// The states.
const (
	Closed   BreakerState = "closed"
	HalfOpen BreakerState = "half_open"
	Open     BreakerState = "open"
)

// Times of breakers.
const (
	breakerSlots   = 12 // of the window of 60 s
	breakerSlot    = 5 * time.Second
	probeLease     = time.Minute // a probe that never reports gives its place back
	defaultReset   = 30 * time.Second
	defaultTripAt  = 5
	breakerMaxSpan = 24 * time.Hour
)

// Breaker is a snapshot of one breaker, as policies see it.
type Breaker struct {
	Name         string
	State        BreakerState
	Failures     int // consecutive
	WindowTotal  int // of the last 60 s
	WindowFailed int
	Reopens      int   // failed probes since it was last closed
	Degraded     bool  // closed, with 60 % of the failures that would open it
	SinceMS      int64 // time in this state
	RetryAfterMS int64 // until the next probe when open, else 0
}

// Outcome of an attempt, as the breaker rules judged it.
type Outcome struct {
	Success bool
	// Ignored outcomes (aborts, client errors) count as nothing.
	Ignored bool
	// Threshold is how many consecutive failures the provider is allowed; it is for
	// [Breaker.Degraded] alone. 0 = 5.
	Threshold int
	// Successes is how many probes must succeed before a breaker that this failure
	// opens is closed; 0 = 1.
	Successes int
	// Trip decides about a counted failure, with the counts that include it. It
	// runs under the breaker's lock and must not use the breakers. nil = five
	// consecutive failures open it for 30 s.
	Trip func(Breaker) (open bool, reset time.Duration)
}

// Breakers is a table of circuit breakers by name. A breaker that is half open
// admits one probe at a time; a probe that fails opens it again.
type Breakers struct {
	clock clock
	keep  *keeper
	table *table[breaker]
}

type breaker struct {
	name string
	keep *keeper

	mu       sync.Mutex
	open     bool
	since    time.Time // of the present state
	until    time.Time // of an open one
	reset    time.Duration
	failures int
	reopens  int
	allowed  int       // failures, as the last one said
	needs    int       // successful probes to close it
	passed   int       // of them
	probe    time.Time // until when a probe holds the only place
	slots    [breakerSlots]slot
}

type slot struct {
	at            int64
	total, failed int
}

func newBreakers(c clock, k *keeper) *Breakers {
	return &Breakers{clock: c, keep: k, table: newTable(func(name string) *breaker {
		return &breaker{name: name, keep: k, since: c.now()}
	})}
}

// breakerRecord is the stored form of a breaker that is open or has failed.
type breakerRecord struct {
	Open     bool          `json:"open,omitempty"`
	Since    time.Time     `json:"since"`
	Until    time.Time     `json:"until,omitzero"`
	Reset    time.Duration `json:"reset,omitempty"`
	Failures int           `json:"failures,omitempty"`
	Reopens  int           `json:"reopens,omitempty"`
	Allowed  int           `json:"allowed,omitempty"`
	Needs    int           `json:"needs,omitempty"`
}

// save writes the breaker; x.mu is held. A closed one without failures is not
// worth a record.
func (x *breaker) save() {
	if x.keep == nil {
		return
	}
	key := state.Key(kindBreaker, x.name)
	if !x.open && x.failures == 0 {
		x.keep.put(key, nil, 0)
		return
	}
	x.keep.put(key, &breakerRecord{Open: x.open, Since: x.since, Until: x.until, Reset: x.reset, Failures: x.failures,
		Reopens: x.reopens, Allowed: x.allowed, Needs: x.needs}, breakerMaxSpan)
}

// restore takes a stored breaker. One that was half open has its place for a
// probe again.
func (b *Breakers) restore(name string, r *breakerRecord) {
	now := b.clock.now()
	x := b.table.get(name)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open, x.failures, x.reopens, x.reset = r.Open, r.Failures, r.Reopens, min(max(r.Reset, 0), breakerMaxSpan)
	x.allowed, x.needs, x.passed = r.Allowed, r.Needs, 0
	x.since, x.until = r.Since, closer(r.Until, now, x.reset)
	if x.since.After(now) {
		x.since = now
	}
}

// Allow asks to pass. When ok, done must be called once with the outcome;
// further calls do nothing.
func (b *Breakers) Allow(name string) (done func(Outcome), ok bool) {
	x := b.table.get(name)
	now := b.clock.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.open {
		return b.report(x, false), true
	}
	if now.Before(x.until) || now.Before(x.probe) {
		return nil, false
	}
	x.probe = now.Add(probeLease)
	return b.report(x, true), true
}

// Force passes whatever the state, for the last resort when every target is
// open. Its outcome counts as that of a probe.
func (b *Breakers) Force(name string) (done func(Outcome)) {
	x := b.table.get(name)
	x.mu.Lock()
	defer x.mu.Unlock()
	return b.report(x, x.open)
}

func (b *Breakers) report(x *breaker, probe bool) func(Outcome) {
	var once sync.Once
	return func(o Outcome) {
		once.Do(func() {
			now := b.clock.now()
			x.mu.Lock()
			defer x.mu.Unlock()
			x.settle(o, probe, now)
		})
	}
}

// settle takes an outcome in; x.mu is held.
func (x *breaker) settle(o Outcome, probe bool, now time.Time) {
	if probe {
		x.probe = time.Time{}
	}
	if o.Ignored {
		return
	}
	s := x.slot(now)
	s.total++
	if o.Success {
		x.succeed(probe, now)
		return
	}
	s.failed++
	x.failures++
	x.allowed = o.Threshold
	open, reset := x.failures >= defaultTripAt, defaultReset
	if o.Trip != nil {
		open, reset = o.Trip(x.view(now))
	}
	if reset <= 0 {
		reset = defaultReset
	}
	reset = min(reset, breakerMaxSpan)
	switch {
	case x.open && probe:
		x.reopens++
		x.needs, x.passed = o.Successes, 0
		x.until, x.since, x.reset = now.Add(reset), now, reset
	case !x.open && open:
		x.needs, x.passed = o.Successes, 0
		x.open, x.until, x.since, x.reset = true, now.Add(reset), now, reset
	}
	x.save()
}

// succeed takes a success in; x.mu is held. What happened before a breaker was
// closed does not open it again.
func (x *breaker) succeed(probe bool, now time.Time) {
	switch {
	case x.open && !probe:
		return // started before it opened: says nothing about now
	case x.open:
		if x.passed++; x.passed < x.needs {
			return
		}
		x.open, x.since, x.reopens = false, now, 0
		x.slots = [breakerSlots]slot{}
	case x.failures == 0:
		return
	}
	x.failures = 0
	x.save()
}

// slot is the present part of the window.
func (x *breaker) slot(now time.Time) *slot {
	at := now.UnixNano() / int64(breakerSlot)
	s := &x.slots[at%breakerSlots]
	if s.at != at {
		*s = slot{at: at}
	}
	return s
}

// view reads the breaker; x.mu is held.
func (x *breaker) view(now time.Time) Breaker {
	v := Breaker{Name: x.name, State: Closed, Failures: x.failures, Reopens: x.reopens, SinceMS: max(now.Sub(x.since).Milliseconds(), 0)}
	oldest := now.UnixNano()/int64(breakerSlot) - breakerSlots
	for i := range x.slots {
		if x.slots[i].at > oldest {
			v.WindowTotal += x.slots[i].total
			v.WindowFailed += x.slots[i].failed
		}
	}
	allowed := x.allowed
	if allowed <= 0 {
		allowed = defaultTripAt
	}
	v.Degraded = !x.open && 5*x.failures >= 3*allowed
	if x.open {
		v.State = Open
		if !now.Before(x.until) {
			v.State = HalfOpen
			if now.Before(x.probe) {
				v.RetryAfterMS = ceilMS(x.probe.Sub(now))
			}
		} else {
			v.RetryAfterMS = ceilMS(x.until.Sub(now))
		}
	}
	return v
}

// View reads a breaker without changing it.
func (b *Breakers) View(name string) Breaker {
	x := b.table.find(name)
	if x == nil {
		return Breaker{Name: name, State: Closed}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.view(b.clock.now())
}

// List reads all breakers by name.
func (b *Breakers) List() []Breaker {
	var out []Breaker
	now := b.clock.now()
	b.table.each(func(_ string, x *breaker) {
		x.mu.Lock()
		defer x.mu.Unlock()
		out = append(out, x.view(now))
	})
	slices.SortFunc(out, func(a, b Breaker) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Reset closes a breaker and forgets its counts; "" closes all.
func (b *Breakers) Reset(name string) {
	now := b.clock.now()
	b.table.each(func(n string, x *breaker) {
		if name != "" && n != name {
			return
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.open, x.since, x.failures, x.reopens, x.probe = false, now, 0, 0, time.Time{}
		x.slots = [breakerSlots]slot{}
		x.save()
	})
}
