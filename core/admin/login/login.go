// Package login has the routes by which people and scripts come in: first password, login, sessions, tokens.
package login

import (
	"context"
	"net/http"
	"time"

	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/fault"
)

const tag = "Login"

// Deps are what the routes work with.
type Deps struct {
	Access *access.Service
	// CookieSecure marks every cookie Secure, also where the gateway itself sees plain HTTP.
	CookieSecure func() bool
	// OpenAllowed returns why the login may not be switched off; nil if it may.
	OpenAllowed func() error
}

type routes struct{ Deps }

// Register adds the routes.
func Register(r *api.Router, d Deps) {
	h := routes{d}
	api.Handle(r, api.Route{Method: "POST", Path: "/api/setup", Tier: api.Public, Tag: tag, Audit: "auth.setup",
		Summary: "Set the first password", Description: "With the one-time token that the gateway printed at its first start; from this machine without it.",
		Errors: []fault.Code{fault.InvalidKey, fault.Conflict, fault.AccountLocked}}, h.setup)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/auth/login", Tier: api.Public, Tag: tag, Audit: "auth.login",
		Summary: "Log in with the password", Errors: []fault.Code{fault.InvalidKey, fault.SetupRequired, fault.AccountLocked}}, h.login)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/auth/logout", Tier: api.Public, Tag: tag, Audit: "auth.logout",
		Summary: "End the present session"}, h.logout)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/auth/status", Tier: api.Public, Tag: tag,
		Summary: "Whether the caller is logged in"}, h.status)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/settings/require-login", Tier: api.Public, Tag: tag,
		Summary: "Whether the dashboard asks for a login"}, h.required)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/settings/require-login", Tier: api.Setup, Tag: tag, Audit: "auth.require-login", Guarded: true,
		Summary: "Switch the login of the dashboard on or off, or set the first password",
		Errors:  []fault.Code{fault.Conflict}}, h.require)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/auth/session", Tier: api.Viewer, Tag: tag,
		Summary: "The present session or token"}, h.session)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/auth/sessions", Tier: api.Admin, Tag: tag,
		Summary: "Everyone who is logged in"}, h.sessions)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/auth/sessions/{id}", Tier: api.Admin, Tag: tag, Audit: "session.end", Guarded: true,
		Summary: "End a session", Errors: []fault.Code{fault.NotFound}}, h.endSession)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/auth/password", Tier: api.Admin, Tag: tag, Audit: "auth.password", Guarded: true,
		Summary: "Change the password", Description: "Every session ends, but for a new one of the caller.",
		Errors: []fault.Code{fault.InvalidKey, fault.AccountLocked}}, h.password)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/auth/confirm", Tier: api.Admin, Tag: tag, Audit: "auth.confirm",
		Summary:     "Type the password again",
		Description: "Routes marked x-confirm want this within the last five minutes of a session.",
		Errors:      []fault.Code{fault.InvalidKey, fault.AccountLocked}}, h.confirm)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/auth/tokens", Tier: api.Admin, Tag: tag,
		Summary: "Admin tokens"}, h.tokens)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/auth/tokens", Tier: api.Admin, Tag: tag, Audit: "token.create", Guarded: true, Confirm: true, Status: http.StatusCreated,
		Summary: "Make an admin token", Description: "The token is in the answer, and can never be read again.",
		Errors: []fault.Code{fault.Conflict}}, h.createToken)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/auth/tokens/{id}", Tier: api.Admin, Tag: tag, Audit: "token.remove", Guarded: true,
		Summary: "End an admin token", Errors: []fault.Code{fault.NotFound}}, h.removeToken)
}

// ok is the answer that scripts of old expect.
type ok struct {
	Success bool `json:"success"`
}

type cookieReply struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      ok
}

