package health

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// durable counts the batches that were on disk before Apply returned.
type durable struct {
	state.Store
	mu sync.Mutex
	n  int
	// down refuses everything, like the disk of a process that is gone.
	down bool
}

func (d *durable) Apply(ctx context.Context, b *state.Batch) error {
	d.mu.Lock()
	down := d.down
	if b.Durable {
		d.n++
	}
	d.mu.Unlock()
	if down {
		return state.ErrClosed
	}
	return d.Store.Apply(ctx, b)
}

func (d *durable) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// kept is a set of tables over a store, and what starts it anew.
type kept struct {
	*Health
	t     *testing.T
	clock *hand
	store *durable
	queue *state.Writer
}

func keeping(t *testing.T) *kept {
	x := &kept{t: t, clock: newHand()}
	x.store = &durable{Store: state.NewMemory(x.clock.now)}
	t.Cleanup(func() { require.NoError(t, x.queue.Close()); require.NoError(t, x.store.Close()) })
	x.open()
	return x
}

func (x *kept) open() {
	x.t.Helper()
	x.queue = state.NewWriter(x.store, state.WriterOptions{Every: time.Hour})
	x.Health = New(Options{Now: x.clock.now, After: x.clock.after, Store: x.store, Writer: x.queue})
	require.NoError(x.t, x.Restore(context.Background()))
}

// restart begins a new process over the same data; clean ones write what is queued.
func (x *kept) restart(clean bool) {
	x.t.Helper()
	x.store.down = !clean
	require.Equal(x.t, clean, x.queue.Close() == nil)
	x.store.down = false
	x.open()
}

func TestBreakersSurviveARestart(t *testing.T) {
	x := keeping(t)
	for range 3 {
		done, ok := x.Breakers.Allow("p")
		require.True(t, ok)
		done(failed)
	}
	done, _ := x.Breakers.Allow("q")
	done(failed)
	require.Equal(t, Open, x.Breakers.View("p").State)
	x.clock.advance(10 * time.Second)
	x.restart(true)
	require.Equal(t, Open, x.Breakers.View("p").State)
	require.EqualValues(t, 20_000, x.Breakers.View("p").RetryAfterMS, "the end is the one that was set")
	require.Equal(t, 1, x.Breakers.View("q").Failures)
	_, ok := x.Breakers.Allow("p")
	require.False(t, ok)

	x.clock.advance(21 * time.Second)
	_, ok = x.Breakers.Allow("p") // a probe that the process does not outlive
	require.True(t, ok)
	x.restart(true)
	require.Equal(t, HalfOpen, x.Breakers.View("p").State)
	done, ok = x.Breakers.Allow("p")
	require.True(t, ok, "half open comes back with its place for a probe")
	done(Outcome{Success: true})
	x.restart(true)
	require.Equal(t, Closed, x.Breakers.View("p").State)
}

// A clock that ran ahead must not keep a provider away for years.
func TestStoredEndsAreBoundedByTheirLength(t *testing.T) {
	x := keeping(t)
	x.clock.advance(24 * 365 * time.Hour)
	for range 3 {
		done, _ := x.Breakers.Allow("p")
		done(failed)
	}
	x.Lockouts.Fail("ip:1", 1, time.Minute, time.Minute)
	x.Bans.Add("192.0.2.1", time.Minute, "")
	x.Limits.Pause("s", time.Minute)
	x.clock.advance(-24 * 365 * time.Hour)
	x.restart(true)
	x.clock.advance(time.Minute)
	require.Equal(t, HalfOpen, x.Breakers.View("p").State)
	require.False(t, x.Lockouts.View("ip:1").Locked)
	require.False(t, x.Bans.Banned("192.0.2.1"))
	require.Zero(t, x.Limits.View("s").PausedMS)
}

func TestLockoutsAreOnDiskAtOnce(t *testing.T) {
	x := keeping(t)
	for range 4 {
		x.Lockouts.Fail("ip:192.0.2.7", 5, time.Minute, 15*time.Minute)
	}
	require.Zero(t, x.store.count(), "single attempts do not wait for the disk")
	require.True(t, x.Lockouts.Fail("ip:192.0.2.7", 5, time.Minute, 15*time.Minute).Locked)
	require.Equal(t, 1, x.store.count())
	x.Bans.Add("192.0.2.8", time.Hour, "scanner")

	x.clock.advance(5 * time.Minute)
	x.restart(false) // as after kill -9: what was queued is gone
	l := x.Lockouts.View("ip:192.0.2.7")
	require.True(t, l.Locked)
	require.EqualValues(t, 10*60_000, l.RemainingMS)
	require.Equal(t, 1, l.Locks, "what escalation counts is kept")
	require.True(t, x.Bans.Banned("192.0.2.8"))

	require.True(t, x.Lockouts.Clear("ip:192.0.2.7"))
	require.True(t, x.Bans.Remove("192.0.2.8"))
	x.restart(false)
	require.False(t, x.Lockouts.View("ip:192.0.2.7").Locked)
	require.False(t, x.Bans.Banned("192.0.2.8"))
}

