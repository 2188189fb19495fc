package boot

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/upstream"
)

// maxTokenReply bounds what is read of a token endpoint's answer.
const maxTokenReply = 1 << 20

// agent acts for one account outside of requests: it asks the provider's executor what to send, fills in the
// account's secrets and sends it.
type agent struct {
	*system
	provider *catalog.Provider
	account  *account.Account
	profile  *host.Profile
	secret   func(string) (string, bool)
	secrets  []string
}

// agent of an account; the gateway must serve.
func (g *Gateway) agent(id string) (*agent, error) {
	a, err := g.agentOf(id)
	if err == nil {
		a.profile = g.edition.Load().snapshot.Profile(a.provider.ID)
	}
	return a, err
}

// agentOf is an agent that asks no executor.
func (s *system) agentOf(id string) (*agent, error) {
	info, secret, all, err := s.pool.Secrets(id)
	if err != nil {
		return nil, err
	}
	p, ok := s.catalog.Load().Provider(info.Provider)
	if !ok {
		return nil, notFound("the provider %q of this account does not exist any more", info.Provider)
	}
	a := &agent{system: s, provider: p, account: info, secret: secret, secrets: all}
	if v := p.OAuth.ClientSecret; v != "" {
		a.secrets = append(a.secrets, v)
	}
	return a, nil
}

// input is what the executor is told of the account.
func (a *agent) input() host.AuthInput {
	return host.AuthInput{Profile: a.profile, AuthKind: authKind(a.account.Auth), Attributes: a.account.Data, Expires: a.account.ExpiresAt,
		Effects: a.send, Secrets: a.named}
}

// named finds the secrets of the account and of this gateway as a client of the provider.
func (a *agent) named(name string) (string, bool) {
	switch name {
	case "client_id", "client_secret":
		if v, ok := a.secret(name); ok {
			return v, true // issued with the credential
		}
		v := a.provider.OAuth.ClientID
		if name == "client_secret" {
			v = a.provider.OAuth.ClientSecret
		}
		return v, v != ""
	}
	return a.secret(name)
}

// send performs a plan, over the account's own way out.
func (a *agent) send(ctx context.Context, plan *host.Plan) (*host.Reply, error) {
	req, err := host.Fill(ctx, plan, a.named, plan.Body, a.send)
	if err != nil {
		return nil, err
	}
	proxy := a.wayOut(a.provider, a.account.Proxy)
	var last error = fault.New(fault.PluginTrap, "the plugin planned a request without a URL")
	for _, url := range req.URLs {
		resp, err := a.client.Do(ctx, &upstream.Request{
			Method: req.Method, URL: url, Header: req.HeaderFor(url), Body: req.Body, Proxy: proxy,
			AllowPrivate: req.MayBePrivate(url, a.provider.AllowPrivate),
			Timeouts:     upstream.Timeouts{Connect: 10 * time.Second, Total: probeTimeout}, HTTP: upstream.Version(plan.HTTP),
		})
		if err != nil {
			last = err
			continue
		}
		body, err := resp.ReadAll(maxTokenReply)
		reply := &host.Reply{Status: resp.Status, Header: resp.Header, Body: body}
		_ = resp.Close()
		if err != nil {
			return nil, err
		}
		return reply, nil
	}
	return nil, last
}

// renew asks the provider for a new credential of an account, once.
func (g *Gateway) renew(ctx context.Context, id string) (account.Tokens, error) {
	a, err := g.agent(id)
	if err != nil {
		return account.Tokens{}, err
	}
	if t, done, err := a.relogin(ctx); done {
		return t, err
	}
	gen := g.plugins.Current()
	defer gen.Release()
	ex, ok := gen.Executor(a.provider.Executor)
	if !ok {
		return account.Tokens{}, fault.Newf(fault.PluginTrap, "no plugin provides the executor %q", a.provider.Executor)
	}
	t, err := a.renew(ctx, ex)
	if e := fault.As(err); e != nil {
		e.Message = host.Conceal(a.secrets...).Text(e.Message) // providers quote what they refuse
	}
	return t, err
}

func (a *agent) renew(ctx context.Context, ex *host.Executor) (account.Tokens, error) {
	renewal, err := ex.Refresh(ctx, a.input())
	switch e := fault.As(err); {
	case errors.Is(err, host.ErrUnsupported):
		return account.Tokens{}, account.ErrNotRenewable
	case e != nil && e.ProviderCode == host.CodeRelogin:
		return account.Tokens{}, &account.RefusedError{Err: e}
	case err != nil:
		return account.Tokens{}, err
	}
	sent := time.Now()
	reply, err := a.send(ctx, renewal.Plan)
	if err != nil {
		return account.Tokens{}, err
	}
	if reply.Status >= 300 {
		return account.Tokens{}, a.refused(reply)
	}
	fields := renewal.Fields(reply.Body)
	t := account.Tokens{ExpiresAt: host.TokenEnd(fields, reply.Header, sent)}
	for name, v := range fields {
		switch name {
		case "access_token":
			t.Access = v
		case "refresh_token":
			t.Refresh = v
		case "id_token":
			t.ID = v
		case "api_key":
			t.APIKey = v
		case "expires_in", "expires_at":
		default:
			if data, ok := strings.CutPrefix(name, "data."); ok {
				put(&t.Data, data, v)
			} else {
				put(&t.Extra, name, v)
			}
		}
	}
	if t.Access == "" && t.APIKey == "" {
		return account.Tokens{}, fault.New(fault.Provider, "The provider's answer to a refresh has no token")
	}
	return t, nil
}

func put(to *map[string]string, name, v string) {
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[name] = v
}

// final are the errors of token endpoints after which no further try helps (RFC 6749, section 5.2, and relatives).
var final = []string{"invalid_grant", "refresh_token_reused", "refresh_token_expired", "refresh_token_invalidated", "token_revoked"}

// refused judges what a token endpoint said.
func (a *agent) refused(r *host.Reply) error {
	code, _ := doc.String(r.Body, "error")
	if code == "" {
		code, _ = doc.String(r.Body, "error", "code")
	}
	if code == "" {
		code, _ = doc.String(r.Body, "error", "type")
	}
	text, _ := doc.String(r.Body, "error_description")
	if text == "" {
		text, _ = doc.String(r.Body, "error", "message")
	}
	e := fault.Upstream(r.Status, strings.TrimSpace("The provider does not renew the credential: "+code+" "+text))
	e.ProviderCode = code
	forGood := slices.Contains(final, code) || code == "invalid_request" && a.provider.ID == "claude"
	if forGood && (r.Status == http.StatusBadRequest || r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden) {
		return &account.RefusedError{Err: e}
	}
	return e
}