func (h routes) cookie(ctx context.Context, value string) *cookieReply {
	c := http.Cookie{
		Name: api.CookieName, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: h.CookieSecure() || api.From(ctx).Secure,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return &cookieReply{SetCookie: c, Body: ok{true}}
}

type setupIn struct {
	Body struct {
		Token    string `json:"token,omitempty" maxLength:"200" doc:"From the setup link; not needed from the machine itself"`
		Password string `json:"password" minLength:"1" maxLength:"200" doc:"At least 8 characters"`
	}
}

func (h routes) setup(ctx context.Context, in *setupIn) (*cookieReply, error) {
	who := api.From(ctx)
	cookie, s, err := h.Access.Setup(ctx, in.Body.Token, in.Body.Password, who.Local, who.Client())
	if err != nil {
		return nil, err
	}
	api.Touched(ctx, "session", s.ID, nil, nil)
	return h.cookie(ctx, cookie), nil
}

type loginIn struct {
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"200"`
	}
}

func (h routes) login(ctx context.Context, in *loginIn) (*cookieReply, error) {
	cookie, s, err := h.Access.Login(ctx, in.Body.Password, api.From(ctx).Client())
	if err != nil {
		return nil, err
	}
	api.Touched(ctx, "session", s.ID, nil, nil)
	return h.cookie(ctx, cookie), nil
}

func (h routes) logout(ctx context.Context, _ *struct{}) (*cookieReply, error) {
	if who := api.From(ctx); who.Identity != nil && who.Kind == "session" {
		if _, err := h.Access.EndSession(ctx, who.ID); err != nil {
			return nil, err
		}
		api.Touched(ctx, "session", who.ID, nil, nil)
	}
	return h.cookie(ctx, ""), nil
}

type statusBody struct {
	Authenticated bool `json:"authenticated"`
}

func (h routes) status(ctx context.Context, _ *struct{}) (*api.Body[statusBody], error) {
	return api.Reply(statusBody{api.From(ctx).May(access.ScopeRead)}), nil
}

type requiredBody struct {
	RequireLogin  bool `json:"requireLogin"`
	HasPassword   bool `json:"hasPassword"`
	SetupComplete bool `json:"setupComplete"`
}

func (h routes) required(context.Context, *struct{}) (*api.Body[requiredBody], error) {
	has := h.Access.HasPassword()
	return api.Reply(requiredBody{RequireLogin: h.Access.RequireLogin(), HasPassword: has, SetupComplete: has}), nil
}

type requireIn struct {
	Body struct {
		RequireLogin *bool  `json:"requireLogin,omitempty"`
		Password     string `json:"password,omitempty" maxLength:"200" doc:"The first password; it is changed with /api/auth/password"`
	}
}

func (h routes) require(ctx context.Context, in *requireIn) (*api.Body[ok], error) {
	before := h.Access.RequireLogin()
	if in.Body.Password != "" {
		if h.Access.HasPassword() {
			return nil, fault.New(fault.Conflict, "A password has been set already; change it with POST /api/auth/password")
		}
		if _, _, err := h.Access.Setup(ctx, "", in.Body.Password, true, api.From(ctx).Client()); err != nil {
			return nil, err
		}
	}
	if want := in.Body.RequireLogin; want != nil && *want != before {
		if !*want {
			if err := h.OpenAllowed(); err != nil {
				return nil, err
			}
		}
		if err := h.Access.SetRequireLogin(ctx, *want); err != nil {
			return nil, err
		}
	}
	api.Touched(ctx, "settings", "require-login", map[string]bool{"requireLogin": before}, map[string]bool{"requireLogin": h.Access.RequireLogin()})
	return api.Reply(ok{true}), nil
}

type sessionBody struct {
	User          string    `json:"user"`
	Kind          string    `json:"kind" enum:"session,token,key,open"`
	ID            string    `json:"id"`
	Scopes        []string  `json:"scopes"`
	CreatedAt     time.Time `json:"createdAt,omitzero"`
	ExpiresAt     time.Time `json:"expiresAt,omitzero"`
	IdleExpiresAt time.Time `json:"idleExpiresAt,omitzero"`
	IP            string    `json:"ip"`
	UserAgent     string    `json:"userAgent"`
	CSRF          bool      `json:"csrf" doc:"Always false: writes prove their origin by the browser's own headers"`
}

func (h routes) session(ctx context.Context, _ *struct{}) (*api.Body[sessionBody], error) {
	who := api.From(ctx)
	out := sessionBody{User: who.Subject, Kind: who.Kind, ID: who.ID, Scopes: who.Scopes, IP: who.IP.String(), UserAgent: who.UserAgent}
	if s, found := h.Access.Find(who.ID); found && who.Kind == "session" {
		out.CreatedAt, out.ExpiresAt, out.IdleExpiresAt = s.Created, s.Expires, s.IdleExpires()
	}
	return api.Reply(out), nil
}

type sessionRow struct {
	ID            string    `json:"id"`
	CreatedAt     time.Time `json:"createdAt"`
	LastUsedAt    time.Time `json:"lastUsedAt"`
	ExpiresAt     time.Time `json:"expiresAt"`
	IdleExpiresAt time.Time `json:"idleExpiresAt"`
	IP            string    `json:"ip"`
	UserAgent     string    `json:"userAgent"`
	Current       bool      `json:"current"`
}

func (h routes) sessions(ctx context.Context, _ *struct{}) (*api.Body[api.List[sessionRow]], error) {
	who := api.From(ctx)
	rows := []sessionRow{}
	for _, s := range h.Access.Sessions() {
		rows = append(rows, sessionRow{
			ID: s.ID, CreatedAt: s.Created, LastUsedAt: s.LastUsed, ExpiresAt: s.Expires, IdleExpiresAt: s.IdleExpires(),
			IP: s.IP, UserAgent: s.UserAgent, Current: s.ID == who.ID,
		})
	}
	return api.Reply(api.Whole(rows)), nil
}

func (h routes) endSession(ctx context.Context, in *api.ByID) (*struct{}, error) {
	api.Touched(ctx, "session", in.ID, nil, nil)
	found, err := h.Access.EndSession(ctx, in.ID)
	if err == nil && !found {
		err = api.Missing("session", in.ID)
	}
	return nil, err
}

type passwordIn struct {
	Body struct {
		CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"200"`
		NewPassword     string `json:"newPassword" minLength:"1" maxLength:"200"`
	}
}

