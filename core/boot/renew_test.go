package boot_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/state"
)

// grant is a gateway with one OAuth account at a provider whose access tokens a
// fake issuer gives out.
type grant struct {
	*site
	up     *fake.Server
	issuer *fake.Issuer
	gw     *boot.Gateway
}

const clientSecret = "canary-client-secret"

// newGrant starts it; ttl is what is left of the stored access token.
func newGrant(t *testing.T, opt fake.IssuerOptions, ttl time.Duration) *grant {
	return newGrantAhead(t, opt, ttl, 5*time.Minute)
}

func newGrantAhead(t *testing.T, opt fake.IssuerOptions, ttl, lead time.Duration) *grant {
	needsPlugins(t)
	opt.Access, opt.Refresh, opt.ClientID, opt.ClientSecret = "canary-access", "canary-refresh", "omniroute", clientSecret
	g := &grant{issuer: fake.StartIssuer(opt), up: fake.Start(fake.Options{Lenient: true})}
	t.Cleanup(g.issuer.Close)
	t.Cleanup(g.up.Close)
	g.up.Otherwise(func(r *fake.Request) fake.Reply {
		if !g.issuer.Valid(r.Key()) {
			return fake.Reply{Status: 401, Error: "the token " + r.Key() + " is not valid"}
		}
		return fake.Reply{Text: "served"}
	})
	body := "form"
	if opt.JSON {
		body = "json"
	}
	g.site = newSite(t, fmt.Sprintf(`
providers:
  lab: {dialect: openai, base_urls: [%q], allow_private: true, models: [{id: m}]}
oauth:
  lab: {client_id: omniroute, client_secret: %s, token_url: %q, body: %s, refresh_lead: %s}
`, g.up.OpenAIBase(), clientSecret, g.issuer.URL, body, lead))
	g.inside(func(p *account.Pool) {
		now := time.Now()
		_, err := p.Add(t.Context(), account.Account{Provider: "lab", Auth: account.AuthOAuth, Name: "me", Enabled: true, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(ttl)},
			account.Credential{AccessToken: "canary-access", RefreshToken: "canary-refresh"})
		require.NoError(t, err)
	})
	g.gw = g.start()
	return g
}

// inside opens the accounts of a data directory that no gateway uses.
func (g *grant) inside(f func(p *account.Pool)) {
	g.t.Helper()
	dir, err := state.OpenDir(filepath.Join(g.dir, "data"))
	require.NoError(g.t, err)
	key, err := dir.StorageKey("")
	require.NoError(g.t, err)
	store, err := state.OpenBadger(dir.Path("badger"), key, state.BadgerOptions{})
	require.NoError(g.t, err)
	p, err := account.OpenPool(g.t.Context(), store, account.PoolOptions{})
	require.NoError(g.t, err)
	f(p)
	require.NoError(g.t, store.Close())
	require.NoError(g.t, dir.Close())
}

func (g *grant) chat() (int, string) {
	return ask(g.t, g.gw.URL()+"/v1/chat/completions", `{"model":"lab/m","messages":[{"role":"user","content":"hi"}]}`)
}

