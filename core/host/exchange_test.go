package host

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// githubProfile is a provider whose executor exchanges tokens.
const githubProfile = `{"id":"github","base_urls":["https://api.githubcopilot.com"],"paths":{"chat":"/chat/completions",
	"copilot_token":"https://api.github.com/copilot_internal/v2/token"},"hosts":["https://*.githubcopilot.com"]}`

// A token that is exchanged for another: the host does it once, uses the result,
// and the guest sees neither.
func TestExchangedTokensStayOutOfTheGuest(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	g := serve(t, core(t), Options{Now: func() time.Time { return now }})
	x, ok := g.Executor("github")
	require.True(t, ok)
	profile := NewProfile("github", []byte(githubProfile))
	const credential = "gho-canary-0123456789"
	calls, status := 0, 200
	secrets := func(name string) (string, bool) { return credential, name == "access_token" }
	plan := func() (*Request, error) {
		planned, err := x.Plan(t.Context(), PlanInput{
			Profile: profile, Endpoint: "chat", Model: "gpt-4.1", Dialect: "openai", AuthKind: "oauth", Secrets: secrets,
			Body: []byte(`{"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]}`),
			Effects: func(ctx context.Context, p *Plan) (*Reply, error) {
				req, err := Fill(ctx, p, secrets, p.Body, nil)
				require.NoError(t, err)
				require.Equal(t, "token "+credential, headerValue(req.Header, "Authorization"))
				calls++
				if status != 200 {
					return &Reply{Status: status, Body: []byte(`{"message":"who is ` + credential + `?"}`)}, nil
				}
				return &Reply{Status: 200, Body: fmt.Appendf(nil, `{"token":"tid=canary-%d-abcdef","expires_at":%d,"endpoints":{"api":"https://api.business.githubcopilot.com"}}`,
					calls, now.Add(30*time.Minute).Unix())}, nil
			},
		})
		if err != nil {
			return nil, err
		}
		require.Len(t, planned.Send.Minted(), 1)
		return Fill(t.Context(), planned.Send, secrets, nil, nil)
	}
	for range 3 {
		req, err := plan()
		require.NoError(t, err)
		require.Equal(t, []string{"https://api.business.githubcopilot.com/chat/completions"}, req.URLs)
		require.Equal(t, "Bearer tid=canary-1-abcdef", headerValue(req.Header, "Authorization"))
	}
	require.Equal(t, 1, calls)
	now = now.Add(25*time.Minute + time.Second)
	req, err := plan()
	require.NoError(t, err)
	require.Equal(t, "Bearer tid=canary-2-abcdef", headerValue(req.Header, "Authorization"), "five minutes before its end there is a new one")
	now, status = now.Add(time.Hour), 404
	_, err = plan()
	require.ErrorContains(t, err, "no Copilot")
	for _, secret := range []string{credential, "tid=canary-1", "tid=canary-2"} {
		require.Empty(t, g.MemoryContains([]byte(secret)), secret)
	}
	require.NotEmpty(t, g.MemoryContains([]byte("https://api.business.githubcopilot.com")), "memory is really searched")
}

func TestPolling(t *testing.T) {
	calls := 0
	effects := func(context.Context, *Plan) (*Reply, error) {
		calls++
		return &Reply{Status: 200, Body: fmt.Appendf(nil, `{"state":{"done":%v}}`, calls == 3)}, nil
	}
	p := &Plan{Poll: Poll{Until: "state.done", Every: time.Millisecond, Max: 5}}
	r, err := poll(t.Context(), p, effects)
	require.NoError(t, err)
	require.Equal(t, []any{3, `{"state":{"done":true}}`}, []any{calls, string(r.Body)})
	p.Poll.Max, calls = 2, 0
	r, err = poll(t.Context(), p, effects)
	require.NoError(t, err)
	require.Equal(t, []any{2, `{"state":{"done":false}}`}, []any{calls, string(r.Body)}, "enough is enough")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls = 0
	_, err = poll(ctx, p, effects)
	require.Error(t, err)
}
