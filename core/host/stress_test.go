package host

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// resident is how much memory of the process is in use, in bytes.
func resident(t testing.TB) int64 {
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("this system does not say how much memory is used")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

// Two hundred streams through the built-in translators take as many instances
// as there are processors, and little memory.
func TestManyStreamsTakeFewInstances(t *testing.T) {
	const streams, instances = 200, 2
	g := serve(t, core(t), Options{Limits: Limits{Instances: instances}})
	stats := &g.modules[0].stats
	open := make([]*Stream, streams)
	for k := range open {
		s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Model: "m", Stream: true})
		require.NoError(t, err)
		open[k] = s
	}
	var wg sync.WaitGroup
	for k, s := range open {
		wg.Go(func() {
			for n := range 50 {
				event := fmt.Sprintf(`{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word %d of %d "},"finish_reason":null}]}`, n, k)
				if err := s.Data(context.Background(), data(event), nothing); err != nil {
					t.Error(err)
					return
				}
			}
			last := `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
			if err := s.Data(context.Background(), data(last), nothing); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, stats.instances.Load(), int64(instances))
	require.LessOrEqual(t, stats.memory.Load(), int64(16<<20))
	t.Logf("%d streams, %d instances, %.1f MiB", streams, stats.instances.Load(), float64(stats.memory.Load())/(1<<20))
	for _, s := range open {
		require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing))
	}
	require.Zero(t, stats.streams.Load())
	require.Zero(t, g.modules[0].replay.Load())
}

// A plugin changes again and again while streams run through it: none breaks,
// each begins on the version of its moment, and memory does not grow.
func TestReloadsUnderLiveStreams(t *testing.T) {
	reloads, streams := 1000, 500
	if testing.Short() {
		reloads, streams = 100, 50
	}
	dir := t.TempDir()
	versions := [][]byte{packed(t, echoGuest), reversion(t, packed(t, echoGuest), "1.0.0", "2.0.0")}
	drop(t, dir, "echo.wasm", versions[0])
	h := open(t, Options{Dir: dir, Trust: Trust{Mode: TrustDev}})

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var events, begun atomic.Int64
	for k := range streams {
		wg.Go(func() {
			for { // streams end and others begin, while the plugin changes
				g := h.Current()
				x, ok := g.Executor("echo")
				if !ok {
					t.Error("no executor")
					return
				}
				s, err := x.OpenStream(context.Background(), PlanInput{Model: "plain"})
				g.Release()
				if err != nil {
					t.Error(err)
					return
				}
				begun.Add(1)
				for n := range 20 {
					want := fmt.Sprintf("S%d N%d", k, n)
					if got, err := feed(s, strings.ToLower(want)); err != nil || got != want {
						t.Errorf("stream %d: %q, %v", k, got, err)
						return
					}
					events.Add(1)
					runtime.Gosched()
				}
				if err := s.End(context.Background(), abi.EndEOF, nothing); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	var early, late int64
	for n := 1; n <= reloads; n++ {
		drop(t, dir, "echo.wasm", versions[n%2])
		require.NoError(t, h.Rescan(t.Context()))
		require.Equal(t, strconv.Itoa(1+n%2)+".0.0", h.Parts()[0].Version)
		switch n {
		case reloads / 5:
			early = resident(t)
		case reloads:
			late = resident(t)
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d reloads, %d streams begun, %d events; resident after a fifth %d MiB, at the end %d MiB", reloads, begun.Load(), events.Load(), early>>20, late>>20)
	require.Less(t, late, early+early/4+(32<<20), "memory grows with reloads")
	g := h.Current()
	defer g.Release()
	require.Greater(t, g.Number(), uint64(reloads))
}

// BenchmarkPauses measures how long Go's collector waits to stop the world
// while a guest loops, metered and as it is.
func BenchmarkPauses(b *testing.B) {
	for _, metered := range []bool{true, false} {
		b.Run(fmt.Sprintf("metered=%t", metered), func(b *testing.B) {
			// A guest that ends by itself, after about half a second of loading.
			code := together(i32(0), []byte{0x21, 1, 0x03, 0x40, 0x20, 1}, i32(8), []byte{0x28, 0, 0, 0x1a}, i32(1), []byte{0x6a, 0x22, 1}, i32(300_000_000), []byte{0x48, 0x0d, 0, 0x0b, 0x42, 0})
			g := serve(b, tiny{buf: 8, code: code}.build(), Options{
				Items: map[string]Item{"test/tiny": {Unmetered: !metered}}, Limits: Limits{Wall: time.Hour, Fuel: 1 << 50},
			})
			x, _ := g.Executor("tiny")
			var worst, sum time.Duration
			n := 0
			for b.Loop() {
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = x.Plan(context.Background(), PlanInput{Model: "m"})
				}()
				for running := true; running; {
					before := stopping()
					runtime.GC()
					pause := stopping() - before
					worst, sum, n = max(worst, pause), sum+pause, n+1
					select {
					case <-done:
						running = false
					default:
					}
				}
			}
			b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
			b.ReportMetric(float64(sum.Microseconds())/float64(n), "mean-µs")
		})
	}
}

// stopping is the time all collections so far took to stop the world, from the
// middles of the runtime's buckets.
func stopping() time.Duration {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	sum := 0.0
	for k, n := range h.Counts {
		if low, high := h.Buckets[k], h.Buckets[k+1]; n > 0 {
			sum += float64(n) * (max(low, 0) + min(high, 10)) / 2
		}
	}
	return time.Duration(sum * float64(time.Second))
}
