package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// toldQuotas are the windows that the fakes tell, with the percentage that is
// left; providers that are not here tell none.
var toldQuotas = map[string]map[string]float64{
	"claude":      {"five_hour": 77, "seven_day": 59},
	"codex":       {"session": 88, "weekly": 60},
	"github":      {"chat": 100, "completions": 100, "premium_interactions": 83.3},
	"kiro":        {"agentic_request": 75},
	"antigravity": {"gemini-3-flash": 75},
	"gemini-cli":  {"gemini-2.5-pro": 50},
}

// tellsQuota reports a row whose provider says what accounts have left.
func (r *providerRow) tellsQuota() bool { return toldQuotas[r.id] != nil && r.auth == "oauth" }

// quotaYAML starts the quota endpoints of the rows and points the gateway to them.
func quotaYAML(t testing.TB, worlds []*providerWorld) string {
	auth := fake.StartAuth()
	t.Cleanup(auth.Close)
	var b strings.Builder
	for _, w := range worlds {
		if w.tellsQuota() {
			auth.Grant(w.id, w.secret().AccessToken, w.secret().RefreshToken)
			fmt.Fprintf(&b, "  %s: {url: %q}\n", w.id, auth.UsageURL(w.id))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "usage:\n" + b.String()
}

// quotas: the provider is asked what the account has left.
func (w *providerWorld) quotas(t *testing.T) {
	var told []struct {
		Quota struct {
			Windows map[string]struct{ Left float64 }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(w.g.must("provider", "quota", w.id+"/main", "--json")), &told))
	got := map[string]float64{}
	for name, window := range told[0].Quota.Windows {
		got[name] = window.Left
	}
	for name, left := range toldQuotas[w.id] { // responses may tell of more
		require.Equal(t, left, got[name], "%s %v", name, got)
	}
}
