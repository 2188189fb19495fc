package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hand is a clock the test moves; sleepers wake when it passes their moment.
type hand struct {
	mu       sync.Mutex
	t        time.Time
	sleepers map[chan time.Time]time.Time
}

func newHand() *hand {
	return &hand{t: time.Date(2026, 2, 18, 21, 30, 0, 0, time.UTC), sleepers: map[chan time.Time]time.Time{}}
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

func (h *hand) after(d time.Duration) (<-chan time.Time, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan time.Time, 1)
	if d <= 0 {
		c <- h.t
		return c, func() {}
	}
	h.sleepers[c] = h.t.Add(d)
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.sleepers, c)
	}
}

func (h *hand) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
	for c, at := range h.sleepers {
		if !at.After(h.t) {
			delete(h.sleepers, c)
			c <- h.t
		}
	}
}

// asleep waits until n goroutines sleep.
func (h *hand) asleep(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.sleepers) == n
	}, time.Minute, time.Millisecond)
}

func fresh() (*Health, *hand) {
	h := newHand()
	return New(Options{Now: h.now, After: h.after}), h
}

var failed = Outcome{Trip: func(b Breaker) (bool, time.Duration) { return b.Failures >= 3, 30 * time.Second }}

func TestBreaker(t *testing.T) {
	x, h := fresh()
	b := x.Breakers
	pass := func(o Outcome) {
		t.Helper()
		done, ok := b.Allow("p")
		require.True(t, ok)
		done(o)
		done(o) // counts once
	}
	require.Equal(t, Closed, b.View("p").State)
	pass(failed)
	pass(failed)
	pass(Outcome{Ignored: true})
	require.Equal(t, 2, b.View("p").Failures)
	pass(Outcome{Success: true})
	require.Zero(t, b.View("p").Failures, "a success starts afresh")
	require.Equal(t, 3, b.View("p").WindowTotal)
	require.Equal(t, 2, b.View("p").WindowFailed)
	late, _ := b.Allow("p")
	for range 3 {
		pass(failed)
	}
	v := b.View("p")
	require.Equal(t, Open, v.State)
	require.EqualValues(t, 30_000, v.RetryAfterMS)
	_, ok := b.Allow("p")
	require.False(t, ok)
	late(Outcome{Success: true})
	require.Equal(t, Open, b.View("p").State, "a success from before says nothing about now")

	h.advance(30 * time.Second)
	require.Equal(t, HalfOpen, b.View("p").State)
	probe, ok := b.Allow("p")
	require.True(t, ok)
	_, ok = b.Allow("p")
	require.False(t, ok, "one probe at a time")
	probe(failed)
	v = b.View("p")
	require.Equal(t, Open, v.State)
	require.Equal(t, 1, v.Reopens)

	h.advance(30 * time.Second)
	probe, _ = b.Allow("p")
	probe(Outcome{Ignored: true})
	probe2, ok := b.Allow("p")
	require.True(t, ok, "a probe without a verdict gives its place back")
	probe2(Outcome{Success: true})
	v = b.View("p")
	require.Equal(t, Closed, v.State)
	require.Zero(t, v.Reopens)

	for range 3 {
		pass(failed)
	}
	b.Force("p")(Outcome{Success: true})
	require.Equal(t, Closed, b.View("p").State, "the last resort counts as a probe")
	for range 3 {
		pass(failed)
	}
	h.advance(30 * time.Second)
	_, ok = b.Allow("p") // never reports
	require.True(t, ok)
	h.advance(probeLease)
	_, ok = b.Allow("p")
	require.True(t, ok, "a probe slot is not lost")
	b.Reset("p")
	require.Equal(t, Closed, b.View("p").State)
	require.Len(t, b.List(), 1)
	h.advance(time.Minute)
	require.Zero(t, b.View("p").WindowTotal)
}

