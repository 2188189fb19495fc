package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/oauth"
	"github.com/omniroute/omniroute/sdk/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a service whose providers are fakes.
type bench struct {
	*oauth.Service
	t     *testing.T
	auth  *fake.Auth
	log   *lockedBuffer
	extra func(*oauth.Server)

	mu     sync.Mutex
	now    time.Time
	slept  []time.Duration
	grants []*oauth.Grant
	fail   error
	block  chan struct{} // sleeps wait for it
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, auth: fake.StartAuth(), log: &lockedBuffer{}, now: time.Now()}
	t.Cleanup(b.auth.Close)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	b.Service = oauth.New(oauth.Options{
		Server: b.server, Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Send: func(ctx context.Context, _, _ string, r *oauth.Request) (*oauth.Response, error) {
			return send(ctx, client, r)
		},
		Save: func(_ context.Context, want oauth.Start, g *oauth.Grant) (oauth.Account, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.fail != nil {
				return oauth.Account{}, b.fail
			}
			b.grants = append(b.grants, g)
			return oauth.Account{ID: fmt.Sprint("acc", len(b.grants)), Provider: want.Provider, Email: g.Email}, nil
		},
		Now: func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			b.mu.Lock()
			b.slept, b.now = append(b.slept, d), b.now.Add(d)
			block := b.block
			b.mu.Unlock()
			if block != nil {
				select {
				case <-block:
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		},
	})
	t.Cleanup(b.Service.Close)
	t.Cleanup(func() { require.NotContains(t, b.log.String(), "canary", "a secret was logged") })
	return b
}

func send(ctx context.Context, client *http.Client, r *oauth.Request) (*oauth.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for _, h := range r.Header {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	out := &oauth.Response{Status: resp.StatusCode, Body: body}
	for name := range resp.Header {
		out.Header = append(out.Header, abi.Header{Name: name, Value: resp.Header.Get(name)})
	}
	return out, err
}

// server is the provider of the built-in data with the addresses of the fake.
func (b *bench) server(provider string) (oauth.Server, bool) {
	s := b.auth.Settings(provider)
	cat, diags := catalog.Build(catalog.Inputs{Config: &config.File{OAuth: config.OAuth{Clients: map[string]config.OAuthClient{provider: {
		TokenURL: s["token_url"], RefreshURL: s["refresh_url"], AuthorizeURL: s["authorize_url"], DeviceURL: s["device_url"], PollURL: s["poll_url"],
		RegisterURL: s["register_url"], UserinfoURL: s["userinfo_url"], ProfileURL: s["profile_url"], OnboardURL: s["onboard_url"], ExchangeURL: s["exchange_url"],
		SocialLoginURL: s["social_login_url"], SocialTokenURL: s["social_token_url"], SocialRefreshURL: s["social_refresh_url"], ClientSecret: s["client_secret"],
	}}}}})
	require.Empty(b.t, diags)
	p, ok := cat.Provider(provider)
	if !ok {
		return oauth.Server{}, false
	}
	server := oauth.ReadServer(provider, p.OAuth.Entry)
	server.ClientID, server.ClientSecret = p.OAuth.ClientID, p.OAuth.ClientSecret
	if strings.Contains(server.Redirect, ":1455/") { // tests run side by side
		server.Redirect = "http://localhost:{port}/auth/callback"
	}
	if b.extra != nil {
		b.extra(&server)
	}
	return server, true
}

func (b *bench) last() *oauth.Grant {
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(b.t, b.grants)
	return b.grants[len(b.grants)-1]
}

func (b *bench) saved() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.grants)
}

func (b *bench) start(want oauth.Start) oauth.Login {
	b.t.Helper()
	l, err := b.Start(b.t.Context(), want)
	require.NoError(b.t, err)
	return l
}

func (b *bench) wait(id string) oauth.Login {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	l, err := b.Wait(ctx, id)
	require.NoError(b.t, err)
	require.NotEqual(b.t, oauth.Pending, l.Phase)
	return l
}

