// Package geminicli is the executor of the code assistant API that the Gemini CLI
// uses with a Google login.
//
// Requests are in the dialect gemini-cli already. The executor adds the project
// of the account, which it has made when there is none, and the safety settings
// of the CLI.
package geminicli

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

// safety switches the filters off that the public API has on by default.
const safety = `[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"},` +
	`{"category":"HARM_CATEGORY_HATE_SPEECH","threshold":"OFF"},` +
	`{"category":"HARM_CATEGORY_SEXUALLY_EXPLICIT","threshold":"OFF"},` +
	`{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","threshold":"OFF"},` +
	`{"category":"HARM_CATEGORY_CIVIC_INTEGRITY","threshold":"OFF"}]`

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	p.Auth = sdk.Bearer("access_token")
	switch c.Endpoint {
	case "", "chat":
	case "count_tokens":
		p.URLs = e.URLs("count_tokens")
		e.Headers(p, false)
		p.Body.Replace(codeassist.CountBody(c.Model, p.Body.JSON()))
		return nil
	default:
		return entry.NoEndpoint(c)
	}
	project := p.Body.JSON().Get("project").Text()
	if project == "" {
		project = c.Attribute("projectId")
	}
	if project == "" {
		if project, err = new(codeassist.Onboarding).Project(c, e); err != nil {
			return err
		}
		if project == "" {
			return &abi.ErrorRecord{Message: "the account has no project; connect it again or set projectId", Class: "client", Scope: "credential", Status: 400}
		}
		p.Learn("projectId", project)
	}
	path := "chat"
	if c.Stream {
		path, p.Framing = "chat_stream", "sse"
	}
	p.URLs = e.URLs(path)
	e.Headers(p, c.Stream)
	p.Body.Set("model", string(sdk.Quote(c.Model)))
	p.Body.Set("project", string(sdk.Quote(project)))
	p.Body.Default("request.safetySettings", safety)
	return nil
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if sdk.TokenRefused(r) {
		return sdk.RefreshCredential(r), nil
	}
	v := sdk.Default(r)
	if r.Status == 429 && v.Err != nil {
		if ms, ok := codeassist.Wait(c, r); ok {
			v.Err.RetryAfterMS = ms
		}
	}
	return v, nil
}
