package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/oauth"
	"github.com/omniroute/omniroute/core/upstream"
)

// openLogins makes what logs accounts in at providers.
func (s *system) openLogins() {
	s.logins = oauth.New(oauth.Options{Server: s.loginServer, Send: s.sendLogin, Save: s.saveGrant, Log: s.log})
	s.onClose(func(context.Context) error { s.logins.Close(); return nil })
}

// loginServer is what is known of a provider's authorization server.
func (s *system) loginServer(provider string) (oauth.Server, bool) {
	p, ok := s.catalog.Load().Provider(provider)
	if !ok || p.OAuth.Entry == nil {
		return oauth.Server{}, false
	}
	server := oauth.ReadServer(p.ID, p.OAuth.Entry)
	server.ClientID, server.ClientSecret = p.OAuth.ClientID, p.OAuth.ClientSecret
	server.LocalImport, server.Home = s.config().File.OAuth.LocalImport, s.home()
	return server, true
}

// home is the directory of the person this process runs as.
func (s *system) home() string {
	for _, kv := range s.opt.Env {
		for _, name := range [...]string{"HOME=", "USERPROFILE="} {
			if dir, ok := strings.CutPrefix(kv, name); ok && dir != "" {
				return dir
			}
		}
	}
	return ""
}

// sendLogin performs a request of a login or for an account, over the way out of the account or its provider.
func (s *system) sendLogin(ctx context.Context, provider, accountID string, r *oauth.Request) (*oauth.Response, error) {
	p, ok := s.catalog.Load().Provider(provider)
	if !ok {
		return nil, notFound("the provider %q does not exist any more", provider)
	}
	own := ""
	if a, ok := s.pool.Get(accountID); ok {
		own = a.Proxy
	}
	resp, err := s.client.Do(ctx, &upstream.Request{
		Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body, Proxy: s.wayOut(p, own), AllowPrivate: p.AllowPrivate,
		Timeouts: upstream.Timeouts{Connect: 10 * time.Second, Total: probeTimeout},
	})
	if err != nil {
		return nil, err
	}
	body, err := resp.ReadAll(maxTokenReply)
	_ = resp.Close()
	if err != nil {
		return nil, err
	}
	return &oauth.Response{Status: resp.Status, Header: resp.Header, Body: body}, nil
}

// wayOut is the proxy for a provider; own is the account's.
func (s *system) wayOut(p *catalog.Provider, own string) string {
	proxy := cmp.Or(own, p.Proxy, s.config().File.Upstream.Proxy)
	if proxy == "direct" {
		return ""
	}
	return proxy
}

// saveGrant makes an account of what a provider gave, or renews the credential of the one that is there.
func (s *system) saveGrant(ctx context.Context, want oauth.Start, g *oauth.Grant) (oauth.Account, error) {
	cred := account.Credential{APIKey: g.APIKey, AccessToken: g.Access, RefreshToken: g.Refresh, IDToken: g.ID, Extra: g.Extra}
	now := time.Now().UTC()
	var a *account.Account
	var err error
	if want.Account != "" {
		a, err = s.pool.Update(ctx, want.Account, func(a *account.Account) error {
			if a.Provider != want.Provider {
				return invalid("the account %s/%s is not one of %s", a.Provider, a.Name, want.Provider)
			}
			if g.Subject != "" && a.Subject != "" && g.Subject != a.Subject {
				return invalid("this is the login of somebody else than the account %s/%s", a.Provider, a.Name)
			}
			data := maps.Clone(a.Data)
			if data == nil {
				data = map[string]string{}
			}
			maps.Copy(data, g.Data)
			a.Auth, a.Enabled, a.Data, a.IssuedAt, a.ExpiresAt = account.AuthOAuth, true, data, now, g.ExpiresAt
			a.Email, a.Subject, a.Plan = cmp.Or(g.Email, a.Email), cmp.Or(g.Subject, a.Subject), cmp.Or(g.Plan, a.Plan)
			return nil
		}, &cred)
	} else {
		name := cmp.Or(want.Name, g.Email, g.Name)
		if name == "" {
			name = s.freeName(want.Provider)
		}
		a, err = s.pool.Add(ctx, account.Account{
			Provider: want.Provider, Auth: account.AuthOAuth, Name: name, Enabled: true, Email: g.Email, Subject: g.Subject, Plan: g.Plan,
			Data: g.Data, IssuedAt: now, ExpiresAt: g.ExpiresAt,
		}, cred)
	}
	if err != nil {
		return oauth.Account{}, err
	}
	s.audit.Write(ctx, audit.Record{Action: audit.AccountLogin, Actor: audit.Actor{Type: "system"}, Target: audit.Target{Type: "account", ID: a.ID}, Result: "ok"})
	return oauth.Account{ID: a.ID, Provider: a.Provider, Name: a.Name, Email: a.Email}, nil
}

