// Package github is the executor of GitHub Copilot.
//
// Requests carry a token of Copilot that lives for half an hour. The executor has
// the gateway exchange the account's GitHub token for it, and never sees either.
// Some models are served by the Responses API only; of those that the catalogue
// does not know it learns that from the refusal.
package github

import (
	_ "embed"
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

//go:embed manifest.json
var manifest []byte

// New returns the executor as a part of a module.
func New() sdk.Part {
	return sdk.NewExecutor(manifest, &executor{known: entry.Known{}, responses: map[string]bool{}})
}

type executor struct {
	known entry.Known
	// responses are the models whose chat endpoint refused, as far as this instance
	// asked the store.
	responses map[string]bool
}

// Configure implements sdk.Configurer.
func (x *executor) Configure(c *sdk.Ctx, raw []byte) (abi.BodyKind, error) {
	return abi.BodySkeleton, x.known.Configure(c, raw)
}

// Words of the state between retries.
const (
	stateFresh     = "fresh"     // the token was refused
	stateResponses = "responses" // the chat endpoint was
)

// tokenSecret is the name of the exchanged token.
const tokenSecret = "copilotToken"

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	chat := c.Endpoint == "" || c.Endpoint == "chat"
	if chat && c.Dialect == sdk.OpenAI && (strings.Contains(string(c.State), stateResponses) || x.responsesOnly(c)) {
		p.Reshape(sdk.Responses)
		return nil
	}
	api, err := token(c, p, e)
	if err != nil || api == "" {
		return err
	}
	path := c.Endpoint
	switch {
	case chat && c.Dialect == sdk.Responses:
		path = "responses"
	case chat:
		path = "chat"
	case path == "models":
		p.Method, p.Idempotent = "GET", true
	case path != "embeddings":
		return entry.NoEndpoint(c)
	}
	p.URLs = []string{strings.TrimRight(api, "/") + e.Path(path, "/"+path)}
	p.Auth = sdk.Bearer(tokenSecret)
	stream := chat && (c.Stream || claude(c.Model)) // whole answers of Claude models come in pieces that belong together
	p.ForceStream = stream && !c.Stream
	if stream {
		p.Framing = "sse"
	}
	e.Headers(p, stream)
	p.Header("x-request-id", entry.UUID(c))
	if !chat {
		return nil
	}
	body := p.Body.JSON()
	agent, images := look(body, c.Dialect)
	p.Header("X-Initiator", agent)
	if images {
		p.Header("copilot-vision-request", "true")
	}
	if stream {
		p.Body.Set("stream", "true")
	}
	if c.Dialect != sdk.Responses {
		fit(c, &p.Body, body, stream)
	}
	return nil
}

// tokenLead is how long before its end a stored token is not used any more.
const tokenLead = 300_000

// token makes sure that there is a token of Copilot and returns the base URL of
// the account's plan; "" when the plan is complete without.
func token(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) (api string, err error) {
	fresh := strings.Contains(string(c.State), stateFresh)
	if !fresh && expires(c.Attribute("copilotTokenExpiresAt")) > c.NowMS()+tokenLead {
		if api = c.Attribute("copilotApi"); api == "" {
			api = e.Bases[0]
		}
		return api, nil
	}
	if len(c.Replies) == 0 {
		return "", &sdk.Need{Plans: []sdk.Plan{exchange(e, fresh)}, Keep: []byte{'t'}}
	}
	r := &c.Replies[0]
	switch {
	case r.Err != nil:
		return "", r.Err
	case r.Status == 401:
		p.Refresh()
		return "", nil
	case r.Status == 403 || r.Status == 404:
		return "", &abi.ErrorRecord{Message: "the account has no Copilot", Class: "auth", Scope: string(sdk.Credential), Status: 403, Upstream: true}
	case r.Status >= 300:
		return "", sdk.ErrorOf(&sdk.Result{Status: r.Status, Headers: r.Header, Body: r.Body})
	}
	body := sdk.JSON(r.Body).Get("")
	if !body.Get("token").Exists() {
		return "", &abi.ErrorRecord{Message: "the token exchange of Copilot gave no token", Class: "upstream", Scope: string(sdk.Credential), Status: 502, Upstream: true}
	}
	if api = body.Get("endpoints.api").Text(); api == "" {
		api = e.Bases[0]
	}
	return api, nil
}

// exchange asks for a token of Copilot.
func exchange(e *entry.Entry, fresh bool) sdk.Plan {
	p := sdk.Plan{
		Method: "GET", URLs: e.At(e.Path("copilot_token", "https://api.github.com/copilot_internal/v2/token")),
		Auth: sdk.HeaderAuth("Authorization", "access_token", "token "), Idempotent: true, Fresh: fresh,
	}
	p.Header("Accept", "application/json")
	p.Header("User-Agent", "GithubCopilot/1.0")
	p.Header("Editor-Version", "vscode/1.100.0")
	p.Header("Editor-Plugin-Version", "copilot/1.300.0")
	p.Token(tokenSecret, "token")
	p.Token("expires_at", "expires_at")
	return p
}

// expires reads a time in seconds, milliseconds or as a date, as milliseconds.
func expires(s string) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n < 1e12 {
			n *= 1000
		}
		return n
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if r.Status < 400 {
		return sdk.Good(r), nil
	}
	v, state := sdk.Default(r), string(c.State)
	again := func(word string) (sdk.Verdict, error) {
		return sdk.Verdict{Kind: abi.VerdictRetry, Err: v.Err, State: []byte(state + " " + word)}, nil
	}
	text := strings.ToLower(string(r.Body))
	switch {
	case r.Status == 401 && !strings.Contains(state, stateFresh):
		return again(stateFresh)
	case sdk.TokenRefused(r):
		return sdk.RefreshCredential(r), nil
	case r.Status == 400 && !strings.Contains(state, stateResponses) && strings.HasSuffix(r.URL, "/chat/completions") &&
		strings.Contains(text, "not accessible") && strings.Contains(text, "/chat/completions"):
		x.remember(c)
		return again(stateResponses)
	case (r.Status == 402 || r.Status == 403) && strings.Contains(text, "quota_exceeded"):
		v.Err.Class, v.Err.Scope, v.Err.Retryable = "quota", string(sdk.Credential), false
		v.Err.ResetAt = nextMonth(c.NowMS())
		v.Err.RetryAfterMS = v.Err.ResetAt - c.NowMS()
	case r.Status == 466:
		v.Err.Message = "Copilot refuses this version of its client; set newer headers for the provider: " + v.Err.Message
	}
	return v, nil
}

// nextMonth is when the quotas of a month begin anew.
func nextMonth(now int64) int64 {
	y, m, _ := time.UnixMilli(now).UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// rememberMS is how long it is known that a model has no chat endpoint.
const rememberMS = 86_400_000

func (x *executor) remember(c *sdk.Ctx) {
	x.responses[c.Model] = true
	if err := c.KVPut("github/responses/"+c.Model, []byte{'1'}, rememberMS); err != nil {
		c.Debug("that " + c.Model + " is served by the Responses API alone is not kept: " + err.Error())
	}
}

// responsesOnly tells a model whose chat endpoint has refused before.
func (x *executor) responsesOnly(c *sdk.Ctx) bool {
	known, asked := x.responses[c.Model]
	if !asked {
		_, known, _ = c.KVGet("github/responses/" + c.Model)
		x.responses[c.Model] = known
	}
	return known
}
