package host

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// record runs f and returns what a recording of the host saw meanwhile.
func record(t *testing.T, h *Host, plugin string, f func()) []*Trace {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var got []*Trace
	done := make(chan error)
	go func() { done <- h.Record(ctx, plugin, func(tr *Trace) { got = append(got, tr) }) }()
	require.Eventually(t, func() bool { return h.tap.Load() != nil }, time.Minute, time.Millisecond)
	f()
	cancel()
	require.NoError(t, <-done)
	return got
}

func TestRecordedCallsReplay(t *testing.T) {
	wasm := packed(t, echoGuest)
	h := open(t, Options{Core: wasm, Limits: Limits{Instances: 1}})
	g := h.Current()
	defer g.Release()
	x, ok := g.Executor("echo")
	require.True(t, ok)
	profile := NewProfile("mine", []byte(`{"base_urls":["https://echo.example/v2"]}`))
	calls := record(t, h, "test/echo", func() {
		for _, model := range []string{"plain", "random", "fail"} {
			_, _ = x.Plan(t.Context(), PlanInput{Profile: profile, Model: model, Body: []byte(`{}`)})
		}
	})
	require.GreaterOrEqual(t, len(calls), 3)

	lab, err := OpenLab(t.Context(), wasm, LabOptions{CacheDir: cacheDir(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, lab.Close(context.Background())) }()
	run, err := lab.Start(t.Context())
	require.NoError(t, err)
	for _, c := range calls {
		require.Equal(t, "test/echo", c.Plugin)
		require.Equal(t, c.Op.String(), c.Name)
		require.NotEmpty(t, c.Digest)
		out, isError, err := run.Call(c.Op, c.Handle, c.In, LabEnv{NowMS: c.NowMS, Seed: c.Seed, Blobs: c.Blobs, Replay: true, Answers: c.Answers})
		require.NoError(t, err)
		require.Equal(t, c.IsError, isError)
		require.Equal(t, string(c.Out), string(out), c.Name)
	}
}

func TestRecordingIsForOnePlugin(t *testing.T) {
	h := open(t, Options{Core: packed(t, echoGuest), Limits: Limits{Instances: 1}})
	g := h.Current()
	defer g.Release()
	x, _ := g.Executor("echo")
	calls := record(t, h, "test/other", func() {
		_, err := plan(t, x, "plain")
		require.NoError(t, err)
		require.ErrorIs(t, h.Record(t.Context(), "", func(*Trace) {}), ErrRecording)
	})
	require.Empty(t, calls)
	calls = record(t, h, "", func() {
		_, err := x.Plan(t.Context(), PlanInput{Model: "plain", Attempt: 1})
		require.NoError(t, err)
	})
	require.NotEmpty(t, calls, "a second recording")
}