// A breaker may want more than one good probe, and forgets what happened before it
// was closed.
func TestBreakerWantsSeveralSuccesses(t *testing.T) {
	x, h := fresh()
	b := x.Breakers
	bad := Outcome{Threshold: 5, Successes: 2, Trip: func(b Breaker) (bool, time.Duration) {
		return b.Failures >= 5 || b.WindowFailed >= 5, 5 * time.Second
	}}
	report := func(o Outcome) {
		t.Helper()
		done, ok := b.Allow("p")
		require.True(t, ok)
		done(o)
	}
	for n := 1; n <= 4; n++ {
		report(bad)
		require.Equal(t, n >= 3, b.View("p").Degraded, "%d of 5", n)
	}
	report(bad)
	require.Equal(t, Open, b.View("p").State)
	require.False(t, b.View("p").Degraded)
	h.advance(5 * time.Second)
	report(Outcome{Success: true})
	require.Equal(t, HalfOpen, b.View("p").State, "one is not enough")
	report(bad)
	require.Equal(t, Open, b.View("p").State)
	h.advance(5 * time.Second)
	report(Outcome{Success: true})
	require.Equal(t, HalfOpen, b.View("p").State, "those before a failure do not count")
	report(Outcome{Success: true})
	require.Equal(t, Closed, b.View("p").State)
	report(bad)
	require.Equal(t, Closed, b.View("p").State, "failures from before it was closed are past")
}

func TestBreakerDefaults(t *testing.T) {
	x, h := fresh()
	for range defaultTripAt {
		done, ok := x.Breakers.Allow("p")
		require.True(t, ok)
		done(Outcome{})
	}
	require.Equal(t, Open, x.Breakers.View("p").State)
	h.advance(defaultReset)
	var probes atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, ok := x.Breakers.Allow("p"); ok {
				probes.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, probes.Load(), "50 arrivals at expiry, one probe")
}

func limitKind(t *testing.T, err error) string {
	t.Helper()
	var le *LimitError
	require.ErrorAs(t, err, &le)
	require.NotEmpty(t, le.Error())
	return le.Kind
}

func TestLimiterRefusesAtOnce(t *testing.T) {
	x, h := fresh()
	ctx := t.Context()
	lim := Limit{RPM: 2, MaxWait: time.Second}
	for range 2 {
		done, err := x.Limits.Acquire(ctx, "s", lim, 0)
		require.NoError(t, err)
		done(-1)
	}
	_, err := x.Limits.Acquire(ctx, "s", lim, 0)
	require.Equal(t, "rpm", limitKind(t, err))
	var le *LimitError
	require.ErrorAs(t, err, &le)
	require.Equal(t, 30*time.Second, le.Wait, "projected")
	h.advance(29500 * time.Millisecond)
	errs := make(chan error)
	go func() {
		done, err := x.Limits.Acquire(ctx, "s", lim, 0)
		if err == nil {
			done(-1)
		}
		errs <- err
	}()
	h.asleep(t, 1)
	require.Equal(t, 1, x.Limits.View("s").Queued)
	h.advance(600 * time.Millisecond)
	require.NoError(t, <-errs)
	require.Equal(t, LimiterView{Scope: "s", Done: 3 + 1, Reservoir: -1}, x.Limits.View("s"))
}

func TestLimiterTokens(t *testing.T) {
	x, h := fresh()
	lim := Limit{TPM: 600, MaxWait: time.Millisecond}
	done, err := x.Limits.Acquire(t.Context(), "s", lim, 500)
	require.NoError(t, err)
	_, err = x.Limits.Acquire(t.Context(), "s", lim, 200)
	require.Equal(t, "tpm", limitKind(t, err))
	done(100) // the estimate was too high
	done(100)
	done, err = x.Limits.Acquire(t.Context(), "s", lim, 200)
	require.NoError(t, err)
	done(1200) // and this one far too low: a debt
	_, err = x.Limits.Acquire(t.Context(), "s", lim, 1)
	require.Equal(t, "tpm", limitKind(t, err))
	h.advance(3 * time.Minute)
	done, err = x.Limits.Acquire(t.Context(), "s", lim, 5000)
	require.NoError(t, err, "more than a minute holds is let through when the bucket is full")
	done(-1)
}

func TestLimiterDaily(t *testing.T) {
	x, _ := fresh()
	done, err := x.Limits.Acquire(t.Context(), "s", Limit{RPD: 1}, 0)
	require.NoError(t, err)
	done(0)
	_, err = x.Limits.Acquire(t.Context(), "s", Limit{RPD: 1}, 0)
	require.Equal(t, "rpd", limitKind(t, err))
}

