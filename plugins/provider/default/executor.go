package executor

import (
	_ "embed"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

//go:embed manifest.json
var manifest []byte

// New returns the default executor as a part of a module.
func New() sdk.Part { return sdk.NewExecutor(manifest, &executor{profiles: map[string]*profile{}}) }

// executor holds the providers an instance was configured for.
type executor struct{ profiles map[string]*profile }

// Configure implements sdk.Configurer.
func (x *executor) Configure(c *sdk.Ctx, raw []byte) (abi.BodyKind, error) {
	p, err := parseProfile(raw)
	if err != nil {
		return 0, err
	}
	x.profiles[c.Provider] = p
	if p.rules.readsBody() {
		return abi.BodySkeleton, nil
	}
	return abi.BodyNone, nil
}

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	pr, ok := x.profiles[c.Provider]
	if !ok {
		return fail("provider " + c.Provider + " was not configured")
	}
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "chat"
	}
	stream := c.Stream || pr.forced && endpoint == "chat"
	path, ok := pr.path(endpoint, stream)
	if !ok {
		return &abi.ErrorRecord{
			Message: "the provider " + c.Provider + " has no " + endpoint + " endpoint",
			Class:   "client", Scope: "model", Status: 404, Fallback: true,
		}
	}
	path = strings.ReplaceAll(path, "{model}", escapeModel(c.Model))
	for _, base := range pr.at(c) {
		p.URLs = append(p.URLs, join(base, path))
	}
	if endpoint == "models" {
		p.Method, p.Idempotent = "GET", true
	}
	pr.headers(c, p, stream)
	auth, err := pr.auth(c.AuthKind, p)
	if err != nil {
		return err
	}
	p.Auth = auth
	p.ForceStream = stream && !c.Stream
	if stream {
		p.Framing = sdk.Framing(pr.format)
	}
	if endpoint == "chat" {
		pr.rules.apply(c, pr, p, stream)
	}
	return nil
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if c.AuthKind == "oauth" && sdk.TokenRefused(r) {
		return sdk.RefreshCredential(r), nil
	}
	return sdk.Default(r), nil
}

// Refresh implements sdk.Refresher for providers whose profile has an OAuth token
// endpoint.
func (x *executor) Refresh(c *sdk.Ctx, p *sdk.Plan) error {
	pr, ok := x.profiles[c.Provider]
	if !ok {
		return fail("provider " + c.Provider + " was not configured")
	}
	if pr.oauth.URL == "" {
		return &abi.ErrorRecord{Message: "the provider " + c.Provider + " has no token endpoint", Class: "plugin", Scope: "provider", Status: 501}
	}
	pr.oauth.Plan(p)
	return nil
}

func fail(message string) error {
	return &abi.ErrorRecord{Message: message, Class: "plugin", Scope: "plugin", Status: 502}
}

// join puts a path behind a base URL, unless it is a URL itself. A base that ends
// in the path's endpoint already is not doubled.
func join(base, path string) string {
	if strings.Contains(path, "://") {
		return path
	}
	base = strings.TrimRight(base, "/")
	if path != "" && !strings.Contains(path, "?") && strings.HasSuffix(base, path) {
		return base
	}
	return base + path
}

// escapeModel keeps a model id from changing the URL around it.
func escapeModel(id string) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c <= ' ' || c >= 0x7f || c == '%' || c == '?' || c == '#' || c == '{' || c == '}':
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
