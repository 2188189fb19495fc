package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	json "github.com/goccy/go-json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/telemetry"
)

const (
	// bodyLimit of a route that names none, in bytes.
	bodyLimit = 1 << 20
	// bodyTimeout bounds the arrival of a body.
	bodyTimeout = 30 * time.Second
)

// Config is what a router works with.
type Config struct {
	Version string
	Access  *access.Service
	Keys    Keys
	Audit   Audit
	// ClientIP tells who asked, past trusted proxies.
	ClientIP func(c *fiber.Ctx) netip.Addr
	// Secure tells whether the client speaks HTTPS, to the gateway or to a trusted proxy.
	Secure func(c *fiber.Ctx) bool
	// Allow returns the refusal of an address that may not talk to the gateway.
	Allow func(ip netip.Addr, path string) error
	// BaseURL is the public URL of the gateway; "" if the operator named none.
	BaseURL func() string
	// Draining refuses every request while the gateway stops.
	Draining func() bool
	Log      *slog.Logger
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Route describes one operation.
type Route struct {
	Method, Path string // "/api/keys/{id}"
	Tier         Tier
	Summary      string
	Description  string
	Tag          string
	Errors       []fault.Code // it may answer with, beside those every route may
	// Aliases are other spellings with the same handler, kept for scripts.
	Aliases []string
	// Seed marks a shape that is kept for scripts; new clients use the route that its description names.
	Seed bool
	// Audit names a write in the audit log, such as "key.create"; every route with an unsafe method has one, or
	// says with "-" that it changes nothing.
	Audit string
	// Confirm wants the password to have been typed within the last minutes (sessions only).
	Confirm bool
	// Guarded stays closed to anonymous callers while the login is switched off.
	Guarded bool
	// Status of success; 0 = 200, or 204 without a body.
	Status int
	// MaxBody in bytes; 0 = 1 MiB, negative = none.
	MaxBody int64
	// Multipart admits multipart/form-data from browsers, BodyType one more media type.
	Multipart bool
	BodyType  string
	// AnyQuery admits query parameters that are not declared.
	AnyQuery bool
}

// Router holds the routes.
type Router struct {
	conf   Config
	app    *fiber.App
	huma   huma.API
	serve  fasthttp.RequestHandler
	routes []Route
	repeat *repeats
	now    func() time.Time
}

var shape sync.Once

// New makes a router without routes.
func New(conf Config) *Router {
	// The library asks a package variable for the shape of its own errors; ours is the same for every router.
	shape.Do(func() {
		huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
			correlation := ""
			if ctx != nil {
				correlation = From(ctx.Context()).RequestID
			}
			return refusal(status, message, errs, correlation)
		}
		huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
			return refusal(status, message, errs, "")
		}
	})
	r := &Router{conf: conf, now: conf.Now}
	if r.now == nil {
		r.now = time.Now
	}
	r.repeat = newRepeats(r.now)
	r.app = fiber.New(fiber.Config{
		CaseSensitive: true, UnescapePath: true, Immutable: true, DisableStartupMessage: true,
		StreamRequestBody: true, DisablePreParseMultipartForm: true,
		JSONEncoder: json.Marshal, JSONDecoder: json.Unmarshal,
		ErrorHandler: r.failed,
	})
	r.app.Use(r.enter)
	c := huma.DefaultConfig("OmniRoute management API", conf.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.RejectUnknownQueryParameters = true
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	format := huma.Format{
		Marshal: func(w io.Writer, v any) error {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			return e.Encode(v)
		},
		Unmarshal: json.Unmarshal,
	}
	c.Formats = map[string]huma.Format{"application/json": format, "json": format}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: CookieName, Description: "Browser session, from POST /api/auth/login"},
		"token":   {Type: "http", Scheme: "bearer", Description: "Admin token (omr_…), from POST /api/auth/tokens"},
	}
	r.huma = humafiber.New(r.app, c)
	return r
}

