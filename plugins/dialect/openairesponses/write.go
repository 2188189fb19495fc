package openairesponses

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	maxCallID      = 64 // N-5
	maxUser        = 64 // L-5
	minOutput      = 16 // L-1
	codex          = "codex"
	defaultSummary = "auto"
)

// AppendRequest writes a create-response request (14.2); provider codex selects the
// Codex profile (CX-1).
func (dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	hub.KeepReasoning(c, r, ownReasoning)
	hub.DropTextSignatures(r)
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	if err := media.Refuse(c, r, takes); err != nil {
		return dst, err
	}
	hub.PrefixErrors(c, r)
	repair.Tools(c, r, repair.ToolOptions{WebSearch: true, AllowLists: true})
	repair.Names(c, r, repair.RuleOf(Name))
	repair.CallIDs(r, fitCallID)
	model := c.TargetModel(r.Model)
	w := &requestWriter{ctx: c, tokens: c.Tokens(), req: r, caps: c.Capabilities(model), codex: c.Provider == codex}
	hub.DropLost(c, r, Name, w.carried()...)
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", model)
	dst = w.conversation(dst)
	dst = w.tools(dst)
	dst = w.limits(dst)
	dst = w.thinking(dst)
	dst = w.text(dst)
	dst = w.identity(dst)
	dst = append(dst, `,"store":false`...)
	if r.Stream || w.codex {
		dst = jsn.AppendBoolMember(dst, "stream", true)
	}
	if r.Source == Name {
		for _, f := range r.Raw {
			if f.Name != "include" && f.Name != "store" {
				dst = jsn.AppendMember(dst, f.Name, f.Raw)
			}
		}
	}
	return append(dst, '}'), nil
}

// takes tells which media the API accepts (section 6 of the translation rules).
func takes(m *hub.Message, p *hub.Part) bool {
	if p.Media == nil || m.Role != hub.User && m.Role != hub.Tool {
		return false
	}
	switch p.Kind {
	case hub.PartImage, hub.PartFile:
		return len(p.Media.Data) > 0 || len(p.Media.URL) > 0
	}
	return false
}

// ownReasoning tells whether OpenAI signed a block (E-2).
func ownReasoning(r *hub.Reasoning) bool {
	return r.Provider == "openai" && len(r.Sig) > 0 && !r.Redacted
}

// fitCallID shortens ids above the limit (N-5).
func fitCallID(id string) string {
	if len(id) <= maxCallID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return id[:31] + "_" + hex.EncodeToString(sum[:16])
}

type requestWriter struct {
	ctx    *hub.Ctx
	tokens jsn.Tokens
	req    *hub.Request
	caps   caps.Model
	codex  bool
}

// carried names the fields this format, or its Codex profile, has a place for.
func (w *requestWriter) carried() []string {
	kept := []string{"response_format", "tool_choice", "parallel_tool_calls", "reasoning_effort", "prompt_cache_key",
		"service_tier", "verbosity", "tools.strict"}
	if !w.codex {
		kept = append(kept, "max_tokens", "temperature", "top_p", "logprobs", "top_logprobs", "user", "safety_identifier", "metadata")
	}
	return kept
}

// conversation writes instructions and input (S-1).
func (w *requestWriter) conversation(dst []byte) []byte {
	ms := w.req.Messages
	lead := 0
	for lead < len(ms) && repair.IsSystem(&ms[lead]) {
		lead++
	}
	if lead > 0 || w.codex {
		dst = append(jsn.AppendKey(dst, "instructions"), '"')
		first := true
		for i := range ms[:lead] {
			for _, p := range ms[i].Parts {
				if p.Kind != hub.PartText {
					continue
				}
				if !first {
					dst = append(dst, `\n\n`...)
				}
				first = false
				dst = append(dst, p.Text...)
			}
		}
		dst = append(dst, '"')
	}
	dst = append(jsn.AppendKey(dst, "input"), '[')
	for i := lead; i < len(ms); i++ {
		dst = w.message(dst, &ms[i])
	}
	return append(dst, ']')
}

