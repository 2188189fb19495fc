package hub

import (
	"slices"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// DropLost reports every field of the request that the target has no place for (P-5):
// all that are set to something else than what happens without them, but for those
// named in kept, which the target carries or reports itself. Names are the hub's.
func DropLost(c *Ctx, r *Request, target string, kept ...string) {
	lost := func(name string, set bool) {
		if set && !slices.Contains(kept, name) {
			c.Drop(name)
		}
	}
	for _, f := range [...]Field{
		{"max_tokens", r.MaxTokens}, {"temperature", r.Temperature}, {"top_p", r.TopP}, {"top_k", r.TopK},
		{"presence_penalty", r.PresencePenalty}, {"frequency_penalty", r.FrequencyPenalty}, {"n", r.N}, {"seed", r.Seed},
		{"logit_bias", r.LogitBias}, {"logprobs", r.Logprobs}, {"top_logprobs", r.TopLogprobs},
		{"metadata", r.Metadata}, {"store", r.Store}, {"modalities", r.Modalities},
	} {
		lost(f.Name, !idle(f))
	}
	for _, f := range [...]struct {
		name string
		s    jsn.Str
	}{{"user", r.User}, {"safety_identifier", r.SafetyIdentifier}, {"prompt_cache_key", r.PromptCacheKey},
		{"service_tier", r.ServiceTier}, {"verbosity", r.Verbosity}} {
		lost(f.name, len(f.s) > 0 && !f.s.Is("auto"))
	}
	lost("stop", len(r.Stop) > 0)
	lost("response_format", r.Format.Kind != "")
	lost("tool_choice", r.Choice.Mode != "" && r.Choice.Mode != ChoiceAuto)
	lost("parallel_tool_calls", r.Parallel == False)
	lost("reasoning_effort", r.Thinking.Mode != "" && r.Thinking.Mode != ThinkOff)
	lost("cache_control", marked(r))
	lost("tools.strict", strict(r))
	if r.Source != target {
		DropRaw(c, r)
	}
}

// DropRaw reports the root fields that no other format has a place for (P-4).
func DropRaw(c *Ctx, r *Request) {
	for _, f := range r.Raw {
		if !idle(f) {
			c.Drop(f.Name)
		}
	}
}

// AppendOwn appends the root fields that the hub has no place for to a request in the
// format that it came in (P-4).
func AppendOwn(dst []byte, r *Request, format string) []byte {
	if r.Source != format {
		return dst
	}
	for _, f := range r.Raw {
		dst = jsn.AppendMember(dst, f.Name, f.Raw)
	}
	return dst
}

// idle tells whether leaving a field out changes nothing: it holds what happens without
// it, or the gateway itself does what it asks for.
func idle(f Field) bool {
	if jsn.IsNull(f.Raw) {
		return true
	}
	switch f.Name {
	case "n":
		return string(f.Raw) == "1"
	case "presence_penalty", "frequency_penalty":
		return string(f.Raw) == "0"
	case "logprobs", "store", "background":
		return jsn.IsFalse(f.Raw)
	case "logit_bias", "metadata":
		return jsn.KindOf(f.Raw) == jsn.Obj && jsn.Len(f.Raw) == 0
	case "modalities":
		return string(jsn.AppendCompact(nil, f.Raw)) == `["text"]`
	case "truncation":
		return jsn.StrOf(f.Raw).Is("disabled")
	case "stream", "stream_options", "include":
		return true
	}
	return false
}

// strict tells whether the client wants the arguments of a tool held to its schema.
func strict(r *Request) bool {
	return slices.ContainsFunc(r.Tools, func(t ToolDef) bool { return jsn.IsTrue(t.Strict) })
}

// marked tells whether the request holds a cache mark anywhere.
func marked(r *Request) bool {
	for i := range r.Tools {
		if r.Tools[i].Cache != nil {
			return true
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		if m.Cache != nil {
			return true
		}
		for j := range m.Parts {
			if m.Parts[j].Cache != nil {
				return true
			}
		}
		for j := range m.Calls {
			if m.Calls[j].Cache != nil {
				return true
			}
		}
	}
	return false
}

// KeepReasoning takes the reasoning that must not reach the target out of the
// conversation, and reports it (E-2, P-5).
func KeepReasoning(c *Ctx, r *Request, keep func(*Reasoning) bool) {
	for i := range r.Messages {
		m := &r.Messages[i]
		kept := m.Reasoning[:0]
		for j := range m.Reasoning {
			if keep(&m.Reasoning[j]) {
				kept = append(kept, m.Reasoning[j])
			} else {
				c.Drop("reasoning_content")
			}
		}
		m.Reasoning = kept
	}
}

// NoReasoning is for [KeepReasoning]: nothing is kept.
func NoReasoning(*Reasoning) bool { return false }

// DropTextSignatures removes the Gemini signatures of texts, for every target but that
// family (E-2).
func DropTextSignatures(r *Request) {
	for i := range r.Messages {
		for j := range r.Messages[i].Parts {
			r.Messages[i].Parts[j].Sig = nil
		}
	}
}

// CheckState refuses a request that refers to state kept by the vendor of its own
// format, unless it stays in that format (RS-1, GS-4). On the way into the hub's JSON
// form nothing is refused yet: whoever leaves it asks again.
func CheckState(c *Ctx, r *Request) error {
	if c.To == r.Source || c.To == "hub" {
		return nil
	}
	for _, f := range r.Raw {
		if idle(f) || !stateful(r.Source, f.Name) {
			continue
		}
		return &Error{Status: 400, Code: "unsupported_parameter", Param: f.Name, Fallback: true,
			Message: f.Name + " refers to state that only the " + r.Source + " API itself keeps, which the chosen provider cannot read"}
	}
	return nil
}

func stateful(source, field string) bool {
	switch field {
	case "cachedContent":
		return source == "gemini"
	case "previous_response_id", "conversation", "prompt", "background":
		return source == "openai-responses"
	}
	return false
}
