package boot_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/oauth"
)

// loginSite is a site whose providers are fakes. more are keys below oauth.
func loginSite(t *testing.T, auth *fake.Auth, more string, providers ...string) *site {
	var p, o, u strings.Builder
	for _, id := range providers {
		fmt.Fprintf(&p, "  %s: {allow_private: true}\n", id)
		fmt.Fprintf(&o, "  %s:\n", id)
		s := auth.Settings(id)
		if id == "codex" {
			s["redirect"] = "http://localhost:{port}/auth/callback" // tests run side by side
		}
		for _, key := range slices.Sorted(maps.Keys(s)) {
			fmt.Fprintf(&o, "    %s: %q\n", key, s[key])
		}
		if url := auth.UsageURL(id); url != "" {
			fmt.Fprintf(&u, "  %s: {url: %q}\n", id, url)
		}
	}
	usage := ""
	if u.Len() > 0 {
		usage = "usage:\n" + u.String()
	}
	return newSite(t, "providers:\n"+p.String()+"oauth:\n"+more+o.String()+usage)
}

// desk of the site: of its gateway if one runs.
func (s *site) desk() control.Desk {
	s.t.Helper()
	opt := s.options()
	opt.Quiet = true
	desk, release, err := boot.OpenDesk(s.t.Context(), opt)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, release()) })
	return desk
}

func startAuth(t *testing.T) *fake.Auth {
	a := fake.StartAuth()
	t.Cleanup(a.Close)
	return a
}

