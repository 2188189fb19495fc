package gemini

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// skipSignature stands in for a call signature that nobody knows (E-3).
const skipSignature = "skip_thought_signature_validator"

// AppendRequest writes a generateContent body (GE-1). The model is not part of it.
func (d *Dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	hub.KeepReasoning(c, r, ownReasoning)
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	if err := media.Refuse(c, r, takes); err != nil {
		return dst, err
	}
	repair.LiftMedia(r)
	repair.Tools(c, r, repair.ToolOptions{WebSearch: true, AllowLists: true})
	repair.Names(c, r, repair.RuleOf("gemini"))
	w := &requestWriter{ctx: c, tokens: c.Tokens(), req: r, level: d.level, caps: c.Capabilities(c.TargetModel(r.Model))}
	hub.DropLost(c, r, "gemini", carried()...)
	system := repair.HoistSystem(c, r)
	if w.hintInsteadOfJSON() {
		system = append(system, hub.Part{Kind: hub.PartText, Text: repair.FormatHint(w.tokens, &r.Format)})
		c.Drop("response_format")
		r.Format = hub.Format{}
	}
	dst = append(dst, '{')
	if c.Count {
		dst = append(jsn.AppendKey(dst, "generateContentRequest"), '{')
		dst = jsn.AppendStringMember(dst, "model", "models/"+c.TargetModel(r.Model))
	}
	dst = w.contents(dst)
	if len(system) > 0 {
		dst = append(jsn.AppendKey(dst, "systemInstruction"), `{"parts":`...)
		dst = append(w.parts(dst, system), '}')
	}
	dst = w.tools(dst)
	dst = w.toolConfig(dst)
	if c.Count {
		return append(dst, '}', '}'), nil
	}
	dst = w.generationConfig(dst)
	dst = hub.AppendOwn(dst, r, "gemini")
	return append(dst, '}'), nil
}

// takes tells which media the API accepts: everything but ids of another vendor's
// files.
func takes(_ *hub.Message, p *hub.Part) bool {
	if p.Kind == hub.PartFileRef || p.Media == nil {
		return false
	}
	return p.Media.Data != nil || p.Media.URL != nil
}

type requestWriter struct {
	ctx    *hub.Ctx
	tokens jsn.Tokens
	req    *hub.Request
	caps   caps.Model
	level  Level
}

// carried names the fields this format has a place for.
func carried() []string {
	return []string{"max_tokens", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "n", "seed",
		"logprobs", "top_logprobs", "stop", "response_format", "tool_choice", "reasoning_effort"}
}

// ownReasoning tells whether this family signed a block (E-2).
func ownReasoning(r *hub.Reasoning) bool {
	return r.Provider == "gemini" && len(r.Sig) > 0 && !r.Redacted
}

// hintInsteadOfJSON tells whether the output format has to be asked for in words:
// older models refuse JSON mode beside functions (J-3).
func (w *requestWriter) hintInsteadOfJSON() bool {
	if w.req.Format.Kind == "" || !w.caps.NoJSONWithTools {
		return false
	}
	for i := range w.req.Tools {
		if w.req.Tools[i].Hosted == "" {
			return true
		}
	}
	return false
}

func (w *requestWriter) contents(dst []byte) []byte {
	dst = append(jsn.AppendKey(dst, "contents"), '[')
	turns := repair.Turns(w.req, w.caps.Prefill || w.caps.Family == "other")
	for _, turn := range turns {
		ms := w.req.Messages[turn.From:turn.To]
		if turn.Assistant {
			dst = w.modelContent(jsn.Sep(dst), ms)
			continue
		}
		dst = w.userContents(dst, ms)
	}
	return append(dst, ']')
}

// userContents writes a user turn: the results of a batch in a content of their own,
// everything else in the next one (GE-3).
func (w *requestWriter) userContents(dst []byte, ms []hub.Message) []byte {
	for i := 0; i < len(ms); {
		results := ms[i].Role == hub.Tool
		dst = append(jsn.Sep(dst), `{"role":"user","parts":[`...)
		for ; i < len(ms) && (ms[i].Role == hub.Tool) == results; i++ {
			if results {
				dst = w.functionResponse(jsn.Sep(dst), &ms[i])
				continue
			}
			for j := range ms[i].Parts {
				dst = w.part(jsn.Sep(dst), &ms[i].Parts[j])
			}
		}
		dst = append(dst, ']', '}')
	}
	return dst
}

func (w *requestWriter) functionResponse(dst []byte, m *hub.Message) []byte {
	dst = append(dst, `{"functionResponse":{`...)
	if m.CallID != "" {
		dst = jsn.AppendStringMember(dst, "id", m.CallID)
	}
	dst = jsn.AppendStringMember(dst, "name", m.Name)
	key := "output"
	if m.IsError {
		key = "error"
	}
	dst = append(jsn.AppendKey(dst, "response"), '{')
	dst = append(jsn.AppendKey(dst, key), '"')
	for i := range m.Parts {
		if i > 0 {
			dst = append(dst, '\\', 'n')
		}
		dst = append(dst, m.Parts[i].Text...)
	}
	return append(dst, `"}}}`...)
}

