package host

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

func echoExecutor(t testing.TB, opt Options) (*Generation, *Executor) {
	t.Helper()
	g := serve(t, packed(t, echoGuest), opt)
	x, ok := g.Executor("echo")
	require.True(t, ok)
	return g, x
}

func plan(t testing.TB, x *Executor, model string) (*Planned, error) {
	t.Helper()
	return x.Plan(context.Background(), PlanInput{Model: model, Endpoint: "chat", Body: []byte(`{}`)})
}

func TestGuestFailures(t *testing.T) {
	var log syncBuffer
	g, x := echoExecutor(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	cases := []struct {
		model string
		class fault.Class
		text  string
		traps int64
	}{
		{"panic", fault.ClassPlugin, "as asked", 0},
		{"trap", fault.ClassPlugin, "The plugin test/echo failed", 2},
		{"hog", fault.ClassPlugin, "The plugin test/echo failed", 2},
		{"huge", fault.ClassPlugin, "output is larger", 0},
		{"fail", fault.ClassQuota, "no", 0},
	}
	for _, c := range cases {
		t.Run(c.model, func(t *testing.T) {
			before := g.modules[0].stats.traps.Load()
			_, err := plan(t, x, c.model)
			f := fault.As(err)
			require.NotNil(t, f, "%v", err)
			require.Equal(t, c.class, f.Class)
			require.Contains(t, f.Message, c.text)
			require.Equal(t, c.traps, g.modules[0].stats.traps.Load()-before)

			out, err := plan(t, x, "plain") // the plugin serves on
			require.NoError(t, err)
			require.NotNil(t, out.Send)
		})
	}
	require.Contains(t, log.String(), "panic in ExPlan")
	require.Contains(t, log.String(), "main.plan", "the panic's stack is in the log")
}

func TestFailureKeepsStatusAndScope(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	_, err := plan(t, x, "fail")
	f := fault.As(err)
	require.Equal(t, 402, f.Status)
	require.Equal(t, fault.ScopeCredential, f.Scope)
}

func TestMemoryStaysFlat(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1}})
	for range 20 { // 2.5 GiB through a heap that may have 32 MiB
		_, err := plan(t, x, "churn")
		require.NoError(t, err)
	}
	require.Zero(t, g.modules[0].stats.traps.Load())
}

func TestInputLimit(t *testing.T) {
	_, x := echoExecutor(t, Options{Limits: Limits{Input: 1 << 20}})
	_, err := x.Plan(t.Context(), PlanInput{Model: "plain", Body: make([]byte, 2<<20)})
	require.Equal(t, 413, fault.As(err).Status)
	_, err = plan(t, x, "plain")
	require.NoError(t, err)
}

func TestRecycle(t *testing.T) {
	g, x := echoExecutor(t, Options{Limits: Limits{Instances: 1, RecycleCalls: 10}})
	first := g.modules[0].pool.slots[0].inst.Load()
	for range 25 {
		_, err := plan(t, x, "plain")
		require.NoError(t, err)
	}
	require.NotSame(t, first, g.modules[0].pool.slots[0].inst.Load())
	require.Error(t, first.dead)
	require.EqualValues(t, 1, g.modules[0].stats.instances.Load())
}

func TestIdleInstancesClose(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	h := open(t, Options{Core: packed(t, echoGuest), Limits: Limits{Instances: 2}, Now: func() time.Time { return now }})
	g := h.Current()
	defer g.Release()
	p := g.modules[0].pool
	for k := range p.slots {
		i, err := p.slots[k].lock(t.Context(), p.mod)
		require.NoError(t, err)
		i.settle()
		i.mu.Unlock()
	}
	require.EqualValues(t, 2, g.modules[0].stats.instances.Load())
	h.rest()
	require.EqualValues(t, 2, g.modules[0].stats.instances.Load())
	now = now.Add(30 * time.Minute)
	h.rest()
	require.EqualValues(t, 1, g.modules[0].stats.instances.Load())
	x, _ := g.Executor("echo")
	_, err := plan(t, x, "plain")
	require.NoError(t, err)
}

func TestSeedAndClock(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123)
	_, x := echoExecutor(t, Options{Now: func() time.Time { return now }})
	ask := func(seed uint64) (string, string) {
		out, err := x.Plan(t.Context(), PlanInput{Model: "random", Seed: seed})
		require.NoError(t, err)
		return headerValue(out.Send.Header, "X-Rand"), headerValue(out.Send.Header, "X-Now")
	}
	a, clock := ask(1)
	b, _ := ask(1)
	c, _ := ask(2)
	require.Equal(t, a, b)
	require.NotEqual(t, a, c)
	require.Equal(t, "0000018bcfe5687b", clock)
}

