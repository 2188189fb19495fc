package claude

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// marks decides which cache marks are sent: the last four in prompt order, and
// no one-hour mark behind a five-minute one.
type marks struct {
	skip  int  // marks still to be left out
	short bool // a five-minute mark was sent
}

// countMarks walks everything in prompt order: tools, system, messages.
func (w *writer) countMarks() marks {
	n := 0
	count := func(mark []byte) {
		if len(mark) > 0 {
			n++
		}
	}
	for i := range w.r.Tools {
		count(w.r.Tools[i].Cache)
	}
	for i := range w.system {
		if !w.t.Blank(w.system[i].Text) {
			count(w.system[i].Cache)
		}
	}
	for i := range w.r.Messages {
		m := &w.r.Messages[i]
		if m.Role == hub.Tool {
			count(resultMark(m))
			continue
		}
		for j := range m.Parts {
			if w.sends(&m.Parts[j]) {
				count(m.Parts[j].Cache)
			}
		}
		for j := range m.Calls {
			count(m.Calls[j].Cache)
		}
	}
	if n > maxMarks {
		w.c.Drop("cache_control")
	}
	return marks{skip: n - maxMarks}
}

// mark appends a cache mark as the last member of a block, unless it is left out.
func (w *writer) mark(dst, mark []byte) []byte {
	if len(mark) == 0 {
		return dst
	}
	if w.marks.skip > 0 {
		w.marks.skip--
		return dst
	}
	hour := jsn.StrOf(jsn.Get(mark, "ttl")).Is("1h")
	if !hour {
		w.marks.short = true
	}
	if !hour || !w.marks.short {
		return jsn.AppendMember(dst, "cache_control", mark)
	}
	dst = append(jsn.AppendKey(dst, "cache_control"), '{')
	for it := jsn.Object(mark); it.Next(); {
		if string(it.Key()) != "ttl" {
			dst = jsn.AppendRawMember(dst, it.RawKey(), it.Value())
		}
	}
	return append(dst, '}')
}

// resultMark returns the mark of a tool result: its own, or that of its last marked
// part.
func resultMark(m *hub.Message) []byte {
	mark := m.Cache
	for i := range m.Parts {
		if len(m.Parts[i].Cache) > 0 && len(m.Cache) == 0 {
			mark = m.Parts[i].Cache
		}
	}
	return mark
}

func (w *writer) tools(dst []byte) []byte {
	r := w.r
	if len(r.Tools) == 0 {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "tools"), '[')
	for i := range r.Tools {
		def := &r.Tools[i]
		dst = append(jsn.Sep(dst), '{')
		dst = jsn.AppendStringMember(dst, "name", def.Name)
		dst = jsn.AppendStrMember(dst, "description", def.Description)
		dst = appendToolSchema(jsn.AppendKey(dst, "input_schema"), hub.ObjectSchema(def.Parameters))
		dst = append(w.mark(dst, def.Cache), '}')
	}
	dst = append(dst, ']')
	mode := r.Choice.Mode
	single := r.Parallel == hub.False && mode != hub.ChoiceNone
	if mode == "" && !single {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "tool_choice"), '{')
	switch mode {
	case hub.ChoiceRequired:
		dst = jsn.AppendStringMember(dst, "type", "any")
	case hub.ChoiceNamed:
		dst = jsn.AppendStringMember(dst, "type", "tool")
		dst = jsn.AppendStringMember(dst, "name", r.Choice.Names[0])
	case hub.ChoiceNone:
		dst = jsn.AppendStringMember(dst, "type", mode)
	default:
		dst = jsn.AppendStringMember(dst, "type", hub.ChoiceAuto)
	}
	if single {
		dst = jsn.AppendBoolMember(dst, "disable_parallel_tool_use", true)
	}
	return append(dst, '}')
}

// systemBlocks writes the hoisted system text and the hint for JSON output (J-3).
func (w *writer) systemBlocks(dst []byte) []byte {
	at := len(dst)
	dst = append(jsn.AppendKey(dst, "system"), '[')
	empty := true
	for i := range w.system {
		p := &w.system[i]
		if p.Kind != hub.PartText || w.t.Blank(p.Text) {
			continue
		}
		dst = w.block(jsn.Sep(dst), p)
		empty = false
	}
	if w.r.Format.Kind != "" && !w.nativeFormat() {
		w.c.Drop("response_format")
		hint := hub.Part{Text: repair.FormatHint(w.t, &w.r.Format)}
		dst = w.block(jsn.Sep(dst), &hint)
		empty = false
	}
	if empty {
		return dst[:at]
	}
	return append(dst, ']')
}

func (w *writer) messages(dst []byte) []byte {
	dst = append(jsn.AppendKey(dst, "messages"), '[')
	for _, turn := range w.turns {
		ms := w.r.Messages[turn.From:turn.To]
		if turn.Assistant {
			dst = append(jsn.Sep(dst), `{"role":"assistant","content":[`...)
			dst = w.assistant(dst, ms)
		} else {
			dst = append(jsn.Sep(dst), `{"role":"user","content":[`...)
			dst = w.user(dst, ms)
		}
		dst = append(dst, ']', '}')
	}
	return append(dst, ']')
}