// message writes the items of one message.
func (w *requestWriter) message(dst []byte, m *hub.Message) []byte {
	switch m.Role {
	case hub.Tool:
		return w.output(dst, m)
	case hub.Assistant:
		return w.assistant(dst, m)
	}
	role := hub.User
	if repair.IsSystem(m) {
		role = hub.Developer
	}
	dst = append(jsn.Sep(dst), `{"type":"message","role":"`...)
	dst = append(append(dst, role...), `","content":`...)
	return append(w.parts(dst, m.Parts), '}')
}

func (w *requestWriter) parts(dst []byte, parts []hub.Part) []byte {
	dst = append(dst, '[')
	for i := range parts {
		dst = w.part(jsn.Sep(dst), &parts[i])
	}
	return append(dst, ']')
}

// part writes a piece of input content.
func (w *requestWriter) part(dst []byte, p *hub.Part) []byte {
	dst = append(dst, '{')
	m := p.Media
	switch p.Kind {
	case hub.PartImage:
		dst = append(dst, `"type":"input_image","image_url":"`...)
		if m.Data != nil {
			dst = media.AppendDataURL(dst, m.MIME, m.Data)
		} else {
			dst = append(dst, m.URL...)
		}
		detail := m.Detail
		if len(detail) == 0 {
			detail = jsn.Lit("auto")
		}
		dst = jsn.AppendStrMember(append(dst, '"'), "detail", detail)
	case hub.PartFile:
		dst = append(dst, `"type":"input_file"`...)
		if m.Data == nil {
			dst = jsn.AppendStrMember(dst, "file_url", m.URL)
			break
		}
		name := m.Name
		if len(name) == 0 {
			name = jsn.Lit(media.FileName(m))
		}
		dst = jsn.AppendStrMember(dst, "filename", name)
		dst = append(jsn.AppendKey(dst, "file_data"), '"')
		dst = append(media.AppendDataURL(dst, m.MIME, m.Data), '"')
	default:
		dst = append(dst, `"type":"input_text"`...)
		dst = jsn.AppendStrMember(dst, "text", p.Text)
	}
	return append(dst, '}')
}

// assistant writes reasoning that OpenAI signed, the text, then the calls.
func (w *requestWriter) assistant(dst []byte, m *hub.Message) []byte {
	for i := range m.Reasoning {
		rs := &m.Reasoning[i]
		dst = append(jsn.Sep(dst), `{"type":"reasoning","summary":[`...)
		if len(rs.Text) > 0 {
			dst = append(dst, `{"type":"summary_text","text":"`...)
			dst = append(append(dst, rs.Text...), `"}`...)
		}
		dst = append(dst, ']')
		dst = append(jsn.AppendStrMember(dst, "encrypted_content", rs.Sig), '}')
	}
	if len(m.Parts) > 0 {
		dst = append(jsn.Sep(dst), `{"type":"message","role":"assistant","content":[`...)
		for i := range m.Parts {
			dst = append(jsn.Sep(dst), `{"type":"output_text","text":"`...)
			dst = append(append(dst, m.Parts[i].Text...), `","annotations":[]}`...)
		}
		dst = append(dst, ']')
		if m.Phase != "" {
			dst = jsn.AppendStringMember(dst, "phase", m.Phase)
		}
		dst = append(dst, '}')
	}
	for i := range m.Calls {
		call := &m.Calls[i]
		dst = append(jsn.Sep(dst), `{"type":"function_call"`...)
		dst = jsn.AppendStringMember(dst, "call_id", call.ID)
		dst = jsn.AppendStringMember(dst, "name", call.Name)
		dst = append(jsn.AppendKey(dst, "arguments"), '"')
		dst = append(call.Args.AppendString(dst, w.tokens), '"', '}')
	}
	return dst
}

