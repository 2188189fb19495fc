// Package codex is the executor of Codex, the Responses API behind a ChatGPT
// subscription.
//
// It always streams. What the service does not know is taken out, what it wants is
// filled in, whether the request was translated or comes from a client that speaks
// the Responses API itself.
package codex

import (
	_ "embed"
	"strings"

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

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	p.Auth = sdk.Bearer("access_token")
	r := request{c: c, b: &p.Body, e: e, body: p.Body.JSON()}
	switch c.Endpoint {
	case "", "chat":
		if r.longNames() {
			p.Reshape(c.Dialect)
			return nil
		}
		p.URLs, p.Framing, p.ForceStream = e.URLs("chat_stream"), "sse", !c.Stream
		r.b.Set("stream", "true")
		r.b.Set("store", "false")
	case "compact":
		p.URLs = e.URLs("compact")
		r.b.Drop("stream", "store")
	default:
		return entry.NoEndpoint(c)
	}
	e.Headers(p, c.Endpoint != "compact")
	if err := r.fit(); err != nil {
		return err
	}
	r.conversation(p)
	if id := c.Attribute("chatgptAccountId"); id != "" {
		p.Header("Chatgpt-Account-Id", id)
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
	v := sdk.Default(r)
	e := v.Err
	switch r.Status {
	case 400:
		e.Class, e.Scope = "client", string(sdk.ThisRequest)
	case 403:
		e.Class, e.Scope = "auth", string(sdk.Credential)
		if e.Message == "" {
			e.Message = withoutTags(string(r.Body))
		}
	case 429:
		e.Class, e.Scope, e.Retryable = "rate", string(sdk.Credential), true
		limits(c, r, e)
	}
	return v, nil
}

// limits reads until when a subscription is used up.
func limits(c *sdk.Ctx, r *sdk.Result, e *abi.ErrorRecord) {
	switch at, in := r.JSON("error.resets_at").Int(), r.JSON("error.resets_in_seconds").Int(); {
	case at*1000 > c.NowMS():
		e.ResetAt, e.RetryAfterMS = at*1000, at*1000-c.NowMS()
	case in > 0:
		e.ResetAt, e.RetryAfterMS = c.NowMS()+in*1000, in*1000
	}
}

// shownPage is how much is shown of a page that came in place of an answer.
const shownPage = 200

// withoutTags is the text at the beginning of a web page.
func withoutTags(page string) string {
	var b strings.Builder
	for page != "" && b.Len() < shownPage {
		text, rest, tag := strings.Cut(page, "<")
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(text)
		}
		if !tag {
			break
		}
		end := ">"
		for _, name := range [...]string{"script", "style"} {
			if len(rest) > len(name) && strings.EqualFold(rest[:len(name)], name) {
				end = "</" + name + ">"
			}
		}
		if _, page, tag = strings.Cut(rest, end); !tag {
			break
		}
	}
	text := b.String()
	for k := min(len(text), shownPage); k > 0; k-- {
		if k == len(text) || text[k]&0xC0 != 0x80 {
			return text[:k]
		}
	}
	return ""
}
