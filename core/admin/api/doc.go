// Package api is how a management route comes to be: typed, documented, and never without an answer to the question
// who may call it.
//
//	r := api.New(api.Config{Version: version, Access: accessService, Keys: keys, Audit: audit, …})
//	api.Handle(r, api.Route{Method: "GET", Path: "/api/keys/{id}", Tier: api.Viewer, Summary: "A client key"},
//		func(ctx context.Context, in *struct{ ID string `path:"id"` }) (*api.Body[Key], error) { … })
//	app.Use("/api", func(c *fiber.Ctx) error { r.ServeRequest(c.Context()); return nil })
//
// Authorization is part of a route's registration (see Tier); a route without one is refused when the program
// starts. A router runs the checks of a request in one order: who is it, may they (tier), did their browser mean to
// (same origin for cookies), have they typed their password lately (Confirm), was this asked before
// (Idempotency-Key); then the handler; then the audit record of a write.
//
// Errors have one shape, {"error":{code, message, correlation_id, details}}; code and status come from the catalogue
// of package fault. The OpenAPI 3.1 document is generated from the Go types of the handlers.
package api
