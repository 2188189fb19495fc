package openai

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/hub/chat"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	maxStop = 4  // most stop sequences (L-3)
	maxUser = 64 // longest user id (L-5)
)

// replay says what a provider wants back of its reasoning text (H-10).
type replay uint8

const (
	replayNone replay = iota
	replayCalls
	replayAll
)

func replayOf(provider string) replay {
	switch provider {
	case "deepseek":
		return replayAll
	case "kimi", "moonshot":
		return replayCalls
	}
	return replayNone
}

// writer writes one request.
type writer struct {
	c      *hub.Ctx
	t      jsn.Tokens
	r      *hub.Request
	model  string
	caps   caps.Model
	replay replay
}

// AppendRequest implements hub.Dialect.
func (dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	w := writer{c: c, t: c.Tokens(), r: r, model: c.TargetModel(r.Model), replay: replayOf(c.Provider)}
	w.caps = c.Capabilities(w.model)
	hub.DropLost(c, r, Name, "max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "n", "seed",
		"logit_bias", "logprobs", "top_logprobs", "metadata", "store", "modalities", "user", "safety_identifier",
		"prompt_cache_key", "service_tier", "verbosity", "stop", "response_format", "tool_choice", "parallel_tool_calls", "reasoning_effort", "tools.strict")
	w.pruneReasoning()
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	hub.PrefixErrors(c, r)
	if err := media.Refuse(c, r, takes); err != nil {
		return dst, err
	}
	repair.LiftMedia(r)
	repair.Tools(c, r, repair.ToolOptions{})
	repair.Names(c, r, repair.RuleOf(Name))

	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", w.model)
	dst = w.messages(dst)
	dst = w.tools(dst)
	dst = w.limits(dst)
	dst = w.sampling(dst)
	dst = w.rest(dst)
	dst = hub.AppendOwn(dst, r, Name)
	return append(dst, '}'), nil
}

// takes tells which media chat completions carries; those of tool results are lifted
// into a user message (M-5).
func takes(m *hub.Message, p *hub.Part) bool {
	if m.Role != hub.User && m.Role != hub.Tool {
		return false
	}
	switch p.Kind {
	case hub.PartImage, hub.PartAudio:
		return len(p.Media.Data) > 0 || p.Kind == hub.PartImage && len(p.Media.URL) > 0
	case hub.PartFile:
		return len(p.Media.Data) > 0
	}
	return false
}

// pruneReasoning removes the reasoning that this provider does not get (E-2, H-10).
func (w *writer) pruneReasoning() {
	for i := range w.r.Messages {
		m := &w.r.Messages[i]
		keep := w.replay == replayAll || w.replay == replayCalls && len(m.Calls) > 0
		if len(m.Reasoning) > 0 && (!keep || hub.JoinReasoning(m.Reasoning) == nil) {
			w.c.Drop("reasoning_content")
			m.Reasoning = nil
		}
	}
}

func (w *writer) messages(dst []byte) []byte {
	dst = append(jsn.AppendKey(dst, "messages"), '[')
	ms := w.r.Messages
	for i := range ms {
		m := &ms[i]
		switch m.Role {
		case hub.Assistant:
			dst = w.assistant(dst, m)
		case hub.Tool:
			dst = w.result(dst, m)
		case hub.User:
			dst = w.user(dst, m)
		default:
			dst = w.system(dst, m)
		}
	}
	return append(dst, ']')
}

func (w *writer) system(dst []byte, m *hub.Message) []byte {
	role := hub.System
	if m.Role == hub.Developer {
		switch w.c.Provider {
		case "openai", "codex", "github":
			role = hub.Developer
		}
		if w.c.KeepDeveloper {
			role = hub.Developer
		}
	}
	dst = append(jsn.Sep(dst), '{')
	dst = jsn.AppendStringMember(dst, "role", role)
	dst = append(jsn.AppendKey(dst, "content"), '"')
	dst = appendTexts(dst, m.Parts, `\n\n`)
	return append(dst, '"', '}')
}

// appendTexts appends the texts of parts with sep between them.
func appendTexts(dst []byte, parts []hub.Part, sep string) []byte {
	n := 0
	for i := range parts {
		if parts[i].Kind != hub.PartText {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, sep...)
		}
		dst = append(dst, parts[i].Text...)
	}
	return dst
}

func hasText(parts []hub.Part) bool {
	for i := range parts {
		if parts[i].Kind == hub.PartText && len(parts[i].Text) > 0 {
			return true
		}
	}
	return false
}

func (w *writer) user(dst []byte, m *hub.Message) []byte {
	dst = append(jsn.Sep(dst), `{"role":"user","content":`...)
	if len(m.Parts) == 1 && m.Parts[0].Kind == hub.PartText {
		dst = jsn.AppendStr(dst, m.Parts[0].Text)
		return append(dst, '}')
	}
	dst = append(dst, '[')
	for i := range m.Parts {
		dst = chat.AppendPart(dst, &m.Parts[i])
	}
	return append(dst, ']', '}')
}