// visit opens an address as a browser does.
func visit(t *testing.T, address string) (int, string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	if u.Hostname() == "localhost" {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", u.String(), nil)
	require.NoError(t, err)
	req.Host = "localhost:" + u.Port()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// held is what an account holds after a grant.
func held(g *oauth.Grant) *oauth.Credential {
	return &oauth.Credential{Access: g.Access, Refresh: g.Refresh, ID: g.ID, APIKey: g.APIKey, Extra: g.Extra, Data: g.Data}
}

// Every provider: log in, and renew where that is possible; the fakes check the
// requests.
func TestLoginAtEveryProvider(t *testing.T) {
	for _, c := range []struct {
		provider, method string
		fields           map[string]string
		life             time.Duration // of the access token; 0 = unknown
		email            string
		data             map[string]string
		fixed            bool // not renewable
		again            map[string]string
	}{
		{provider: "claude", life: 8 * time.Hour, email: "ada@example.com", data: map[string]string{"accountUuid": "acct-1", "organizationUuid": "org-1", "organizationName": "Engines"}},
		{provider: "codex", life: 240 * time.Hour, email: "ada@example.com", data: map[string]string{"chatgptAccountId": "cg-1", "planType": "plus"}},
		{provider: "codex", method: "device", life: 240 * time.Hour, email: "ada@example.com", data: map[string]string{"chatgptAccountId": "cg-1"}},
		{provider: "gemini", life: time.Hour, email: "ada@example.com"},
		{provider: "gemini-cli", life: time.Hour, email: "ada@example.com", data: map[string]string{"projectId": "demo-project"}},
		{provider: "antigravity", life: time.Hour, email: "ada@example.com", data: map[string]string{"projectId": "demo-project"}},
		{provider: "iflow", life: time.Hour, email: "ada@example.com"},
		{provider: "qwen", life: time.Hour, data: map[string]string{"resourceUrl": "portal.example.com"}},
		{provider: "kimi-coding", life: time.Hour},
		{provider: "github", email: "ada@example.com", fixed: true, data: map[string]string{"githubLogin": "ada", "githubUserId": "4711"}},
		{provider: "kiro", life: time.Hour, data: map[string]string{"authMethod": "builder-id", "region": "us-east-1", "profileArn": "arn:aws:codewhisperer:us-east-1:1:profile/P1"}},
		{provider: "kiro", method: "idc", fields: map[string]string{"startUrl": "https://d-1.awsapps.com/start", "region": "eu-west-1"}, life: time.Hour,
			data: map[string]string{"authMethod": "idc", "region": "eu-west-1", "startUrl": "https://d-1.awsapps.com/start"}},
		{provider: "kiro", method: "google", life: time.Hour, data: map[string]string{"authMethod": "google"}},
		{provider: "kilocode", life: time.Hour, email: "ada@example.com", fixed: true, data: map[string]string{"orgId": "org-7"}},
		{provider: "cline", life: time.Hour, email: "ada@example.com", data: map[string]string{"firstName": "Ada"}},
	} {
		t.Run(c.provider+" "+c.method, func(t *testing.T) {
			b := newBench(t)
			b.auth.Script(c.provider, "pending")
			l := b.start(oauth.Start{Provider: c.provider, Method: c.method, Fields: c.fields})
			require.NotEmpty(t, l.Notice)
			switch l.Method.Kind {
			case oauth.KindBrowser:
				back, err := b.auth.Browse(l.AuthURL)
				require.NoError(t, err)
				if l.Listening {
					status, page := visit(t, back)
					require.Equal(t, 200, status, page)
				} else {
					_, err := b.Callback(t.Context(), l.ID, back)
					require.NoError(t, err)
				}
			case oauth.KindDevice:
				require.NotEmpty(t, l.UserCode)
				require.NotEmpty(t, l.VerifyURL)
			}
			l = b.wait(l.ID)
			require.Equal(t, oauth.Done, l.Phase, l.Message)
			require.Empty(t, b.auth.Problems())
			g := b.last()
			require.Equal(t, c.email, g.Email)
			require.Equal(t, c.email, l.Account.Email)
			for name, v := range c.data {
				require.Equal(t, v, g.Data[name], name)
			}
			if c.life == 0 {
				require.Zero(t, g.ExpiresAt)
			} else {
				require.WithinDuration(t, time.Now().Add(c.life), g.ExpiresAt, time.Minute)
			}
			require.True(t, b.auth.Valid(g.Access))
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", g, *g, g), "canary")

			fresh, err := b.Refresh(t.Context(), c.provider, "acc1", held(g))
			if c.fixed {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.True(t, b.auth.Valid(fresh.Access))
			require.NotEqual(t, g.Access, fresh.Access)
			require.WithinDuration(t, time.Now().Add(c.life), fresh.ExpiresAt, time.Minute)
			if c.provider == "iflow" {
				require.NotEmpty(t, g.APIKey)
				require.NotEqual(t, g.APIKey, fresh.APIKey)
			}
			require.Empty(t, b.auth.Problems())

			// A refresh token that was taken back: no further try helps.
			b.auth.Revoke(c.provider)
			if fresh.Refresh == "" {
				fresh.Refresh = g.Refresh
			}
			old := held(fresh)
			old.Extra, old.Data = g.Extra, g.Data
			_, err = b.Refresh(t.Context(), c.provider, "acc1", old)
			var refused *oauth.Error
			require.ErrorAs(t, err, &refused)
			require.True(t, refused.Final(), err)
			require.NotContains(t, err.Error(), "canary", "the server quoted the token")

			// Anything else may pass.
			b.auth.Fail(c.provider, 503)
			_, err = b.Refresh(t.Context(), c.provider, "acc1", old)
			require.ErrorAs(t, err, &refused)
			require.False(t, refused.Final())
		})
	}
}

// An answer with another state changes nothing: the login goes on. A code serves
// once.
func TestStateAndReplay(t *testing.T) {
	for _, provider := range []string{"claude", "cline"} {
		t.Run(provider, func(t *testing.T) {
			b := newBench(t)
			l := b.start(oauth.Start{Provider: provider})
			back, err := b.auth.Browse(l.AuthURL)
			require.NoError(t, err)
			u, err := url.Parse(back)
			require.NoError(t, err)
			q := u.Query()
			forged := *u
			if provider == "cline" {
				forged.Path = "/callback/" + strings.Repeat("x", 43)
			} else {
				bad := url.Values{"code": {q.Get("code")}, "state": {strings.Repeat("x", 43)}}
				forged.RawQuery = bad.Encode()
			}
			status, _ := visit(t, forged.String())
			require.GreaterOrEqual(t, status, 400)
			_, err = b.Callback(t.Context(), l.ID, forged.String())
			var refused *oauth.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "invalid_state", refused.Code)
			none := *u
			none.RawQuery = url.Values{"code": {q.Get("code")}}.Encode()
			if provider == "claude" {
				status, _ = visit(t, none.String())
				require.Equal(t, 400, status, "a browser has to bring the state")
			}
			now, err := b.Login(l.ID)
			require.NoError(t, err)
			require.Equal(t, oauth.Pending, now.Phase)
			require.Zero(t, b.saved())

			status, page := visit(t, back)
			require.Equal(t, 200, status, page)
			require.Equal(t, oauth.Done, b.wait(l.ID).Phase)
			_, err = b.Callback(t.Context(), l.ID, back)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "already_used", refused.Code)
			require.Equal(t, 1, b.saved())
		})
	}
}

// Many answers at once: one exchange.
func TestOneExchangePerLogin(t *testing.T) {
	b := newBench(t)
	l := b.start(oauth.Start{Provider: "claude", Paste: true})
	require.False(t, l.Listening)
	back, err := b.auth.Browse(l.AuthURL)
	require.NoError(t, err)
	var work sync.WaitGroup
	good := make(chan bool, 8)
	for range cap(good) {
		work.Go(func() {
			_, err := b.Callback(context.Background(), l.ID, back)
			good <- err == nil
		})
	}
	work.Wait()
	close(good)
	n := 0
	for ok := range good {
		if ok {
			n++
		}
	}
	require.Equal(t, 1, n)
	require.Len(t, b.auth.Requests("claude", "token"), 1)
	require.Empty(t, b.auth.Problems())
}

// What people paste: the whole address, code#state, the query, the code alone.
func TestPaste(t *testing.T) {
	for name, pick := range map[string]func(back *url.URL) string{
		"address":    func(u *url.URL) string { return "  " + u.String() + "\n" },
		"query":      func(u *url.URL) string { return "?" + u.RawQuery },
		"bare query": func(u *url.URL) string { return u.RawQuery },
		"code#state": func(u *url.URL) string { return u.Query().Get("code") + "#" + u.Query().Get("state") },
		"code":       func(u *url.URL) string { return u.Query().Get("code") },
		"code=c#s": func(u *url.URL) string {
			return "http://x/cb?code=" + u.Query().Get("code") + "%23" + u.Query().Get("state")
		},
		"denied": func(u *url.URL) string {
			return "http://x/cb?error=access_denied&error_description=no&state=" + u.Query().Get("state")
		},
		"other state": func(u *url.URL) string { return u.Query().Get("code") + "#nonsense" },
		"nothing":     func(*url.URL) string { return "  " },
		"no code":     func(*url.URL) string { return "http://localhost/callback" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.start(oauth.Start{Provider: "claude", Paste: true})
			back, err := b.auth.Browse(l.AuthURL)
			require.NoError(t, err)
			u, err := url.Parse(back)
			require.NoError(t, err)
			l, err = b.Callback(t.Context(), l.ID, pick(u))
			switch name {
			case "denied":
				require.Error(t, err)
				require.Equal(t, oauth.Failed, l.Phase)
				require.Equal(t, "access_denied", l.Code)
			case "other state", "nothing", "no code":
				require.Error(t, err)
				require.Equal(t, oauth.Pending, l.Phase)
				require.NoError(t, b.Cancel(l.ID))
			default:
				require.NoError(t, err)
				require.Equal(t, oauth.Done, l.Phase)
			}
		})
	}
}