func TestBlobAccess(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	d, err := doc.Elide([]byte(`{"s":"`+strings.Repeat("abcdefgh", 100)+`"}`), doc.Options{})
	require.NoError(t, err)
	out, err := x.Plan(t.Context(), PlanInput{Model: "blob", Body: d.Skeleton(), Blobs: d})
	require.NoError(t, err)
	require.Equal(t, "cdefghab", headerValue(out.Send.Header, "X-Blob"))
	require.Empty(t, headerValue(out.Send.Header, "X-Forged"))

	out, err = x.Plan(t.Context(), PlanInput{Model: "blob"}) // of no other call
	require.NoError(t, err)
	require.Empty(t, headerValue(out.Send.Header, "X-Blob"))
}

func TestNeedRounds(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	var asked []string
	out, err := x.Plan(t.Context(), PlanInput{Model: "need", Body: []byte(`{}`), Effects: func(_ context.Context, p *Plan) (*Reply, error) {
		asked = append(asked, p.Method+" "+p.URLs[0])
		return &Reply{Status: 200, Body: []byte("tok")}, nil
	}})
	require.NoError(t, err)
	require.Equal(t, []string{"GET https://echo.example/token"}, asked)
	require.Equal(t, "tok/state", headerValue(out.Send.Header, "X-Token"))

	_, err = plan(t, x, "need")
	require.ErrorContains(t, err, "needs HTTP")
}

func TestPlanMayNotLeaveItsHosts(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	_, err := plan(t, x, "elsewhere")
	require.ErrorContains(t, err, "may not send requests to evil.example")
	_, err = plan(t, x, "badheader")
	require.ErrorContains(t, err, "invalid header")
}

func TestConfigure(t *testing.T) {
	g := serve(t, packed(t, echoGuest), Options{Items: map[string]Item{"test/echo": {Config: []byte(`{"region":"us"}`)}}})
	x, _ := g.Executor("echo")
	out, err := plan(t, x, "plain")
	require.NoError(t, err)
	require.Equal(t, "us", headerValue(out.Send.Header, "X-Region"))

	h := open(t, Options{Core: packed(t, echoGuest), Items: map[string]Item{"test/echo": {Config: []byte(`{"region":"mars"}`)}}})
	require.Len(t, h.Problems(), 1)
	require.Contains(t, h.Problems()[0].Message, "region")
}

func TestGuestLog(t *testing.T) {
	var log syncBuffer
	_, x := echoExecutor(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: Limits{LogPerSecond: 3},
		Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	for range 10 {
		_, err := plan(t, x, "log")
		require.NoError(t, err)
	}
	require.Equal(t, 3, strings.Count(log.String(), "hello from the guest"))
	require.Contains(t, log.String(), "plugin=test/echo")
}

func TestCanaryNeverReachesTheGuest(t *testing.T) {
	g, x := echoExecutor(t, Options{})
	out, err := plan(t, x, "plain")
	require.NoError(t, err)
	const canary = "sk-canary-0123456789"
	req, err := Fill(t.Context(), out.Send, func(name string) (string, bool) { return canary, name == "api_key" }, []byte(`{}`), nil)
	require.NoError(t, err)
	require.Equal(t, "Bearer "+canary, headerValue(req.Header, "Authorization"))
	_, err = x.Result(t.Context(), ResultInput{Status: 500, Body: []byte(`{"error":"x"}`)})
	require.NoError(t, err)
	require.Empty(t, g.MemoryContains([]byte(canary)))
	require.Equal(t, []string{"test/echo"}, g.MemoryContains([]byte("https://echo.example/v1")))
}

func TestVerdict(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	v, err := x.Result(t.Context(), ResultInput{
		Status: 429, Header: []abi.Header{{Name: "retry-after", Value: "1.5"}},
		Body: []byte(`{"error":{"message":"slow down","type":"rate_limit_error","code":"x"}}`),
	})
	require.NoError(t, err)
	require.Equal(t, abi.VerdictError, v.Kind)
	require.Equal(t, fault.ClassRate, v.Err.Class)
	require.Equal(t, 1500*time.Millisecond, v.Err.RetryAfter)
	require.Equal(t, "slow down", v.Err.Message)
}
