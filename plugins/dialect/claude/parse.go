package claude

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// defaultBudget is the thinking budget of a client that enables thinking without one
// (H-1).
const defaultBudget = 8192

// parser reads one request.
type parser struct {
	c      *hub.Ctx
	t      jsn.Tokens
	r      *hub.Request
	system []hub.Part
	effort string
}

// ParseRequest implements hub.Dialect.
func (dialect) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	p := parser{c: c, t: c.Tokens(), r: &hub.Request{Source: Name}}
	for _, a := range [...][2]string{{"stop", "stop_sequences"}, {"user", "metadata"}, {"reasoning_effort", "thinking"},
		{"reasoning_content", "thinking"}, {"parallel_tool_calls", "tool_choice"}, {"response_format", "output_config"}} {
		c.Alias(a[0], a[1])
	}
	for it := jsn.Object(body); it.Next(); {
		if v := it.Value(); !jsn.IsNull(v) {
			p.field(string(it.Key()), v)
		}
	}
	if th := &p.r.Thinking; th.Mode == hub.ThinkEffort && p.effort != "" {
		th.Effort = p.effort
	} else if th.Mode == "" && p.effort != "" {
		c.Drop("output_config")
	}
	if len(p.system) > 0 {
		p.r.Messages = append([]hub.Message{{Role: hub.System, Parts: p.system}}, p.r.Messages...)
	}
	return p.r, nil
}

func (p *parser) field(key string, v []byte) {
	r := p.r
	switch key {
	case "model":
		r.Model = p.t.Decode(jsn.StrOf(v))
	case "stream":
		r.Stream = jsn.IsTrue(v)
	case "system":
		p.system = p.texts(v)
	case "messages":
		r.Messages = make([]hub.Message, 0, jsn.Len(v)*2)
		for it := jsn.Array(v); it.Next(); {
			p.message(it.Value())
		}
	case "tools":
		for it := jsn.Array(v); it.Next(); {
			p.tool(it.Value())
		}
	case "tool_choice":
		p.choice(v)
	case "max_tokens":
		r.MaxTokens, r.ExplicitMaxTokens = v, true
	case "temperature":
		r.Temperature = v
	case "top_p":
		r.TopP = v
	case "top_k":
		r.TopK = v
	case "stop_sequences":
		for it := jsn.Array(v); it.Next(); {
			if s := jsn.StrOf(it.Value()); s != nil {
				r.Stop = append(r.Stop, s)
			}
		}
	case "metadata":
		r.User = jsn.StrOf(jsn.Get(v, "user_id"))
	case "thinking":
		p.thinking(v)
	case "output_config":
		p.effort = jsn.StrOf(jsn.Get(v, "effort")).String()
		p.format(jsn.Get(v, "format"), key)
	case "output_format":
		p.format(v, key)
	case "x_omni":
	default:
		r.Raw = append(r.Raw, hub.Field{Name: key, Raw: v})
	}
}

func (p *parser) thinking(v []byte) {
	th := &p.r.Thinking
	switch jsn.StrOf(jsn.Get(v, "type")).String() {
	case "enabled":
		n, ok := jsn.Int(jsn.Get(v, "budget_tokens"))
		if !ok || n <= 0 {
			n = defaultBudget
		}
		th.Mode, th.Budget = hub.ThinkBudget, n
	case "adaptive", "auto":
		th.Mode, th.Effort = hub.ThinkEffort, "high"
	case "disabled":
		th.Mode = hub.ThinkOff
	}
	p.r.Visible = visible(v)
}

func (p *parser) format(v []byte, field string) {
	if !jsn.StrOf(jsn.Get(v, "type")).Is(hub.FormatSchema) || p.r.Format.Kind != "" {
		return
	}
	schema := jsn.Get(v, "schema")
	if jsn.KindOf(schema) != jsn.Obj {
		return
	}
	p.c.Alias("response_format", field)
	p.r.Format = hub.Format{Kind: hub.FormatSchema, Name: jsn.Str("response"), Schema: schema, Strict: []byte("true")}
}

// texts reads a string or text blocks.
func (p *parser) texts(v []byte) []hub.Part {
	if s := jsn.StrOf(v); s != nil {
		return []hub.Part{{Text: s}}
	}
	var parts []hub.Part
	for it := jsn.Array(v); it.Next(); {
		if s := jsn.StrOf(jsn.Get(it.Value(), "text")); s != nil {
			parts = append(parts, hub.Part{Text: s, Cache: mark(it.Value())})
		}
	}
	return parts
}