// credential is what the account holds, as logins know it.
func (a *agent) credential() oauth.Credential {
	named := func(name string) string { v, _ := a.secret(name); return v }
	c := oauth.Credential{Access: named("access_token"), Refresh: named("refresh_token"), ID: named("id_token"), APIKey: named("api_key"), Data: a.account.Data}
	for _, name := range [...]string{"client_id", "client_secret"} { // issued with the credential
		if v := named(name); v != "" {
			put(&c.Extra, name, v)
		}
	}
	return c
}

// relogin renews the credential of an account whose login is known here; done is false if it is not.
func (a *agent) relogin(ctx context.Context) (t account.Tokens, done bool, err error) {
	if !oauth.Known(a.provider.ID) || a.provider.OAuth.Entry == nil {
		return t, false, nil
	}
	old := a.credential()
	g, err := a.logins.Refresh(ctx, a.provider.ID, a.account.ID, &old)
	var e *oauth.Error
	switch {
	case errors.Is(err, oauth.ErrNotRenewable):
		return t, true, account.ErrNotRenewable
	case errors.As(err, &e):
		status := e.Status
		if status < 400 {
			status = 502
		}
		f := fault.Upstream(status, "The provider does not renew the credential: "+e.Error())
		f.ProviderCode = e.Code
		if e.Final() {
			return t, true, &account.RefusedError{Err: f}
		}
		return t, true, f
	case err != nil:
		return t, true, err
	}
	return account.Tokens{Access: g.Access, Refresh: g.Refresh, ID: g.ID, APIKey: g.APIKey, ExpiresAt: g.ExpiresAt, Extra: g.Extra, Data: g.Data}, true, nil
}

// ownQuota asks for the quota of an account whose provider's way to tell it is known here; done is false if it
// is not.
func (a *agent) ownQuota(ctx context.Context) (q account.Quota, done bool, err error) {
	if !oauth.TellsQuota(a.provider.ID) || a.account.Auth != account.AuthOAuth {
		return q, false, nil
	}
	h := oauth.Holder{Provider: a.provider.ID, Credential: a.credential(), URL: a.config().File.Usage.APIs[a.provider.ID].URL}
	for _, m := range a.provider.Models {
		h.Models = append(h.Models, m.ID, m.UpstreamID)
	}
	r, err := oauth.FetchQuota(ctx, h, func(ctx context.Context, r *oauth.Request) (*oauth.Response, error) {
		return a.sendLogin(ctx, a.provider.ID, a.account.ID, r)
	})
	return windows(r), true, err
}

// windows are the quotas of a report as accounts know them.
func windows(r oauth.Report) account.Quota {
	q := account.Quota{Plan: r.Plan, LimitReached: r.LimitReached, Message: r.Message, Windows: make(map[string]account.Window, len(r.Quotas))}
	for name, v := range r.Quotas {
		q.Windows[name] = account.Window{Display: v.Display, Left: v.Percent, Used: v.Used, Total: v.Total, Unlimited: v.Unlimited, ResetAt: v.ResetAt}
	}
	return q
}

