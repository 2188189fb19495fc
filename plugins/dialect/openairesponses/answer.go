package openairesponses

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Status values of a response and its items.
const (
	inProgress = "in_progress"
	completed  = "completed"
	incomplete = "incomplete"
	failed     = "failed"
)

// client is what answers take from the client's own request.
type client struct {
	ctx     *hub.Ctx
	tokens  jsn.Tokens
	model   string
	echo    []byte // members that the response repeats, ready to append
	sealed  bool   // encrypted_content was asked for (V-2)
	custom  map[string]bool
	spaces  map[string]bool
	restore func(string) string
}

// echoed are the members of the request that the response repeats.
func echoed(key string) bool {
	switch key {
	case "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "previous_response_id",
		"prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "temperature", "text", "tool_choice", "tools",
		"top_logprobs", "top_p", "truncation", "user":
		return true
	}
	return false
}

func newClient(c *hub.Ctx) *client {
	k := &client{ctx: c, tokens: c.Tokens(), sealed: c.Request == nil, custom: map[string]bool{}, spaces: map[string]bool{}}
	var names, history []string
	seen := map[string]bool{}
	for it := jsn.Object(c.Request); it.Next(); {
		v := it.Value()
		key := string(it.Key())
		if echoed(key) {
			seen[key] = true
			k.echo = jsn.AppendMember(append(k.echo, ','), key, v)
		}
		switch key {
		case "model":
			k.model = k.tokens.Decode(jsn.StrOf(v))
		case "include":
			for el := jsn.Array(v); el.Next(); {
				k.sealed = k.sealed || jsn.StrOf(el.Value()).Is("reasoning.encrypted_content")
			}
		case "tools":
			names = k.declare(v, names)
		case "input":
			for el := jsn.Array(v); el.Next(); {
				if typ := jsn.StrOf(jsn.Get(el.Value(), "type")); typ.Is("function_call") || typ.Is("custom_tool_call") {
					history = append(history, k.tokens.Decode(jsn.StrOf(jsn.Get(el.Value(), "name"))))
				}
			}
		}
	}
	for _, d := range [...]struct{ key, value string }{{"instructions", "null"}, {"metadata", "{}"}, {"parallel_tool_calls", "true"},
		{"temperature", "null"}, {"tool_choice", `"auto"`}, {"tools", "[]"}, {"top_p", "null"}} {
		if !seen[d.key] {
			k.echo = jsn.AppendMember(append(k.echo, ','), d.key, []byte(d.value))
		}
	}
	k.restore = repair.Restore(c, func(*hub.Ctx) []string { return append(names, history...) })
	return k
}

// declare notes free-form tools and namespaces, and returns the names functions have
// upstream.
func (k *client) declare(tools []byte, names []string) []string {
	for it := jsn.Array(tools); it.Next(); {
		def := it.Value()
		fn := k.tokens.Decode(jsn.StrOf(jsn.Get(def, "name")))
		switch typ := jsn.StrOf(jsn.Get(def, "type")); {
		case typ.Is("namespace"):
			k.spaces[fn] = true
			for el := jsn.Array(jsn.Get(def, "tools")); el.Next(); {
				inner := qualified(fn, k.tokens.Decode(jsn.StrOf(jsn.Get(el.Value(), "name"))))
				names = append(names, inner)
				if jsn.StrOf(jsn.Get(el.Value(), "type")).Is("custom") {
					k.custom[inner] = true
				}
			}
		case typ.Is("custom"):
			k.custom[fn] = true
			names = append(names, fn)
		case fn != "":
			names = append(names, fn)
		}
	}
	return names
}

// head appends the members of a response up to its output.
func (k *client) head(dst []byte, id, model string, created int64, status, finish string, err *hub.Error) []byte {
	if k.model != "" {
		model = k.model
	}
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "id", id)
	dst = append(dst, `,"object":"response"`...)
	dst = jsn.AppendIntMember(dst, "created_at", created)
	dst = jsn.AppendStringMember(dst, "status", status)
	dst = jsn.AppendKey(dst, "error")
	if err == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendFailure(dst, err)
	}
	dst = jsn.AppendKey(dst, "incomplete_details")
	switch {
	case status != incomplete:
		dst = append(dst, "null"...)
	case finish == hub.FinishFilter:
		dst = append(dst, `{"reason":"content_filter"}`...)
	default:
		dst = append(dst, `{"reason":"max_output_tokens"}`...)
	}
	dst = jsn.AppendStringMember(dst, "model", model)
	return append(dst, k.echo...)
}

// appendFailure appends the error object of a failed response.
func appendFailure(dst []byte, e *hub.Error) []byte {
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "code", errorCode(e))
	return append(jsn.AppendStringMember(dst, "message", e.Message), '}')
}

func errorCode(e *hub.Error) string {
	if e.Code != "" {
		return e.Code
	}
	if _, code := hub.OpenAIError(e.Status); code != "" {
		return code
	}
	return "server_error"
}