// modelContent writes an assistant turn: thoughts this family signed, text, calls.
func (w *requestWriter) modelContent(dst []byte, ms []hub.Message) []byte {
	dst = append(dst, `{"role":"model","parts":[`...)
	firstCall := true
	for i := range ms {
		m := &ms[i]
		for j := range m.Reasoning {
			dst = append(jsn.Sep(dst), '{')
			dst = jsn.AppendStrMember(dst, "text", m.Reasoning[j].Text)
			dst = append(dst, `,"thought":true`...)
			dst = append(jsn.AppendStrMember(dst, "thoughtSignature", m.Reasoning[j].Sig), '}')
		}
		if i > 0 && len(m.Parts) > 0 && len(ms[i-1].Parts) > 0 {
			dst = append(jsn.Sep(dst), `{"text":"\n\n"}`...)
		}
		for j := range m.Parts {
			dst = w.part(jsn.Sep(dst), &m.Parts[j])
		}
		for j := range m.Calls {
			dst = w.functionCall(jsn.Sep(dst), &m.Calls[j], firstCall)
			firstCall = false
		}
	}
	if dst[len(dst)-1] == '[' {
		dst = append(dst, `{"text":""}`...)
	}
	return append(dst, ']', '}')
}

func (w *requestWriter) functionCall(dst []byte, call *hub.Call, first bool) []byte {
	dst = append(dst, `{"functionCall":{`...)
	if call.ID != "" {
		dst = jsn.AppendStringMember(dst, "id", call.ID)
	}
	dst = jsn.AppendStringMember(dst, "name", call.Name)
	dst = call.Args.AppendObject(jsn.AppendKey(dst, "args"), w.tokens)
	dst = append(dst, '}')
	if first && w.caps.CallSignatures {
		if len(call.GoogleSig) > 0 {
			dst = jsn.AppendStrMember(dst, "thoughtSignature", call.GoogleSig)
		} else {
			dst = jsn.AppendStringMember(dst, "thoughtSignature", skipSignature)
		}
	}
	return append(dst, '}')
}

func (w *requestWriter) parts(dst []byte, ps []hub.Part) []byte {
	dst = append(dst, '[')
	for i := range ps {
		dst = w.part(jsn.Sep(dst), &ps[i])
	}
	return append(dst, ']')
}

// part writes text or media (section 6 of the translation rules).
func (w *requestWriter) part(dst []byte, p *hub.Part) []byte {
	if p.Kind == hub.PartText {
		dst = append(dst, '{')
		dst = jsn.AppendStrMember(dst, "text", p.Text)
		if len(p.Sig) > 0 {
			dst = jsn.AppendStrMember(dst, "thoughtSignature", p.Sig)
		}
		return append(dst, '}')
	}
	m := p.Media
	if m.Data != nil {
		dst = append(dst, `{"inlineData":{`...)
		dst = jsn.AppendStringMember(dst, "mimeType", mimeOf(m.MIME, p.Kind))
		return append(jsn.AppendStrMember(dst, "data", m.Data), '}', '}')
	}
	mime := m.MIME
	if mime == "" {
		mime = media.GuessType(w.tokens, m.URL, mimeOf("", p.Kind))
	}
	dst = append(dst, `{"fileData":{`...)
	dst = jsn.AppendStrMember(dst, "fileUri", m.URL)
	return append(jsn.AppendStringMember(dst, "mimeType", mime), '}', '}')
}

// mimeOf is the MIME type to name, with a default for each kind of content.
func mimeOf(mime string, kind hub.PartKind) string {
	if mime != "" {
		return mime
	}
	switch kind {
	case hub.PartImage:
		return "image/jpeg"
	case hub.PartAudio:
		return "audio/wav"
	case hub.PartVideo:
		return "video/mp4"
	}
	return "application/pdf"
}

func (w *requestWriter) tools(dst []byte) []byte {
	r := w.req
	if len(r.Tools) == 0 {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "tools"), '[')
	open, search := false, false
	for i := range r.Tools {
		t := &r.Tools[i]
		if t.Hosted != "" {
			search = true
			continue
		}
		if !open {
			dst, open = append(dst, `{"functionDeclarations":[`...), true
		}
		dst = append(jsn.Sep(dst), '{')
		dst = jsn.AppendStringMember(dst, "name", t.Name)
		dst = jsn.AppendStrMember(dst, "description", t.Description)
		if params := t.Parameters; !jsn.IsNull(params) || w.level == Strict {
			at := len(dst)
			dst = jsn.AppendKey(dst, "parameters")
			var ok bool
			if jsn.IsNull(params) {
				params = []byte(`{"type":"object"}`)
			}
			if dst, ok = AppendParameters(dst, w.tokens, params, w.level); !ok {
				dst = dst[:at]
			}
		}
		dst = append(dst, '}')
	}
	if open {
		dst = append(dst, ']', '}')
	}
	if search {
		dst = append(jsn.Sep(dst), `{"googleSearch":{}}`...)
	}
	return append(dst, ']')
}

// toolConfig writes the tool choice (T-2).
func (w *requestWriter) toolConfig(dst []byte) []byte {
	ch := &w.req.Choice
	mode := ""
	switch ch.Mode {
	case hub.ChoiceAuto:
		mode = "AUTO"
	case hub.ChoiceNone:
		mode = "NONE"
	case hub.ChoiceRequired, hub.ChoiceNamed:
		mode = "ANY"
	}
	if w.level == Strict && w.caps.Family == "claude" && len(w.req.Tools) > 0 {
		mode = "VALIDATED" // AG-1
	}
	if mode == "" {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "toolConfig"), `{"functionCallingConfig":{`...)
	dst = jsn.AppendStringMember(dst, "mode", mode)
	if mode == "ANY" && len(ch.Names) > 0 {
		dst = append(jsn.AppendKey(dst, "allowedFunctionNames"), '[')
		for _, n := range ch.Names {
			dst = jsn.AppendString(jsn.Sep(dst), n)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}', '}')
}