// LoginMethods implements control.Logins.
func (d *desk) LoginMethods(ctx context.Context, provider string) ([]oauth.Method, error) {
	p, err := d.provider(ctx, provider)
	if err != nil {
		return nil, err
	}
	methods := oauth.Methods(p.ID)
	if methods == nil || p.OAuth.Entry == nil {
		return nil, loginError(oauth.ErrNoModule)
	}
	return methods, nil
}

// StartLogin implements control.Logins.
func (d *desk) StartLogin(ctx context.Context, want oauth.Start) (oauth.Login, error) {
	p, err := d.provider(ctx, want.Provider)
	if err != nil {
		return oauth.Login{}, err
	}
	want.Provider = p.ID
	if want.Account != "" {
		a, err := d.account(ctx, want.Account)
		switch {
		case err != nil:
			return oauth.Login{}, err
		case a.FromFile:
			return oauth.Login{}, readOnly("the account %s/%s is declared in %s; change it there", a.Provider, a.Name, d.config().Path)
		case a.Provider != p.ID:
			return oauth.Login{}, invalid("the account %s/%s is not one of %s", a.Provider, a.Name, p.ID)
		}
		want.Account = a.ID
	}
	l, err := d.logins.Start(ctx, want)
	return l, loginError(err)
}

// Login implements control.Logins.
func (d *desk) Login(ctx context.Context, id string, wait time.Duration) (oauth.Login, error) {
	if wait <= 0 {
		l, err := d.logins.Login(id)
		return l, loginError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, min(wait, time.Minute))
	defer cancel()
	l, err := d.logins.Wait(ctx, id)
	return l, loginError(err)
}

// AnswerLogin implements control.Logins.
func (d *desk) AnswerLogin(ctx context.Context, id, answer string) (oauth.Login, error) {
	l, err := d.logins.Callback(ctx, id, answer)
	return l, loginError(err)
}

// CancelLogin implements control.Logins.
func (d *desk) CancelLogin(_ context.Context, id string) error {
	return loginError(d.logins.Cancel(id))
}

// Quota implements control.Logins.
func (d *desk) Quota(ctx context.Context, id string) (account.Quota, error) {
	a, err := d.account(ctx, id)
	if err != nil {
		return account.Quota{}, err
	}
	if d.gateway != nil {
		q, err := d.gateway.quotas.Get(ctx, a.ID)
		return q, quotaError(err)
	}
	ag, err := d.agentOf(a.ID)
	if err != nil {
		return account.Quota{}, err
	}
	q, done, err := ag.ownQuota(ctx)
	if !done {
		err = account.ErrNoQuota
	}
	return q, quotaError(err)
}

func quotaError(err error) error {
	if errors.Is(err, account.ErrNoQuota) {
		return invalid("the provider of this account tells no quotas")
	}
	return err
}

// loginError gives errors of logins a place in the catalogue.
func loginError(err error) error {
	var e *oauth.Error
	var secret *oauth.MissingSecretError
	status := 0
	switch {
	case err == nil, fault.As(err) != nil:
		return err
	case errors.As(err, &secret):
		status = 409
	case errors.As(err, &e):
		if status = e.Status; status < 400 || status > 499 {
			status = 502
		}
	case errors.Is(err, oauth.ErrNoLogin), errors.Is(err, oauth.ErrNoModule):
		status = 404
	case errors.Is(err, oauth.ErrTooMany):
		status = 429
	default:
		return err
	}
	f := fault.New(fault.InvalidBody, strings.TrimPrefix(err.Error(), "oauth: "))
	f.Status = status
	return f
}

// freeName is the first of main, main-2, main-3 … that no account of the provider has.
func (s *system) freeName(provider string) string {
	for n := 1; ; n++ {
		name := "main"
		if n > 1 {
			name = fmt.Sprintf("main-%d", n)
		}
		if _, taken := s.pool.Get(provider + "/" + name); !taken {
			return name
		}
	}
}