// Polls of a device login: pending goes on, slow_down adds five seconds, the ends
// are told apart, and a server that is away for a moment ends nothing.
func TestDevicePolls(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		provider string
		script   []string
		waits    []time.Duration
		code     string
	}{
		{"qwen", []string{"pending", "pending"}, []time.Duration{second, second, second}, ""},
		{"qwen", []string{"slow_down", "pending", "slow_down"}, []time.Duration{second, 6 * second, 6 * second, 11 * second}, ""},
		{"github", []string{"slow_down", "pending"}, []time.Duration{second, 6 * second, 6 * second}, ""},
		{"kimi-coding", []string{"pending", "slow_down"}, []time.Duration{second, second, 6 * second}, ""},
		{"kiro", []string{"pending", "slow_down"}, []time.Duration{second, second, 6 * second}, ""},
		{"kilocode", []string{"pending", "slow_down"}, []time.Duration{3 * second, 3 * second, 8 * second}, ""},
		{"qwen", []string{"unavailable", "pending"}, []time.Duration{second, 2 * second, 2 * second}, ""},
		{"qwen", []string{"pending", "expired"}, []time.Duration{second, second}, "expired_token"},
		{"github", []string{"expired"}, []time.Duration{second}, "expired_token"},
		{"github", []string{"denied"}, []time.Duration{second}, "access_denied"},
		{"kiro", []string{"denied"}, []time.Duration{second}, "access_denied"},
		{"kilocode", []string{"expired"}, []time.Duration{3 * second}, "expired_token"},
		{"kilocode", []string{"denied"}, []time.Duration{3 * second}, "access_denied"},
		{"kimi-coding", []string{"expired"}, []time.Duration{second}, "expired_token"},
	} {
		t.Run(c.provider+" "+strings.Join(c.script, " "), func(t *testing.T) {
			b := newBench(t)
			b.auth.Script(c.provider, c.script...)
			l := b.wait(b.start(oauth.Start{Provider: c.provider}).ID)
			require.Equal(t, c.code, l.Code)
			require.Equal(t, c.waits, b.slept)
			if c.code == "" {
				require.Equal(t, oauth.Done, l.Phase, l.Message)
				require.Equal(t, 1, b.saved())
			} else {
				require.Equal(t, oauth.Failed, l.Phase)
				require.Zero(t, b.saved())
			}
		})
	}
}

