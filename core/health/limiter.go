package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limit of one scope; 0 = none.
type Limit struct {
	RPM, TPM, RPD int
	Concurrency   int
	Gap           time.Duration // between starts
	MaxWait       time.Duration // longest wait; 0 = 10 s
}

const defaultMaxWait = 10 * time.Second

// LimitError says that the wait would be longer than allowed.
type LimitError struct {
	Scope string
	Kind  string        // rpm, tpm, rpd, gap, concurrency, paused
	Wait  time.Duration // projected; 0 = nobody knows
}

// Error says it in words.
func (e *LimitError) Error() string {
	if e.Wait <= 0 {
		return fmt.Sprintf("limit %s of %s is used up", e.Kind, e.Scope)
	}
	return fmt.Sprintf("limit %s of %s is used up for %s", e.Kind, e.Scope, e.Wait.Round(time.Millisecond))
}

// Learned is what response headers taught about a scope.
type Learned struct {
	Gap       time.Duration // -1 = unchanged
	Reservoir int           // starts left, -1 = unchanged
	Refill    int           // starts after Every
	Every     time.Duration
	Open      bool         // forget reservoir and gap
	Tokens    *TokenWindow // nil = unchanged
}

// TokenWindow is a provider's own count of tokens: of Limit, Remaining are left,
// and all of them are back after Reset (0 = a minute for a whole limit).
type TokenWindow struct {
	Limit, Remaining int64
	Reset            time.Duration
}

// Limiters is a table of rate limiters by scope. A limiter is a set of token
// buckets and a queue in order of arrival: a request is given the moment at
// which it may start, and is refused at once when that is too far away.
type Limiters struct {
	clock clock
	keep  *keeper
	table *table[limiter]
}

type limiter struct {
	scope string

	mu       sync.Mutex
	requests bucket // rpm
	tokens   bucket // tpm
	daily    bucket // rpd
	told     bucket // tokens, as the provider counts them
	gap      time.Duration
	next     time.Time // earliest next start by gap
	paused   time.Time

	bounded   bool // by the reservoir
	reservoir int  // starts left; below zero are those promised to later windows
	refill    int  // starts of one window
	every     time.Duration
	refillAt  time.Time

	taught uint64 // counts settings of the reservoir
	counts uint64 // counts settings of the provider's tokens

	running, done int
	waiting       []*waiter // for a place, in order of arrival
	sleeping      int       // that know their moment
	pauses        chan struct{}
}

type waiter struct {
	limit int
	ready chan struct{}
}

// booking is what a start took, to be given back if it does not happen.
type booking struct {
	tokens         float64
	start, next    time.Time // next is when the one behind may start; zero = no gap
	taught, counts uint64
}

// bucket is a token bucket that may go into debt: the debt is the queue.
type bucket struct {
	rate  float64 // per second
	size  float64
	level float64
	at    time.Time
}

// configure sets the size; a new bucket starts full.
func (b *bucket) configure(n int, per time.Duration, now time.Time) {
	size := float64(n)
	if b.size == size {
		return
	}
	if b.size == 0 {
		b.level, b.at = size, now
	} else {
		b.advance(now)
		b.level += size - b.size
	}
	b.size, b.rate = size, size/per.Seconds()
}

func (b *bucket) advance(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(b.size, b.level+d.Seconds()*b.rate)
	}
	b.at = now
}

// wait is how long until n are there, without taking them. More than the bucket
// holds are granted when it is full.
func (b *bucket) wait(n float64, now time.Time) time.Duration {
	if b.size == 0 {
		return 0
	}
	b.advance(now)
	short := min(n, b.size) - b.level
	if short <= 0 {
		return 0
	}
	return time.Duration(short / b.rate * float64(time.Second))
}

func (b *bucket) take(n float64) {
	if b.size > 0 {
		b.level -= n
	}
}

func newLimiters(c clock, k *keeper) *Limiters {
	return &Limiters{clock: c, keep: k, table: newTable(func(scope string) *limiter {
		return &limiter{scope: scope, pauses: make(chan struct{})}
	})}
}