func (h routes) password(ctx context.Context, in *passwordIn) (*cookieReply, error) {
	cookie, _, err := h.Access.ChangePassword(ctx, in.Body.CurrentPassword, in.Body.NewPassword, api.From(ctx).Client())
	if err != nil {
		return nil, err
	}
	return h.cookie(ctx, cookie), nil
}

func (h routes) confirm(ctx context.Context, in *loginIn) (*api.Body[ok], error) {
	who := api.From(ctx)
	if who.Kind != "session" {
		return nil, fault.New(fault.Forbidden, "Only a session is confirmed with the password")
	}
	if err := h.Access.Confirm(ctx, who.ID, in.Body.Password, who.Client()); err != nil {
		return nil, err
	}
	return api.Reply(ok{true}), nil
}

type tokenRow struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Scopes     []string  `json:"scopes"`
	CreatedAt  time.Time `json:"createdAt"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"`
}

func row(t *access.Token) tokenRow {
	return tokenRow{ID: t.ID, Name: t.Name, Scopes: t.Scopes, CreatedAt: t.Created, ExpiresAt: t.Expires, LastUsedAt: t.LastUsed}
}

func (h routes) tokens(context.Context, *struct{}) (*api.Body[api.List[tokenRow]], error) {
	rows := []tokenRow{}
	for _, t := range h.Access.Tokens() {
		rows = append(rows, row(&t))
	}
	return api.Reply(api.Whole(rows)), nil
}

type tokenIn struct {
	Body struct {
		Name      string     `json:"name" minLength:"1" maxLength:"100"`
		Scopes    []string   `json:"scopes" minItems:"1" maxItems:"2" doc:"read, admin"`
		ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"Without it the token stays"`
	}
}

type newToken struct {
	Token string `json:"token" doc:"Shown once"`
	tokenRow
}

func (h routes) createToken(ctx context.Context, in *tokenIn) (*api.Body[newToken], error) {
	var expires time.Time
	if in.Body.ExpiresAt != nil {
		expires = *in.Body.ExpiresAt
	}
	secret, t, err := h.Access.CreateToken(ctx, in.Body.Name, in.Body.Scopes, expires)
	if err != nil {
		return nil, err
	}
	api.Touched(ctx, "token", t.ID, nil, row(t))
	return api.Reply(newToken{Token: secret, tokenRow: row(t)}), nil
}

func (h routes) removeToken(ctx context.Context, in *api.ByID) (*struct{}, error) {
	api.Touched(ctx, "token", in.ID, nil, nil)
	found, err := h.Access.RemoveToken(ctx, in.ID)
	if err == nil && !found {
		err = api.Missing("token", in.ID)
	}
	return nil, err
}