// Nobody enters the code: the login ends when the code does, whatever the server
// says.
func TestDeviceCodeExpires(t *testing.T) {
	b := newBench(t)
	script := make([]string, 1000)
	for i := range script {
		script[i] = "pending"
	}
	b.auth.Script("qwen", script...)
	l := b.wait(b.start(oauth.Start{Provider: "qwen"}).ID)
	require.Equal(t, "expired_token", l.Code)
	require.Less(t, len(b.auth.Requests("qwen", "token")), 601)
}

// The clock of the provider is wrong: ends of tokens are right by ours.
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		for _, provider := range []string{"claude", "cline"} {
			b := newBench(t)
			b.auth.Skew = skew
			b.auth.Grant(provider, "canary-a", "canary-refresh-0")
			g, err := b.Refresh(t.Context(), provider, "a", &oauth.Credential{Access: "canary-a", Refresh: "canary-refresh-0"})
			require.NoError(t, err)
			life := map[string]time.Duration{"claude": 8 * time.Hour, "cline": time.Hour}[provider]
			require.WithinDuration(t, time.Now().Add(life), g.ExpiresAt, time.Minute, "%s %s", provider, skew)
		}
	}
}

// Providers whose clients have a secret say which variable is missing.
func TestMissingClientSecret(t *testing.T) {
	for provider, env := range map[string]string{
		"gemini": "GEMINI_OAUTH_CLIENT_SECRET", "gemini-cli": "GEMINI_CLI_OAUTH_CLIENT_SECRET",
		"antigravity": "ANTIGRAVITY_OAUTH_CLIENT_SECRET", "iflow": "IFLOW_OAUTH_CLIENT_SECRET",
	} {
		b := newBench(t)
		b.extra = func(s *oauth.Server) { s.ClientSecret = "" }
		_, err := b.Start(t.Context(), oauth.Start{Provider: provider})
		var missing *oauth.MissingSecretError
		require.ErrorAs(t, err, &missing)
		require.Equal(t, env, missing.Env)
	}
	b := newBench(t)
	_, err := b.Start(t.Context(), oauth.Start{Provider: "openai"})
	require.ErrorIs(t, err, oauth.ErrNoModule)
	_, err = b.Start(t.Context(), oauth.Start{Provider: "claude", Method: "smoke"})
	require.ErrorContains(t, err, "it has: browser")
	_, err = b.Start(t.Context(), oauth.Start{Provider: "kiro", Method: "idc", Fields: map[string]string{"startUrl": "https://d-1.awsapps.com/start", "region": "evil.example.com/"}})
	require.ErrorContains(t, err, "no such AWS region")
}