func TestLimiterGapAndOrder(t *testing.T) {
	x, h := fresh()
	lim := Limit{Gap: 200 * time.Millisecond}
	var mu sync.Mutex
	var starts []time.Duration
	began := h.now()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			done, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			starts = append(starts, h.now().Sub(began))
			mu.Unlock()
			done(-1)
		})
		h.asleep(t, i)
		require.Eventually(t, func() bool { v := x.Limits.View("s"); return v.Queued+v.Done == i+1 }, time.Minute, time.Millisecond)
	}
	for i := range 3 {
		h.advance(200 * time.Millisecond)
		h.asleep(t, 2-i)
		require.Eventually(t, func() bool { return x.Limits.View("s").Done == i+2 }, time.Minute, time.Millisecond)
	}
	wg.Wait()
	require.Equal(t, []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond}, starts)
}

func TestLimiterConcurrency(t *testing.T) {
	x, h := fresh()
	lim := Limit{Concurrency: 1, MaxWait: 5 * time.Second}
	done, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	errs := make(chan error, 1)
	go func() {
		d, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
		if err == nil {
			d(-1)
		}
		errs <- err
	}()
	h.asleep(t, 1)
	done(-1) // a stream that ends gives its place to the next
	require.NoError(t, <-errs)

	done, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	go func() {
		_, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
		errs <- err
	}()
	h.asleep(t, 1)
	h.advance(5 * time.Second)
	require.Equal(t, "concurrency", limitKind(t, <-errs))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := x.Limits.Acquire(ctx, "s", lim, 0)
		errs <- err
	}()
	h.asleep(t, 1)
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	_, err = x.Limits.Acquire(t.Context(), "s", Limit{Concurrency: 1, MaxWait: 1}, 0)
	require.Equal(t, "concurrency", limitKind(t, err))
	done(-1)
	v := x.Limits.View("s")
	require.Zero(t, v.Running)
	require.Zero(t, v.Queued)
}

func TestLimiterPauseAndLearn(t *testing.T) {
	x, h := fresh()
	lim := Limit{RPM: 60, MaxWait: 10 * time.Second}
	x.Limits.Learn("s", Learned{Gap: 5 * time.Second, Reservoir: -1})
	done, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	done(-1)
	errs := make(chan error, 1)
	go func() {
		_, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
		errs <- err
	}()
	h.asleep(t, 1)
	x.Limits.Pause("s", time.Hour) // a 429 with a long wait: who waits must not
	require.Equal(t, "paused", limitKind(t, <-errs))
	require.EqualValues(t, 3_600_000, x.Limits.View("s").PausedMS)
	x.Limits.Learn("s", Learned{Gap: -1, Open: true})
	done, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err, "plenty left: everything learnt is forgotten")
	done(-1)

	x.Limits.Learn("s", Learned{Gap: -1, Reservoir: 1, Refill: 100, Every: time.Minute})
	done, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	done(-1)
	_, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.Equal(t, "paused", limitKind(t, err))
	h.advance(time.Minute)
	done, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	done(-1)
	require.Equal(t, 99, x.Limits.View("s").Reservoir)
	require.Len(t, x.Limits.List(), 1)
	require.Equal(t, -1, x.Limits.View("nobody").Reservoir)
}

// Those who wait when the provider says that nothing is left are not let through
// by having waited, and each of them takes one start of a later window.
func TestLimiterWaitersOfAReservoir(t *testing.T) {
	x, h := fresh()
	lim := Limit{MaxWait: 10 * time.Second}
	x.Limits.Learn("s", Learned{Gap: time.Second, Reservoir: -1})
	done, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	done(-1)
	began := h.now()
	starts := make(chan time.Duration, 5)
	for n := 1; n <= 5; n++ {
		go func() {
			if done, err := x.Limits.Acquire(t.Context(), "s", lim, 0); err == nil {
				starts <- h.now().Sub(began)
				done(-1)
			}
		}()
		h.asleep(t, n)
	}
	x.Limits.Learn("s", Learned{Gap: 0, Reservoir: 0, Refill: 2, Every: 3 * time.Second})
	promised := func() int {
		s := x.Limits.table.find("s")
		s.mu.Lock()
		defer s.mu.Unlock()
		return -s.reservoir
	}
	require.Eventually(t, func() bool { return promised() == 5 }, time.Minute, time.Millisecond)
	h.asleep(t, 5)
	require.Empty(t, starts)
	want := []time.Duration{3 * time.Second, 3 * time.Second, 6 * time.Second, 6 * time.Second, 9 * time.Second}
	var got []time.Duration
	for range 3 {
		h.advance(3 * time.Second)
		for len(got) < len(want) && want[len(got)] <= h.now().Sub(began) {
			got = append(got, <-starts)
		}
	}
	require.Equal(t, want, got)
	_, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err, "the third window has one more")
	require.Zero(t, x.Limits.View("s").Reservoir)
}

