package boot_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPolicyMetrics: what rules did can be scraped, and counts go on over a
// reload.
func TestPolicyMetrics(t *testing.T) {
	l := newLab(t)
	rules := func(deny string) map[string]string {
		return map[string]string{"policies.gate": `[{id: own, when: header("x-no") != "", deny: ` + deny + `}, {id: wrong, when: 'req.tags[3] == "x"', warn: x}, {id: soon, shadow: true, deny: x}]`}
	}
	l.apply(rules("No"))
	ask := func() { l.send("POST", "/v1/chat/completions", `{"model":"oai/m","messages":[]}`, "x-no", "1") }
	scrape := func() string { _, text := get(t, l.root()+"/metrics"); return text }
	ask()
	text := scrape()
	for _, line := range []string{
		`policy_rule_hits_total{hook="gate",rule="own"} 1`, `policy_rule_errors_total{hook="gate",rule="wrong"} 0`,
		`policy_shadow_would_total{hook="gate",rule="soon"} 0`, `policy_set_info{hash="`, `policy_eval_seconds_bucket{hook="gate",le="+Inf"} 1`,
		`policy_eval_seconds_count{hook="ip"} 1`,
	} {
		require.Contains(t, text, line+map[bool]string{true: "", false: "\n"}[line[len(line)-1] == '"'])
	}
	require.NotContains(t, text, `policy_shadow_would_total{hook="gate",rule="own"}`)
	l.apply(rules("Never"))
	ask()
	l.chat("oai/m", "")
	text = scrape()
	require.Contains(t, text, "policy_rule_hits_total{hook=\"gate\",rule=\"own\"} 2\n")
	require.Contains(t, text, "policy_shadow_would_total{hook=\"gate\",rule=\"soon\"} 0\n", "a rule that cannot be evaluated refuses before it")
	require.Contains(t, text, "policy_rule_errors_total{hook=\"gate\",rule=\"wrong\"} 1\n")
	require.Contains(t, text, "policy_eval_seconds_count{hook=\"gate\"} 3\n")
}
