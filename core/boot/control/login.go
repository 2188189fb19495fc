package control

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/oauth"
)

// Logins are accounts that are logged in at their providers, and what these say of them.
type Logins interface {
	// LoginMethods are the ways to log in at a provider.
	LoginMethods(ctx context.Context, provider string) ([]oauth.Method, error)
	// StartLogin begins a login; an import is done when it returns.
	StartLogin(ctx context.Context, want oauth.Start) (oauth.Login, error)
	// Login tells how a login stands, waiting so long for its end.
	Login(ctx context.Context, id string, wait time.Duration) (oauth.Login, error)
	// AnswerLogin finishes a login with the address that the browser ended on, or the code in it.
	AnswerLogin(ctx context.Context, id, answer string) (oauth.Login, error)
	CancelLogin(ctx context.Context, id string) error
	// Quota asks what an account (id or "provider/name") has left at its provider.
	Quota(ctx context.Context, id string) (account.Quota, error)
}

func logins(mux *http.ServeMux, desk Logins) {
	handle(mux, "GET /logins", func(r *http.Request) (any, error) {
		return desk.LoginMethods(r.Context(), r.FormValue("provider"))
	})
	handle(mux, "POST /logins", func(r *http.Request) (any, error) {
		var want oauth.Start
		if err := decode(r, &want); err != nil {
			return nil, err
		}
		return desk.StartLogin(r.Context(), want)
	})
	handle(mux, "GET /logins/{id}", func(r *http.Request) (any, error) {
		wait := time.Duration(0)
		if s := r.FormValue("wait"); s != "" {
			var err error
			if wait, err = time.ParseDuration(s); err != nil {
				return nil, fault.Wrap(fault.InvalidBody, err, "wait is not a duration")
			}
		}
		return desk.Login(r.Context(), r.PathValue("id"), wait)
	})
	handle(mux, "POST /logins/{id}", func(r *http.Request) (any, error) {
		var answer string
		if err := decode(r, &answer); err != nil {
			return nil, err
		}
		return desk.AnswerLogin(r.Context(), r.PathValue("id"), answer)
	})
	handle(mux, "DELETE /logins/{id}", func(r *http.Request) (any, error) {
		return nil, desk.CancelLogin(r.Context(), r.PathValue("id"))
	})
	handle(mux, "GET /accounts/{id}/quota", func(r *http.Request) (any, error) {
		return desk.Quota(r.Context(), r.PathValue("id"))
	})
}

// LoginMethods implements Logins.
func (c *Client) LoginMethods(ctx context.Context, provider string) ([]oauth.Method, error) {
	return get[[]oauth.Method](ctx, c, "GET", "/logins?provider="+url.QueryEscape(provider), nil)
}

// StartLogin implements Logins.
func (c *Client) StartLogin(ctx context.Context, want oauth.Start) (oauth.Login, error) {
	return get[oauth.Login](ctx, c, "POST", "/logins", want)
}

// Login implements Logins.
func (c *Client) Login(ctx context.Context, id string, wait time.Duration) (oauth.Login, error) {
	return get[oauth.Login](ctx, c, "GET", "/logins/"+url.PathEscape(id)+"?wait="+wait.String(), nil)
}

// AnswerLogin implements Logins.
func (c *Client) AnswerLogin(ctx context.Context, id, answer string) (oauth.Login, error) {
	return get[oauth.Login](ctx, c, "POST", "/logins/"+url.PathEscape(id), answer)
}

// CancelLogin implements Logins.
func (c *Client) CancelLogin(ctx context.Context, id string) error {
	return c.call(ctx, "DELETE", "/logins/"+url.PathEscape(id), nil, nil)
}

// Quota implements Logins.
func (c *Client) Quota(ctx context.Context, id string) (account.Quota, error) {
	return get[account.Quota](ctx, c, "GET", "/accounts/"+url.PathEscape(id)+"/quota", nil)
}