// A waiter that leaves gives its moment to the next.
func TestLimiterWaiterLeaves(t *testing.T) {
	x, h := fresh()
	lim := Limit{Gap: time.Second, MaxWait: 1500 * time.Millisecond}
	done, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.NoError(t, err)
	done(-1)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() {
		_, err := x.Limits.Acquire(ctx, "s", lim, 0)
		errs <- err
	}()
	h.asleep(t, 1)
	_, err = x.Limits.Acquire(t.Context(), "s", lim, 0)
	require.Equal(t, "gap", limitKind(t, err))
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	go func() {
		_, err := x.Limits.Acquire(t.Context(), "s", lim, 0)
		errs <- err
	}()
	h.asleep(t, 1)
	h.advance(time.Second)
	require.NoError(t, <-errs)
}

func TestGate(t *testing.T) {
	x, h := fresh()
	leave, err := x.Gates.Enter(t.Context(), "g", 1, time.Second)
	require.NoError(t, err)
	type entered struct {
		leave func()
		err   error
	}
	got := make(chan entered, 2)
	go func() {
		l, err := x.Gates.Enter(t.Context(), "g", 1, time.Second)
		got <- entered{l, err}
	}()
	h.asleep(t, 1)
	leave()
	leave()
	e := <-got
	require.NoError(t, e.err)
	go func() {
		l, err := x.Gates.Enter(t.Context(), "g", 1, time.Second)
		got <- entered{l, err}
	}()
	h.asleep(t, 1)
	h.advance(time.Second)
	require.ErrorIs(t, (<-got).err, ErrGateTimeout)
	e.leave()

	x.Gates.Shut("g", 100*time.Millisecond)
	go func() {
		l, err := x.Gates.Enter(t.Context(), "g", 1, time.Second)
		got <- entered{l, err}
	}()
	h.asleep(t, 1)
	h.advance(100*time.Millisecond + drainDelay)
	e = <-got
	require.NoError(t, e.err, "a shut gate opens by itself")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		l, err := x.Gates.Enter(ctx, "g", 1, time.Second)
		got <- entered{l, err}
	}()
	h.asleep(t, 1)
	cancel()
	require.ErrorIs(t, (<-got).err, context.Canceled)
	e.leave()
	leave, err = x.Gates.Enter(t.Context(), "g", 0, 0)
	require.NoError(t, err)
	leave()
}

func TestGateRace(t *testing.T) {
	x := New(Options{})
	var running, most atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			leave, err := x.Gates.Enter(t.Context(), "g", 3, 10*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			running.Add(-1)
			leave()
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int32(3))
	require.Zero(t, x.Gates.table.get("g").running)
}

func TestLockout(t *testing.T) {
	x, h := fresh()
	fail := func() Lock { return x.Lockouts.Fail("ip:1.2.3.4", 5, 5*time.Minute, 15*time.Minute) }
	for i := range 4 {
		require.False(t, fail().Locked, i)
	}
	h.advance(5 * time.Minute) // exactly the window: they drop out
	require.Equal(t, 1, fail().Attempts)
	for range 3 {
		fail()
	}
	l := fail()
	require.True(t, l.Locked)
	require.EqualValues(t, 900_000, l.RemainingMS)
	require.Equal(t, 1, l.Locks)
	h.advance(10 * time.Minute)
	require.EqualValues(t, 300_000, fail().RemainingMS, "a failure while locked does not lengthen the lock")
	require.Len(t, x.Lockouts.List(), 1)
	h.advance(5 * time.Minute)
	v := x.Lockouts.View("ip:1.2.3.4")
	require.False(t, v.Locked)
	require.Zero(t, v.Attempts)
	require.Equal(t, 1, v.Locks, "counts for escalation")
	for range 5 {
		l = fail()
	}
	require.Equal(t, 2, l.Locks)
	require.True(t, x.Lockouts.Clear("ip:1.2.3.4"))
	require.False(t, x.Lockouts.Clear("ip:1.2.3.4"))
	require.False(t, x.Lockouts.View("ip:1.2.3.4").Locked)
	fail()
	h.advance(24 * time.Hour)
	x.Lockouts.View("ip:1.2.3.4")
	require.Empty(t, x.Lockouts.m, "nothing is kept for ever")
}