func (w *requestWriter) output(dst []byte, m *hub.Message) []byte {
	dst = append(jsn.Sep(dst), `{"type":"function_call_output"`...)
	dst = jsn.AppendStringMember(dst, "call_id", m.CallID)
	dst = jsn.AppendKey(dst, "output")
	plain := true
	for i := range m.Parts {
		plain = plain && m.Parts[i].Kind == hub.PartText
	}
	if !plain {
		return append(w.parts(dst, m.Parts), '}')
	}
	dst = append(dst, '"')
	for i := range m.Parts {
		if i > 0 {
			dst = append(dst, '\\', 'n')
		}
		dst = append(dst, m.Parts[i].Text...)
	}
	return append(dst, '"', '}')
}

// tools writes definitions, choice and the parallel switch, all of them flat (T-1,
// T-2).
func (w *requestWriter) tools(dst []byte) []byte {
	r := w.req
	if len(r.Tools) > 0 {
		dst = append(jsn.AppendKey(dst, "tools"), '[')
		for i := range r.Tools {
			t := &r.Tools[i]
			if t.Hosted != "" {
				dst = append(jsn.Sep(dst), w.hosted(t)...)
				continue
			}
			dst = append(jsn.Sep(dst), `{"type":"function"`...)
			dst = jsn.AppendStringMember(dst, "name", t.Name)
			if t.Description != nil {
				dst = jsn.AppendStrMember(dst, "description", t.Description)
			}
			dst = jsn.AppendMember(dst, "parameters", hub.ObjectSchema(t.Parameters))
			strict := t.Strict
			if jsn.IsNull(strict) {
				strict = []byte("false")
			}
			dst = append(jsn.AppendMember(dst, "strict", strict), '}')
		}
		dst = append(dst, ']')
	}
	switch ch := &r.Choice; {
	case ch.Mode == hub.ChoiceNamed && len(ch.Names) > 0:
		dst = append(jsn.AppendKey(dst, "tool_choice"), `{"type":"function"`...)
		dst = append(jsn.AppendStringMember(dst, "name", ch.Names[0]), '}')
	case ch.Mode == hub.ChoiceRequired && len(ch.Names) > 0:
		dst = append(jsn.AppendKey(dst, "tool_choice"), `{"type":"allowed_tools","mode":"required","tools":[`...)
		for _, n := range ch.Names {
			dst = append(jsn.Sep(dst), `{"type":"function"`...)
			dst = append(jsn.AppendStringMember(dst, "name", n), '}')
		}
		dst = append(dst, ']', '}')
	case ch.Mode != "":
		dst = jsn.AppendStringMember(dst, "tool_choice", ch.Mode)
	}
	if r.Parallel != hub.Unset {
		dst = jsn.AppendBoolMember(dst, "parallel_tool_calls", r.Parallel == hub.True)
	}
	return dst
}

// hosted writes the web search tool: as it came, when it came in this format.
func (w *requestWriter) hosted(t *hub.ToolDef) []byte {
	if w.req.Source == Name && len(t.Raw) > 0 {
		return t.Raw
	}
	return []byte(`{"type":"web_search"}`)
}

// limits writes the output limit and the sampling that the model takes (L-1, L-2).
func (w *requestWriter) limits(dst []byte) []byte {
	r := w.req
	if w.codex {
		return dst
	}
	if !w.ctx.Count {
		if n, ok := jsn.Int(r.MaxTokens); ok {
			dst = jsn.AppendIntMember(dst, "max_output_tokens", max(n, minOutput))
		}
	}
	if w.caps.ReasoningModel {
		w.ctx.DropIf("temperature", r.Temperature)
		w.ctx.DropIf("top_p", r.TopP)
		w.ctx.DropIf("top_logprobs", r.TopLogprobs)
		w.ctx.DropIf("logprobs", r.Logprobs)
		return dst
	}
	dst = jsn.AppendMember(dst, "temperature", r.Temperature)
	dst = jsn.AppendMember(dst, "top_p", r.TopP)
	return jsn.AppendMember(dst, "top_logprobs", r.TopLogprobs)
}