// mark returns the cache mark of a block.
func mark(block []byte) []byte {
	if v := jsn.Get(block, "cache_control"); jsn.KindOf(v) == jsn.Obj {
		return v
	}
	return nil
}

func (p *parser) message(raw []byte) {
	role := jsn.StrOf(jsn.Get(raw, "role")).View()
	content := jsn.Get(raw, "content")
	m := hub.Message{Role: role}
	switch role {
	case hub.System:
		m.Parts = p.texts(content)
		p.r.Messages = append(p.r.Messages, m)
		return
	case hub.Assistant:
	default:
		m.Role = hub.User
	}
	if s := jsn.StrOf(content); s != nil {
		m.Parts = []hub.Part{{Text: s}}
	}
	var pending jsn.Str // Gemini signature waiting for its call (E-4)
	for it := jsn.Array(content); it.Next(); {
		block := it.Value()
		switch typ := jsn.StrOf(jsn.Get(block, "type")).String(); typ {
		case "tool_result":
			if m.Role == hub.User {
				p.r.Messages = append(p.r.Messages, p.result(block))
			}
		case "tool_use":
			if m.Role == hub.Assistant {
				call := p.call(block)
				call.GoogleSig, pending = pending, nil
				m.Calls = append(m.Calls, call)
			}
		case "thinking", "redacted_thinking":
			if m.Role == hub.Assistant {
				p.reasoning(&m, block, typ, &pending)
			}
		default:
			if part, ok := p.part(block, typ); ok {
				m.Parts = append(m.Parts, part)
			} else {
				p.c.Drop(typ)
			}
		}
	}
	if pending != nil {
		m.Reasoning = append(m.Reasoning, hub.Reasoning{Sig: pending, Provider: "gemini"})
	}
	if len(m.Parts) > 0 || len(m.Calls) > 0 || len(m.Reasoning) > 0 {
		p.r.Messages = append(p.r.Messages, m)
	}
}

func (p *parser) reasoning(m *hub.Message, block []byte, typ string, pending *jsn.Str) {
	if typ == "redacted_thinking" {
		m.Reasoning = append(m.Reasoning, hub.Reasoning{Redacted: true, Provider: Name, Sig: jsn.StrOf(jsn.Get(block, "data"))})
		return
	}
	text, sig := jsn.StrOf(jsn.Get(block, "thinking")), jsn.StrOf(jsn.Get(block, "signature"))
	r, ok := envelope.Open(p.t, sig)
	switch {
	case ok && r.Provider == "gemini" && !r.Redacted:
		if *pending != nil {
			m.Reasoning = append(m.Reasoning, hub.Reasoning{Sig: *pending, Provider: r.Provider})
		}
		*pending = r.Sig
		return
	case ok:
		r.Text = text
	case len(sig) > 0:
		r = hub.Reasoning{Text: text, Sig: sig, Provider: Name}
	default:
		r = hub.Reasoning{Text: text}
	}
	if r.Redacted {
		r.Text = nil
	}
	m.Reasoning = append(m.Reasoning, r)
}

func (p *parser) call(block []byte) hub.Call {
	var call hub.Call
	for it := jsn.Object(block); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "id":
			call.ID = p.t.Decode(jsn.StrOf(v))
		case "name":
			call.Name = p.t.Decode(jsn.StrOf(v))
		case "input":
			call.Args = hub.ArgsValue(v)
		case "cache_control":
			call.Cache = mark(block)
		}
	}
	return call
}

func (p *parser) result(block []byte) hub.Message {
	m := hub.Message{Role: hub.Tool, Cache: mark(block)}
	m.CallID = p.t.Decode(jsn.StrOf(jsn.Get(block, "tool_use_id")))
	m.IsError = jsn.IsTrue(jsn.Get(block, "is_error"))
	content := jsn.Get(block, "content")
	if s := jsn.StrOf(content); s != nil {
		m.Parts = []hub.Part{{Text: s}}
	}
	for it := jsn.Array(content); it.Next(); {
		typ := jsn.StrOf(jsn.Get(it.Value(), "type")).String()
		if part, ok := p.part(it.Value(), typ); ok {
			m.Parts = append(m.Parts, part)
		} else {
			p.c.Drop(typ)
		}
	}
	return m
}