// schemaName names a type in the document after its package and itself: two subjects may both have a Row.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if pkg := path.Base(t.PkgPath()); pkg != "." && pkg != "api" && t.Name() != "" {
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	return name
}

// ServeRequest answers one request.
func (r *Router) ServeRequest(c *fasthttp.RequestCtx) {
	if r.serve == nil {
		panic("api: ServeRequest before Seal")
	}
	r.serve(c)
}

// Seal ends registration.
func (r *Router) Seal() { r.serve = r.app.Handler() }

// Routes lists what is registered, aliases included, in the order of registration.
func (r *Router) Routes() []Route { return slices.Clone(r.routes) }

// OpenAPI is the document of all routes.
func (r *Router) OpenAPI() *huma.OpenAPI { return r.huma.OpenAPI() }

// Body is an answer that has nothing but a JSON body.
type Body[T any] struct{ Body T }

// Reply wraps a value as an answer.
func Reply[T any](v T) *Body[T] { return &Body[T]{v} }

// Handle registers a route with a typed handler; see the documentation of huma for the tags of input and output.
// It panics for a route that is not complete, which is a mistake of the programmer.
func Handle[I, O any](r *Router, route Route, handler func(context.Context, *I) (*O, error)) {
	for _, one := range r.add(route) {
		op := r.operation(one)
		huma.Register(r.huma, op, func(ctx context.Context, in *I) (out *O, err error) {
			if out, err = handler(ctx, in); err != nil {
				return nil, r.report(ctx, err)
			}
			return out, nil
		})
	}
}

// HandleRaw registers a route whose handler speaks to the connection itself (uploads, event streams); op documents
// it. The handler gets the caller from From(c.UserContext()).
func HandleRaw(r *Router, route Route, op huma.Operation, handler fiber.Handler) {
	for _, one := range r.add(route) {
		typed := r.operation(one)
		typed.Parameters, typed.RequestBody, typed.Responses = op.Parameters, op.RequestBody, op.Responses
		r.huma.OpenAPI().AddOperation(&typed)
		where := strings.NewReplacer("{", ":", "}", "").Replace(one.Path)
		r.app.Add(one.Method, where, func(c *fiber.Ctx) error {
			return r.guard(c, one, func() error { return handler(c) })
		})
	}
}

// add checks a route and returns it with its aliases.
func (r *Router) add(route Route) []*Route {
	switch {
	case !tiers[route.Tier]:
		panic(fmt.Sprintf("api: %s %s has no tier", route.Method, route.Path))
	case route.Summary == "":
		panic(fmt.Sprintf("api: %s %s has no summary", route.Method, route.Path))
	case !strings.HasPrefix(route.Path, "/api"):
		panic(fmt.Sprintf("api: %s %s is not below /api", route.Method, route.Path))
	case !safe(route.Method) && route.Audit == "":
		panic(fmt.Sprintf("api: %s %s does not name itself for the audit log", route.Method, route.Path))
	case r.serve != nil:
		panic("api: registration after Seal")
	}
	list := []*Route{&route}
	for _, path := range route.Aliases {
		alias := route
		alias.Path, alias.Aliases, alias.Seed = path, nil, true
		list = append(list, &alias)
	}
	for _, one := range list {
		r.routes = append(r.routes, *one)
	}
	return list
}

