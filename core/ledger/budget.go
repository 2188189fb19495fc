package ledger

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// leaseTime is how long a reservation holds without being settled.
const leaseTime = 15 * time.Minute

const kindReservation = "d/rsv"

// Claim asks for a part of a budget.
type Claim struct {
	Scope  string
	Unit   Unit
	Window Window
	// Limit in the unit (USD: nano-USD); negative = none, only the
	// reservation is noted.
	Limit    int64
	Estimate int64
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
	id     string
	holds  []hold
	until  time.Time
	over   atomic.Bool
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
	series := l.lockAll(claims)
	for i := range claims {
		c := &claims[i]
		w := l.window(c.Window)
		s := series[c.Scope]
		st := Standing{Spent: s.used(w, now).in(c.Unit), Reserved: s.reserved[c.key(w)], ResetAt: w.End(now)}
		if c.Limit >= 0 && st.Spent+st.Reserved+c.Estimate > c.Limit {
			unlockAll(series)
			return nil, &Denial{Claim: *c, Standing: st}
		}
	}
	r := &Reservation{ledger: l, id: requestID, until: now.Add(leaseTime)}
	for i := range claims {
		c := &claims[i]
		h := hold{Scope: c.Scope, Key: c.key(l.window(c.Window)), Amount: max(c.Estimate, 0)}
		s := series[c.Scope]
		if s.reserved == nil {
			s.reserved = map[string]int64{}
		}
		s.reserved[h.Key] += h.Amount
		r.holds = append(r.holds, h)
	}
	unlockAll(series)
	l.keep(r)
	return r, nil
}

// lockAll locks the scopes of claims in one order, so that two requests cannot
// wait for each other.
func (l *Ledger) lockAll(claims []Claim) map[string]*series {
	m := make(map[string]*series, len(claims))
	names := make([]string, 0, len(claims))
	for i := range claims {
		if _, known := m[claims[i].Scope]; !known {
			m[claims[i].Scope] = l.counters.get(claims[i].Scope)
			names = append(names, claims[i].Scope)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		m[n].mu.Lock()
	}
	return m
}

func unlockAll(m map[string]*series) {
	for _, s := range m {
		s.mu.Unlock()
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
	l.forget(r)
	l.mu.Unlock()
	l.poke()
}

// forget ends a reservation; l.mu is held.
func (l *Ledger) forget(r *Reservation) {
	if l.reservations[r.id] == r {
		delete(l.reservations, r.id)
	}
	l.ended = append(l.ended, r.id)
	for _, h := range r.holds {
		s := l.counters.get(h.Scope)
		s.mu.Lock()
		if s.reserved[h.Key] -= h.Amount; s.reserved[h.Key] <= 0 {
			delete(s.reserved, h.Key)
		}
		s.mu.Unlock()
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

// reservationRecord is the stored form.
type reservationRecord struct {
	Until time.Time `json:"until"`
	Holds []hold    `json:"holds"`
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
	r := &Reservation{ledger: l, id: id, until: rec.Until, holds: rec.Holds}
	for _, h := range r.holds {
		s := l.counters.get(h.Scope)
		if s.reserved == nil {
			s.reserved = map[string]int64{}
		}
		s.reserved[h.Key] += h.Amount
	}
	l.reservations[id] = r
}

// writeReservations appends what changed to a batch. What ended before it was
// ever written leaves no trace.
func writeReservations(b *state.Batch, opened []*Reservation, ended []string) {
	over := make(map[string]bool, len(ended))
	for _, id := range ended {
		over[id] = true
	}
	fresh := make(map[string]bool, len(opened))
	for _, r := range opened {
		fresh[r.id] = true
		if over[r.id] {
			continue
		}
		raw, err := json.Marshal(reservationRecord{Until: r.until, Holds: r.holds})
		if err == nil {
			b.Put(state.Key(kindReservation, r.id), raw, leaseTime)
		}
	}
	for id := range over {
		if !fresh[id] {
			b.Delete(state.Key(kindReservation, id))
		}
	}
}
