package kiro

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
func New() sdk.Part { return sdk.NewExecutor(manifest, &executor{known: entry.Known{}}) }

type executor struct{ known entry.Known }

// Configure implements sdk.Configurer.
func (x *executor) Configure(c *sdk.Ctx, raw []byte) (abi.BodyKind, error) {
	return abi.BodySkeleton, x.known.Configure(c, raw)
}

// Targets of the services behind the endpoints.
const (
	targetSend     = "AmazonQDeveloperStreamingService.SendMessage"
	targetProfiles = "AmazonCodeWhispererService.ListProfiles"
	targetModels   = "AmazonCodeWhispererService.ListAvailableModels"
	amzJSON        = "application/x-amz-json-1.0"
)

// stateCLI is the state of an attempt that goes to the endpoint of the command
// line.
const stateCLI = "cli"

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	switch c.Endpoint {
	case "", "chat":
		return planChat(c, p, e)
	case "models":
		call(c, p, e, targetModels)
		p.Body.Replace([]byte(`{"origin":"AI_EDITOR"` + profileMember(c.Attribute("profileArn")) + `}`))
		return nil
	}
	return entry.NoEndpoint(c)
}

func profileMember(arn string) string {
	if arn == "" {
		return ""
	}
	return `,"profileArn":` + string(sdk.Quote(arn))
}

// call plans a plain request to the service.
func call(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry, target string) {
	p.URLs = []string{e.Bases[0] + "/"}
	p.Idempotent = true
	common(c, p, e)
	p.Header("Content-Type", amzJSON)
	p.Header("Accept", "application/json")
	p.Header("X-Amz-Target", target)
}

func common(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) {
	p.Auth = sdk.Bearer("access_token")
	e.Headers(p, true)
	p.Header("Amz-Sdk-Request", "attempt="+strconv.Itoa(c.Attempt+1)+"; max="+strconv.Itoa(max(3, c.Attempt+1)))
	p.Header("Amz-Sdk-Invocation-Id", entry.UUID(c))
}

func planChat(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) error {
	profile, err := profile(c, p, e)
	if err != nil {
		return err
	}
	p.Framing, p.ForceStream, p.Judge = "aws-eventstream", !c.Stream, true
	common(c, p, e)
	cli := string(c.State) == stateCLI && len(e.Extra) > 0
	if cli {
		p.URLs = []string{e.Extra[0] + "/"}
		p.Header("X-Amz-Target", targetSend)
	} else {
		p.URLs = e.URLs("chat")
		p.URLs = p.URLs[:len(p.URLs)-len(e.Extra)]
	}
	r := request{c: c, e: e, b: &p.Body, body: p.Body.JSON()}
	r.complete(profile, cli)
	return nil
}

// profile is the account's profile, which accounts of organisations need; "" if
// there is none.
func profile(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) (string, error) {
	arn := c.Attribute("profileArn")
	if arn != "" || c.Attribute("authMethod") != "idc" {
		return arn, nil
	}
	if len(c.Replies) == 0 {
		ask := sdk.Plan{}
		call(c, &ask, e, targetProfiles)
		ask.Body.Replace([]byte(`{}`))
		return "", &sdk.Need{Plans: []sdk.Plan{ask}, Keep: []byte{'p'}}
	}
	if r := &c.Replies[0]; r.Err == nil && r.Status == 200 {
		sdk.JSON(r.Body).Get("profiles").Each(func(v sdk.JSON) {
			if arn == "" {
				arn = v.Get("arn").Text()
			}
		})
	}
	if arn != "" {
		p.Learn("profileArn", arn)
	}
	return arn, nil // without one the service says itself what is wrong
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if r.Status < 400 {
		return sdk.Good(r), nil
	}
	e, err := x.known.Of(c)
	if err != nil {
		return sdk.Verdict{}, err
	}
	v := sdk.Default(r)
	if t := r.JSON("__type").Text(); t != "" && v.Err.Type == "" {
		v.Err.Type = shortType(t)
	}
	usedUp := r.Status == 402 || strings.Contains(string(r.Body), "MONTHLY_REQUEST_COUNT")
	chat := c.Endpoint == "" || c.Endpoint == "chat"
	elsewhere := chat && string(c.State) != stateCLI && len(e.Extra) > 0
	switch {
	case r.Status == 401, r.Status == 403 && c.Attempt == 0:
		return sdk.RefreshCredential(r), nil
	case elsewhere && !usedUp && (r.Status == 403 || r.Status == 429):
		return sdk.Verdict{Kind: abi.VerdictRetry, Err: v.Err, State: []byte(stateCLI)}, nil
	case usedUp:
		v.Err.Class, v.Err.Scope, v.Err.Retryable = "quota", string(sdk.Credential), false
		v.Err.ResetAt = nextMonth(c.NowMS())
		v.Err.RetryAfterMS = v.Err.ResetAt - c.NowMS()
	case r.Status == 400 && strings.Contains(v.Err.Message, "Improperly formed request"):
		v.Err.Class, v.Err.Scope, v.Err.Fallback, v.Err.Retryable = "client", string(sdk.ThisRequest), false, false
	}
	return v, nil
}

// nextMonth is when the quotas of a month begin anew.
func nextMonth(now int64) int64 {
	y, m, _ := time.UnixMilli(now).UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}
