package antigravity

import (
	_ "embed"

	"github.com/omniroute/omniroute/plugins/provider/codeassist"
	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

//go:embed manifest.json
var manifest []byte

// New returns the executor as a part of a module.
func New() sdk.Part { return sdk.NewExecutor(manifest, &executor{known: entry.Known{}}) }

type executor struct{ known entry.Known }

// Configure implements sdk.Configurer.
func (x *executor) Configure(c *sdk.Ctx, raw []byte) (abi.BodyKind, error) {
	return abi.BodySkeleton, x.known.Configure(c, raw)
}

// onboarding speaks as the cloud shell editor does.
var onboarding = codeassist.Onboarding{Always: true, Headers: []abi.Header{
	{Name: "User-Agent", Value: "google-api-nodejs-client/9.15.1"},
	{Name: "X-Goog-Api-Client", Value: "google-cloud-sdk vscode_cloudshelleditor/0.1"},
	{Name: "Client-Metadata", Value: `{"ideType":"IDE_UNSPECIFIED","platform":"PLATFORM_UNSPECIFIED","pluginType":"GEMINI"}`},
}}

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	p.Auth, p.Judge = sdk.Bearer("access_token"), true
	stream, path := false, "chat"
	switch c.Endpoint {
	case "", "chat":
		project, err := project(c, p, e)
		if err != nil {
			return err
		}
		if stream = c.Stream || folds(c.Model); stream {
			path, p.Framing = "chat_stream", "sse"
		}
		p.ForceStream = stream && !c.Stream
		envelope(c, p, e, project)
	case "count_tokens":
		path = "count_tokens"
		p.Body.Replace(codeassist.CountBody(c.Model, p.Body.JSON()))
	case "models":
		path, p.Idempotent = "models", true
		body := `{}`
		if id := c.Attribute("projectId"); id != "" {
			body = `{"project":` + string(sdk.Quote(id)) + `}`
		}
		p.Body.Replace([]byte(body))
	default:
		return entry.NoEndpoint(c)
	}
	p.URLs = readState(c.State).order(e.URLs(path))
	e.Headers(p, stream)
	if agent := c.Attribute("userAgent"); agent != "" {
		p.Header("User-Agent", agent)
	}
	return nil
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if r.Status < 400 {
		return sdk.Good(r), nil
	}
	if sdk.TokenRefused(r) {
		return sdk.RefreshCredential(r), nil
	}
	e, err := x.known.Of(c)
	if err != nil {
		return sdk.Verdict{}, err
	}
	return judge(c, r, e), nil
}

// retryOnboarding is how long an account whose onboarding failed works in a
// project that was made up for it.
const retryOnboarding = 3_600_000

// project is the account's project; a made-up one where the service does not give
// it any.
func project(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) (string, error) {
	if id := p.Body.JSON().Get("project").Text(); id != "" {
		return id, nil
	}
	if id := c.Attribute("projectId"); id != "" {
		return id, nil
	}
	if id := c.Attribute("projectGuess"); id != "" && c.NowMS() < number(c.Attribute("projectGuessUntil")) {
		return id, nil
	}
	id, err := onboarding.Project(c, e)
	if _, asks := err.(*sdk.Need); asks {
		return "", err
	}
	if id != "" {
		p.Learn("projectId", id)
		return id, nil
	}
	if id = c.Attribute("projectGuess"); id == "" {
		id = madeUp(c)
	}
	p.Learn("projectGuess", id)
	p.Learn("projectGuessUntil", digits(c.NowMS()+retryOnboarding))
	return id, nil
}

// madeUp is a project name of the kind that the service gives.
func madeUp(c *sdk.Ctx) string {
	adjectives := [...]string{"useful", "bright", "swift", "calm", "bold"}
	nouns := [...]string{"fuze", "wave", "spark", "flow", "core"}
	return adjectives[c.Rand()%5] + "-" + nouns[c.Rand()%5] + "-" + entry.UUID(c)[:5]
}
