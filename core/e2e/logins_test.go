package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// loginWorld is a gateway whose provider claude is a fake, with its authorization
// server.
type loginWorld struct {
	*gateway
	auth *fake.Auth
	up   *fake.Server
}

// newLoginWorld prepares it; lead is how long before its end a token is renewed.
func newLoginWorld(t *testing.T, lead string) *loginWorld {
	w := &loginWorld{auth: fake.StartAuth(), up: fake.Start(fake.Options{Lenient: true})}
	t.Cleanup(w.auth.Close)
	t.Cleanup(w.up.Close)
	w.up.Otherwise(func(r *fake.Request) fake.Reply {
		if !w.auth.Valid(r.Key()) {
			return fake.Reply{Status: 401, Error: "the token " + r.Key() + " is not valid"}
		}
		return fake.Reply{Text: "served"}
	})
	var oauth strings.Builder
	s := w.auth.Settings("claude")
	s["refresh_lead"] = lead
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&oauth, "    %s: %q\n", key, s[key])
	}
	w.gateway = prepare(t, fmt.Sprintf(`
providers:
  claude: {base_urls: [%q], allow_private: true}
oauth:
  claude:
%susage:
  claude: {url: %q}
`, w.up.URL, oauth.String(), w.auth.UsageURL("claude")))
	t.Cleanup(func() { require.NotContains(t, w.gateway.out.String(), "canary", "a secret was printed") })
	return w
}

var authAddress = regexp.MustCompile(`(?m)^  (http://\S+/authorize\?\S+)$`)

// login runs the verb as a person does who pastes the address of the browser.
func (w *loginWorld) login(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"provider", "login", "claude", "--config", w.path("omniroute.yaml")}, args...)...)
	cmd.Dir, cmd.Env = w.dir, w.env
	var out, errs output
	cmd.Stdout, cmd.Stderr = &out, &errs
	in, err := cmd.StdinPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	w.eventually(func() bool { return authAddress.MatchString(errs.String()) }, "no address is shown: %s", lazy(errs.String))
	require.Contains(w.t, errs.String(), "restrict the use of subscription credentials")
	back, err := w.auth.Browse(authAddress.FindStringSubmatch(errs.String())[1])
	require.NoError(w.t, err)
	_, err = in.Write([]byte("http://localhost/callback?code=x&state=of-another-login\n" + back + "\n"))
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Wait(), "%s", errs.String())
	require.Contains(w.t, errs.String(), "belongs to another login")
	require.NotContains(w.t, out.String()+errs.String(), "canary")
	return out.String()
}

func (w *loginWorld) ask() answer {
	w.t.Helper()
	return w.post("/v1/chat/completions", `{"model":"claude/claude-sonnet-4-5-20250929","messages":[{"role":"user","content":"hi"}]}`)
}

// A login in a terminal, without a gateway and beside one: the account serves, its
// quota is told, its token is renewed once for many who need it, and a login of
// the same person is the same account.
func TestLoginInATerminal(t *testing.T) {
	t.Parallel()
	w := newLoginWorld(t, "4h")
	require.Equal(t, "claude/ada@example.com\n", w.login("--paste"))
	w.start()
	require.Equal(t, http.StatusOK, w.ask().Status)
	require.Equal(t, "claude/ada@example.com\n", w.login())
	require.Equal(t, 1, strings.Count(w.must("provider", "list"), "ada@example.com"))
	got := w.ask()
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	quota := w.must("provider", "quota")
	require.Regexp(t, `five_hour +77%`, quota)
	require.Regexp(t, `seven_day +59%`, quota)

	w.auth.Expire("claude")
	release := w.auth.Hold()
	before := len(w.auth.Requests("claude", "token"))
	var work sync.WaitGroup
	codes := make(chan int, 6)
	for range cap(codes) {
		work.Go(func() {
			a, err := w.send(context.Background(), http.MethodPost, "/v1/chat/completions",
				strings.NewReader(`{"model":"claude/claude-sonnet-4-5-20250929","messages":[{"role":"user","content":"hi"}]}`))
			if err != nil {
				a.Status = -1
			}
			codes <- a.Status
		})
	}
	w.eventually(func() bool { return w.auth.Waiting() > 0 }, "nothing is renewed")
	release()
	work.Wait()
	close(codes)
	for code := range codes {
		require.Equal(t, http.StatusOK, code)
	}
	require.Len(t, w.auth.Requests("claude", "token"), before+1)
	require.Empty(t, w.auth.Problems())
}

// The gateway is killed after the provider has handed out new tokens and before
// they are on disk. The provider takes the old refresh token for stolen. Nothing is
// deleted: the access token serves until its end, then the account wants a login,
// and that brings it back.
func TestKilledDuringARenewal(t *testing.T) {
	t.Parallel()
	w := newLoginWorld(t, "9h") // tokens live 8 hours: each use renews
	w.login("--paste")
	w.start()
	release := w.auth.Hold()
	go func() {
		_, _ = w.send(context.Background(), http.MethodPost, "/v1/chat/completions",
			strings.NewReader(`{"model":"claude/claude-sonnet-4-5-20250929","messages":[{"role":"user","content":"hi"}]}`))
	}()
	w.eventually(func() bool { return w.auth.Waiting() > 0 }, "nothing is renewed")
	w.kill()
	release()
	w.start()
	got := w.ask()
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Len(t, w.auth.Requests("claude", "token"), 3, "login, lost, refused")
	w.auth.Expire("claude")
	require.NotEqual(t, http.StatusOK, w.ask().Status)
	require.Contains(t, w.must("provider", "list"), "expired")
	w.login()
	got = w.ask()
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	list := w.must("provider", "list")
	require.Equal(t, 1, strings.Count(list, "ada@example.com"))
	require.NotContains(t, list, "expired")
}
