package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// A model that fails is answered by the targets of its fallback chain, and the
// log tells so.
func TestFallbackChain(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(map[string]fake.Reply{"east": {Status: 500, Error: "boom"}}))
	quick := "policies:\n  on_exhausted: [{id: retry-target, enabled: false}]\n"
	g := serve(t, twoTargets(up, quick))
	require.Equal(t, 500, g.chat("east/m").Status, "nobody stands in")

	g.configure(twoTargets(up, quick+"fallback_chains:\n  \"m*\": [east, {provider: west, priority: 1}]\n"))
	g.eventually(func() bool { return g.chat("east/m").text() == "from west" }, "the chain does not stand in")
	a := g.chat("east/m")
	require.Equal(t, "west/m", a.Header.Get("x-omniroute-target"))
	id := a.Header.Get("x-request-id")
	g.eventually(func() bool { _, _, err := g.run("explain", id); return err == nil }, "the request is not in the log")
	require.Regexp(t, `stand-ins +m\*\n`, g.must("explain", id))
	require.Equal(t, "from west", g.chat("west/m").text(), "the chain of a healthy model is not used")

	g.configure(twoTargets(up, quick+"fallback_chains: {m: [nowhere]}\n"))
	g.eventually(func() bool {
		return strings.Contains(g.out.String(), `fallback chain of "m": there is no provider "nowhere"`)
	}, "a chain to nowhere is not reported")
}

// Wrong client keys lock their address out, for longer each time, and a good one
// does not help until then. Other addresses are not concerned.
func TestLockoutOfWrongKeys(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, "")+"server: {trusted_proxies: [127.0.0.0/8]}\nauth: {require_keys: true, keys: [{name: ci, key: sk-good-000000}]}\n")
	ask := func(key, from string) answer {
		return g.post("/v1/chat/completions", `{"model":"east/m","messages":[{"role":"user","content":"hi"}]}`, "authorization", "Bearer "+key, "x-forwarded-for", from)
	}
	for range 20 {
		require.Equal(t, 401, ask("sk-wrong-000000", "203.0.113.9").Status)
	}
	a := ask("sk-good-000000", "203.0.113.9")
	require.Equal(t, 423, a.Status, a.Body)
	require.Contains(t, a.Body, "AUTH_005")
	require.Equal(t, "300", a.Header.Get("retry-after"))
	require.Equal(t, 200, ask("sk-good-000000", "203.0.113.10").Status)
}

// What a provider tells of its limits holds the next requests of that account
// back.
func TestLearnedLimits(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	told := http.Header{"X-Ratelimit-Limit-Requests": {"60"}, "X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {"1h"}}
	up.Otherwise(byPrefix(map[string]fake.Reply{"east": {Text: "from east", Header: told}}))
	g := serve(t, twoTargets(up, `policies:
  limits: [{id: patience, scope: 'account:${account.id}', rpm: 1000, max_wait: 50ms}]
`))
	require.Equal(t, "from east", g.chat("either").text())
	require.Equal(t, "from west", g.chat("either").text(), "none is left until the provider's window ends")
	require.Equal(t, 429, g.chat("east/m").Status)
}

// A draft that sends requests elsewhere is replayed to the end: what the log
// does not tell is looked up in the catalogue.
func TestReplayOfADraftThatRoutesElsewhere(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, ""))
	id := g.chat("east/m").Header.Get("x-request-id")
	g.eventually(func() bool { _, _, err := g.run("explain", id); return err == nil }, "the request is not in the log")
	draft := func(model string) string {
		text := "policies:\n  rewrite: [{id: move, when: 'req.model == \"east/m\"', model: " + model + "}]\n"
		require.NoError(t, os.WriteFile(g.path("draft.yaml"), []byte(text), 0o644))
		out, _, err := g.run("policy", "replay", "--policy", g.path("draft.yaml"), "--fail-on-change")
		require.Equal(t, 1, exitCode(err))
		return out
	}
	for _, gone := range []bool{false, true} { // beside the gateway, and without one
		if gone {
			g.stop()
		}
		require.Regexp(t, `east/m +west/m\n1 of 1 requests would change: 0 newly denied, 0 newly allowed, 1 to another target`, draft("west/m"))
		require.Contains(t, draft("nowhere"), "denied: model not found: nowhere")
	}
}
