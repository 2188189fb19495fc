package boot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/plugins/bundle"
)

// What was asked can be listed, searched and added up.
func TestRequestLogAndUsageRoutes(t *testing.T) {
	if bundle.Core() == nil {
		t.Skip("core.wasm is not built: make plugins")
	}
	d := openDashboardWith(t, "auth: {initial_password: \"correct horse battery\"}\n", bundle.Core).login()
	chat := func(model, id string) int {
		return d.status("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hello there"}]}`, "X-Request-Id", id)
	}
	require.Equal(t, 200, chat("demo/echo", "req-good"))
	require.Equal(t, 200, chat("demo/lorem", "req-lorem"))
	require.Equal(t, 404, chat("nowhere/nothing", "req-bad"))
	require.Eventually(t, func() bool { return len(d.json("GET", "/api/requests", "", 200)["data"].([]any)) == 3 }, 10*time.Second, 10*time.Millisecond)

	t.Run("list", func(t *testing.T) {
		page := d.json("GET", "/api/requests?limit=2", "", 200)
		require.Len(t, page["data"], 2)
		next := page["page"].(map[string]any)["next"].(string)
		page = d.json("GET", "/api/requests?limit=2&cursor="+next, "", 200)
		require.Len(t, page["data"], 1)
		require.Len(t, d.json("GET", "/api/requests?status=error", "", 200)["data"], 1)
		require.Len(t, d.json("GET", "/api/requests?q=req-lorem", "", 200)["data"], 1)
		require.Len(t, d.json("GET", "/api/requests?model=ECHO", "", 200)["data"], 1)
		d.json("GET", "/api/requests?status=funny", "", 400)
		d.json("GET", "/api/requests?cursor=%21%21", "", 400)
		d.json("GET", "/api/requests?from=yesterday", "", 400)
	})
	t.Run("one", func(t *testing.T) {
		row := d.json("GET", "/api/requests/req-good", "", 200)
		require.Equal(t, "demo/echo", row["target"])
		require.Equal(t, 200.0, row["status"])
		trace := d.json("GET", "/api/requests/req-good/trace", "", 200)
		require.NotEmpty(t, trace)
		d.json("GET", "/api/requests/nosuch", "", 404)
		d.json("GET", "/api/requests/nosuch/trace", "", 404)
		require.Contains(t, d.json("GET", "/api/usage/call-logs/req-bad", "", 200)["error"], "nowhere")
		d.json("GET", "/api/usage/call-logs/nosuch", "", 404)
	})
	t.Run("scripts", func(t *testing.T) {
		_, text := d.do("GET", "/api/usage/call-logs?search=req-good", "")
		require.True(t, strings.HasPrefix(text, `[{"id":"req-good"`), text)
		_, text = d.do("GET", "/api/usage/logs", "")
		require.Contains(t, text, "| 200 OK")
		require.NotNil(t, d.json("GET", "/api/sessions", "", 200)["sessions"])
	})
	t.Run("sums", func(t *testing.T) {
		h := d.json("GET", "/api/usage/history", "", 200)
		require.Equal(t, 3.0, h["totalRequests"])
		require.Contains(t, h["byModel"], "echo (demo)")
		require.Len(t, h["last10Minutes"], 10)
		a := d.json("GET", "/api/usage/analytics?range=7d", "", 200)
		require.Equal(t, 3.0, a["summary"].(map[string]any)["totalRequests"])
		require.Len(t, a["dailyTrend"], 7)
		require.Len(t, a["weeklyPattern"], 7)
		d.json("GET", "/api/usage/analytics?range=2d", "", 400)
		s := d.json("GET", "/api/usage/series?metric=requests&by=provider&step=minute", "", 200)
		require.NotEmpty(t, s["lines"])
		d.json("GET", "/api/usage/series?by=nosuch", "", 400)
		d.json("GET", "/api/usage/series?step=minute&from=2001-01-01T00:00:00Z", "", 400)
		require.GreaterOrEqual(t, d.json("GET", "/api/telemetry/summary", "", 200)["count"], 2.0)
		require.Empty(t, d.json("GET", "/api/usage/active", "", 200)["data"])
	})
}
