package boot_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

func TestCachedAnswersSurviveARestart(t *testing.T) {
	needsPlugins(t)
	for _, disk := range []bool{false, true} {
		up := fake.Start(fake.Options{Lenient: true})
		t.Cleanup(up.Close)
		s := newSite(t, fmt.Sprintf(`
providers:
  lab: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: k}], models: [{id: m}]}
cache: {disk: %v}
`, up.OpenAIBase(), disk))
		gw := s.start()
		state := func() string {
			resp, err := http.Post(gw.URL()+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"lab/m","temperature":0,"messages":[{"role":"user","content":"hi"}]}`))
			require.NoError(t, err)
			resp.Body.Close()
			return resp.Header.Get("x-omniroute-cache")
		}
		require.Equal(t, []string{"MISS", "HIT"}, []string{state(), state()})
		s.stop(gw)
		gw = s.start()
		require.Equal(t, map[bool]string{true: "HIT", false: "MISS"}[disk], state())
	}
}

// A breaker that is open, and what a provider said of its limits, hold after a
// restart too.
func TestGuardsSurviveARestart(t *testing.T) {
	needsPlugins(t)
	up := fake.Start(fake.Options{Lenient: true})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if r.Key() == "limited" {
			return fake.Reply{Text: "x", Header: http.Header{"X-Ratelimit-Limit-Tokens": {"1000"}, "X-Ratelimit-Remaining-Tokens": {"0"}, "X-Ratelimit-Reset-Tokens": {"10h"}}}
		}
		return fake.Reply{Status: 500, Error: "boom"}
	})
	s := newSite(t, fmt.Sprintf(`
routing: {panic_mode: false}
providers:
  lab: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: k}], models: [{id: m}]}
  few: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: limited}], models: [{id: m}]}
policies:
  on_error: [{id: soft, do: 'cool(0, "server_error")'}]
  breaker: [{id: own, count: true, trip: true, reset: 1h}]
`, up.OpenAIBase(), up.OpenAIBase()))
	gw := s.start()
	chat := func(model string) (int, string) {
		return ask(t, gw.URL()+"/v1/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model))
	}
	status, body := chat("few/m")
	require.Equal(t, 200, status, body)
	_, _ = chat("lab/m")
	asked := len(up.Requests())
	check := func() {
		status, body := chat("lab/m")
		require.Equal(t, 503, status, body)
		require.Contains(t, body, "circuit")
		status, body = chat("few/m")
		require.Equal(t, 429, status, body)
		require.Len(t, up.Requests(), asked)
	}
	check()
	s.stop(gw)
	gw = s.start()
	check()
}
