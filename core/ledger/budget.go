package ledger

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"
)

// leaseTime is how long a reservation holds without being settled.
const leaseTime = 15 * time.Minute

// Claim asks for a part of a budget.
type Claim struct {
	Scope  string
	Unit   Unit
	Window Window
	// Limit in the unit (USD: nano-USD); negative = none, only the
	// reservation is noted.
	Limit    int64
	Estimate int64
	// Hard asks for running requests to be cut when they pass Ceiling; see
	// Reservation.Over.
	Hard    bool
	Ceiling int64
	// Rule names the policy rule, for the denial.
	Rule string
}

// Standing is how far a budget is used.
type Standing struct {
	Spent, Reserved int64
	ResetAt         time.Time // zero for "total" and rolling windows
}

// Denial says which budget refused.
type Denial struct {
	Claim    Claim
	Standing Standing
}

// hold is one reserved estimate.
type hold struct {
	Scope  string `json:"s"`
	Key    string `json:"k"` // unit and window
	Amount int64  `json:"a"`
}

// Reservation holds estimates until the request is settled, 15 minutes at most.
type Reservation struct {
	ledger *Ledger
	id     string // its own: clients may give two requests the same id
	what   string // id of the request
	holds  []hold
	hard   []Claim // with a ceiling
	until  time.Time
	over   atomic.Bool
	kept   bool // in the store; the writer's
}

func (c *Claim) key(w Window) string { return string(c.Unit) + " " + w.key() }

// window fills in the location of the ledger.
func (l *Ledger) window(w Window) Window {
	if w.Location == nil {
		w.Location = l.location.Load()
	}
	return w
}

// Standing reads one budget.
func (l *Ledger) Standing(scope string, unit Unit, w Window) Standing {
	w = l.window(w)
	now := l.opt.Now()
	st := Standing{ResetAt: w.End(now)}
	s := l.counters.find(scope)
	if s == nil {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Spent = s.used(w, now).in(unit)
	st.Reserved = s.reserved[string(unit)+" "+w.key()]
	return st
}

// Reserve takes all claims or none: a claim is refused when what is spent, what
// others have reserved and its estimate exceed its limit. The reservation is
// nil when there are no claims.
func (l *Ledger) Reserve(requestID string, claims []Claim) (*Reservation, *Denial) {
	if len(claims) == 0 {
		return nil, nil
	}
	now := l.opt.Now()
	series, unlock := l.lockAll(claims)
	for i := range claims {
		c := &claims[i]
		w := l.window(c.Window)
		s := series[c.Scope]
		st := Standing{Spent: s.used(w, now).in(c.Unit), Reserved: s.reserved[c.key(w)], ResetAt: w.End(now)}
		if c.Limit >= 0 && st.Spent+st.Reserved+c.Estimate > c.Limit {
			unlock()
			return nil, &Denial{Claim: *c, Standing: st}
		}
	}
	r := &Reservation{ledger: l, id: l.ids.Next(), what: requestID, until: now.Add(leaseTime)}
	for i := range claims {
		c := &claims[i]
		h := hold{Scope: c.Scope, Key: c.key(l.window(c.Window)), Amount: max(c.Estimate, 0)}
		s := series[c.Scope]
		if s.reserved == nil {
			s.reserved = map[string]int64{}
		}
		s.reserved[h.Key] += h.Amount
		r.holds = append(r.holds, h)
		if c.Hard {
			r.hard = append(r.hard, *c)
		}
	}
	unlock()
	l.keep(r)
	return r, nil
}

// lockAll locks the scopes of claims in one order, so that two requests cannot
// wait for each other. Several scopes may share a series.
func (l *Ledger) lockAll(claims []Claim) (byScope map[string]*series, unlock func()) {
	byScope = make(map[string]*series, len(claims))
	all := make([]*series, 0, len(claims))
	for i := range claims {
		s := l.counters.get(claims[i].Scope)
		byScope[claims[i].Scope] = s
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *series) int { return cmp.Compare(a.scope, b.scope) })
	all = slices.Compact(all)
	for _, s := range all {
		s.mu.Lock()
	}
	return byScope, func() {
		for _, s := range all {
			s.mu.Unlock()
		}
	}
}

// keep remembers a reservation until it ends and has it written.
func (l *Ledger) keep(r *Reservation) {
	l.mu.Lock()
	l.reservations[r.id] = r
	l.opened = append(l.opened, r)
	l.mu.Unlock()
	l.poke()
}

// Release gives the reservation back without spending. Safe on nil and after
// Settle.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	if !r.over.CompareAndSwap(false, true) {
		return
	}
	l := r.ledger
	l.mu.Lock()
	l.close(r)
	l.free(r.holds)
	l.mu.Unlock()
	l.poke()
}

// close takes a reservation off the books; l.mu is held. What it holds is freed
// by the caller.
func (l *Ledger) close(r *Reservation) {
	delete(l.reservations, r.id)
	l.ended = append(l.ended, r)
}

// free gives back what was held.
func (l *Ledger) free(holds []hold) {
	for _, h := range holds {
		s := l.counters.get(h.Scope)
		s.mu.Lock()
		s.release(h)
		s.mu.Unlock()
	}
}

// release gives back one hold; s.mu is held.
func (s *series) release(h hold) {
	if s.reserved[h.Key] -= h.Amount; s.reserved[h.Key] <= 0 {
		delete(s.reserved, h.Key)
	}
}

// expire ends the reservations whose lease has run out.
func (l *Ledger) expire(now time.Time) {
	l.mu.Lock()
	var over []*Reservation
	for _, r := range l.reservations {
		if now.After(r.until) {
			over = append(over, r)
		}
	}
	l.mu.Unlock()
	slices.SortFunc(over, func(a, b *Reservation) int { return cmp.Compare(a.id, b.id) })
	for _, r := range over {
		r.Release()
	}
}

// Over returns the first claim whose ceiling a running request passes: what is
// spent, what others have reserved and what it has used itself so far. Safe on
// nil.
func (r *Reservation) Over(used func(Unit) int64) (Denial, bool) {
	if r == nil {
		return Denial{}, false
	}
	for i := range r.hard {
		c := &r.hard[i]
		st := r.ledger.Standing(c.Scope, c.Unit, c.Window)
		if st.Spent+st.Reserved-c.Estimate+used(c.Unit) > c.Ceiling {
			return Denial{Claim: *c, Standing: st}, true
		}
	}
	return Denial{}, false
}

// reservationRecord is the stored form.
type reservationRecord struct {
	Request string    `json:"request,omitempty"`
	Until   time.Time `json:"until"`
	Holds   []hold    `json:"holds"`
}

// restoreReservation brings back what was reserved when the process died: the
// provider may have billed it, so it counts until its lease ends.
func (l *Ledger) restoreReservation(id string, value []byte) {
	var rec reservationRecord
	now := l.opt.Now()
	if json.Unmarshal(value, &rec) != nil || !now.Before(rec.Until) {
		return
	}
	if rec.Until.After(now.Add(leaseTime)) { // the clock went back
		rec.Until = now.Add(leaseTime)
	}
	r := &Reservation{ledger: l, id: id, what: rec.Request, until: rec.Until, holds: rec.Holds, kept: true}
	for _, h := range r.holds {
		s := l.counters.get(h.Scope)
		if s.reserved == nil {
			s.reserved = map[string]int64{}
		}
		s.reserved[h.Key] += h.Amount
	}
	l.reservations[id] = r
}
