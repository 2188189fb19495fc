package api

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/fault"
)

// Tier says who may call a route.
type Tier string

// The tiers. A route has exactly one.
const (
	Public Tier = "public" // anyone
	Setup  Tier = "setup"  // while there is no password: a loopback peer or who has the setup token; later, Admin
	Viewer Tier = "viewer" // a session or token with scope read
	Admin  Tier = "admin"  // scope admin
	Local  Tier = "local"  // Admin, from this machine and not through a proxy
	Key    Tier = "key"    // a client key
)

var tiers = map[Tier]bool{Public: true, Setup: true, Viewer: true, Admin: true, Local: true, Key: true}

// Who is the caller of a route.
type Who struct {
	*access.Identity            // nil for a caller nobody knows
	KeyID            string     // the client key that was presented; "" without one
	IP               netip.Addr // of the client, past trusted proxies
	Local            bool       // a loopback peer, and no proxy in between
	Secure           bool       // the client speaks HTTPS
	UserAgent        string
	RequestID        string
}

// Client describes the caller to package access.
func (w *Who) Client() access.Client { return access.Client{IP: w.IP, UserAgent: w.UserAgent} }

type whoKey struct{}

// From returns the caller of the request that ctx belongs to.
func From(ctx context.Context) *Who {
	w, _ := ctx.Value(whoKey{}).(*Who)
	if w == nil {
		w = &Who{}
	}
	return w
}

// Keys finds client keys; those with an administrative scope may administer.
type Keys interface {
	// Identify returns the id and scopes of the key with this secret, or a *fault.Error.
	Identify(ctx context.Context, secret string, ip netip.Addr) (id, name string, scopes []string, err error)
}

// CookieName is the session cookie.
const CookieName = "auth_token"

// forwarding headers show that a proxy stands in between.
var forwarding = [...]string{fiber.HeaderXForwardedFor, "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "CF-Connecting-IP"}

// who finds out who calls. A credential that is presented must be good, whatever the route asks for.
func (r *Router) who(c *fiber.Ctx, w *Who) error {
	w.UserAgent = c.Get(fiber.HeaderUserAgent)
	peer, _ := netip.ParseAddrPort(c.Context().RemoteAddr().String())
	w.IP, w.Secure = r.conf.ClientIP(c), r.conf.Secure(c)
	w.Local = peer.Addr().Unmap().IsLoopback() && r.ownName(string(c.Request().Host()))
	for _, h := range forwarding {
		if len(c.Request().Header.Peek(h)) > 0 {
			w.Local = false
		}
	}
	secret, ok := strings.CutPrefix(c.Get(fiber.HeaderAuthorization), "Bearer ")
	if !ok {
		secret = c.Get("x-api-key")
	}
	ctx := c.UserContext()
	var err error
	switch cookie := c.Cookies(CookieName); {
	case access.IsToken(secret):
		w.Identity, err = r.conf.Access.Token(ctx, secret, w.Client())
	case secret != "":
		var name string
		var scopes []string
		if w.KeyID, name, scopes, err = r.conf.Keys.Identify(ctx, secret, w.IP); err == nil {
			w.Identity = &access.Identity{Subject: name, Kind: "key", ID: w.KeyID, Scopes: scopes}
		}
	case cookie != "":
		w.Identity, err = r.conf.Access.Session(ctx, cookie)
	}
	return err
}

// ownName tells whether a Host header names this machine as a person at it would: a page elsewhere can make its own
// name point here (DNS rebinding).
func (r *Router) ownName(host string) bool {
	if base, err := url.Parse(r.conf.BaseURL()); err == nil && base.Host != "" && strings.EqualFold(base.Host, host) {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// admit decides whether the caller may use the route.
func (r *Router) admit(c *fiber.Ctx, route *Route, w *Who, credential error) error {
	switch route.Tier {
	case Public:
		return nil
	case Key:
		if credential != nil {
			return credential
		}
		if w.KeyID == "" {
			return fault.New(fault.AuthRequired, "This route needs a client key")
		}
		return nil
	case Setup:
		if !r.conf.Access.HasPassword() && (w.Local || r.conf.Access.IsSetup(c.Get("x-setup-token"))) {
			return nil
		}
	}
	if credential != nil {
		return credential
	}
	need := access.ScopeAdmin
	if route.Tier == Viewer {
		need = access.ScopeRead
	}
	if w.Identity == nil {
		if err := r.anonymous(route, w); err != nil {
			return err
		}
	}
	if !w.May(need) {
		return fault.New(fault.Forbidden, "This needs the scope "+need)
	}
	if route.Tier == Local && !w.Local {
		return fault.New(fault.Forbidden, "This can be done only from the machine the gateway runs on, not through a proxy")
	}
	return nil
}

// anonymous lets a caller in who presented nothing, if the operator switched the login off: to everything but what
// would give the machine or its secrets away, which is for people at the machine alone.
func (r *Router) anonymous(route *Route, w *Who) error {
	switch {
	case !r.conf.Access.HasPassword():
		return fault.New(fault.SetupRequired, "No password is set yet: open the setup link that the gateway printed at its start")
	case r.conf.Access.RequireLogin():
		return fault.New(fault.AuthRequired)
	case route.Guarded && !w.Local:
		return fault.New(fault.AuthRequired, "This needs a login even while the dashboard asks for none")
	}
	w.Identity = &access.Identity{Subject: "anonymous", Kind: "open", Scopes: []string{access.ScopeAdmin}}
	return nil
}

// sameOrigin refuses what a foreign page could make a browser send: unsafe methods with a cookie must carry a body
// type no form can send and an origin of our own.
func (r *Router) sameOrigin(c *fiber.Ctx, route *Route, w *Who) error {
	if w.Identity == nil || w.Kind != "session" && w.Kind != "open" || safe(c.Method()) {
		return nil
	}
	site, from := c.Get("Sec-Fetch-Site"), c.Get(fiber.HeaderOrigin)
	if w.Kind == "open" && site == "" && from == "" {
		return nil // no browser
	}
	kind, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind != fiber.MIMEApplicationJSON && !(route.Multipart && kind == fiber.MIMEMultipartForm) && !(route.BodyType != "" && kind == route.BodyType) {
		e := fault.New(fault.InvalidBody, "Content-Type must be application/json")
		e.Status = fiber.StatusUnsupportedMediaType
		return e
	}
	foreign := fault.New(fault.Forbidden, "The request comes from another site")
	if site != "" {
		if site != "same-origin" {
			return foreign
		}
		return nil
	}
	origin, err := url.Parse(from)
	if err != nil || origin.Host == "" {
		return foreign
	}
	if strings.EqualFold(origin.Host, string(c.Request().Host())) {
		return nil
	}
	if base, err := url.Parse(r.conf.BaseURL()); err == nil && base.Host != "" && strings.EqualFold(origin.Host, base.Host) {
		return nil
	}
	return foreign
}

func safe(method string) bool {
	return method == fiber.MethodGet || method == fiber.MethodHead || method == fiber.MethodOptions
}
