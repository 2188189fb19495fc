package executor

import (
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

// profile is a parsed provider profile.
type profile struct {
	format  string
	bases   []string
	paths   map[string]string
	creds   map[string]credential // by auth kind
	fixed   []abi.Header
	dynamic []abi.Header // templates, see fill
	// baseTemplate is the base URL of accounts that have their own host; see fill.
	baseTemplate string
	forced       bool // upstream always streams
	beta         bool // the client's anthropic-beta is merged into the header
	rules        rules
	models       map[string]model
	ordering     []string // auth kinds in the profile's order
	oauth        sdk.OAuth
}

// credential says how one kind of credential is sent.
type credential struct {
	header, prefix, secret string

	sign string // ALG-ENC:HEADER:TEMPLATE of a digest that goes along; "" = none
}

type model struct {
	reasoning bool
	maxOutput int64
}

func parseProfile(raw []byte) (*profile, error) {
	root := sdk.JSON(raw).Get("")
	p := &profile{
		format: first(root.Get("format").Text(), root.Get("dialect").Text(), sdk.OpenAI),
		paths:  map[string]string{}, creds: map[string]credential{}, models: map[string]model{},
	}
	root.Get("base_urls").Each(func(v sdk.JSON) { p.bases = append(p.bases, v.Text()) })
	if base := root.Get("base_url").Text(); base != "" {
		p.bases = append([]string{base}, p.bases...)
	}
	if len(p.bases) == 0 {
		return nil, &abi.ErrorRecord{Message: "the provider has no base_urls", Class: "client", Scope: "provider", Status: 400}
	}
	root.Get("paths").Members(func(name string, v sdk.JSON) { p.paths[name] = v.Text() })
	root.Get("auth").Members(p.credential)
	root.Get("headers").Members(func(name string, v sdk.JSON) {
		p.fixed = append(p.fixed, abi.Header{Name: name, Value: v.Text()})
	})
	root.Get("dynamic_headers").Members(func(name string, v sdk.JSON) {
		p.dynamic = append(p.dynamic, abi.Header{Name: name, Value: v.Text()})
	})
	p.baseTemplate = root.Get("base_url_template").Text()
	if len(p.fixed) == 0 && p.format == sdk.Claude {
		p.fixed = []abi.Header{{Name: "Anthropic-Version", Value: "2023-06-01"}}
	}
	p.beta = p.format == sdk.Claude
	p.forced = root.Get("streaming.forced").True()
	root.Get("models").Each(func(v sdk.JSON) {
		id := first(v.Get("upstream_id").Text(), v.Get("id").Text())
		p.models[id] = model{reasoning: v.Get("reasoning").True(), maxOutput: v.Get("max_output").Int()}
	})
	o := root.Get("oauth")
	p.oauth = sdk.OAuth{
		URL: first(o.Get("refresh_url").Text(), o.Get("token_url").Text()), JSON: o.Get("refresh_body").Text() == "json",
		Secret: o.Get("secret").True(), Basic: o.Get("client_auth").Text() == "basic_and_body",
	}
	var err error
	p.rules, err = parseRules(root.Get("request_rules"))
	return p, err
}

// credential reads one entry of auth. The secret is named after the kind of
// credential unless the profile names another field.
func (p *profile) credential(kind string, v sdk.JSON) {
	c := credential{header: first(v.Get("header").Text(), "Authorization"), prefix: v.Get("prefix").Text(), secret: "api_key", sign: v.Get("sign").Text()}
	if kind == "oauth" {
		c.secret = "access_token"
	}
	if name, ok := strings.CutPrefix(v.Get("value").Text(), "credential:"); ok {
		c.secret = name
	}
	p.creds[kind] = c
	p.ordering = append(p.ordering, kind)
}

// path returns the URL path of an endpoint.
func (p *profile) path(endpoint string, stream bool) (string, bool) {
	if endpoint == "chat" && stream {
		if s, ok := p.paths["chat_stream"]; ok {
			return s, true
		}
	}
	if s, ok := p.paths[endpoint]; ok {
		return s, true
	}
	if len(p.paths) > 0 && endpoint != "chat" {
		return "", false // the profile lists its endpoints
	}
	return sdk.Path(p.format, endpoint, stream)
}

// auth returns the directive for a kind of credential.
func (p *profile) auth(kind string, plan *sdk.Plan) (sdk.Auth, error) {
	if kind == "none" {
		return sdk.NoAuth(), nil
	}
	if kind == "" {
		if len(p.ordering) == 0 {
			return sdk.NoAuth(), nil
		}
		kind = p.ordering[0]
		if _, ok := p.creds["api_key"]; ok {
			kind = "api_key"
		}
	}
	c, ok := p.creds[kind]
	if !ok {
		if len(p.creds) > 0 {
			return sdk.Auth{}, &abi.ErrorRecord{Message: "the provider takes no credential of kind " + kind, Class: "auth", Scope: "credential", Status: 401}
		}
		c = p.usual(kind)
	}
	if c.sign != "" {
		return c.signed(plan), nil
	}
	if strings.EqualFold(c.header, "Authorization") && c.prefix == "Bearer " {
		return sdk.Bearer(c.secret), nil
	}
	return sdk.HeaderAuth(c.header, c.secret, c.prefix), nil
}

// usual is how a format's own clients authenticate.
func (p *profile) usual(kind string) credential {
	if kind == "oauth" {
		return credential{header: "Authorization", prefix: "Bearer ", secret: "access_token"}
	}
	switch p.format {
	case sdk.Claude:
		return credential{header: "x-api-key", secret: "api_key"}
	case sdk.Gemini:
		return credential{header: "x-goog-api-key", secret: "api_key"}
	}
	return credential{header: "Authorization", prefix: "Bearer ", secret: "api_key"}
}

func (p *profile) headers(c *sdk.Ctx, plan *sdk.Plan, stream bool) {
	if plan.Method != "GET" {
		plan.Header("Content-Type", "application/json")
	}
	switch {
	case stream && sdk.Framing(p.format) == "sse":
		plan.Header("Accept", "text/event-stream")
	case stream:
		plan.Header("Accept", "application/x-ndjson")
	default:
		plan.Header("Accept", "application/json")
	}
	for _, h := range p.fixed {
		plan.Header(h.Name, h.Value)
	}
	for _, h := range p.dynamic {
		if v := fill(c, h.Value); v != "" {
			plan.Header(h.Name, v)
		}
	}
	if p.beta {
		mergeBeta(c, plan)
	}
}

// mergeBeta adds the betas the client asked for to the provider's own.
func mergeBeta(c *sdk.Ctx, plan *sdk.Plan) {
	const name = "Anthropic-Beta"
	asked := c.ClientHeader(name)
	if asked == "" {
		return
	}
	have := ""
	for _, h := range plan.Headers {
		if strings.EqualFold(h.Name, name) {
			have = h.Value
		}
	}
	list := splitList(have)
	for _, b := range splitList(asked) {
		if !contains(list, b) {
			list = append(list, b)
		}
	}
	plan.Header(name, strings.Join(list, ","))
}

func splitList(s string) []string {
	var out []string
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
