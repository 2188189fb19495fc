package codeassist

import (
	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// metadata is what the client says of itself when it asks for a project.
const metadata = `{"ideType":"IDE_UNSPECIFIED","platform":"PLATFORM_UNSPECIFIED","pluginType":"GEMINI"}`

// Polling of the operation that makes a project.
const (
	pollEveryMS = 5000
	pollMax     = 10
)

// Onboarding finds the project that an account works in, or has one made.
type Onboarding struct {
	// Always asks to be onboarded also where there is a project.
	Always bool
	// Headers of the requests, in place of the entry's.
	Headers []abi.Header
}

// Project is the account's project. Where it is not known the error is a
// *sdk.Need at first: the call is made again with what the service said. "" and
// no error is an account that has no project and gets none.
func (o *Onboarding) Project(c *sdk.Ctx, e *entry.Entry) (string, error) {
	step, keep := "", sdk.JSON(c.Continuation).Get("")
	if step = keep.Get("step").Text(); len(c.Replies) == 0 {
		step = ""
	}
	switch step {
	case "":
		return "", &sdk.Need{Plans: []sdk.Plan{o.plan(e, "load", "loadCodeAssist", `{"metadata":`+metadata+`}`)}, Keep: []byte(`{"step":"load"}`)}
	case "load":
		return o.loaded(c, e, &c.Replies[0])
	}
	project := keep.Get("project").Text()
	if r := &c.Replies[0]; r.Err == nil && r.Status < 300 && sdk.JSON(r.Body).Get("done").True() {
		if p := projectOf(sdk.JSON(r.Body).Get("response.cloudaicompanionProject")); p != "" {
			project = p
		}
	}
	return project, nil
}

// loaded reads what the service knows of the account, and has it onboarded.
func (o *Onboarding) loaded(c *sdk.Ctx, e *entry.Entry, r *sdk.Reply) (string, error) {
	if r.Err != nil || r.Status >= 300 {
		return "", refusal(r)
	}
	body := sdk.JSON(r.Body).Get("")
	project := projectOf(body.Get("cloudaicompanionProject"))
	if project != "" && !o.Always {
		return project, nil
	}
	tier := "legacy-tier"
	body.Get("allowedTiers").Each(func(t sdk.JSON) {
		if id := t.Get("id").Text(); id != "" && t.Get("isDefault").True() {
			tier = id
		}
	})
	request := jsn.AppendStringMember([]byte{'{'}, "tierId", tier)
	request = append(jsn.AppendKey(request, "metadata"), metadata...)
	keep := jsn.AppendStringMember([]byte{'{'}, "step", "onboard")
	if project != "" {
		request = jsn.AppendStringMember(request, "cloudaicompanionProject", project)
		keep = jsn.AppendStringMember(keep, "project", project)
	}
	p := o.plan(e, "onboard", "onboardUser", string(append(request, '}')))
	p.Poll = sdk.Poll{Until: "done", EveryMS: pollEveryMS, Max: pollMax}
	return "", &sdk.Need{Plans: []sdk.Plan{p}, Keep: append(keep, '}')}
}

func (o *Onboarding) plan(e *entry.Entry, endpoint, action, body string) sdk.Plan {
	p := sdk.Plan{URLs: e.At(e.Path(endpoint, "/v1internal:"+action)), Auth: sdk.Bearer("access_token")}
	e.Headers(&p, false)
	for _, h := range o.Headers {
		p.Header(h.Name, h.Value)
	}
	p.Body.Replace([]byte(body))
	return p
}

// projectOf reads a project that is told as a name or as an object with an id.
func projectOf(v sdk.JSON) string {
	if s := v.Text(); s != "" {
		return s
	}
	return v.Get("id").Text()
}

// refusal is why the service does not tell the project.
func refusal(r *sdk.Reply) error {
	if r.Err != nil {
		return r.Err
	}
	e := sdk.ErrorOf(&sdk.Result{Status: r.Status, Headers: r.Header, Body: r.Body})
	if e.Message == "" {
		e.Message = "the service does not tell the project of the account"
	}
	return e
}