// thinking writes reasoning and include (H-9).
func (w *requestWriter) thinking(dst []byte) []byte {
	r := w.req
	level := ""
	if w.caps.Thinking != caps.ThinkNone {
		if level = r.Thinking.Level(); level != "" && len(w.caps.Levels) > 0 {
			level = caps.Nearest(level, w.caps.Levels)
		}
	} else if r.Thinking.Mode != "" && r.Thinking.Mode != hub.ThinkOff {
		w.ctx.Drop("reasoning_effort")
	}
	summary := jsn.Str(nil)
	if r.Visible && level != caps.None && w.caps.Thinking != caps.ThinkNone {
		if summary = r.Summary; len(summary) == 0 {
			summary = jsn.Lit(defaultSummary)
		}
	}
	if level != "" || summary != nil {
		dst = append(jsn.AppendKey(dst, "reasoning"), '{')
		if level != "" {
			dst = jsn.AppendStringMember(dst, "effort", level)
		}
		if summary != nil {
			dst = jsn.AppendStrMember(dst, "summary", summary)
		}
		dst = append(dst, '}')
	}
	sealed := w.caps.ReasoningModel || level != "" || w.codex
	logprobs := !w.caps.ReasoningModel && !w.codex && jsn.IsTrue(r.Logprobs)
	if sealed || logprobs {
		dst = append(jsn.AppendKey(dst, "include"), '[')
		if sealed {
			dst = append(dst, `"reasoning.encrypted_content"`...)
		}
		if logprobs {
			dst = append(jsn.Sep(dst), `"message.output_text.logprobs"`...)
		}
		dst = append(dst, ']')
	}
	return dst
}

// text writes output format and verbosity (J-2).
func (w *requestWriter) text(dst []byte) []byte {
	f := &w.req.Format
	if f.Kind == "" && w.req.Verbosity == nil {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "text"), '{')
	if f.Kind != "" {
		dst = append(jsn.AppendKey(dst, "format"), '{')
		dst = jsn.AppendStringMember(dst, "type", f.Kind)
		if f.Kind == hub.FormatSchema {
			name := f.Name
			if len(name) == 0 {
				name = jsn.Lit("response")
			}
			dst = jsn.AppendStrMember(dst, "name", name)
			if f.Description != nil {
				dst = jsn.AppendStrMember(dst, "description", f.Description)
			}
			dst = jsn.AppendMember(dst, "schema", f.Schema)
			if !jsn.IsNull(f.Strict) {
				dst = jsn.AppendMember(dst, "strict", f.Strict)
			}
		}
		dst = append(dst, '}')
	}
	if w.req.Verbosity != nil {
		dst = jsn.AppendStrMember(dst, "verbosity", w.req.Verbosity)
	}
	return append(dst, '}')
}

// identity writes who asks, and how the request is to be served (L-4, L-5).
func (w *requestWriter) identity(dst []byte) []byte {
	r := w.req
	if len(r.PromptCacheKey) > 0 {
		dst = jsn.AppendStrMember(dst, "prompt_cache_key", r.PromptCacheKey)
	}
	if len(r.ServiceTier) > 0 {
		if !w.codex || r.ServiceTier.Is("priority") {
			dst = jsn.AppendStrMember(dst, "service_tier", r.ServiceTier)
		} else {
			w.ctx.Drop("service_tier")
		}
	}
	if w.codex {
		return dst
	}
	if len(r.User) > 0 {
		if hub.LongerThan(w.tokens, r.User, maxUser) {
			dst = jsn.AppendStringMember(dst, "user", repair.Digest(w.tokens, r.User))
		} else {
			dst = jsn.AppendStrMember(dst, "user", r.User)
		}
	}
	if len(r.SafetyIdentifier) > 0 {
		dst = jsn.AppendStrMember(dst, "safety_identifier", r.SafetyIdentifier)
	}
	if !jsn.IsNull(r.Metadata) {
		dst = jsn.AppendMember(dst, "metadata", r.Metadata)
	}
	return dst
}
