package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
)

// What an executor sees of an authorization server names no secret.
func TestOAuthOfProviders(t *testing.T) {
	cat, diags := Build(Inputs{Config: &config.File{
		Providers: map[string]config.Provider{"lab": {Dialect: "openai", BaseURLs: []string{"http://127.0.0.1:1/v1"}}},
		OAuth: config.OAuth{Clients: map[string]config.OAuthClient{
			"lab":        {ClientID: "me", ClientSecret: "canary-secret", TokenURL: "http://127.0.0.1:1/token", RefreshURL: "http://127.0.0.1:1/refresh", AuthorizeURL: "http://127.0.0.1:1/login", RefreshLead: time.Minute},
			"gemini-cli": {ClientSecret: "canary-secret"},
		}},
	}})
	require.Empty(t, diags)
	see := func(id string) (*Provider, map[string]any) {
		p, ok := cat.Provider(id)
		require.True(t, ok, id)
		var v struct {
			OAuth map[string]any `json:"oauth"`
		}
		require.NotContains(t, string(p.Profile), "canary")
		require.NoError(t, json.Unmarshal(p.Profile, &v))
		return p, v.OAuth
	}
	p, seen := see("claude")
	require.Equal(t, "https://claude.ai/oauth/authorize", p.OAuth.Entry["authorize_url"])
	p.OAuth.Entry = nil
	require.Equal(t, OAuth{ClientID: "9d1c250a-e61b-44d9-88ed-5944d1962f5e", Lead: 4 * time.Hour, Renewable: true}, p.OAuth)
	require.Equal(t, "json", seen["refresh_body"])
	require.Equal(t, false, seen["secret"])

	p, seen = see("gemini-cli")
	require.Equal(t, "canary-secret", p.OAuth.ClientSecret)
	require.Equal(t, true, seen["secret"])

	p, seen = see("lab")
	require.NotContains(t, fmt.Sprint(p.OAuth.Entry), "canary")
	p.OAuth.Entry = nil
	require.Equal(t, OAuth{ClientID: "me", ClientSecret: "canary-secret", Lead: time.Minute, Renewable: true}, p.OAuth)
	require.Equal(t, "http://127.0.0.1:1/token", seen["token_url"])
	require.Equal(t, "http://127.0.0.1:1/refresh", seen["refresh_url"])
	require.Equal(t, "http://127.0.0.1:1/login", seen["authorize_url"])

	for id, lead := range map[string]time.Duration{"codex": 5 * 24 * time.Hour, "iflow": 24 * time.Hour, "qwen": 20 * time.Minute, "kimi-coding": 5 * time.Minute} {
		p, _ := see(id)
		require.Equal(t, lead, p.OAuth.Lead, id)
	}
	p, seen = see("openai")
	require.Zero(t, p.OAuth)
	require.Nil(t, seen)
}