func (p *parser) part(block []byte, typ string) (part hub.Part, ok bool) {
	if citations := jsn.Get(block, "citations"); !jsn.IsNull(citations) && jsn.Len(citations) > 0 {
		p.c.Drop("citations")
	}
	switch typ {
	case "text":
		part.Text = jsn.StrOf(jsn.Get(block, "text"))
		ok = part.Text != nil
	case "image", "document":
		part, ok = p.source(block, typ)
	case "search_result":
		part, ok = hub.Part{Text: p.searchResult(block)}, true
	}
	part.Cache = mark(block)
	return part, ok
}

// source reads an image or document block.
func (p *parser) source(block []byte, typ string) (hub.Part, bool) {
	src := jsn.Get(block, "source")
	title := jsn.StrOf(jsn.Get(block, "title"))
	m := &hub.Media{Type: typ, Name: title}
	kind := hub.PartImage
	if typ == "document" {
		kind = hub.PartFile
	}
	switch jsn.StrOf(jsn.Get(src, "type")).String() {
	case "base64":
		m.MIME = media.Type(jsn.StrOf(jsn.Get(src, "media_type")).String())
		m.Data = jsn.StrOf(jsn.Get(src, "data"))
		if m.MIME == "" && kind == hub.PartFile {
			m.MIME = "application/pdf"
		}
	case "url":
		m.URL = jsn.StrOf(jsn.Get(src, "url"))
	case "file":
		kind, m.ID = hub.PartFileRef, jsn.StrOf(jsn.Get(src, "file_id"))
	case "text":
		return hub.Part{Text: titled(title, jsn.StrOf(jsn.Get(src, "data")))}, true
	case "content":
		var text jsn.Str
		for i, part := range p.texts(jsn.Get(src, "content")) {
			if i > 0 {
				text = append(text, `\n`...)
			}
			text = append(text, part.Text...)
		}
		return hub.Part{Text: titled(title, text)}, true
	default:
		return hub.Part{}, false
	}
	return hub.Part{Kind: kind, Media: m}, true
}

// titled puts a title on a line of its own before a text (M-2).
func titled(title, text jsn.Str) jsn.Str {
	if len(title) == 0 {
		return text
	}
	out := make(jsn.Str, 0, len(title)+2+len(text))
	out = append(append(out, title...), `\n`...)
	return append(out, text...)
}

// searchResult writes a search result as text: title, source, content.
func (p *parser) searchResult(block []byte) jsn.Str {
	var out jsn.Str
	line := func(s jsn.Str) {
		if len(s) == 0 {
			return
		}
		if len(out) > 0 {
			out = append(out, `\n`...)
		}
		out = append(out, s...)
	}
	line(jsn.StrOf(jsn.Get(block, "title")))
	line(jsn.StrOf(jsn.Get(block, "source")))
	for _, part := range p.texts(jsn.Get(block, "content")) {
		line(part.Text)
	}
	return out
}

func (p *parser) tool(raw []byte) {
	def := hub.ToolDef{Raw: raw}
	var typ string
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			typ = jsn.StrOf(v).String()
		case "name":
			def.Name = p.t.Decode(jsn.StrOf(v))
		case "description":
			def.Description = jsn.StrOf(v)
		case "input_schema":
			def.Parameters = v
		case "cache_control":
			def.Cache = mark(raw)
		}
	}
	if def.Parameters == nil && typ != "" && typ != "custom" {
		def.Hosted = typ
		if strings.HasPrefix(typ, "web_search_") {
			def.Hosted = "web_search"
		}
	}
	p.r.Tools = append(p.r.Tools, def)
}

func (p *parser) choice(v []byte) {
	ch := &p.r.Choice
	switch typ := jsn.StrOf(jsn.Get(v, "type")).String(); typ {
	case hub.ChoiceAuto, hub.ChoiceNone:
		ch.Mode = typ
	case "any":
		ch.Mode = hub.ChoiceRequired
	case "tool":
		if s := jsn.StrOf(jsn.Get(v, "name")); len(s) > 0 {
			ch.Mode, ch.Names = hub.ChoiceNamed, []string{p.t.Decode(s)}
		}
	}
	if jsn.IsTrue(jsn.Get(v, "disable_parallel_tool_use")) {
		p.r.Parallel = hub.False
	}
}