func TestBans(t *testing.T) {
	x, h := fresh()
	x.Bans.Add("10.0.0.1", time.Hour, "abuse")
	require.True(t, x.Bans.Banned("10.0.0.1"))
	require.False(t, x.Bans.Banned("10.0.0.2"))
	require.Equal(t, "abuse", x.Bans.List()[0].Reason)
	h.advance(time.Hour)
	require.False(t, x.Bans.Banned("10.0.0.1"))
	require.Empty(t, x.Bans.List())
	x.Bans.Add("10.0.0.1", time.Hour, "")
	require.True(t, x.Bans.Remove("10.0.0.1"))
	require.False(t, x.Bans.Remove("10.0.0.1"))
}

func TestStats(t *testing.T) {
	x, h := fresh()
	require.Equal(t, TargetStats{SuccessRate: -1, P50MS: -1, P95MS: -1, TTFTMS: -1, TPS: -1, LastOKMS: -1}, x.Stats.View("t"))
	for i := range 100 {
		end := x.Stats.Begin("t")
		end(Sample{OK: true, Latency: time.Duration(i+1) * 10 * time.Millisecond, TTFT: 5 * time.Millisecond, TokensIn: 10, TokensOut: 20})
		end(Sample{}) // counts once
	}
	x.Stats.Begin("t")(Sample{Latency: time.Millisecond})
	x.Stats.Begin("t")(Sample{Ignored: true})
	x.Stats.Begin("t")
	v := x.Stats.View("t")
	require.Equal(t, 101, v.Requests)
	require.Equal(t, 101, v.RequestsMinute)
	require.EqualValues(t, 3000, v.TokensMinute)
	require.Equal(t, 1, v.Inflight)
	require.Equal(t, 1, v.Errors30s)
	require.InDelta(t, 100.0/101, v.SuccessRate, 1e-9)
	require.InEpsilon(t, 500, v.P50MS, 0.2)
	require.InEpsilon(t, 950, v.P95MS, 0.2)
	require.Equal(t, 5.0, v.TTFTMS)
	require.Greater(t, v.TPS, 0.0)
	require.EqualValues(t, 0, v.LastOKMS)
	h.advance(time.Minute)
	v = x.Stats.View("t")
	require.Equal(t, 101, v.Requests)
	require.Zero(t, v.RequestsMinute)
	require.Zero(t, v.Errors30s)
	require.EqualValues(t, 60_000, v.LastOKMS)
	h.advance(10 * time.Minute)
	require.Zero(t, x.Stats.View("t").Requests)
	for _, d := range []time.Duration{0, time.Millisecond, time.Second, time.Hour} {
		require.Less(t, histIndex(d), histSize)
	}
}

func TestCombos(t *testing.T) {
	x, _ := fresh()
	require.Zero(t, x.Combos.Counter("c"))
	require.Empty(t, x.Combos.LastGood("c"))
	x.Combos.Served("c", 2, "openai/gpt-4o")
	require.Equal(t, 3, x.Combos.Counter("c"), "behind the one that served")
	require.Equal(t, "openai/gpt-4o", x.Combos.LastGood("c"))
}

