package host

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// dropped serves the echo guest as a drop-in.
func dropped(t testing.TB, opt Options) (*Host, *Generation, *Executor) {
	t.Helper()
	opt.Dir = t.TempDir()
	drop(t, opt.Dir, "echo.wasm", packed(t, echoGuest))
	h := open(t, opt)
	require.Empty(t, h.Problems())
	g := h.Current()
	t.Cleanup(g.Release)
	x, ok := g.Executor("echo")
	require.True(t, ok)
	return h, g, x
}

func TestOperatorSetsIsolation(t *testing.T) {
	count := func(x *Executor) string {
		out, err := plan(t, x, "count")
		require.NoError(t, err)
		return strings.TrimLeft(headerValue(out.Send.Header, "X-Count"), "0")
	}
	for _, c := range []struct {
		set    string
		counts string // of three calls: does the guest remember the one before?
		stolen string // does a stream see what another one left?
		left   int64  // instances after the calls
	}{
		{"", "123", "", 1}, // a stranger: each stream for itself
		{isolationShared, "123", "MINE", 1},
		{isolationStream, "123", "", 1},
		{isolationCall, "111", "", 1},
	} {
		t.Run("isolation "+c.set, func(t *testing.T) {
			_, g, x := dropped(t, Options{Items: map[string]Item{"test/echo": {Isolation: c.set}}, Limits: Limits{Instances: 1}})
			require.Equal(t, c.counts, count(x)+count(x)+count(x))
			require.Equal(t, c.left, g.modules[0].stats.instances.Load())
			a, b := openEcho(t, x), openEcho(t, x)
			_, err := feed(a, "mine")
			require.NoError(t, err)
			got, err := feed(b, "steal")
			require.NoError(t, err)
			require.Equal(t, c.stolen, got)
			require.NoError(t, a.End(t.Context(), abi.EndEOF, nothing))
			require.NoError(t, b.End(t.Context(), abi.EndEOF, nothing))
		})
	}
}

