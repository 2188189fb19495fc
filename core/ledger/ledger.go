package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Kinds of stored entries.
const (
	kindRow   = "u"
	kindTrace = "ut"
	kindIndex = "ui"
)

// Times of the writer.
const (
	gather     = 20 * time.Millisecond // least time between two commits
	retryAfter = time.Second           // after a failed commit
	tidyEvery  = time.Minute
	maxQueue   = 20_000 // rows kept while the store fails; the oldest give way
)

// Options configure a Ledger.
type Options struct {
	// Location of calendar windows that name none; nil = UTC.
	Location *time.Location
	// Retention of rows by age, MaxBytes by size; 0 = no bound.
	Retention time.Duration
	MaxBytes  int64
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// OnError is told of failed writes; nil drops them.
	OnError func(error)
}

// Ledger is safe for concurrent use.
type Ledger struct {
	store    state.Store
	opt      Options
	ids      *state.IDSource
	counters *counters
	location atomic.Pointer[time.Location]
	retain   atomic.Int64 // ns
	maxBytes atomic.Int64
	size     atomic.Int64 // bytes of rows and traces, about

	wake chan struct{}
	quit chan struct{}
	done chan struct{}

	// mu makes the counters and the queue of rows one thing: a commit takes
	// both at the same moment.
	mu           sync.Mutex
	rows         []row
	opened       []*Reservation
	ended        []string
	changed      map[*series]struct{}
	reservations map[string]*Reservation
	group        *group
	closed       bool
}

// row is an entry on its way to the store.
type row struct {
	id    string
	entry *Entry
}

// group is the rows of one commit.
type group struct {
	done chan struct{}
	err  error
}

// Open loads counters and reservations and starts the writer.
func Open(ctx context.Context, s state.Store, opt Options) (*Ledger, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.OnError == nil {
		opt.OnError = func(error) {}
	}
	l := &Ledger{
		store: s, opt: opt, ids: state.NewIDSource(opt.Now), counters: newCounters(),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		changed: map[*series]struct{}{}, reservations: map[string]*Reservation{}, group: newGroup(),
	}
	l.Configure(opt.Location, opt.Retention, opt.MaxBytes)
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	go l.run()
	return l, nil
}

func newGroup() *group { return &group{done: make(chan struct{})} }

