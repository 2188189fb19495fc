package health

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrGateTimeout says that no place came free in time.
var ErrGateTimeout = errors.New("health: no free place in time")

// drainDelay is how long after it was shut a gate opens.
const drainDelay = 50 * time.Millisecond

// Gates are semaphores by name, first come, first served.
type Gates struct {
	clock clock
	table *table[gate]
}

type gate struct {
	mu      sync.Mutex
	running int
	waiting []*waiter
	shut    time.Time
}

func newGates(c clock) *Gates {
	return &Gates{clock: c, table: newTable(func(string) *gate { return &gate{} })}
}

// Enter waits at most wait for one of n places (0 = no bound); ErrGateTimeout
// if none came free, the error of ctx if it ended. leave must be called at the
// end of the work, also of a stream; it may be called more than once.
func (g *Gates) Enter(ctx context.Context, name string, n int, wait time.Duration) (leave func(), err error) {
	if n <= 0 {
		return func() {}, nil
	}
	x := g.table.get(name)
	deadline := g.clock.now().Add(wait)
	x.mu.Lock()
	now := g.clock.now()
	if x.running < n && len(x.waiting) == 0 && !now.Before(x.shut) {
		x.running++
		x.mu.Unlock()
		return x.leaver(g), nil
	}
	w := &waiter{limit: n, ready: make(chan struct{})}
	x.waiting = append(x.waiting, w)
	x.mu.Unlock()
	for {
		x.mu.Lock()
		now = g.clock.now()
		x.drain(now)
		// A shut gate is looked at again when it opens; nobody may leave it then.
		next := deadline
		if open := x.shut; now.Before(open) && open.Before(deadline) {
			next = open
		}
		x.mu.Unlock()
		timer, stop := g.clock.after(next.Sub(now))
		select {
		case <-w.ready:
			stop()
			return x.leaver(g), nil
		case <-timer:
			if g.clock.now().Before(deadline) {
				continue
			}
			err = ErrGateTimeout
		case <-ctx.Done():
			err = ctx.Err()
		}
		stop()
		x.mu.Lock()
		if i := slices.Index(x.waiting, w); i >= 0 {
			x.waiting = slices.Delete(x.waiting, i, i+1)
		} else {
			x.running-- // the place came at the same moment: pass it on
			x.drain(g.clock.now())
		}
		x.mu.Unlock()
		return nil, err
	}
}

// drain lets waiters in; x.mu is held.
func (x *gate) drain(now time.Time) {
	for len(x.waiting) > 0 && x.running < x.waiting[0].limit && !now.Before(x.shut) {
		w := x.waiting[0]
		x.waiting = x.waiting[1:]
		x.running++
		close(w.ready)
	}
}

func (x *gate) leaver(g *Gates) func() {
	var once sync.Once
	return func() {
		once.Do(func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.running--
			x.drain(g.clock.now())
		})
	}
}

// Shut closes a gate for d; waiters wait on, and their time goes on.
func (g *Gates) Shut(name string, d time.Duration) {
	x := g.table.get(name)
	x.mu.Lock()
	defer x.mu.Unlock()
	if until := g.clock.now().Add(d + drainDelay); until.After(x.shut) {
		x.shut = until
	}
}