// Acquire waits for the turn of a request, or fails at once with *LimitError
// when the projected wait is longer than the limit allows. tokens is the
// estimate. release must be called at the end of the request, with the tokens
// really used (-1 = as estimated); it may be called more than once.
func (l *Limiters) Acquire(ctx context.Context, scope string, limit Limit, tokens int64) (release func(used int64), err error) {
	x := l.table.get(scope)
	longest := limit.MaxWait
	if longest <= 0 {
		longest = defaultMaxWait
	}
	deadline := l.clock.now().Add(longest)
	if err := l.place(ctx, x, limit.Concurrency, deadline); err != nil {
		return nil, err
	}
	if err := l.turn(ctx, x, limit, max(tokens, 0), deadline); err != nil {
		x.leave()
		return nil, err
	}
	var once sync.Once
	return func(used int64) {
		once.Do(func() {
			if used >= 0 {
				x.correct(float64(used-max(tokens, 0)), l.clock.now())
			}
			x.leave()
		})
	}, nil
}

// place waits for one of n concurrent places (0 = no bound).
func (l *Limiters) place(ctx context.Context, x *limiter, n int, deadline time.Time) error {
	x.mu.Lock()
	if n <= 0 || x.running < n && len(x.waiting) == 0 {
		x.running++
		x.mu.Unlock()
		return nil
	}
	wait := deadline.Sub(l.clock.now())
	if wait < time.Millisecond {
		x.mu.Unlock()
		return &LimitError{Scope: x.scope, Kind: "concurrency"}
	}
	w := &waiter{limit: n, ready: make(chan struct{})}
	x.waiting = append(x.waiting, w)
	x.mu.Unlock()
	timer, stop := l.clock.after(wait)
	defer stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-timer:
		err = &LimitError{Scope: x.scope, Kind: "concurrency"}
	case <-ctx.Done():
		err = ctx.Err()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := slices.Index(x.waiting, w); i >= 0 {
		x.waiting = slices.Delete(x.waiting, i, i+1)
		return err
	}
	x.freed() // the place came at the same moment: pass it on
	return err
}

// freed gives a place back; x.mu is held.
func (x *limiter) freed() {
	x.running--
	for len(x.waiting) > 0 && x.running < x.waiting[0].limit {
		w := x.waiting[0]
		x.waiting = x.waiting[1:]
		x.running++
		close(w.ready)
	}
}

func (x *limiter) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.done++
	x.freed()
}

// turn takes from the buckets and waits for the moment they allow. A pause that
// comes while waiting is taken into account.
func (l *Limiters) turn(ctx context.Context, x *limiter, limit Limit, tokens int64, deadline time.Time) error {
	for {
		now := l.clock.now()
		x.mu.Lock()
		kind, wait := x.project(limit, float64(tokens), now)
		if wait > 0 && now.Add(wait).After(deadline) {
			x.mu.Unlock()
			return &LimitError{Scope: x.scope, Kind: kind, Wait: wait}
		}
		taken := x.book(limit, float64(tokens), now.Add(wait))
		if wait <= 0 {
			x.mu.Unlock()
			return nil
		}
		x.sleeping++
		paused := x.pauses
		x.mu.Unlock()
		again, err := l.sleep(ctx, wait, paused)
		x.mu.Lock()
		x.sleeping--
		if again || err != nil {
			x.unbook(taken)
		}
		x.mu.Unlock()
		if err != nil || !again {
			return err
		}
	}
}