// A login that is cancelled, or whose time is over, takes no answer any more.
func TestCancelAndTimeout(t *testing.T) {
	b := newBench(t)
	l := b.start(oauth.Start{Provider: "claude", Paste: true})
	back, err := b.auth.Browse(l.AuthURL)
	require.NoError(t, err)
	require.NoError(t, b.Cancel(l.ID))
	_, err = b.Callback(t.Context(), l.ID, back)
	require.Error(t, err)
	require.Empty(t, b.auth.Requests("claude", "token"))

	l = b.start(oauth.Start{Provider: "claude", Paste: true})
	back, err = b.auth.Browse(l.AuthURL)
	require.NoError(t, err)
	b.mu.Lock()
	b.now = b.now.Add(5*time.Minute + time.Second)
	b.mu.Unlock()
	l, err = b.Callback(t.Context(), l.ID, back)
	require.Error(t, err)
	require.Equal(t, "expired_token", l.Code)
	_, err = b.Login("nonsense")
	require.ErrorIs(t, err, oauth.ErrNoLogin)
}

// The account cannot be stored: the login says so.
func TestStoreFails(t *testing.T) {
	b := newBench(t)
	b.fail = errors.New("the disk is full")
	l := b.wait(b.start(oauth.Start{Provider: "qwen"}).ID)
	require.Equal(t, oauth.Failed, l.Phase)
	require.Contains(t, l.Message, "the disk is full")
}

// Somebody else listens on the port of the redirect: paste.
func TestRedirectPortIsTaken(t *testing.T) {
	b := newBench(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	b.extra = func(s *oauth.Server) {
		s.Redirect = "http://localhost:" + fmt.Sprint(taken.Addr().(*net.TCPAddr).Port) + "/auth/callback"
	}
	l := b.start(oauth.Start{Provider: "codex"})
	require.False(t, l.Listening)
	back, err := b.auth.Browse(l.AuthURL)
	require.NoError(t, err)
	l, err = b.Callback(t.Context(), l.ID, back)
	require.NoError(t, err)
	require.Equal(t, oauth.Done, l.Phase)
}

// Only so many logins are open at once, and closing ends all of them.
func TestBounds(t *testing.T) {
	b := newBench(t)
	for range 64 {
		b.start(oauth.Start{Provider: "claude", Paste: true})
	}
	_, err := b.Start(t.Context(), oauth.Start{Provider: "claude", Paste: true})
	require.ErrorIs(t, err, oauth.ErrTooMany)
}
