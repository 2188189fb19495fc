package codex

import (
	"crypto/sha256"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// maxName is the longest tool name the service takes.
const maxName = 64

// unknown are the parameters that the service refuses.
var unknown = []string{
	"temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "n", "seed", "max_tokens",
	"max_output_tokens", "max_completion_tokens", "user", "prompt_cache_retention", "metadata", "stream_options", "safety_identifier",
	"previous_response_id", "reasoning_effort",
}

// request is one on its way to the service.
type request struct {
	c    *sdk.Ctx
	b    *sdk.Body
	e    *entry.Entry
	body sdk.JSON
}

// longNames tells whether a client that speaks the API itself declares tools whose
// names are too long.
func (r *request) longNames() (long bool) {
	r.body.Get("tools").Each(func(t sdk.JSON) { long = long || len(t.Get("name").Text()) > maxName })
	return long
}

// fit makes the body what the service takes.
func (r *request) fit() error {
	b := r.b
	model, effort := r.c.Model, ""
	for _, level := range [...]string{"none", "low", "medium", "high", "xhigh"} {
		if base, ok := strings.CutSuffix(r.c.Model, "-"+level); ok {
			model, effort = base, level
		}
	}
	b.Set("model", string(sdk.Quote(model)))
	if strings.TrimSpace(r.text("instructions")) == "" {
		b.Set("instructions", string(sdk.Quote(r.e.Option("default_instructions", ""))))
	}
	r.input()
	r.reasoning(effort)
	b.Drop(unknown...)
	if !r.body.Get("service_tier").Is("priority") {
		b.Drop("service_tier")
	}
	if jsn.Len(r.body.Get("tools")) > 0 {
		b.Default("parallel_tool_calls", "true")
	}
	return r.images()
}

// text is a member's text, long or short.
func (r *request) text(name string) string {
	v := r.body.Get(name)
	if jsn.KindOf(v) != jsn.String {
		return ""
	}
	return jsn.Tokens{Nonce: r.c.Nonce(), Blobs: r.c.Blobs()}.Decode(jsn.StrOf(v))
}

// input makes the conversation a list whose system messages are the developer's.
func (r *request) input() {
	in := r.body.Get("input")
	switch jsn.KindOf(in) {
	case jsn.String:
		r.b.Set("input", userMessage(in))
		return
	case jsn.Arr:
		if jsn.Len(in) > 0 {
			break
		}
		fallthrough
	default:
		r.b.Set("input", userMessage(sdk.JSON(`"..."`)))
		return
	}
	k := 0
	in.Each(func(item sdk.JSON) {
		if item.Get("role").Is("system") {
			r.b.Set("input."+strconv.Itoa(k)+".role", `"developer"`)
		}
		k++
	})
}

func userMessage(text sdk.JSON) string {
	return `[{"type":"message","role":"user","content":[{"type":"input_text","text":` + string(text) + `}]}]`
}

// reasoning sets how hard the model thinks, and asks for what it takes to go on in
// the next turn.
func (r *request) reasoning(suffix string) {
	effort := r.body.Get("reasoning.effort").Text()
	for _, other := range [...]string{r.body.Get("reasoning_effort").Text(), suffix, r.e.Option("default_effort", "medium")} {
		if effort == "" {
			effort = other
		}
	}
	r.b.Set("reasoning.effort", string(sdk.Quote(effort)))
	if !r.body.Get("reasoning.summary").Exists() {
		r.b.Set("reasoning.summary", `"auto"`)
	}
	const sealed = "reasoning.encrypted_content"
	list, have := []byte{'['}, false
	r.body.Get("include").Each(func(v sdk.JSON) {
		have = have || v.Is(sealed)
		list = append(jsn.Sep(list), v...)
	})
	if !have {
		list = append(append(append(jsn.Sep(list), '"'), sealed...), '"')
		r.b.Set("include", string(append(list, ']')))
	}
}

// images refuses pictures behind addresses, which the service does not fetch.
func (r *request) images() error {
	k, bad := 0, ""
	r.body.Get("input").Each(func(item sdk.JSON) {
		item.Get("content").Each(func(part sdk.JSON) {
			url := part.Get("image_url")
			if jsn.KindOf(url) != jsn.String || !part.Get("type").Is("input_image") {
				return
			}
			t := jsn.Tokens{Nonce: r.c.Nonce(), Blobs: r.c.Blobs()}
			if !t.HasPrefix(jsn.StrOf(url), "data:") {
				bad = "input[" + strconv.Itoa(k) + "].content"
			}
		})
		k++
	})
	if bad == "" {
		return nil
	}
	return &abi.ErrorRecord{
		Message: "the provider " + r.c.Provider + " takes images as data URIs only", Class: "client", Scope: string(sdk.ThisModel), Status: 400,
		Code: "unsupported_content", Param: bad, Fallback: true,
	}
}

// conversation names the conversation, so that its prompt stays cached.
func (r *request) conversation(p *sdk.Plan) {
	id := r.text("prompt_cache_key")
	if id == "" && r.c.Session != "" {
		sum := sha256.Sum256([]byte(r.c.Model + "\x00" + r.c.Session))
		id = entry.UUIDFrom([16]byte(sum[:16]))
		r.b.Set("prompt_cache_key", string(sdk.Quote(id)))
	}
	if id == "" || !headerSafe(id) {
		p.Header("Session_id", entry.UUID(r.c))
		return
	}
	p.Header("Session_id", id)
	p.Header("Conversation_id", id)
}

func headerSafe(s string) bool {
	for k := 0; k < len(s); k++ {
		if s[k] < ' ' || s[k] > '~' {
			return false
		}
	}
	return len(s) <= 256
}