func (l *Ledger) load(ctx context.Context) error {
	prefix := state.Prefix(kindCounter)
	err := l.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		if segments, ok := state.Segments(prefix, e.Key); ok {
			l.counters.restore(segments, e.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	prefix = state.Prefix(kindReservation)
	err = l.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		if segments, ok := state.Segments(prefix, e.Key); ok && len(segments) == 1 {
			l.restoreReservation(segments[0], e.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := l.store.Get(ctx, sizeKey())
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	n, _ := strconv.ParseInt(string(raw), 10, 64)
	l.size.Store(n)
	return nil
}

func sizeKey() string { return state.Key("meta", "log-bytes") }

// Configure changes location and retention while running; nil = UTC, 0 = no
// bound. Rows already written keep the age they were given.
func (l *Ledger) Configure(loc *time.Location, retention time.Duration, maxBytes int64) {
	if loc == nil {
		loc = time.UTC
	}
	l.location.Store(loc)
	l.retain.Store(int64(retention))
	l.maxBytes.Store(maxBytes)
}

// Spend is what a scope spent in a window ("day", "month", "5h"…), in USD. A
// window that cannot be read counts 0.
func (l *Ledger) Spend(scope, window string) float64 {
	return Money(l.count(scope, window).usd).USD()
}

// Requests counts requests, see Spend.
func (l *Ledger) Requests(scope, window string) int { return int(l.count(scope, window).requests) }

// Tokens counts prompt and completion tokens, see Spend.
func (l *Ledger) Tokens(scope, window string) int { return int(l.count(scope, window).tokens) }

func (l *Ledger) count(scope, window string) amount {
	s := l.counters.find(scope)
	if s == nil {
		return amount{}
	}
	w, err := ParseWindow(window)
	if err != nil {
		return amount{}
	}
	w = l.window(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used(w, l.opt.Now())
}

// Add counts something beside requests: a counter of a policy, a correction.
func (l *Ledger) Add(scope string, usd Money, requests, tokens int64) {
	now := l.opt.Now()
	l.mu.Lock()
	l.addTo(scope, now, amount{usd: int64(usd), requests: requests, tokens: tokens})
	l.mu.Unlock()
	l.poke()
}

// addTo counts in one scope; l.mu is held.
func (l *Ledger) addTo(scope string, now time.Time, a amount) {
	s := l.counters.get(scope)
	s.mu.Lock()
	s.add(now, a)
	s.mu.Unlock()
	l.changed[s] = struct{}{}
}

// Receipt tells when an entry is written.
type Receipt struct{ g *group }

// Wait returns when the entry is in the store, or why it is not yet: the
// ledger goes on trying.
func (r Receipt) Wait(ctx context.Context) error {
	if r.g == nil {
		return state.ErrClosed
	}
	select {
	case <-r.g.done:
		return r.g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settle books a finished request and ends its reservation (nil = none): the
// counters change at once, the row follows. Call it once per request; e must
// not be changed afterwards.
func (l *Ledger) Settle(e *Entry, r *Reservation) Receipt {
	now := l.opt.Now()
	a := e.spent()
	id := l.ids.Next()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.opt.OnError(fmt.Errorf("ledger: request %s was not booked: %w", e.ID, state.ErrClosed))
		return Receipt{}
	}
	for _, scope := range e.Scopes {
		l.addTo(scope, now, a)
	}
	if r != nil && r.over.CompareAndSwap(false, true) {
		l.forget(r)
	}
	if len(l.rows) >= maxQueue {
		l.rows = append(l.rows[:0], l.rows[1:]...)
	}
	l.rows = append(l.rows, row{id: id, entry: e})
	g := l.group
	l.mu.Unlock()
	l.poke()
	return Receipt{g}
}

func (l *Ledger) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run commits what is queued: at once when the ledger was idle, and at most
// every gather under load, so that one commit carries many requests.
func (l *Ledger) run() {
	defer close(l.done)
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-l.quit:
			return
		case <-tidy.C:
			l.expire(l.opt.Now())
			if limit := l.maxBytes.Load(); limit > 0 && l.size.Load() > limit {
				if _, err := l.Prune(context.Background()); err != nil {
					l.opt.OnError(err)
				}
			}
			continue
		case <-l.wake:
		}
		wait := gather
		if err := l.commit(); err != nil {
			l.opt.OnError(err)
			wait = retryAfter
			l.poke()
		}
		pause.Reset(wait)
		select {
		case <-l.quit:
			return
		case <-pause.C:
		}
	}
}

// commit writes rows, counters and reservations that changed as one batch.
func (l *Ledger) commit() error {
	b := state.Batch{Durable: true}
	l.mu.Lock()
	rows, opened, ended, g := l.rows, l.opened, l.ended, l.group
	if len(rows) == 0 && len(opened) == 0 && len(ended) == 0 && len(l.changed) == 0 {
		l.mu.Unlock()
		return nil
	}
	l.rows, l.opened, l.ended, l.group = nil, nil, nil, newGroup()
	marks := make(map[*series][]dirtyBucket, len(l.changed))
	for s := range l.changed {
		s.mu.Lock()
		marks[s] = s.write(&b)
		s.mu.Unlock()
	}
	clear(l.changed)
	l.mu.Unlock()

	writeReservations(&b, opened, ended)
	grown := l.writeRows(&b, rows)
	if grown > 0 {
		b.Put(sizeKey(), strconv.AppendInt(nil, l.size.Load()+grown, 10), 0)
	}
	err := l.store.Apply(context.Background(), &b)
	if err == nil {
		l.size.Add(grown)
	} else {
		l.restoreQueue(rows, opened, ended, marks)
		err = fmt.Errorf("ledger: %d requests could not be written: %w", len(rows), err)
	}
	g.err = err
	close(g.done)
	return err
}

// restoreQueue puts back what a failed commit took.
func (l *Ledger) restoreQueue(rows []row, opened []*Reservation, ended []string, marks map[*series][]dirtyBucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(rows, l.rows...)
	if over := len(l.rows) - maxQueue; over > 0 {
		l.rows = append(l.rows[:0], l.rows[over:]...)
	}
	l.opened = append(opened, l.opened...)
	l.ended = append(ended, l.ended...)
	for s, list := range marks {
		s.mu.Lock()
		for _, d := range list {
			s.touch(d)
		}
		s.mu.Unlock()
		l.changed[s] = struct{}{}
	}
}

func (l *Ledger) writeRows(b *state.Batch, rows []row) (bytes int64) {
	ttl := time.Duration(l.retain.Load())
	for _, r := range rows {
		raw, err := json.Marshal(r.entry)
		if err != nil {
			l.opt.OnError(fmt.Errorf("ledger: request %s cannot be written: %w", r.entry.ID, err))
			continue
		}
		b.Put(state.Key(kindRow, r.id), raw, ttl)
		b.Put(state.Key(kindIndex, r.entry.ID), []byte(r.id), ttl)
		bytes += int64(len(raw) + len(r.id) + len(r.entry.ID))
		if len(r.entry.Trace) > 0 {
			b.Put(state.Key(kindTrace, r.id), r.entry.Trace, ttl)
			bytes += int64(len(r.entry.Trace))
		}
	}
	return bytes
}

// Close writes what is queued and stops.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.quit)
	<-l.done
	return l.commit()
}
