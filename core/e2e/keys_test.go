package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

const requireKeys = "auth: {require_keys: true}\n"

// allowed asks with a key in the place where a dialect's clients put it.
func (g *gateway) allowed(key string, claude bool) answer {
	g.t.Helper()
	if claude {
		return g.post("/v1/messages", `{"model":"demo/echo","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`, "x-api-key", key, "anthropic-version", "2023-06-01")
	}
	return g.post("/v1/chat/completions", `{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}`, "Authorization", "Bearer "+key)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	g := serve(t, requireKeys)
	for _, claude := range []bool{false, true} {
		client := map[bool]string{false: "openai", true: "claude"}[claude]
		for _, key := range []string{"", "sk-wrong"} {
			a := g.allowed(key, claude)
			require.Equal(t, http.StatusUnauthorized, a.Status, a.Body)
			require.Equal(t, "authentication_error", errorBody(t, client, a))
		}
	}
	a := g.chat("demo/echo")
	require.Equal(t, http.StatusUnauthorized, a.Status, "no key at all")

	key := strings.TrimSpace(g.must("key", "create", "--name", "laptop"))
	require.NotContains(t, key, "\n", "the key alone is printed")
	require.Equal(t, http.StatusOK, g.allowed(key, false).Status)
	require.Equal(t, http.StatusOK, g.allowed(key, true).Status)
	list := g.must("key", "list")
	require.Contains(t, list, "laptop")
	require.NotContains(t, list+g.must("key", "list", "--json"), key, "the key is shown once")

	narrow := strings.TrimSpace(g.must("key", "create", "--name", "narrow", "--models", "openai/*"))
	a = g.allowed(narrow, false)
	require.Equal(t, http.StatusForbidden, a.Status, a.Body)

	g.must("key", "revoke", "laptop")
	require.Equal(t, http.StatusUnauthorized, g.allowed(key, false).Status)
	_, _, err := g.run("key", "revoke", "nobody")
	require.Equal(t, 1, exitCode(err))
	_, _, err = g.run("key", "create")
	require.Equal(t, 2, exitCode(err))
}

// Keys, accounts and the usage record survive a restart and a kill.
func TestStateSurvives(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{Keys: []string{"sk-added"}})
	t.Cleanup(up.Close)
	n := node{id: "lab", dialect: "openai", url: up.OpenAIBase(), accounts: []string{}, models: []string{"m"}}
	g := prepare(t, requireKeys+strings.Replace(providers(n), "    accounts:\n", "", 1))
	before := strings.TrimSpace(g.must("key", "create", "--name", "before")) // without a server
	g.start()
	beside := strings.TrimSpace(g.must("key", "create", "--name", "beside"))
	g.env = append(g.env, "LAB_KEY=sk-added")
	g.must("provider", "add", "lab", "--key-env", "LAB_KEY")

	ask := func(key string) {
		t.Helper()
		a := g.post("/v1/chat/completions", `{"model":"lab/m","messages":[{"role":"user","content":"hi"}]}`, "Authorization", "Bearer "+key)
		require.Equal(t, http.StatusOK, a.Status, a.Body)
	}
	recorded := func(want int) {
		t.Helper()
		count := 0
		g.eventually(func() bool {
			v, err := cases.Parse([]byte(g.must("requests", "--json", "--model", "lab/m")))
			require.NoError(t, err)
			for _, m := range v.Members {
				if m.Value.Kind == cases.Array {
					count = len(m.Value.Items)
				}
			}
			return count >= want
		}, "%s requests recorded, want %d", lazy(func() string { return fmt.Sprint(count) }), want)
		require.Equal(t, want, count)
	}
	ask(before)
	ask(beside)
	recorded(2)
	g.stop()
	recorded(2) // read without a server

	g.start()
	recorded(2)
	ask(before)
	ask(beside)
	recorded(4)
	late := strings.TrimSpace(g.must("key", "create", "--name", "late"))
	g.kill()

	g.start()
	ask(late)
	ask(before)
	recorded(6)
}
