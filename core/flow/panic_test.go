package flow_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/accept"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/telemetry"
)

// A panic in the middle of an attempt fails its own request only: the account,
// the limiters, the breaker's probe and the place in the combo are free again.
func TestPanicInAnAttemptLeavesNothingTaken(t *testing.T) {
	w := newWorld(t, quick+"  limits: [{id: one, scope: oai, concurrency: 1, max_wait: 20ms}]\n")
	broken := flow.New(flow.Deps{Host: plugins.host, Upstream: nil, Keys: w.keys, Pool: w.pool, Ledger: w.ledger, Health: w.health,
		Metrics: telemetry.NewMetrics(), Log: telemetry.Discard(), Version: "test"})
	defer broken.Close()
	broken.Swap(w.flow.Snapshot())
	app := fiber.New(accept.Config(broken))
	accept.Register(app, broken)

	for range 3 {
		req, err := http.NewRequest("POST", "http://127.0.0.1/v1/chat/completions", strings.NewReader(`{"model":"oai/fake-model","messages":[{"role":"user","content":"x"}]}`))
		require.NoError(t, err)
		req.Header.Set("content-type", "application/json")
		resp, err := app.Test(req, 10_000)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 500, resp.StatusCode)
	}
	for _, v := range w.pool.Views(account.Query{Provider: "oai", Model: "fake-model"}, nil) {
		require.Zero(t, v.Inflight, v.ID)
		require.False(t, v.Cooling, "a panic of the gateway is not the account's fault")
	}
	require.Zero(t, w.health.Stats.View("oai/fake-model").Inflight)
	require.Equal(t, health.Closed, w.health.Breakers.View("oai").State)

	// The limiter lets one through at a time: a place that was kept would hold this one.
	require.Equal(t, 200, w.post("/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"user","content":"x"}]}`).status)
}