func (l *Limiters) sleep(ctx context.Context, d time.Duration, paused <-chan struct{}) (again bool, err error) {
	timer, stop := l.clock.after(d)
	defer stop()
	select {
	case <-timer:
		return false, nil
	case <-paused:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// project is the wait until everything is free, and what it waits for; x.mu is
// held.
func (x *limiter) project(limit Limit, tokens float64, now time.Time) (kind string, wait time.Duration) {
	x.requests.configure(limit.RPM, time.Minute, now)
	x.tokens.configure(limit.TPM, time.Minute, now)
	x.daily.configure(limit.RPD, 24*time.Hour, now)
	consider := func(k string, w time.Duration) {
		if w > wait {
			kind, wait = k, w
		}
	}
	consider("rpd", x.daily.wait(1, now))
	consider("tpm", x.tokens.wait(tokens, now))
	consider("tokens", x.told.wait(tokens, now))
	consider("rpm", x.requests.wait(1, now))
	if max(limit.Gap, x.gap) > 0 {
		consider("gap", x.next.Sub(now))
	}
	if x.bounded {
		consider("paused", x.window(now))
	}
	consider("paused", x.paused.Sub(now))
	return kind, wait
}

// window is how long until the reservoir has a start that nobody was promised;
// x.mu is held.
func (x *limiter) window(now time.Time) time.Duration {
	if late := now.Sub(x.refillAt); late >= 0 {
		n := 1 + int(late/x.every)
		x.reservoir = min(x.reservoir+n*x.refill, x.refill)
		x.refillAt = x.refillAt.Add(time.Duration(n) * x.every)
	}
	if x.reservoir > 0 {
		return 0
	}
	return x.refillAt.Add(time.Duration(-x.reservoir/x.refill) * x.every).Sub(now)
}

// book takes the start at a moment; x.mu is held.
func (x *limiter) book(limit Limit, tokens float64, start time.Time) booking {
	b := booking{tokens: tokens, start: start, taught: x.taught, counts: x.counts}
	x.requests.take(1)
	x.tokens.take(tokens)
	x.told.take(tokens)
	x.daily.take(1)
	if gap := max(limit.Gap, x.gap); gap > 0 {
		x.next = start.Add(gap)
		b.next = x.next
	}
	if x.bounded {
		x.reservoir--
	}
	return b
}

// unbook gives a start back. What the provider has counted anew since then knows
// nothing of it; x.mu is held.
func (x *limiter) unbook(b booking) {
	x.requests.take(-1)
	x.tokens.take(-b.tokens)
	x.daily.take(-1)
	if b.counts == x.counts {
		x.told.take(-b.tokens)
	}
	if b.taught == x.taught && x.bounded {
		x.reservoir++
	}
	if !b.next.IsZero() && x.next.Equal(b.next) {
		x.next = b.start // nobody is behind it
	}
}

// correct takes what an estimate was short of, or gives back what was too much.
func (x *limiter) correct(tokens float64, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tokens.size > 0 {
		x.tokens.advance(now)
		x.tokens.level = min(x.tokens.size, x.tokens.level-tokens)
	}
}

// Pause stops starts for d. Who waits is asked to project anew, and fails at
// once if the wait has become too long.
func (l *Limiters) Pause(scope string, d time.Duration) {
	x := l.table.get(scope)
	x.mu.Lock()
	defer x.mu.Unlock()
	now := l.clock.now()
	if until := now.Add(d); until.After(x.paused) {
		x.paused = until
		x.wake(now)
		l.save(x, now)
	}
}

// wake makes sleepers project anew, one gap after the latest start at most; x.mu
// is held.
func (x *limiter) wake(now time.Time) {
	if soon := now.Add(x.gap); x.next.After(soon) {
		x.next = soon
	}
	close(x.pauses)
	x.pauses = make(chan struct{})
}

// LimiterView is a snapshot of one limiter.
type LimiterView struct {
	Scope                 string
	Queued, Running, Done int
	Reservoir             int // -1 = off
	PausedMS              int64
}

// View reads one limiter.
func (l *Limiters) View(scope string) LimiterView {
	x := l.table.find(scope)
	if x == nil {
		return LimiterView{Scope: scope, Reservoir: -1}
	}
	return x.view(l.clock.now())
}

func (x *limiter) view(now time.Time) LimiterView {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := LimiterView{
		Scope: x.scope, Queued: len(x.waiting) + x.sleeping, Running: x.running - x.sleeping, Done: x.done,
		Reservoir: -1, PausedMS: ceilMS(x.paused.Sub(now)),
	}
	if x.bounded {
		v.Reservoir = max(x.reservoir, 0)
	}
	return v
}

// List reads all limiters by scope.
func (l *Limiters) List() []LimiterView {
	var out []LimiterView
	now := l.clock.now()
	l.table.each(func(_ string, x *limiter) { out = append(out, x.view(now)) })
	slices.SortFunc(out, func(a, b LimiterView) int { return strings.Compare(a.Scope, b.Scope) })
	return out
}