// Two streams through the built-in translators take turns on one instance;
// neither shows anything of the other.
func TestInterleavedHandlesDoNotLeak(t *testing.T) {
	g := serve(t, core(t), Options{Limits: Limits{Instances: 1}})
	canaries := []string{"canary-of-the-first", "canary-of-the-second"}
	streams := make([]*Stream, 2)
	out := make([]strings.Builder, 2)
	for k := range streams {
		s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Stream: true, Model: "m" + canaries[k], Seed: 1})
		require.NoError(t, err)
		streams[k] = s
	}
	for range 20 {
		for k, s := range streams {
			event := fmt.Sprintf(`{"id":"%[1]s","object":"chat.completion.chunk","created":1,"model":"%[1]s","choices":[{"index":0,"delta":{"content":"%[1]s"},"finish_reason":null}]}`, canaries[k])
			require.NoError(t, s.Data(t.Context(), data(event), func(f abi.Frame) error {
				out[k].Write(f.Payload)
				return nil
			}))
		}
	}
	require.Same(t, streams[0].hops[0].inst, streams[1].hops[0].inst)
	require.NotEqual(t, streams[0].hops[0].handle, streams[1].hops[0].handle)
	handle := streams[0].hops[0].handle
	for k, s := range streams {
		last := `{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
		require.NoError(t, s.Data(t.Context(), data(last), nothing))
		require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing))
		require.Contains(t, out[k].String(), canaries[k])
		require.NotContains(t, out[k].String(), canaries[1-k])
	}

	s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Stream: true})
	require.NoError(t, err)
	require.Greater(t, s.hops[0].handle, handle+1, "a handle is never used again")
	_ = s.End(t.Context(), abi.EndClientGone, nothing)
	require.Error(t, s.Data(t.Context(), data(`{}`), nothing), "an ended stream takes nothing more")
}

// A body token the guest makes up itself opens nothing.
func TestForgedBodyTokens(t *testing.T) {
	d, err := doc.Elide([]byte(`{"a":"`+strings.Repeat("secret of this request ", 50)+`"}`), doc.Options{})
	require.NoError(t, err)
	for _, token := range []string{"~b" + d.Nonce() + ".7~", "~b" + d.Nonce() + ".0.0.999999~", "~b" + d.Nonce() + ".-1~", "~b" + d.Nonce() + ".0.1"} {
		var w abi.Writer
		w.String(abi.TagBody, `{"x":"`+token+`"}`)
		guest := tiny{buf: 8, answer: w.Buf, manifest: `{"schema":1,"name":"test/tiny","version":"1","abi":"1.0","provides":[{"kind":"translator","from":"a","to":"b"}]}`}
		g := serve(t, guest.build(), Options{})
		out, err := g.Request(t.Context(), Translation{From: "a", To: "b", Body: d.Skeleton(), Blobs: d})
		require.NoError(t, err)
		_, err = d.Inflate(nil, out.Body, 0)
		require.Error(t, err, token)
	}
	other, err := doc.Elide([]byte(`{"a":"`+strings.Repeat("of another request, ", 50)+`"}`), doc.Options{})
	require.NoError(t, err)
	got, err := d.Inflate(nil, other.Skeleton(), 0)
	require.False(t, err == nil && strings.Contains(string(got), "of another request"))
}

func TestUnmeteredByTheOperator(t *testing.T) {
	g := serve(t, packed(t, echoGuest), Options{Items: map[string]Item{"test/echo": {Unmetered: true}}})
	x, _ := g.Executor("echo")
	_, err := plan(t, x, "plain")
	require.NoError(t, err)
	require.Zero(t, g.modules[0].stats.fuel.at(1))

	g = serve(t, packed(t, echoGuest), Options{})
	x, _ = g.Executor("echo")
	_, err = plan(t, x, "plain")
	require.NoError(t, err)
	require.Positive(t, g.modules[0].stats.fuel.at(1))
}

// A caller that leaves takes a guest with it that would not end, and the guest
// is not to blame.
func TestCallerLeaves(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Wall: time.Hour, Fuel: 1 << 50}})
	ctx, cancel := context.WithCancel(t.Context())
	started := g.modules[0].stats.calls.Load()
	go func() {
		for g.modules[0].stats.calls.Load() == started {
			runtime.Gosched()
		}
		cancel()
	}()
	_, err := x.Plan(ctx, PlanInput{Model: "spin"})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.ClientClosed, fault.As(err).Code)
	require.Zero(t, g.modules[0].stats.traps.Load())
	_, err = plan(t, x, "plain")
	require.NoError(t, err)
}

// Who waits for an instance that is busy with somebody else's call may leave at
// any time.
func TestCallerLeavesTheQueue(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1}})
	s := openEcho(t, x)
	busy, err := g.modules[0].pool.lock(t.Context())
	require.NoError(t, err)
	for name, call := range map[string]func(context.Context) error{
		"plan": func(ctx context.Context) error {
			_, err := x.Plan(ctx, PlanInput{Model: "plain"})
			return err
		},
		"new stream": func(ctx context.Context) error {
			_, err := x.OpenStream(ctx, PlanInput{Model: "plain"})
			return err
		},
		"open stream": func(ctx context.Context) error {
			return s.Data(ctx, []abi.Frame{{Payload: []byte("late")}}, nothing)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- call(ctx) }()
		cancel()
		err := <-left
		require.ErrorIs(t, err, context.Canceled, name)
		require.Equal(t, fault.ClientClosed, fault.As(err).Code, name)
	}
	busy.mu.Unlock()
	_, err = plan(t, x, "plain")
	require.NoError(t, err)
	require.ErrorIs(t, s.End(t.Context(), abi.EndClientGone, nothing), context.Canceled, "what it failed of")
	require.Zero(t, g.modules[0].stats.streams.Load(), "its handle is free")
}

// A stream that is stopped fails alone; the others of its instance go on.
func TestStoppedStreamFailsAlone(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1, DataFuel: 1_000_000}})
	good, bad := openEcho(t, x), openEcho(t, x)
	_, err := feed(good, "before")
	require.NoError(t, err)
	_, err = feed(bad, "spin")
	require.Equal(t, fault.PluginDeadline, fault.As(err).Code)
	require.ErrorContains(t, err, "used up its fuel")
	got, err := feed(good, "after")
	require.NoError(t, err)
	require.Equal(t, "AFTER", got)
	require.EqualValues(t, 1, g.modules[0].stats.replays.Load(), "the one that was stopped is not tried again")
	require.Error(t, bad.End(t.Context(), abi.EndUpstreamError, nothing))
	require.NoError(t, good.End(t.Context(), abi.EndEOF, nothing))
}

// Equal calls use equal fuel, however often the guest came for it.
func TestFuelIsDeterministic(t *testing.T) {
	var used []uint64
	for range 2 {
		g := serve(t, core(t), Options{Limits: Limits{Instances: 1}})
		i, err := g.modules[0].pool.lock(t.Context())
		require.NoError(t, err)
		d, err := doc.Elide(agentBody(), doc.Options{})
		require.NoError(t, err)
		var w abi.Writer
		(&Translation{From: "claude", To: "openai", Model: "gpt-5"}).appendTo(&w, hop{nil, "claude", "openai"}, true)
		w.Bytes(abi.TagBody, []byte(strings.ReplaceAll(string(d.Skeleton()), d.Nonce(), "0123456789ab")))
		_, isErr, err := i.call(abi.OpTrRequest, 0, w.Buf, callEnv{now: 1, seed: 1})
		require.NoError(t, err)
		require.False(t, isErr)
		used = append(used, i.fuelUsed())
		i.mu.Unlock()
	}
	require.Greater(t, used[0], uint64(firstPortion), "the guest came for more")
	require.Equal(t, used[0], used[1])
}

func TestBreaker(t *testing.T) {
	var now atomic.Int64
	now.Store(1_700_000_000)
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	dir := t.TempDir()
	drop(t, dir, "echo.wasm", reversion(t, packed(t, echoGuest), "1.0.0", "2.0.0"))
	h := open(t, Options{Core: packed(t, echoGuest), Dir: dir, Now: clock,
		Items: map[string]Item{"test/echo": {}}, Limits: Limits{Crashes: 2, Rest: time.Minute}})
	crash := func(g *Generation) {
		x, _ := g.Executor("echo")
		_, err := plan(t, x, "trap") // tried on two instances
		require.ErrorContains(t, err, "needs more than its 512 pages of memory")
	}
	g := h.Current()
	defer g.Release()
	x, _ := g.Executor("echo")
	require.Equal(t, "2.0.0", x.Part().Version)
	crash(g)
	_, err := plan(t, x, "plain")
	require.ErrorContains(t, err, "rests after 2 crashes within a minute: it needs more than its 512 pages of memory")
	require.Equal(t, fault.ClassPlugin, fault.As(err).Class)
	_, err = x.OpenStream(t.Context(), PlanInput{Model: "plain"})
	require.ErrorContains(t, err, "rests")
	st := h.Stats()[1]
	require.Equal(t, HealthDegraded, st.Health)
	require.Equal(t, "ExPlan", st.LastCrash.Op)
	require.Equal(t, clock(), st.LastCrash.At)
	require.Len(t, st.LastCrash.Input, 16)
	require.Positive(t, st.LastCrash.Fuel)

	now.Add(61)
	_, err = plan(t, x, "plain")
	require.NoError(t, err, "it had its rest")
	require.Equal(t, HealthOK, h.Stats()[1].Health)
	crash(g)
	require.Eventually(t, func() bool { return h.Stats()[1].Health == HealthQuarantine && states(h)[1] == StateQuarantine }, time.Minute, time.Millisecond)
	_, err = plan(t, x, "plain")
	require.ErrorContains(t, err, "in quarantine")
	now.Add(3600)
	_, err = plan(t, x, "plain")
	require.ErrorContains(t, err, "in quarantine", "for good")

	next := h.Current() // the built-in part serves in its place
	defer next.Release()
	x, ok := next.Executor("echo")
	require.True(t, ok)
	require.Equal(t, "1.0.0", x.Part().Version)
	_, err = plan(t, x, "plain")
	require.NoError(t, err)

	require.NoError(t, h.Readmit(t.Context(), "test/echo"))
	require.Equal(t, []State{StateShadowed, StateActive}, states(h))
	require.Error(t, h.Readmit(t.Context(), "test/nobody"))
}

// The built-in plugins never rest: nothing would be served at all.
func TestBuiltInsDoNotRest(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Crashes: 1}})
	for range 3 {
		_, err := plan(t, x, "trap")
		require.ErrorContains(t, err, "needs more than")
	}
	_, err := plan(t, x, "plain")
	require.NoError(t, err)
	health, _ := g.modules[0].breaker.health(time.Now())
	require.Equal(t, HealthDegraded, health, "but it shows")
}

// While one plugin does its worst, the others go on.
func TestHostileGuestsLeaveOthersAlone(t *testing.T) {
	dir := t.TempDir()
	spin := tiny{buf: 8, code: forever()}
	drop(t, dir, "tiny.wasm", spin.build())
	worst := Limits{Wall: 20 * time.Millisecond, Fuel: 1 << 50, Crashes: 1 << 20}
	h := open(t, Options{Core: packed(t, echoGuest), Dir: dir, Items: map[string]Item{"test/tiny": {Limits: worst}}})
	g := h.Current()
	defer g.Release()
	bad, ok := g.Executor("tiny")
	require.True(t, ok)
	good, _ := g.Executor("echo")

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var stopped atomic.Int64
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := bad.Plan(context.Background(), PlanInput{Model: "m"}); fault.As(err).Code != fault.PluginDeadline {
				t.Error(err)
				return
			}
			stopped.Add(1)
		}
	})
	var slowest time.Duration
	for k := 0; k < 300 || stopped.Load() < 3; k++ {
		start := time.Now()
		_, err := plan(t, good, "plain")
		require.NoError(t, err)
		slowest = max(slowest, time.Since(start))
	}
	close(stop)
	wg.Wait()
	t.Logf("the slowest call of another plugin took %v while %d calls were stopped after 20ms", slowest, stopped.Load())
}

// An instance that is set back after each call serves any number of them in the
// same memory, and gives the same answers as a new one.
func TestSetBackAfterEachCall(t *testing.T) {
	_, g, x := dropped(t, Options{Items: map[string]Item{"test/echo": {Isolation: isolationCall}}, Limits: Limits{Instances: 1}})
	stats := &g.modules[0].stats
	first, err := plan(t, x, "churn") // 125 MiB through the heap of the guest
	require.NoError(t, err)
	size := stats.memory.Load()
	inst := g.modules[0].pool.slots[0].inst.Load()
	for range 300 {
		out, err := plan(t, x, "count")
		require.NoError(t, err)
		require.Equal(t, "1", strings.TrimLeft(headerValue(out.Send.Header, "X-Count"), "0"))
	}
	again, err := plan(t, x, "churn")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Same(t, inst, g.modules[0].pool.slots[0].inst.Load())
	require.EqualValues(t, 1, stats.instances.Load())
	require.LessOrEqual(t, stats.memory.Load(), size, "memory does not creep")

	const canary = "what the last caller said"
	_, err = x.Plan(t.Context(), PlanInput{Model: "plain", Body: []byte(`{"x":"` + canary + `"}`)})
	require.NoError(t, err)
	require.Empty(t, g.MemoryContains([]byte(canary)))
}

// A guest that cannot be set back, for it is not metered: each call gets a new
// instance.
func TestNewInstanceForEachCall(t *testing.T) {
	guest := tiny{buf: 8, code: []byte{0x42, 0}}
	g := serve(t, guest.build(), Options{Items: map[string]Item{"test/tiny": {Isolation: isolationCall, Unmetered: true}}})
	require.Zero(t, g.modules[0].stats.instances.Load())
	x, _ := g.Executor("tiny")
	for range 3 {
		_, err := x.Plan(t.Context(), PlanInput{Model: "m"})
		require.ErrorContains(t, err, "planned nothing")
	}
	require.Zero(t, g.modules[0].stats.instances.Load())
}

// BenchmarkIsolation compares what a plan costs on each level.
func BenchmarkIsolation(b *testing.B) {
	for _, level := range []string{isolationShared, isolationCall} {
		b.Run("go/"+level, func(b *testing.B) {
			_, _, x := dropped(b, Options{Items: map[string]Item{"test/echo": {Isolation: level}}})
			for b.Loop() {
				if _, err := plan(b, x, "random"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("small/"+level, func(b *testing.B) {
			g := serve(b, tiny{buf: 8}.build(), Options{Items: map[string]Item{"test/tiny": {Isolation: level}}})
			x, _ := g.Executor("tiny")
			for b.Loop() {
				_, _ = x.Plan(context.Background(), PlanInput{Model: "m"})
			}
		})
	}
}
