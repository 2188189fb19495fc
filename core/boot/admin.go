package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin"
	"github.com/omniroute/omniroute/core/admin/about"
	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/admin/keys"
	"github.com/omniroute/omniroute/core/admin/login"
	"github.com/omniroute/omniroute/core/admin/requests"
	"github.com/omniroute/omniroute/core/admin/resilience"
	"github.com/omniroute/omniroute/core/admin/usage"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/accept"
)

// openAccess opens what decides who may administer. lockout may be nil where nobody can knock.
func (s *system) openAccess(ctx context.Context, lockout access.Lockout) (*access.Service, error) {
	file := s.config().File
	secret := []byte(file.Auth.JWTSecret)
	if len(secret) == 0 {
		text, err := s.dir.Secret("jwt_secret")
		if err != nil {
			return nil, err
		}
		if secret, err = hex.DecodeString(text); err != nil {
			return nil, fmt.Errorf("secrets.json: jwt_secret: %w", err)
		}
	}
	return access.Open(ctx, s.store, access.Options{
		Secret: secret, InitialPassword: file.Auth.InitialPassword, Lockout: lockout, OnError: s.storeFailed,
	})
}

// openAdmin makes the management API ready. Its routes are put together at the first request, which costs a start
// nothing.
func (g *Gateway) openAdmin(ctx context.Context) (err error) {
	if g.access, err = g.openAccess(ctx, g.flow.Door("login")); err != nil {
		return fmt.Errorf("management access: %w", err)
	}
	if err := g.checkPassword(); err != nil {
		return err
	}
	g.admin = sync.OnceValue(g.newAdmin)
	return nil
}

// checkPassword refuses to show the dashboard to a network with a password everybody knows.
func (g *Gateway) checkPassword() error {
	if p := g.config().File.Auth.InitialPassword; access.IsWeak(p) && !g.config().File.Server.Loopback() {
		return errors.New("auth.initial_password is one of the first passwords that are tried; choose another before listening beyond this machine (server.listen)")
	}
	return nil
}

func (g *Gateway) newAdmin() *api.Router {
	file := func() *config.File { return g.config().File }
	return admin.New(admin.Deps{
		API: api.Config{
			Version: g.opt.Version, Access: g.access, Keys: adminKeys{g.keys, g.flow.Door("api_key")}, Audit: adminAudit{g.audit},
			ClientIP: func(c *fiber.Ctx) netip.Addr {
				return accept.ClientIP(c, g.trusted(), g.config().File.Server.RealIPHeaders...)
			},
			Secure:   func(c *fiber.Ctx) bool { return accept.Secure(c, g.trusted()) },
			Allow:    g.flow.Door("login").Allow,
			BaseURL:  func() string { return file().Server.BaseURL },
			Draining: g.flow.Draining, Log: g.log,
		},
		Login: login.Deps{
			CookieSecure: func() bool { return file().Auth.CookieSecure },
			OpenAllowed: func() error {
				if file().Server.Loopback() || file().Auth.AllowOpenDashboard {
					return nil
				}
				return fault.New(fault.Forbidden, "The gateway listens beyond this machine; set auth.allow_open_dashboard in the configuration first")
			},
		},
		Requests: requests.Deps{Ledger: g.ledger, Traffic: g.traffic},
		Usage: usage.Deps{Ledger: g.ledger, Traffic: g.traffic, Keys: g.keys, AccountName: func(id string) string {
			if a, ok := g.pool.Get(id); ok {
				return a.Provider + "/" + a.Name
			}
			return ""
		}},
		Keys:       keys.Deps{Keys: g.keys, Ledger: g.ledger},
		Resilience: resilience.Deps{Health: g.health, Pool: g.pool, Ready: g.flow.Ready, Version: g.opt.Version, Started: g.started},
		About:      about.Deps{Version: g.opt.Version, Started: g.started, PublicDocument: file().Server.PublicOpenAPI},
	})
}

// AdminRoutes lists the routes of the management API.
func (g *Gateway) AdminRoutes() []api.Route { return g.admin().Routes() }

func (g *Gateway) trusted() []netip.Prefix {
	if s := g.flow.Snapshot(); s != nil {
		return s.Trusted
	}
	return nil
}

// mountAdmin puts the management API behind the paths the model API left over.
func (g *Gateway) mountAdmin() {
	g.app.Use("/api", func(c *fiber.Ctx) error {
		g.admin().ServeRequest(c.Context())
		return nil
	})
}

// setupURL is where the first password is set; "" if there is one. It works once, for half an hour.
func (g *Gateway) setupURL() string {
	token, err := g.access.SetupToken()
	if err != nil || token == "" {
		return ""
	}
	return g.publicURL() + "/setup#" + token
}

// adminKeys lets client keys with an administrative scope administer.
type adminKeys struct {
	keys *account.Keys
	door *flow.Door
}

func (k adminKeys) Identify(_ context.Context, secret string, ip netip.Addr) (id, name string, scopes []string, err error) {
	if wait := k.door.Locked(ip); wait > 0 {
		e := fault.New(fault.AccountLocked, "Too many failed attempts; try again later")
		e.RetryAfter = wait
		return "", "", nil, e
	}
	key, err := k.keys.Verify(secret)
	if err != nil {
		k.door.Failed(ip, "invalid")
		return "", "", nil, err
	}
	k.door.Succeeded(ip, "")
	return key.ID, key.Name, key.Scopes, nil
}

// adminAudit writes what was done through the management API to the audit log.
type adminAudit struct{ log *audit.Log }

func (a adminAudit) Append(ctx context.Context, e api.Event) {
	actor := audit.Actor{Type: e.ActorKind, ID: e.ActorID, Name: e.ActorName}
	if actor.Type == "" {
		actor.Type = "anonymous"
	}
	a.log.Write(ctx, audit.Record{
		Action: audit.Action(e.Action), Actor: actor, Target: audit.Target{Type: e.Target.Type, ID: e.Target.ID},
		IP: e.IP.String(), Before: audit.JSON(e.Before), After: audit.JSON(e.After), Result: e.Result, Request: e.RequestID,
	})
}
