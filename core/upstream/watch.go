package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// phase is where a call stands. Each phase has its own clocks.
type phase uint8

const (
	phaseConnect phase = iota // finding or making a connection
	phaseHeaders              // the request is on its way, no headers yet
	phaseBody                 // headers are here
)

// watch runs the clocks of one call and its cancellation with one timer and no
// goroutine. The timer is set to the earliest moment at which a clock could
// run out; a read only notes the time, and the timer looks at it when it fires.
type watch struct {
	limits Timeouts
	start  time.Time
	last   atomic.Int64 // latest byte of the body, ns after start
	event  atomic.Bool  // MarkEvent was called

	mu      sync.Mutex
	timer   *time.Timer
	armed   time.Duration // when the timer fires, after start; 0 = not armed
	phase   phase
	sent    time.Duration // end of phaseConnect, after start
	abort   func()        // ends whatever the call waits for
	clock   string        // the clock that ran out
	gone    error         // why the context ended
	aborted bool          // abort was called, or will be as soon as there is one
	stopped bool

	release func() bool // unhooks the context
}

// newWatch starts the clocks.
func newWatch(ctx context.Context, limits Timeouts) *watch {
	w := &watch{limits: limits, start: time.Now()}
	if ctx.Done() != nil {
		w.release = context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })
	}
	w.mu.Lock()
	w.arm()
	w.mu.Unlock()
	return w
}

// next returns the earliest moment at which a clock may run out, and its name.
func (w *watch) next() (at time.Duration, clock string) {
	consider := func(from, limit time.Duration, name string) {
		if limit > 0 && (at == 0 || from+limit < at) {
			at, clock = from+limit, name
		}
	}
	consider(0, w.limits.Total, ClockTotal)
	switch w.phase {
	case phaseConnect:
		consider(0, w.limits.Connect, ClockConnect)
	case phaseHeaders:
		consider(w.sent, w.limits.Headers, ClockHeaders)
	case phaseBody:
		consider(time.Duration(w.last.Load()), w.limits.Idle, ClockIdle)
	}
	if w.phase != phaseConnect && !w.event.Load() {
		consider(w.sent, w.limits.FirstEvent, ClockFirstEvent)
	}
	return at, clock
}

// arm sets the timer if it is not set early enough. w.mu is held.
func (w *watch) arm() {
	at, _ := w.next()
	if at == 0 || w.stopped || w.aborted || w.armed != 0 && w.armed <= at {
		return
	}
	w.armed = at
	wait := max(at-time.Since(w.start), 0)
	if w.timer == nil {
		w.timer = time.AfterFunc(wait, w.fire)
	} else {
		w.timer.Reset(wait)
	}
}

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.aborted {
		return
	}
	w.armed = 0
	if at, clock := w.next(); at != 0 && at <= time.Since(w.start) {
		w.clock = clock
		w.end()
		return
	}
	w.arm()
}

// cancel ends the call because its context ended or its owner wants it.
func (w *watch) cancel(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.aborted {
		return
	}
	w.gone = cause
	w.end()
}

func (w *watch) end() {
	w.aborted = true
	if w.abort != nil {
		w.abort()
	}
}

// onAbort sets what ends the current wait. It reports false, and calls abort,
// if the call is over already.
func (w *watch) onAbort(abort func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abort = abort
	if w.aborted && abort != nil {
		abort()
	}
	return !w.aborted
}

// enter begins a phase.
func (w *watch) enter(p phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = p
	now := time.Since(w.start)
	if p == phaseHeaders {
		w.sent = now
	}
	w.last.Store(int64(now))
	w.arm()
}

// touch notes that bytes came.
func (w *watch) touch() { w.last.Store(int64(time.Since(w.start))) }

// over reports whether the call was ended from here.
func (w *watch) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.aborted
}

// stop ends the watch: abort will not be called any more. It reports false if
// it has been called.
func (w *watch) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.stopped = true
		if w.timer != nil {
			w.timer.Stop()
		}
		if w.release != nil {
			w.release()
		}
	}
	return !w.aborted
}

// verdict returns why the call was ended from here, zero values if it was not.
func (w *watch) verdict() (clock string, gone error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock, w.gone
}