// operation is the library's form of a route.
func (r *Router) operation(route *Route) huma.Operation {
	op := huma.Operation{
		Method: route.Method, Path: route.Path, Summary: route.Summary, Description: route.Description,
		OperationID: operationID(route), DefaultStatus: route.Status, MaxBodyBytes: route.MaxBody, BodyReadTimeout: bodyTimeout,
		Extensions: map[string]any{"x-tier": string(route.Tier)},
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			c := humafiber.Unwrap(ctx)
			err := r.guard(c, route, func() error {
				next(huma.WithContext(ctx, c.UserContext()))
				return nil
			})
			if err != nil {
				_ = writeError(c, answer(err, From(c.UserContext()).RequestID))
			}
		}},
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = bodyLimit
	}
	if route.Tag != "" {
		op.Tags = []string{route.Tag}
	}
	if route.Seed {
		op.Extensions["x-compat"] = "seed"
	}
	if route.Confirm {
		op.Extensions["x-confirm"] = true
	}
	if route.AnyQuery {
		op.RejectUnknownQueryParameters = false
	}
	if route.Tier != Public && route.Tier != Setup {
		op.Security = []map[string][]string{{"session": {}}, {"token": {}}}
	}
	op.Errors = statuses(route)
	return op
}

// statuses are the documented refusals of a route.
func statuses(route *Route) []int {
	list := []int{http.StatusBadRequest}
	if route.Tier != Public {
		list = append(list, http.StatusUnauthorized, http.StatusForbidden)
	}
	for _, code := range route.Errors {
		list = append(list, fault.Lookup(code).Status)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// operationID makes a stable id: "get-keys-by-id" from "GET /api/keys/{id}".
func operationID(route *Route) string {
	parts := []string{strings.ToLower(route.Method)}
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(route.Path, "/api"), func(c rune) bool { return c == '/' || c == ':' || c == '.' }) {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = "by-" + strings.TrimSuffix(name, "}")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "-")
}

// enter comes before routing: the request id, headers every answer has, the refusal while stopping.
func (r *Router) enter(c *fiber.Ctx) error {
	w := &Who{RequestID: telemetry.RequestID(c.Get(fiber.HeaderXRequestID))}
	// Not the context of the connection, which its next request uses again.
	c.SetUserContext(context.WithValue(context.Background(), whoKey{}, w))
	c.Set(fiber.HeaderXRequestID, w.RequestID)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	if r.conf.Draining() {
		return fault.New(fault.Unavailable)
	}
	return c.Next()
}

// guard runs a handler for those who may.
func (r *Router) guard(c *fiber.Ctx, route *Route, handler func() error) (err error) {
	ctx := c.UserContext()
	w := From(ctx)
	credential := r.who(c, w)
	if err := r.conf.Allow(w.IP, route.Path); err != nil {
		return err
	}
	if err := r.admit(c, route, w, credential); err != nil {
		return err
	}
	if err := r.sameOrigin(c, route, w); err != nil {
		return err
	}
	if route.Confirm && w.Identity != nil && w.Kind == "session" && !r.conf.Access.Confirmed(w.Identity) {
		return fault.New(fault.ConfirmFirst)
	}
	note := &note{}
	c.SetUserContext(context.WithValue(ctx, noteKey{}, note))
	defer func() {
		if v := recover(); v != nil {
			err = fault.Wrap(fault.Internal, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			r.conf.Log.Error("a management route panicked", "route", route.Method+" "+route.Path, "request_id", w.RequestID, "error", err)
		}
		if route.Audit != "" && route.Audit != "-" {
			r.audit(c, route, w, note, err)
		}
	}()
	if route.Method != fiber.MethodPost {
		return handler()
	}
	return r.repeat.once(c, w, handler)
}

// report logs what a client is not told and gives the error its shape.
func (r *Router) report(ctx context.Context, err error) error {
	w := From(ctx)
	e := answer(err, w.RequestID)
	if e.status >= 500 {
		r.conf.Log.Error("management request failed", "request_id", w.RequestID, "error", err)
	}
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.code = e.Body.Code
	}
	return e
}

// failed answers what no route answered.
func (r *Router) failed(c *fiber.Ctx, err error) error {
	correlation := From(c.UserContext()).RequestID
	var fe *fiber.Error
	if errors.As(err, &fe) {
		message := fe.Message
		if fe.Code == fiber.StatusNotFound {
			message = "No such route"
		}
		return writeError(c, refusal(fe.Code, message, nil, correlation))
	}
	return writeError(c, answer(err, correlation))
}