// finish logs in as a person would.
func finish(t *testing.T, auth *fake.Auth, desk control.Desk, l oauth.Login) oauth.Login {
	t.Helper()
	if l.Phase == oauth.Pending && l.Method.Kind == oauth.KindBrowser {
		back, err := auth.Browse(l.AuthURL)
		require.NoError(t, err)
		if l.Listening {
			resp, err := http.Get(strings.Replace(back, "//localhost:", "//127.0.0.1:", 1))
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode)
		} else {
			_, err := desk.AnswerLogin(t.Context(), l.ID, back)
			require.NoError(t, err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); l.Phase == oauth.Pending; {
		require.True(t, time.Now().Before(deadline), "the login does not end")
		var err error
		l, err = desk.Login(t.Context(), l.ID, 10*time.Second)
		require.NoError(t, err)
	}
	require.Equal(t, oauth.Done, l.Phase, l.Message)
	return l
}

// Every address of every provider can be set, and a login through the control
// socket of a gateway is an account of that gateway.
func TestLogins(t *testing.T) {
	needsPlugins(t)
	t.Parallel()
	auth := startAuth(t)
	providers := []string{"claude", "codex", "gemini", "antigravity", "iflow", "qwen", "kimi-coding", "github", "kiro", "kilocode", "cline"}
	s := loginSite(t, auth, "", providers...)
	gw := s.start()
	desk := s.desk()
	for _, provider := range append(providers, "codex device", "kiro google") {
		id, method, _ := strings.Cut(provider, " ")
		l, err := desk.StartLogin(t.Context(), oauth.Start{Provider: id, Method: method})
		require.NoError(t, err, provider)
		l = finish(t, auth, desk, l)
		accounts, err := desk.Accounts(t.Context(), id)
		require.NoError(t, err)
		i := slices.IndexFunc(accounts, func(a *account.Account) bool { return a.ID == l.Account.ID })
		require.GreaterOrEqual(t, i, 0, provider)
		require.Equal(t, account.AuthOAuth, accounts[i].Auth)
		require.True(t, accounts[i].Enabled)
	}
	require.Empty(t, auth.Problems())

	// The same person again: the account that is there is renewed.
	before, err := desk.Accounts(t.Context(), "claude")
	require.NoError(t, err)
	l, err := desk.StartLogin(t.Context(), oauth.Start{Provider: "claude", Paste: true})
	require.NoError(t, err)
	require.Equal(t, before[0].ID, finish(t, auth, desk, l).Account.ID)
	after, err := desk.Accounts(t.Context(), "claude")
	require.NoError(t, err)
	require.Len(t, after, 1)
	require.Greater(t, after[0].Rev, before[0].Rev)

	// And what goes wrong says so over the socket.
	_, err = desk.StartLogin(t.Context(), oauth.Start{Provider: "openai"})
	require.ErrorContains(t, err, "API key")
	_, err = desk.Login(t.Context(), "nonsense", 0)
	require.ErrorContains(t, err, "no such login")
	l, err = desk.StartLogin(t.Context(), oauth.Start{Provider: "claude", Paste: true})
	require.NoError(t, err)
	_, err = desk.AnswerLogin(t.Context(), l.ID, "http://localhost/callback?code=canary-x&state=other")
	require.ErrorContains(t, err, "another login")
	require.NoError(t, desk.CancelLogin(t.Context(), l.ID))
	s.stop(gw)
	require.NotContains(t, s.err.String()+s.out.String(), "canary")
}

// Values of other programs are imported, and their files are read when the
// operator allows it; without a gateway too.
func TestImportOfLocalLogins(t *testing.T) {
	t.Parallel()
	auth := startAuth(t)
	token := fake.JWT(map[string]any{"sub": "auth0|user-1", "exp": time.Now().Add(48 * time.Hour).Unix()})
	for _, allowed := range []bool{false, true} {
		s := loginSite(t, auth, fmt.Sprintf("  local_import: %t\n", allowed), "kiro")
		cache := filepath.Join(s.dir, ".aws", "sso", "cache")
		require.NoError(t, os.MkdirAll(cache, 0o700))
		auth.Grant("kiro", "canary-old", "aorAAAAAGcanary-refresh")
		require.NoError(t, os.WriteFile(filepath.Join(cache, "kiro-auth-token.json"), []byte(`{"accessToken":"canary-old","refreshToken":"aorAAAAAGcanary-refresh","region":"us-east-1"}`), 0o600))
		desk := s.desk()
		l, err := desk.StartLogin(t.Context(), oauth.Start{Provider: "kiro", Method: "auto-import"})
		if !allowed {
			require.ErrorContains(t, err, "oauth.local_import")
		} else {
			require.NoError(t, err)
			a, err := desk.Accounts(t.Context(), "kiro")
			require.NoError(t, err)
			require.Equal(t, l.Account.ID, a[0].ID)
			require.Equal(t, "arn:aws:codewhisperer:us-east-1:1:profile/P1", a[0].Data["profileArn"])
		}
		_, err = desk.StartLogin(t.Context(), oauth.Start{Provider: "kiro", Method: "import", Fields: map[string]string{"refreshToken": "canary-nonsense"}})
		require.ErrorContains(t, err, "aorAAAAAG")
		_, err = desk.StartLogin(t.Context(), oauth.Start{Provider: "cursor", Fields: map[string]string{"accessToken": "short", "machineId": "x"}})
		require.Error(t, err)
		l, err = desk.StartLogin(t.Context(), oauth.Start{Provider: "cursor", Fields: map[string]string{"accessToken": `"` + token + `"`, "machineId": strings.Repeat("0a", 32)}})
		require.NoError(t, err)
		a, err := desk.Accounts(t.Context(), "cursor")
		require.NoError(t, err)
		require.Equal(t, l.Account.ID, a[0].ID)
		require.Equal(t, strings.Repeat("0a", 32), a[0].Data["machineId"])
		require.WithinDuration(t, time.Now().Add(48*time.Hour), a[0].ExpiresAt, time.Minute)
		require.NotContains(t, s.err.String(), "canary")
	}
}

// What providers tell of quotas comes in one form, with a token renewed once if it
// is refused, and is what rules see.
func TestQuotasOfLogins(t *testing.T) {
	needsPlugins(t)
	t.Parallel()
	auth := startAuth(t)
	s := loginSite(t, auth, "", "claude", "codex", "kiro", "antigravity", "gemini-cli", "github", "qwen")
	s.start()
	desk := s.desk()
	for provider, want := range map[string]map[string]float64{
		"claude": {"five_hour": 77, "seven_day": 59}, "codex": {"session": 88, "weekly": 60}, "kiro": {"agentic_request": 75},
		"antigravity": {"gemini-3-flash": 75}, "gemini-cli": {"gemini-2.5-pro": 50},
		"github": {"premium_interactions": 83.3, "chat": 100, "completions": 100}, "qwen": {},
	} {
		l, err := desk.StartLogin(t.Context(), oauth.Start{Provider: provider})
		require.NoError(t, err)
		l = finish(t, auth, desk, l)
		if provider == "claude" || provider == "codex" {
			auth.Expire(provider)
		}
		q, err := desk.Quota(t.Context(), l.Account.ID)
		require.NoError(t, err, provider)
		got := map[string]float64{}
		for name, w := range q.Windows {
			got[name] = w.Left
		}
		require.Equal(t, want, got, provider)
		require.Equal(t, provider == "qwen", q.Message != "", provider)
	}
	require.Empty(t, auth.Problems())
	_, err := desk.Quota(t.Context(), "claude/nobody")
	require.Error(t, err)
}