func TestCache(t *testing.T) {
	h := newHand()
	c := New(Options{Now: h.now, CacheBytes: 10_000, CacheEntries: 3, CacheEntry: 2000}).Cache
	answer := func(n int) *CachedResponse {
		return &CachedResponse{Status: 200, Body: make([]byte, n), Tokens: 7, Model: "m"}
	}
	require.True(t, c.Put("a", answer(10), time.Minute))
	require.False(t, c.Put("big", answer(2001), time.Minute))
	require.False(t, c.Put("never", answer(1), 0))
	got, ok := c.Get("a")
	require.True(t, ok)
	require.Equal(t, h.t, got.Stored)
	_, ok = c.Get("b")
	require.False(t, ok)
	for _, k := range []string{"b", "c", "d"} {
		c.Put(k, answer(10), time.Minute)
	}
	_, ok = c.Get("a")
	require.False(t, ok, "the least recently used goes")
	require.Equal(t, 1, c.Purge(func(k string, _ *CachedResponse) bool { return k == "b" }))
	h.advance(time.Minute)
	_, ok = c.Get("c")
	require.False(t, ok)
	s := c.Stats()
	require.Equal(t, CacheStats{Entries: 1, Bytes: s.Bytes, MaxBytes: 10_000, Hits: 1, Misses: 3, Evictions: 1, TokensSaved: 7}, s)
	c.Put("d", answer(20), time.Minute) // replaced, not added
	require.Equal(t, 1, c.Stats().Entries)
	c.Resize(1, 0, 0)
	require.Zero(t, c.Stats().Bytes)
	c.Resize(0, 0, 0)
	for i := range 100 {
		c.Put(fmt.Sprint(i), answer(1<<20), time.Minute)
	}
	require.LessOrEqual(t, c.Stats().Bytes, int64(32<<20))
	require.Positive(t, c.Purge(nil))
	require.Zero(t, c.Stats().Bytes)
}

func TestIdempotency(t *testing.T) {
	x, h := fresh()
	ctx := t.Context()
	body, other := [32]byte{1}, [32]byte{2}
	_, finish, err := x.Idem.Begin(ctx, "k", body)
	require.NoError(t, err)
	require.NotNil(t, finish)
	_, _, err = x.Idem.Begin(ctx, "k", other)
	require.ErrorIs(t, err, ErrBodyMismatch)
	type result struct {
		answer *CachedResponse
		finish func(*CachedResponse)
		err    error
	}
	results := make(chan result, 3)
	wait := func() {
		a, f, err := x.Idem.Begin(ctx, "k", body)
		results <- result{a, f, err}
	}
	go wait()
	h.asleep(t, 1)
	answer := &CachedResponse{Status: 200}
	finish(answer)
	finish(nil)
	require.Same(t, answer, (<-results).answer, "a duplicate waits for the first")
	wait()
	require.Same(t, answer, (<-results).answer)
	h.advance(idemTTL)
	_, finish, err = x.Idem.Begin(ctx, "k", other)
	require.NoError(t, err)
	require.NotNil(t, finish, "expired")

	body = other
	go wait()
	h.asleep(t, 1)
	finish(nil) // an error is not kept: the one who waited is the first now
	r := <-results
	require.NoError(t, r.err)
	require.NotNil(t, r.finish)
	go wait()
	h.asleep(t, 1)
	h.advance(idemWait)
	require.ErrorIs(t, (<-results).err, ErrWait)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err = x.Idem.Begin(gone, "k", body)
	require.True(t, errors.Is(err, context.Canceled))
	r.finish(&CachedResponse{Body: make([]byte, idemBytes)})
	require.Zero(t, x.Idem.bytes, "the table is bounded")
}

func BenchmarkBreaker(b *testing.B) {
	x := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		done, _ := x.Breakers.Allow("openai")
		done(Outcome{Success: true})
	}
}

func BenchmarkBreakerView(b *testing.B) {
	x := New(Options{})
	x.Breakers.Allow("openai")
	b.ReportAllocs()
	for b.Loop() {
		x.Breakers.View("openai")
	}
}

func BenchmarkLimiter(b *testing.B) {
	x := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		done, err := x.Limits.Acquire(b.Context(), "s", Limit{RPM: 1 << 30, Concurrency: 10}, 10)
		if err != nil {
			b.Fatal(err)
		}
		done(-1)
	}
}

func BenchmarkStatsView(b *testing.B) {
	x := New(Options{})
	x.Stats.Begin("t")(Sample{OK: true, Latency: time.Second})
	b.ReportAllocs()
	for b.Loop() {
		x.Stats.View("t")
	}
}
