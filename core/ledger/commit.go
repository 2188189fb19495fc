package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Kinds of stored entries.
const (
	kindRow         = "u"
	kindTrace       = "ut"
	kindID          = "ui"
	kindReservation = "d/rsv"
)

// item is something booked on its way to the store: a request, or counts alone.
type item struct {
	id     string    // of the row
	at     time.Time // when it was booked
	entry  *Entry    // nil: counts alone
	scopes []string
	amount amount
}

// group is what one commit carries.
type group struct {
	done chan struct{}
	err  error
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// work is what a commit takes from the queues.
type work struct {
	opened []*Reservation
	items  []item
	ended  []*Reservation
}

func (w *work) empty() bool { return len(w.opened)+len(w.items)+len(w.ended) == 0 }

// commit writes what is queued. Rows, their counters, their roll-ups and their
// place in the indexes go in one atomic batch, so that after a crash the counters
// are the exact sum of the rows. What does not fit one batch goes in several:
// reservations begin before, and end after, the rows they belong to.
func (l *Ledger) commit() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	w := work{opened: l.opened, items: l.queue, ended: l.ended}
	g := l.group
	if w.empty() {
		l.mu.Unlock()
		return nil
	}
	l.opened, l.queue, l.ended, l.group = nil, nil, nil, newGroup()
	l.mu.Unlock()
	total := len(w.items)
	for !w.empty() {
		d := l.draft(&w)
		err := d.err
		if err == nil {
			err = l.store.Apply(context.Background(), &d.batch)
		}
		if err == nil {
			l.applied(d)
			continue
		}
		d.undo()
		l.putBack(d, &w)
		g.err = fmt.Errorf("ledger: %d of %d bookings are not written yet: %w", len(d.items)+len(w.items), total, err)
		break
	}
	close(g.done)
	return g.err
}

// putBack returns what a failed commit took to the queues.
func (l *Ledger) putBack(d *draft, w *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = append(append(d.opened, w.opened...), l.opened...)
	l.ended = append(append(d.ended, w.ended...), l.ended...)
	l.queue = append(append(d.items, w.items...), l.queue...)
	l.shed()
}

// shed lets go of the oldest requests when the store has failed for long: of
// their rows first; l.mu is held. What they spent stays counted in memory.
func (l *Ledger) shed() {
	over := len(l.queue) - maxQueue
	if over <= 0 {
		return
	}
	l.shedding.Add(int64(over))
	l.queue = append(l.queue[:0:0], l.queue[over:]...)
}

// draft is one batch in the making.
type draft struct {
	work
	l      *Ledger
	batch  state.Batch
	slots  map[slot]struct{}
	rolls  map[string]*roll // by key
	bytes  int64            // of rows and what belongs to them
	rows   int64
	hours  map[int64]*stock
	learnt []indexed     // words that are new with this batch
	err    error         // of reading what is added to
	ttl    time.Duration // of the stocks; a rebuild's
}

// draft takes from w what fits one batch.
func (l *Ledger) draft(w *work) *draft {
	d := &draft{l: l, batch: state.Batch{Durable: true}, slots: map[slot]struct{}{}, rolls: map[string]*roll{}, hours: map[int64]*stock{}}
	for len(w.opened) > 0 && !d.full() {
		d.open(w.opened[0])
		w.opened = w.opened[1:]
	}
	for len(w.opened) == 0 && len(w.items) > 0 && !d.full() {
		d.item(w.items[0])
		w.items = w.items[1:]
	}
	for len(w.opened) == 0 && len(w.items) == 0 && len(w.ended) > 0 && !d.full() {
		d.end(w.ended[0])
		w.ended = w.ended[1:]
	}
	for c := range d.slots {
		c.put(&d.batch)
	}
	for key, r := range d.rolls {
		d.batch.Put(key, r.append(nil), r.ttl)
	}
	for h, s := range d.hours {
		d.batch.Put(stockKey(h), s.append(nil), l.rowTTL())
	}
	return d
}

// full counts what is still to be added to the batch: the changed counters.
func (d *draft) full() bool {
	if d.batch.Full() {
		return true
	}
	const counterBytes = 80
	late := len(d.slots) + len(d.rolls) + len(d.hours)
	return late >= state.MaxBatchOps/4 || late*counterBytes >= state.MaxBatchBytes/4
}

// open writes a reservation, unless it has ended already.
func (d *draft) open(r *Reservation) {
	d.opened = append(d.opened, r)
	if r.over.Load() {
		return
	}
	raw, err := json.Marshal(reservationRecord{Request: r.what, Until: r.until, Holds: r.holds})
	if err != nil {
		return
	}
	r.kept = true
	d.batch.Put(state.Key(kindReservation, r.id), raw, leaseTime)
}

// end removes a reservation that was written.
func (d *draft) end(r *Reservation) {
	d.ended = append(d.ended, r)
	if r.kept {
		d.batch.Delete(state.Key(kindReservation, r.id))
	}
}

// item writes a request, or counts alone.
func (d *draft) item(it item) {
	d.items = append(d.items, it)
	d.book(it, 1)
	if it.entry == nil {
		return
	}
	d.roll(it)
	if !it.entry.Unlisted {
		d.row(it)
	}
}

// book counts an item as saved, or takes that back.
func (d *draft) book(it item, sign int64) {
	for _, scope := range it.scopes {
		d.l.counters.get(scope).book(it.at, it.amount.times(sign), func(c slot) { d.slots[c] = struct{}{} })
	}
}

// undo takes back what a batch that was not written had counted as saved.
func (d *draft) undo() {
	for _, it := range d.items {
		d.book(it, -1)
	}
	for _, x := range d.learnt {
		d.l.words.forget(x)
	}
}

// row writes the row of a request with its trace, and its place in the indexes.
func (d *draft) row(it item) {
	e, ttl := it.entry, d.l.rowTTL()
	raw, err := json.Marshal(e)
	if err != nil {
		d.l.opt.OnError(fmt.Errorf("ledger: request %s cannot be written: %w", e.ID, err))
		return
	}
	d.batch.Put(state.Key(kindRow, it.id), raw, ttl)
	d.batch.Put(state.Key(kindID, e.ID), []byte(it.id), ttl)
	size := rowBytes(it.id, e, raw, len(e.Trace))
	if len(e.Trace) > 0 {
		d.batch.Put(state.Key(kindTrace, it.id), e.Trace, ttl)
	}
	for _, x := range indexesOf(e) {
		x = d.l.words.admit(x)
		d.batch.Put(indexKey(x, it.id), nil, ttl)
		if d.l.words.learn(x) {
			d.learnt = append(d.learnt, x)
			d.batch.Put(wordKey(x), nil, 0)
		}
	}
	d.bytes, d.rows = d.bytes+size, d.rows+1
	at, _ := state.IDTime(it.id)
	d.stock(hours.index(at)).add(1, size)
}

// rowBytes is what a row takes, its indexes left out.
func rowBytes(id string, e *Entry, raw []byte, trace int) int64 {
	return int64(len(raw) + len(id) + len(e.ID) + trace)
}

// applied takes note that a batch is in the store.
func (l *Ledger) applied(d *draft) {
	l.size.Add(d.bytes)
	l.rows.Add(d.rows)
}

// Flush returns when everything booked so far is in the store, or why it is not.
func (l *Ledger) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.commit()
}
