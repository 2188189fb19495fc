package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// Times of the writer.
const (
	gather     = 20 * time.Millisecond // least time between two commits
	retryAfter = time.Second           // after a failed commit, unless Options say otherwise
	tidyEvery  = time.Minute
	maxQueue   = 20_000 // rows kept while the store fails; the oldest give way
)

// Options configure a Ledger.
type Options struct {
	// Location of calendar windows that name none; nil = UTC.
	Location *time.Location
	// Retention of rows by age, MaxBytes by size, MaxRows by number; 0 = no bound.
	Retention time.Duration
	MaxBytes  int64
	MaxRows   int64
	// RetryAfter is how long a failed commit is left alone; 0 = a second.
	RetryAfter time.Duration
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
	maxRows  atomic.Int64
	size     atomic.Int64 // bytes of rows and traces
	rows     atomic.Int64
	shedding atomic.Int64 // rows given up because the store failed for long
	words    words
	tuples   crowdCheck // the writer's
	seeks    int        // index entries that one page reads at most
	pruning  sync.Mutex

	wake chan struct{}
	quit chan struct{}
	done chan struct{}

	// mu makes the counters and the queue one thing: what is counted is queued at
	// the same moment.
	mu           sync.Mutex
	queue        []item
	opened       []*Reservation
	ended        []*Reservation
	reservations map[string]*Reservation
	group        *group
	closed       bool

	writing sync.Mutex // one commit at a time
}

// Open loads counters and reservations and starts the writer.
func Open(ctx context.Context, s state.Store, opt Options) (*Ledger, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.RetryAfter <= 0 {
		opt.RetryAfter = retryAfter
	}
	if opt.OnError == nil {
		opt.OnError = func(error) {}
	}
	l := &Ledger{
		store: s, opt: opt, ids: state.NewIDSource(opt.Now), counters: newCounters(),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		seeks: maxSeek, reservations: map[string]*Reservation{}, group: newGroup(),
	}
	l.Configure(Bounds{Location: opt.Location, Retention: opt.Retention, MaxBytes: opt.MaxBytes, MaxRows: opt.MaxRows})
	if err := upgrade(ctx, s); err != nil {
		return nil, err
	}
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	go l.run()
	return l, nil
}

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
	if err := l.words.load(ctx, l.store); err != nil {
		return err
	}
	return l.weigh(ctx)
}

// Bounds are what a running ledger can be given anew.
type Bounds struct {
	Location  *time.Location // nil = UTC
	Retention time.Duration  // 0 = no bound, also below
	MaxBytes  int64
	MaxRows   int64
}

// Configure changes location and bounds while running. Rows already written keep
// the age they were given.
func (l *Ledger) Configure(b Bounds) {
	if b.Location == nil {
		b.Location = time.UTC
	}
	l.location.Store(b.Location)
	l.retain.Store(int64(b.Retention))
	l.maxBytes.Store(b.MaxBytes)
	l.maxRows.Store(b.MaxRows)
}

func (l *Ledger) rowTTL() time.Duration { return time.Duration(l.retain.Load()) }

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
	it := item{at: l.opt.Now(), scopes: []string{scope}, amount: amount{usd: int64(usd), requests: requests, tokens: tokens}}
	l.mu.Lock()
	l.enqueue(it, nil)
	l.mu.Unlock()
	l.poke()
}

// enqueue counts an item in memory, in the place of what was held for it, and
// puts it into the queue; l.mu is held.
func (l *Ledger) enqueue(it item, holds []hold) {
	for _, scope := range it.scopes {
		s := l.counters.get(scope)
		s.mu.Lock()
		s.add(it.at, it.amount)
		rest := holds[:0:0]
		for _, h := range holds {
			if l.counters.get(h.Scope) != s {
				rest = append(rest, h)
				continue
			}
			s.release(h)
		}
		s.mu.Unlock()
		holds = rest
	}
	l.free(holds)
	l.queue = append(l.queue, it)
	l.shed()
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
	it := item{id: l.ids.Next(), at: l.opt.Now(), entry: e, scopes: e.Scopes, amount: e.spent()}
	if len(it.scopes) > maxEntryScopes {
		it.scopes = it.scopes[:maxEntryScopes]
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.opt.OnError(fmt.Errorf("ledger: request %s was not booked: %w", e.ID, state.ErrClosed))
		return Receipt{}
	}
	var holds []hold
	if r != nil && r.over.CompareAndSwap(false, true) {
		holds = r.holds
		l.close(r)
	}
	l.enqueue(it, holds)
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
	clock := clockWatch{wall: l.opt.Now(), run: time.Now()}
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-l.quit:
			return
		case <-tidy.C:
			l.tidy(&clock)
			continue
		case <-l.wake:
		}
		wait := gather
		if err := l.commit(); err != nil {
			l.opt.OnError(err)
			wait = l.opt.RetryAfter
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