func ask(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// A token close to its end is renewed before the request goes out, and what came
// is on disk by then. The process dies right after: nothing is lost.
func TestCredentialIsRenewedBeforeUse(t *testing.T) {
	for _, format := range []bool{false, true} {
		t.Run(map[bool]string{false: "form", true: "json"}[format], func(t *testing.T) {
			g := newGrant(t, fake.IssuerOptions{JSON: format}, time.Minute)
			status, body := g.chat()
			require.Equal(t, 200, status, body)
			require.Equal(t, "canary-access-1", g.up.Last().Key())
			requests := g.issuer.Requests()
			require.Len(t, requests, 1)
			require.Equal(t, "canary-refresh", requests[0].Fields["refresh_token"])
			_, _ = g.chat()
			require.Len(t, g.issuer.Requests(), 1, "valid for an hour")
			g.stop(g.gw)
			g.inside(func(p *account.Pool) {
				a := p.List("lab")[0]
				require.WithinDuration(t, time.Now().Add(time.Hour), a.ExpiresAt, time.Minute)
				_, secret, _, err := p.Secrets(a.ID)
				require.NoError(t, err)
				v, _ := secret("refresh_token")
				require.Equal(t, "canary-refresh+&=1", v)
			})
			g.gw = g.start()
			require.NotContains(t, g.err.String()+g.out.String(), "canary")
		})
	}
}

// The provider rejects a token that should serve: one renewal for all who ask at
// once, and every request is repeated with the new one.
func TestRejectedTokenIsRenewedOnce(t *testing.T) {
	g := newGrant(t, fake.IssuerOptions{}, time.Hour)
	g.issuer.Expire()
	release := g.issuer.Hold()
	var wg sync.WaitGroup
	codes := make(chan int, 20)
	for range cap(codes) {
		wg.Go(func() {
			resp, err := http.Post(g.gw.URL()+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"lab/m","messages":[{"role":"user","content":"hi"}]}`))
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		})
	}
	require.NotNil(t, g.up.Wait(cap(codes)-1, time.Minute))
	release()
	wg.Wait()
	for range cap(codes) {
		require.Equal(t, 200, <-codes)
	}
	require.Len(t, g.issuer.Requests(), 1)
}

// A grant that was revoked: the client gets the provider's refusal, the account
// is out of rotation after one try, and a new login brings it back.
func TestRevokedGrant(t *testing.T) {
	g := newGrant(t, fake.IssuerOptions{}, time.Hour)
	g.issuer.Revoke()
	status, body := g.chat()
	require.Equal(t, 200, status, "the access token still serves: %s", body)
	g.issuer.Expire()
	status, body = g.chat()
	require.Equal(t, 401, status)
	require.NotContains(t, body, "canary", "quoted tokens go no further")
	require.Len(t, g.issuer.Requests(), 1, "refused for good: not tried again")
	asked := len(g.up.Requests())
	status, _ = g.chat()
	require.GreaterOrEqual(t, status, 400)
	require.Len(t, g.up.Requests(), asked, "an expired account is not asked")
	g.stop(g.gw)
	g.inside(func(p *account.Pool) {
		a := p.List("lab")[0]
		require.Equal(t, account.StatusExpired, a.State.Status)
		_, secret, _, err := p.Secrets(a.ID)
		require.NoError(t, err)
		v, _ := secret("refresh_token")
		require.Equal(t, "canary-refresh", v, "nothing is thrown away")
		g.issuer.Grant("fresh", "fresh-refresh")
		_, err = p.Add(context.Background(), account.Account{Provider: "lab", Auth: account.AuthOAuth, Name: "me", ExpiresAt: time.Now().Add(time.Hour)},
			account.Credential{AccessToken: "fresh", RefreshToken: "fresh-refresh"})
		require.NoError(t, err)
	})
	g.gw = g.start()
	status, body = g.chat()
	require.Equal(t, 200, status, body)
}

// A token endpoint that is down does not stop requests that still have a token.
func TestTokenEndpointDown(t *testing.T) {
	g := newGrant(t, fake.IssuerOptions{}, 2*time.Minute)
	g.issuer.Fail(503)
	status, body := g.chat()
	require.Equal(t, 200, status, body)
	require.Equal(t, "canary-access", g.up.Last().Key())
	require.Len(t, g.issuer.Requests(), 3)
	_, _ = g.chat()
	require.Len(t, g.issuer.Requests(), 3, "left alone for a while")
}

func TestLeadOfTheOperator(t *testing.T) {
	for lead, want := range map[time.Duration]int{10 * time.Minute: 0, 30 * time.Minute: 1} {
		g := newGrantAhead(t, fake.IssuerOptions{}, 20*time.Minute, lead)
		status, body := g.chat()
		require.Equal(t, 200, status, body)
		require.Len(t, g.issuer.Requests(), want, "%s ahead", lead)
	}
}

// The issuer's clock runs ahead or behind: what counts is how long a token lives
// from now on.
func TestIssuerWithAnotherClock(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		g := newGrant(t, fake.IssuerOptions{Skew: skew, Absolute: true}, time.Minute)
		status, body := g.chat()
		require.Equal(t, 200, status, body)
		g.stop(g.gw)
		g.inside(func(p *account.Pool) {
			require.WithinDuration(t, time.Now().Add(time.Hour), p.List("lab")[0].ExpiresAt, 2*time.Minute)
		})
		g.gw = g.start()
	}
}
