package accept

import (
	"errors"
	"sync"
	"time"

	json "github.com/goccy/go-json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/telemetry"
)

const (
	// headerBuffer bounds the header fields of one request, in bytes.
	headerBuffer = 64 << 10
	// readTimeout bounds the arrival of one request, its body included.
	readTimeout = 5 * time.Minute
	// idleTimeout is how long a connection may rest between requests.
	idleTimeout = 3 * time.Minute
)

// Config is the configuration that the surfaces need of an app: bodies are read
// by the handlers, so that their limit can change while running and the refusal
// is in the client's dialect.
func Config(f *flow.Flow) fiber.Config {
	return fiber.Config{
		CaseSensitive:                true,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableStartupMessage:        true,
		ReadBufferSize:               headerBuffer,
		ReadTimeout:                  readTimeout,
		IdleTimeout:                  idleTimeout,
		UnescapePath:                 true,
		JSONEncoder:                  json.Marshal,
		JSONDecoder:                  json.Unmarshal,
		ErrorHandler:                 errorHandler(f),
	}
}

// door is what all surfaces share.
type door struct {
	flow  *flow.Flow
	watch *watcher
	proxy sync.Once // warns of a proxy that is not trusted
}

// Register mounts the surfaces of the model API, /healthz and /readyz.
func Register(app *fiber.App, f *flow.Flow) {
	d := &door{flow: f, watch: newWatcher()}
	app.Use(d.rewrite, d.cors)
	mountHealth(app, d)
	mountModels(app, d)
	mountChat(app, d)
	mountMessages(app, d)
	mountResponses(app, d)
	mountGemini(app, d)
	mountProviders(app, d)
	mountMedia(app, d)
}

// rewrite maps other spellings of a path onto the registered one.
func (d *door) rewrite(c *fiber.Ctx) error {
	base := ""
	if snap := d.flow.Snapshot(); snap != nil {
		base = snap.Config.File.Server.BasePath
	}
	path := c.Path()
	if want := canonicalPath(path, base); want != path {
		c.Path(want)
		return c.RestartRouting()
	}
	return c.Next()
}

// errorHandler answers what no surface answered, in the dialect that the path
// stands for.
func errorHandler(f *flow.Flow) fiber.ErrorHandler {
	return func(c *fiber.Ctx, err error) error {
		e := fault.As(err)
		var fe *fiber.Error
		switch {
		case e != nil:
		case errors.As(err, &fe):
			e = httpFault(fe)
		default:
			e = fault.Wrap(fault.Internal, err)
		}
		id := telemetry.RequestID(c.Get("x-request-id"))
		f.Log().Debug("request refused", "request_id", id, "path", c.Path(), "error", e)
		c.Set("x-request-id", id)
		c.Set(fiber.HeaderContentType, "application/json")
		status, body := flow.ErrorBody(dialectOf(c.Path()), e, id)
		return c.Status(status).Send(body)
	}
}

// httpFault turns an error of the router or the HTTP parser into ours.
func httpFault(fe *fiber.Error) *fault.Error {
	switch fe.Code {
	case fasthttp.StatusNotFound:
		e := fault.New(fault.ModelNotFound, "No such route")
		e.ProviderCode = "not_found"
		return e
	case fasthttp.StatusRequestEntityTooLarge:
		return fault.New(fault.BodyTooLarge)
	}
	e := fault.New(fault.InvalidBody, fe.Message)
	if fe.Code >= 500 {
		e = fault.New(fault.Internal)
	}
	e.Status = fe.Code
	return e
}

// dialectOf guesses the dialect of a client from the path it asked for.
func dialectOf(path string) string {
	path = canonicalPath(path, "")
	switch {
	case has(path, "/v1/messages"):
		return "claude"
	case has(path, "/v1/responses"):
		return "openai-responses"
	case has(path, "/v1beta"):
		return "gemini"
	}
	return "openai"
}

func has(path, dir string) bool {
	_, ok := under(path, dir)
	return ok
}

// cors lets browser clients in from the origins that the operator named.
func (d *door) cors(c *fiber.Ctx) error {
	snap := d.flow.Snapshot()
	if snap == nil || len(snap.Config.File.Server.CORSOrigins) == 0 || !has(c.Path(), "/v1") && !has(c.Path(), "/v1beta") {
		return c.Next()
	}
	origin := c.Get(fiber.HeaderOrigin)
	for _, allowed := range snap.Config.File.Server.CORSOrigins {
		if origin == "" || allowed != "*" && allowed != origin {
			continue
		}
		c.Set(fiber.HeaderAccessControlAllowOrigin, allowed)
		c.Vary(fiber.HeaderOrigin)
		if c.Method() != fiber.MethodOptions {
			c.Set(fiber.HeaderAccessControlExposeHeaders, "*")
			break
		}
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, OPTIONS")
		asked := c.Get(fiber.HeaderAccessControlRequestHeaders)
		if asked == "" {
			asked = "authorization, content-type"
		}
		c.Set(fiber.HeaderAccessControlAllowHeaders, asked)
		c.Set(fiber.HeaderAccessControlMaxAge, "86400")
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.Next()
}
