// Package admin is the management API: everything below /api that is no model call.
//
//	router := admin.New(admin.Deps{…})
//	app.Use("/api", func(c *fiber.Ctx) error { router.ServeRequest(c.Context()); return nil })
//
// Package api holds what routes have in common (tiers, errors, audit, the OpenAPI document), package access who may
// come in. The routes themselves are in one package per subject; each has a Deps struct with what it works with,
// and a Register function.
package admin

import (
	"github.com/omniroute/omniroute/core/admin/about"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/admin/keys"
	"github.com/omniroute/omniroute/core/admin/login"
	"github.com/omniroute/omniroute/core/admin/requests"
	"github.com/omniroute/omniroute/core/admin/resilience"
	"github.com/omniroute/omniroute/core/admin/usage"
)

// Deps are what the management API works with, by subject.
type Deps struct {
	API        api.Config
	Login      login.Deps
	Keys       keys.Deps
	Requests   requests.Deps
	Usage      usage.Deps
	Resilience resilience.Deps
	About      about.Deps
}

// New makes the router with all routes.
func New(d Deps) *api.Router {
	r := api.New(d.API)
	d.Login.Access, d.Keys.Access, d.Resilience.Access = d.API.Access, d.API.Access, d.API.Access
	login.Register(r, d.Login)
	keys.Register(r, d.Keys)
	requests.Register(r, d.Requests)
	usage.Register(r, d.Usage)
	resilience.Register(r, d.Resilience)
	about.Register(r, d.About)
	r.Seal()
	return r
}