func TestLearnedLimitsSurviveUntilTheirReset(t *testing.T) {
	x := keeping(t)
	x.Limits.Learn("account:a", Learned{Gap: -1, Reservoir: 0, Refill: 60, Every: time.Minute})
	x.Limits.Learn("account:b", Learned{Gap: -1, Reservoir: 0, Refill: 60, Every: 10 * time.Second})
	x.Limits.Learn("account:c", Learned{Gap: -1, Reservoir: -1, Tokens: &TokenWindow{Limit: 1000, Remaining: 0, Reset: time.Minute}})
	x.clock.advance(20 * time.Second)
	x.restart(true)
	refused := func(scope string, tokens int64) *LimitError {
		release, err := x.Limits.Acquire(context.Background(), scope, Limit{MaxWait: time.Nanosecond}, tokens)
		if err == nil {
			release(-1)
			return nil
		}
		return err.(*LimitError)
	}
	require.Equal(t, 40*time.Second, refused("account:a", 1).Wait)
	require.Nil(t, refused("account:b", 1), "past its reset")
	e := refused("account:c", 900)
	require.Equal(t, "tokens", e.Kind)
	require.InDelta(t, (34 * time.Second).Seconds(), e.Wait.Seconds(), 0.1, "a third is back, the rest comes evenly")
	require.True(t, x.Limits.Forget("account:a"))
	require.Nil(t, refused("account:a", 1))
	x.restart(true)
	require.Nil(t, refused("account:a", 1))
}

// What a provider tells of tokens holds back who asks for more than is left, and
// says at once for how long.
func TestTokensAreLearned(t *testing.T) {
	h, clock := fresh()
	ask := func(n int64) error {
		release, err := h.Limits.Acquire(context.Background(), "s", Limit{MaxWait: time.Second}, n)
		if err == nil {
			release(n)
		}
		return err
	}
	h.Limits.Learn("s", Learned{Gap: -1, Reservoir: -1, Tokens: &TokenWindow{Limit: 10_000, Remaining: 500, Reset: 95 * time.Second}})
	require.NoError(t, ask(400))
	err := ask(1100)
	require.Error(t, err)
	require.Equal(t, 10*time.Second, err.(*LimitError).Wait)
	clock.advance(10 * time.Second)
	require.NoError(t, ask(1100))
	require.Error(t, ask(50_000), "more than the whole limit waits for all of it")
	clock.advance(time.Hour)
	require.NoError(t, ask(50_000), "and is let through then: the provider decides")
}

func TestCacheOnDisk(t *testing.T) {
	x := keeping(t)
	x.Cache.Disk(true)
	put := func(key string, volatile bool) {
		require.True(t, x.Cache.Put(key, &CachedResponse{Status: 200, Body: []byte("answer " + key), Model: key, Tokens: 3, Volatile: volatile}, time.Hour))
	}
	put("a", false)
	put("b", true)
	put("c", false)
	x.restart(true)
	x.Cache.Disk(true)
	r, ok := x.Cache.Get("a")
	require.True(t, ok)
	require.Equal(t, "answer a", string(r.Body))
	_, ok = x.Cache.Get("b")
	require.False(t, ok, "what shall not be on disk is not")
	s := x.Cache.Stats()
	require.EqualValues(t, []int64{1, 1, 1, 3}, []int64{s.Hits, s.DiskHits, s.Misses, s.TokensSaved})
	_, _ = x.Cache.Get("a")
	require.EqualValues(t, 1, x.Cache.Stats().DiskHits, "found again in memory")

	require.Equal(t, 1, x.Cache.Purge(func(_ string, r *CachedResponse) bool { return r.Model == "c" }), "on disk only")
	_, ok = x.Cache.Get("c")
	require.False(t, ok)
	x.clock.advance(2 * time.Hour)
	x.restart(true)
	x.Cache.Disk(true)
	_, ok = x.Cache.Get("a")
	require.False(t, ok, "expired")

	x.Cache.Disk(false)
	put("d", false)
	x.restart(true)
	x.Cache.Disk(true)
	_, ok = x.Cache.Get("d")
	require.False(t, ok, "switched off, nothing is written")
}

func TestFlights(t *testing.T) {
	f := newFlights()
	ctx := context.Background()
	_, land, err := f.Join(ctx, "k")
	require.NoError(t, err)
	require.NotNil(t, land)
	const others = 20
	got := make(chan *CachedResponse, others)
	var ready sync.WaitGroup
	for range others {
		ready.Add(1)
		go func() {
			ready.Done()
			answer, l, err := f.Join(ctx, "k")
			if l != nil || err != nil { // came after the landing: nothing runs
				answer = nil
				l(nil)
			}
			got <- answer
		}()
	}
	ready.Wait()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err = f.Join(gone, "k")
	require.ErrorIs(t, err, context.Canceled)
	want := &CachedResponse{Body: []byte("x")}
	land(want)
	land(nil) // once
	for range others {
		if r := <-got; r != nil {
			require.Same(t, want, r)
		}
	}
	_, land, _ = f.Join(ctx, "k")
	require.NotNil(t, land, "the next one flies by itself")
	land(nil)
}
