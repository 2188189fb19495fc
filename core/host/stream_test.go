package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

func data(text string) []abi.Frame { return []abi.Frame{{Payload: []byte(text)}} }

// feed sends one frame and returns what comes out.
func feed(s *Stream, text string) (string, error) {
	var out strings.Builder
	err := s.Data(context.Background(), data(text), func(f abi.Frame) error {
		out.Write(f.Payload)
		return nil
	})
	return out.String(), err
}

func openEcho(t testing.TB, x *Executor) *Stream {
	t.Helper()
	s, err := x.OpenStream(context.Background(), PlanInput{Model: "plain"})
	require.NoError(t, err)
	return s
}

func nothing(abi.Frame) error { return nil }

func TestStreamsShareInstances(t *testing.T) {
	g, x := echoExecutor(t, Options{})
	const n = 200
	streams := make([]*Stream, n)
	for k := range streams {
		streams[k] = openEcho(t, x)
	}
	require.LessOrEqual(t, g.modules[0].stats.instances.Load(), int64(runtime.GOMAXPROCS(0)))
	require.EqualValues(t, n, g.modules[0].stats.streams.Load())
	var wg sync.WaitGroup
	for k, s := range streams {
		wg.Go(func() {
			for round := range 20 {
				got, err := feed(s, fmt.Sprintf("s%d r%d", k, round))
				if err != nil || got != fmt.Sprintf("S%d R%d", k, round) {
					t.Errorf("stream %d: %q, %v", k, got, err)
					return
				}
			}
			if err := s.End(context.Background(), abi.EndEOF, nothing); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Zero(t, g.modules[0].stats.streams.Load())
	require.Zero(t, g.modules[0].replay.Load())
}

func TestHandlesOverflowIntoFurtherInstances(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1, Handles: 4}})
	var streams []*Stream
	for range 11 {
		streams = append(streams, openEcho(t, x))
	}
	require.EqualValues(t, 3, g.modules[0].stats.instances.Load())
	for _, s := range streams {
		got, err := feed(s, "a")
		require.NoError(t, err)
		require.Equal(t, "A", got)
		require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing))
	}
	require.LessOrEqual(t, g.modules[0].stats.instances.Load(), int64(2))
}

func TestTrapInOneStreamSparesTheOthers(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1}})
	good, bad := openEcho(t, x), openEcho(t, x)
	for _, s := range []*Stream{good, bad} {
		_, err := feed(s, "before")
		require.NoError(t, err)
	}
	_, err := feed(bad, "trap")
	require.Equal(t, fault.ClassPlugin, fault.As(err).Class)
	_, err = feed(bad, "more")
	require.Error(t, err, "a failed stream stays failed")
	require.Error(t, bad.End(t.Context(), abi.EndUpstreamError, nothing))

	got, err := feed(good, "after") // replayed into a new instance
	require.NoError(t, err)
	require.Equal(t, "AFTER", got)
	require.GreaterOrEqual(t, g.modules[0].stats.replays.Load(), int64(1))
	require.NoError(t, good.End(t.Context(), abi.EndEOF, nothing))
	require.Zero(t, g.modules[0].replay.Load())
	require.Zero(t, g.modules[0].stats.streams.Load())
}

func TestLongStreamCannotBeReplayed(t *testing.T) {
	_, x := echoExecutor(t, Options{Limits: Limits{Instances: 1, Replay: 1 << 10}})
	long, bad := openEcho(t, x), openEcho(t, x)
	_, err := feed(long, strings.Repeat("x", 2<<10))
	require.NoError(t, err)
	_, err = feed(bad, "trap")
	require.Error(t, err)
	_, err = feed(long, "after")
	require.ErrorContains(t, err, "failed while the answer was under way")
	_ = long.End(t.Context(), abi.EndUpstreamError, nothing)
	_ = bad.End(t.Context(), abi.EndUpstreamError, nothing)
}

func TestPanicInStreamIsAnError(t *testing.T) {
	g, x := echoExecutor(t, Options{})
	s := openEcho(t, x)
	_, err := feed(s, "panic")
	require.ErrorContains(t, err, "in a stream")
	require.Zero(t, g.modules[0].stats.traps.Load())
	require.Error(t, s.End(t.Context(), abi.EndUpstreamError, nothing))
	require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing), "a second End does nothing")
}

func TestEmitErrorStopsTheCall(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	s := openEcho(t, x)
	gone := errors.New("client gone")
	err := s.Data(t.Context(), data("x"), func(abi.Frame) error { return gone })
	require.ErrorIs(t, err, gone)
	require.NoError(t, s.End(t.Context(), abi.EndClientGone, nothing))
}

func TestBatches(t *testing.T) {
	in := make([]abi.Frame, 200)
	for k := range in {
		in[k].Payload = make([]byte, 10)
	}
	require.Equal(t, batchFrames, batch(in))
	in[0].Payload, in[1].Payload = make([]byte, 60<<10), make([]byte, 60<<10)
	require.Equal(t, 1, batch(in))
	require.Equal(t, 1, batch(in[:1]))
}

func TestStreamIsolation(t *testing.T) {
	dir := t.TempDir()
	drop(t, dir, "echo.wasm", packed(t, echoGuest))
	h := open(t, Options{Dir: dir})
	g := h.Current()
	defer g.Release()
	x, ok := g.Executor("echo")
	require.True(t, ok)
	a, b := openEcho(t, x), openEcho(t, x)
	require.NotSame(t, a.hops[0].inst, b.hops[0].inst)
	require.True(t, a.hops[0].inst.exclusive)
	inst := a.hops[0].inst
	require.NoError(t, a.End(t.Context(), abi.EndEOF, nothing))
	require.Error(t, inst.dead, "an exclusive instance ends with its stream")
	require.NoError(t, b.End(t.Context(), abi.EndEOF, nothing))
}
