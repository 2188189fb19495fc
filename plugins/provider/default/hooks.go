package executor

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// fill replaces the words of a template: {uuid}, {time_ms}, {attribute:NAME} and
// {attribute:NAME|what stands there without one}. It is "" when an attribute is
// missing that has nothing to stand for it.
func fill(c *sdk.Ctx, template string) string {
	var out []byte
	for {
		before, rest, found := strings.Cut(template, "{")
		out = append(out, before...)
		if !found {
			return string(out)
		}
		var word string
		word, template, _ = strings.Cut(rest, "}")
		name, arg, _ := strings.Cut(word, ":")
		switch name {
		case "uuid":
			out = append(out, uuid(c)...)
		case "time_ms":
			out = strconv.AppendInt(out, c.NowMS(), 10)
		case "attribute":
			attribute, fallback, _ := strings.Cut(arg, "|")
			v := first(c.Attribute(attribute), fallback)
			if v == "" {
				return ""
			}
			out = append(out, v...)
		}
	}
}

// uuid is a random UUID (RFC 9562, version 4).
func uuid(c *sdk.Ctx) []byte {
	const digits = "0123456789abcdef"
	var raw [16]byte
	for i := range raw {
		if i%8 == 0 {
			r := c.Rand()
			for k := range 8 {
				raw[i+k] = byte(r >> (8 * k))
			}
		}
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	out := make([]byte, 0, 36)
	for i, x := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[x>>4], digits[x&15])
	}
	return out
}

// at are the base URLs for an account: a login may name a host of its own.
func (p *profile) at(c *sdk.Ctx) []string {
	if p.baseTemplate == "" {
		return p.bases
	}
	base := fill(c, p.baseTemplate)
	if base == "" {
		return p.bases
	}
	if k := strings.LastIndex(base, "://"); k >= 0 { // the account's own scheme counts
		scheme := base[:k]
		if i := strings.LastIndex(scheme, "://"); i >= 0 {
			base = scheme[i+3:] + base[k:]
		}
	}
	return []string{base}
}

// login are the rules for accounts that logged in to a subscription, whose
// service expects the requests of one program.
func (r *rules) login(c *sdk.Ctx, p *sdk.Plan, body sdk.JSON) {
	if c.AuthKind != "oauth" || r.firstSystem == "" {
		return
	}
	text := sdk.Quote(r.firstSystem)
	block := append(append([]byte(`{"type":"text","text":`), text...), '}')
	system := body.Get("system")
	out := append([]byte{'['}, block...)
	switch jsn.KindOf(system) {
	case jsn.String:
		out = append(append(append(out, `,{"type":"text","text":`...), system...), '}')
	case jsn.Arr:
		have := false
		k := 0
		system.Each(func(b sdk.JSON) {
			if k++; k == 1 && b.Get("text").Is(r.firstSystem) {
				have = true
				return
			}
			out = append(append(out, ','), b...)
		})
		if have {
			return
		}
	}
	p.Body.Set("system", string(append(out, ']')))
}

// forcedChoice takes the thinking out of a request that forces a tool: the
// Messages API refuses both together.
func (r *rules) forcedChoice(pr *profile, p *sdk.Plan, body sdk.JSON) {
	if pr.format != sdk.Claude || !body.Get("thinking").Exists() {
		return
	}
	if t := body.Get("tool_choice.type"); t.Is("any") || t.Is("tool") {
		p.Body.Drop("thinking")
	}
}

// bodyBetas moves the betas that some clients put into the body to the header.
func bodyBetas(p *sdk.Plan, body sdk.JSON) {
	const name = "Anthropic-Beta"
	betas := list(body.Get("betas"))
	if len(betas) == 0 {
		return
	}
	p.Body.Drop("betas")
	var have []string
	for _, h := range p.Headers {
		if strings.EqualFold(h.Name, name) {
			have = splitList(h.Value)
		}
	}
	for _, b := range betas {
		if !contains(have, b) && !strings.ContainsAny(b, "\r\n,") {
			have = append(have, b)
		}
	}
	p.Header(name, strings.Join(have, ","))
}

// thinkingFlags say for some models how thinking is switched: which members are
// set, to whether it is on ("on") or to a fixed value.
type thinkingFlags struct {
	glob   string
	fields []pair
}

// thinkingSwitch writes the effort a client asked for in the words of the model.
func (r *rules) thinkingSwitch(c *sdk.Ctx, p *sdk.Plan, body sdk.JSON) {
	if len(r.thinkFlags) == 0 {
		return
	}
	effort := body.Get("reasoning_effort")
	if !effort.Exists() {
		return
	}
	p.Body.Drop("reasoning_effort")
	for _, f := range r.thinkFlags {
		if !modelMatches(f.glob, c.Model) {
			continue
		}
		for _, x := range f.fields {
			value := x.value
			if value == `"on"` {
				value = strconv.FormatBool(!effort.Is("none"))
			}
			p.Body.Set(x.name, value)
		}
		return
	}
}

// signed adds the keyed digest of a login that is asked for one: the secret is in
// a header and is the key of the digest, and the gateway fills in both.
func (cr credential) signed(plan *sdk.Plan) sdk.Auth {
	plan.Headers = append(plan.Headers, abi.Header{Name: cr.header, Value: cr.prefix + "{{secret:" + cr.secret + "}}"})
	algorithm, rest, _ := strings.Cut(cr.sign, ":")
	header, template, _ := strings.Cut(rest, ":")
	return sdk.HMACAuth(algorithm, cr.secret, header, template)
}