// appendUsage appends a usage object with its details, zeros if unknown (U-1).
func appendUsage(dst []byte, u *hub.Usage) []byte {
	dst = append(dst, '{')
	dst = jsn.AppendIntMember(dst, "input_tokens", u.Prompt)
	dst = append(jsn.AppendKey(dst, "input_tokens_details"), '{')
	dst = jsn.AppendIntMember(dst, "cached_tokens", u.CachedRead)
	if u.CacheWrite > 0 {
		dst = jsn.AppendIntMember(dst, "cache_write_tokens", u.CacheWrite)
	}
	dst = append(dst, '}')
	dst = jsn.AppendIntMember(dst, "output_tokens", u.Completion)
	dst = append(jsn.AppendKey(dst, "output_tokens_details"), '{')
	dst = append(jsn.AppendIntMember(dst, "reasoning_tokens", u.Reasoning), '}')
	return append(jsn.AppendIntMember(dst, "total_tokens", u.Sum()), '}')
}

// statusOf returns the status of a finished response (F-1). A refusal that the model
// wrote itself is a complete answer (F-6).
func statusOf(finish, native string, refused bool) string {
	switch finish {
	case hub.FinishLength:
		return incomplete
	case hub.FinishFilter:
		if refused && hub.FinishOf(native) != hub.FinishFilter {
			return completed
		}
		return incomplete
	}
	return completed
}

// messageItem appends a message item with one part of text or refusal.
func messageItem(dst []byte, id, status, partType, field string, text jsn.Str, logprobs []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = jsn.AppendEscaped(dst, id)
	dst = append(dst, `","type":"message","status":"`...)
	dst = append(dst, status...)
	dst = append(dst, `","role":"assistant","content":[`...)
	dst = contentPart(dst, partType, field, text, logprobs)
	return append(dst, ']', '}')
}

func contentPart(dst []byte, partType, field string, text jsn.Str, logprobs []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(append(dst, partType...), '"')
	dst = jsn.AppendStrMember(dst, field, text)
	if partType == "output_text" {
		dst = append(dst, `,"annotations":[]`...)
		dst = jsn.AppendMember(dst, "logprobs", logprobs)
	}
	return append(dst, '}')
}

// reasoningItem appends a reasoning item. The signature is shown when the request
// asked for it, enveloped unless OpenAI made it (WR-4, E-1, V-2).
func (k *client) reasoningItem(dst []byte, id, status string, r *hub.Reasoning) []byte {
	dst = append(dst, `{"id":"`...)
	dst = jsn.AppendEscaped(dst, id)
	dst = append(dst, `","type":"reasoning","summary":[`...)
	if len(r.Text) > 0 {
		dst = append(dst, `{"type":"summary_text","text":"`...)
		dst = append(append(dst, r.Text...), `"}`...)
	}
	dst = append(dst, ']')
	if k.sealed && len(r.Sig) > 0 {
		dst = append(jsn.AppendKey(dst, "encrypted_content"), '"')
		if r.Provider == "openai" && !r.Redacted {
			dst = append(dst, r.Sig...)
		} else {
			dst = envelope.Append(dst, r)
		}
		dst = append(dst, '"')
	}
	if status != "" {
		dst = jsn.AppendStringMember(dst, "status", status)
	}
	return append(dst, '}')
}

// outCall is a call as the client gets to see it.
type outCall struct {
	id, name, namespace string
	custom              bool
}

// call restores the client's own view of a call.
func (k *client) call(id, fn string) outCall {
	fn = k.restore(fn)
	o := outCall{id: id, name: fn, custom: k.custom[fn]}
	for ns := range k.spaces {
		inner, ok := strings.CutPrefix(fn, ns+namespaceSep)
		if ok && inner != "" && len(ns) > len(o.namespace) {
			o.namespace, o.name = ns, inner
		}
	}
	return o
}

func (o *outCall) itemID() string {
	if o.custom {
		return "ctc_" + o.id
	}
	return "fc_" + o.id
}

// item appends the call's item; args is the escaped text of its arguments.
func (o *outCall) item(dst []byte, status string, args jsn.Str) []byte {
	typ, field := "function_call", "arguments"
	if o.custom {
		typ, field = "custom_tool_call", "input"
	}
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "id", o.itemID())
	dst = jsn.AppendStringMember(dst, "type", typ)
	dst = jsn.AppendStringMember(dst, "status", status)
	dst = jsn.AppendStringMember(dst, "call_id", o.id)
	dst = jsn.AppendStringMember(dst, "name", o.name)
	if o.namespace != "" {
		dst = jsn.AppendStringMember(dst, "namespace", o.namespace)
	}
	return append(jsn.AppendStrMember(dst, field, args), '}')
}

// customInput takes the free-form input out of a call's arguments (T-6).
func customInput(t jsn.Tokens, args jsn.Str) jsn.Str {
	raw, ok := t.AppendUnquoted(nil, args)
	if ok && jsn.Valid(raw) == nil {
		if s := jsn.StrOf(jsn.Get(raw, "input")); s != nil {
			return s
		}
	}
	return args
}