func (w *writer) assistant(dst []byte, m *hub.Message) []byte {
	text := hasText(m.Parts)
	if !text && len(m.Calls) == 0 {
		return dst
	}
	dst = append(jsn.Sep(dst), `{"role":"assistant","content":`...)
	if text {
		dst = append(dst, '"')
		dst = appendTexts(dst, m.Parts, "")
		dst = append(dst, '"')
	} else {
		dst = append(dst, "null"...)
	}
	if w.replay == replayAll || w.replay == replayCalls && len(m.Calls) > 0 {
		thought := hub.JoinReasoning(m.Reasoning)
		if thought == nil {
			thought = jsn.Str(" ")
		}
		dst = jsn.AppendStrMember(dst, "reasoning_content", thought)
	}
	if len(m.Calls) > 0 {
		dst = append(jsn.AppendKey(dst, "tool_calls"), '[')
		for i := range m.Calls {
			dst = chat.AppendCall(dst, w.t, &m.Calls[i])
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (w *writer) result(dst []byte, m *hub.Message) []byte {
	dst = append(jsn.Sep(dst), `{"role":"tool"`...)
	dst = jsn.AppendStringMember(dst, "tool_call_id", m.CallID)
	dst = append(jsn.AppendKey(dst, "content"), '"')
	dst = appendTexts(dst, m.Parts, `\n`)
	return append(dst, '"', '}')
}

func (w *writer) tools(dst []byte) []byte {
	r := w.r
	if len(r.Tools) == 0 {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "tools"), '[')
	for i := range r.Tools {
		def := &r.Tools[i]
		dst = append(jsn.Sep(dst), `{"type":"function","function":{`...)
		dst = jsn.AppendStringMember(dst, "name", def.Name)
		dst = jsn.AppendStrMember(dst, "description", def.Description)
		dst = jsn.AppendMember(dst, "parameters", hub.ObjectSchema(def.Parameters))
		dst = jsn.AppendMember(dst, "strict", def.Strict)
		dst = append(dst, '}', '}')
	}
	dst = append(dst, ']')
	switch ch := r.Choice; ch.Mode {
	case "":
	case hub.ChoiceNamed:
		dst = append(jsn.AppendKey(dst, "tool_choice"), `{"type":"function","function":{`...)
		dst = jsn.AppendStringMember(dst, "name", ch.Names[0])
		dst = append(dst, '}', '}')
	default:
		dst = jsn.AppendStringMember(dst, "tool_choice", ch.Mode)
	}
	if r.Parallel != hub.Unset {
		dst = jsn.AppendBoolMember(dst, "parallel_tool_calls", r.Parallel == hub.True)
	}
	return dst
}

// limits writes output limit, stop, stream and reasoning effort.
func (w *writer) limits(dst []byte) []byte {
	r := w.r
	if w.c.Count {
		return dst
	}
	if jsn.KindOf(r.MaxTokens) == jsn.Number {
		key := "max_tokens"
		if w.caps.ReasoningModel {
			key = "max_completion_tokens"
		}
		dst = jsn.AppendMember(dst, key, r.MaxTokens)
	}
	if len(r.Stop) > 0 {
		if len(r.Stop) > maxStop {
			w.c.Drop("stop")
			r.Stop = r.Stop[:maxStop]
		}
		dst = append(jsn.AppendKey(dst, "stop"), '[')
		for _, s := range r.Stop {
			dst = jsn.AppendStr(jsn.Sep(dst), s)
		}
		dst = append(dst, ']')
	}
	if r.Thinking.Mode != "" {
		if level := r.Thinking.Level(); level != "" && w.caps.Thinking != caps.ThinkNone {
			dst = jsn.AppendStringMember(dst, "reasoning_effort", caps.Nearest(level, w.caps.Levels))
		} else if level != "" {
			w.c.Drop("reasoning_effort")
		}
	}
	if r.Stream {
		dst = append(dst, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	return dst
}

func (w *writer) sampling(dst []byte) []byte {
	r := w.r
	for _, f := range [...]hub.Field{
		{Name: "temperature", Raw: r.Temperature},
		{Name: "top_p", Raw: r.TopP},
		{Name: "presence_penalty", Raw: r.PresencePenalty},
		{Name: "frequency_penalty", Raw: r.FrequencyPenalty},
		{Name: "logprobs", Raw: r.Logprobs},
		{Name: "top_logprobs", Raw: r.TopLogprobs},
	} {
		if w.caps.ReasoningModel {
			w.c.DropIf(f.Name, f.Raw)
			continue
		}
		dst = jsn.AppendMember(dst, f.Name, f.Raw)
	}
	dst = jsn.AppendMember(dst, "n", r.N)
	dst = jsn.AppendMember(dst, "seed", r.Seed)
	return jsn.AppendMember(dst, "logit_bias", r.LogitBias)
}

func (w *writer) rest(dst []byte) []byte {
	r := w.r
	dst = chat.AppendFormat(dst, &r.Format)
	if len(r.User) > 0 {
		if hub.LongerThan(w.t, r.User, maxUser) {
			dst = jsn.AppendStringMember(dst, "user", repair.Digest(w.t, r.User))
		} else {
			dst = jsn.AppendStrMember(dst, "user", r.User)
		}
	}
	for _, f := range [...]struct {
		name string
		s    jsn.Str
	}{
		{"safety_identifier", r.SafetyIdentifier},
		{"prompt_cache_key", r.PromptCacheKey},
		{"service_tier", r.ServiceTier},
		{"verbosity", r.Verbosity},
	} {
		if len(f.s) > 0 {
			dst = jsn.AppendStrMember(dst, f.name, f.s)
		}
	}
	dst = jsn.AppendMember(dst, "metadata", r.Metadata)
	dst = jsn.AppendMember(dst, "store", r.Store)
	return jsn.AppendMember(dst, "modalities", r.Modalities)
}