// assistant writes a turn: thinking first, tool_use last (C-1).
func (w *writer) assistant(dst []byte, ms []hub.Message) []byte {
	for i := range ms {
		for j := range ms[i].Reasoning {
			dst = appendThinking(jsn.Sep(dst), &ms[i].Reasoning[j])
		}
	}
	for i := range ms {
		dst = w.blocks(dst, ms[i].Parts)
	}
	for i := range ms {
		for j := range ms[i].Calls {
			call := &ms[i].Calls[j]
			dst = append(jsn.Sep(dst), `{"type":"tool_use"`...)
			dst = jsn.AppendStringMember(dst, "id", call.ID)
			dst = jsn.AppendStringMember(dst, "name", call.Name)
			dst = call.Args.AppendObject(jsn.AppendKey(dst, "input"), w.t)
			dst = append(w.mark(dst, call.Cache), '}')
		}
	}
	return dst
}

// user writes a turn: tool results first (C-1).
func (w *writer) user(dst []byte, ms []hub.Message) []byte {
	for i := range ms {
		if ms[i].Role == hub.Tool {
			dst = w.result(jsn.Sep(dst), &ms[i])
		}
	}
	for i := range ms {
		if ms[i].Role != hub.Tool {
			dst = w.blocks(dst, ms[i].Parts)
		}
	}
	return dst
}

func (w *writer) result(dst []byte, m *hub.Message) []byte {
	dst = append(dst, `{"type":"tool_result"`...)
	dst = jsn.AppendStringMember(dst, "tool_use_id", m.CallID)
	switch {
	case len(m.Parts) == 0:
		dst = jsn.AppendStringMember(dst, "content", "")
	case len(m.Parts) == 1 && m.Parts[0].Kind == hub.PartText:
		dst = jsn.AppendStrMember(dst, "content", m.Parts[0].Text)
	default:
		dst = append(jsn.AppendKey(dst, "content"), '[')
		for i := range m.Parts {
			plain := m.Parts[i]
			plain.Cache = nil
			if w.sends(&plain) {
				dst = w.block(jsn.Sep(dst), &plain)
			}
		}
		dst = append(dst, ']')
	}
	if m.IsError {
		dst = jsn.AppendBoolMember(dst, "is_error", true)
	}
	return append(w.mark(dst, resultMark(m)), '}')
}

// sends tells whether a part becomes a block: blank texts do not.
func (w *writer) sends(p *hub.Part) bool {
	return p.Kind != hub.PartText || !w.t.Blank(p.Text)
}

func (w *writer) blocks(dst []byte, parts []hub.Part) []byte {
	for i := range parts {
		if w.sends(&parts[i]) {
			dst = w.block(jsn.Sep(dst), &parts[i])
		}
	}
	return dst
}

func (w *writer) block(dst []byte, p *hub.Part) []byte {
	m := p.Media
	switch p.Kind {
	case hub.PartImage:
		dst = append(dst, `{"type":"image","source":`...)
		dst = appendSource(dst, m)
	case hub.PartFile:
		dst = append(dst, `{"type":"document","source":`...)
		if len(m.URL) == 0 && m.MIME != "application/pdf" {
			text, _ := media.Text(w.t, m.Data)
			dst = append(dst, `{"type":"text","media_type":"text/plain","data":`...)
			dst = append(jsn.AppendStr(dst, text), '}')
		} else {
			dst = appendSource(dst, m)
		}
		if len(m.Name) > 0 {
			dst = jsn.AppendStrMember(dst, "title", m.Name)
		}
	default:
		dst = append(dst, `{"type":"text"`...)
		dst = jsn.AppendStrMember(dst, "text", p.Text)
	}
	return append(w.mark(dst, p.Cache), '}')
}

func appendSource(dst []byte, m *hub.Media) []byte {
	if len(m.URL) > 0 {
		dst = append(dst, `{"type":"url"`...)
		dst = jsn.AppendStrMember(dst, "url", m.URL)
		return append(dst, '}')
	}
	dst = append(dst, `{"type":"base64"`...)
	dst = jsn.AppendStringMember(dst, "media_type", m.MIME)
	dst = jsn.AppendStrMember(dst, "data", m.Data)
	return append(dst, '}')
}

// appendThinking appends a thinking or redacted_thinking block with a native
// signature.
func appendThinking(dst []byte, r *hub.Reasoning) []byte {
	if r.Redacted {
		dst = append(dst, `{"type":"redacted_thinking"`...)
		dst = jsn.AppendStrMember(dst, "data", r.Sig)
		return append(dst, '}')
	}
	dst = append(dst, `{"type":"thinking"`...)
	dst = jsn.AppendStrMember(dst, "thinking", r.Text)
	dst = jsn.AppendStrMember(dst, "signature", r.Sig)
	return append(dst, '}')
}
