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

// bytesPerMessage is a guess that makes the list of messages rarely grow.
const bytesPerMessage = 200

// parser reads one request.
type parser struct {
	c      *hub.Ctx
	t      jsn.Tokens
	r      *hub.Request
	system []hub.Part
	effort string
	parts  hub.PartSlab
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
		switch key := it.Key(); {
		case string(key) == "messages":
			// The first place is kept for the system message.
			p.r.Messages = make([]hub.Message, 1, len(body)/bytesPerMessage+16)
			list := it.Array()
			for list.Next() {
				m := list.Object()
				p.message(&m)
				list.Leave(m.End())
			}
			it.Leave(list.End())
		default:
			if v := it.Value(); !jsn.IsNull(v) {
				p.field(string(key), v)
			}
		}
	}
	if th := &p.r.Thinking; th.Mode == hub.ThinkEffort && p.effort != "" {
		th.Effort = p.effort
	} else if th.Mode == "" && p.effort != "" {
		c.Drop("output_config")
	}
	switch {
	case len(p.system) == 0:
		p.r.Messages = p.r.Messages[min(1, len(p.r.Messages)):]
	case len(p.r.Messages) == 0:
		p.r.Messages = []hub.Message{{Role: hub.System, Parts: p.system}}
	default:
		p.r.Messages[0] = hub.Message{Role: hub.System, Parts: p.system}
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
	case "tools":
		r.Tools = make([]hub.ToolDef, 0, 32)
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

// block is a content block, read in one pass. Containers are raw values.
type block struct {
	typ                               string
	text, id, name, title, source     jsn.Str
	thinking, signature, data, result jsn.Str
	input, content, src, cache        []byte
	failed, cited                     bool
}

func readBlock(it *jsn.ObjectIter) (b block) {
	for it.Next() {
		key := it.Key()
		v := it.Value()
		switch string(key) {
		case "type":
			b.typ = jsn.StrOf(v).View()
		case "text":
			b.text = jsn.StrOf(v)
		case "id":
			b.id = jsn.StrOf(v)
		case "name":
			b.name = jsn.StrOf(v)
		case "input":
			b.input = v
		case "content":
			b.content = v
		case "tool_use_id":
			b.result = jsn.StrOf(v)
		case "is_error":
			b.failed = jsn.IsTrue(v)
		case "cache_control":
			if jsn.KindOf(v) == jsn.Obj {
				b.cache = v
			}
		case "thinking":
			b.thinking = jsn.StrOf(v)
		case "signature":
			b.signature = jsn.StrOf(v)
		case "data":
			b.data = jsn.StrOf(v)
		case "title":
			b.title = jsn.StrOf(v)
		case "source":
			b.src, b.source = v, jsn.StrOf(v)
		case "citations":
			b.cited = jsn.Len(v) > 0
		}
	}
	return b
}

// message reads one message. Its blocks are read in place when the role stands ahead
// of them, as it usually does.
func (p *parser) message(it *jsn.ObjectIter) {
	m := hub.Message{}
	var late []byte
	for it.Next() {
		switch string(it.Key()) {
		case "role":
			m.Role = jsn.StrOf(it.Value()).View()
		case "content":
			switch {
			case it.Kind() == jsn.String:
				m.Parts = p.parts.One(hub.Part{Text: jsn.StrOf(it.Value())})
			case m.Role == "":
				late = it.Value()
			default:
				list := it.Array()
				p.blocks(&m, &list)
				it.Leave(list.End())
			}
		}
	}
	if late != nil {
		list := jsn.Array(late)
		p.blocks(&m, &list)
	}
	if m.Role != hub.Assistant && m.Role != hub.System {
		m.Role = hub.User
	}
	if len(m.Parts) > 0 || len(m.Calls) > 0 || len(m.Reasoning) > 0 {
		p.r.Messages = append(p.r.Messages, m)
	}
}

func (p *parser) blocks(m *hub.Message, it *jsn.ArrayIter) {
	assistant := m.Role == hub.Assistant
	var pending *hub.Reasoning // signed by Gemini, waiting for its call (E-4)
	for it.Next() {
		members := it.Object()
		b := readBlock(&members)
		it.Leave(members.End())
		switch {
		case b.typ == "tool_result" && m.Role != hub.System:
			if !assistant {
				p.r.Messages = append(p.r.Messages, p.result(&b))
			}
		case b.typ == "tool_use" && m.Role != hub.System:
			if assistant {
				call := hub.Call{ID: p.t.Decode(b.id), Name: p.t.Decode(b.name), Args: hub.ArgsValue(b.input), Cache: b.cache}
				if pending != nil {
					call.GoogleSig, pending = pending.Sig, nil
				}
				m.Calls = append(m.Calls, call)
			}
		case assistant && (b.typ == "thinking" || b.typ == "redacted_thinking"):
			p.reasoning(m, &b, &pending)
		default:
			if part, ok := p.part(&b); ok {
				m.Parts = p.parts.Append(m.Parts, part)
			} else {
				p.c.Drop(b.typ)
			}
		}
	}
	if pending != nil {
		m.Reasoning = append(m.Reasoning, *pending)
	}
}

func (p *parser) reasoning(m *hub.Message, b *block, pending **hub.Reasoning) {
	if b.typ == "redacted_thinking" {
		m.Reasoning = append(m.Reasoning, hub.Reasoning{Redacted: true, Provider: Name, Sig: b.data})
		return
	}
	r, ok := envelope.Open(p.t, b.signature)
	switch {
	case ok && r.Provider == "gemini" && !r.Redacted:
		if *pending != nil { // no call took it: a thought
			m.Reasoning = append(m.Reasoning, **pending)
		}
		r.Text = b.thinking
		*pending = &r
		return
	case ok:
		r.Text = b.thinking
	case len(b.signature) > 0:
		r = hub.Reasoning{Text: b.thinking, Sig: b.signature, Provider: Name}
	default:
		r = hub.Reasoning{Text: b.thinking}
	}
	if r.Redacted {
		r.Text = nil
	}
	m.Reasoning = append(m.Reasoning, r)
}

func (p *parser) result(b *block) hub.Message {
	m := hub.Message{Role: hub.Tool, CallID: p.t.Decode(b.result), IsError: b.failed, Cache: b.cache}
	if s := jsn.StrOf(b.content); s != nil {
		m.Parts = p.parts.One(hub.Part{Text: s})
		return m
	}
	for it := jsn.Array(b.content); it.Next(); {
		members := it.Object()
		inner := readBlock(&members)
		it.Leave(members.End())
		if part, ok := p.part(&inner); ok {
			m.Parts = p.parts.Append(m.Parts, part)
		} else {
			p.c.Drop(inner.typ)
		}
	}
	return m
}

func (p *parser) part(b *block) (part hub.Part, ok bool) {
	if b.cited {
		p.c.Drop("citations")
	}
	switch b.typ {
	case "text":
		part.Text, ok = b.text, b.text != nil
	case "image", "document":
		part, ok = p.source(b)
	case "search_result":
		part, ok = hub.Part{Text: p.searchResult(b)}, true
	}
	part.Cache = b.cache
	return part, ok
}

// source reads an image or document block.
func (p *parser) source(b *block) (hub.Part, bool) {
	m := &hub.Media{Type: b.typ, Name: b.title}
	kind := hub.PartImage
	if b.typ == "document" {
		kind = hub.PartFile
	}
	switch jsn.StrOf(jsn.Get(b.src, "type")).String() {
	case "base64":
		m.MIME = media.Type(jsn.StrOf(jsn.Get(b.src, "media_type")).String())
		m.Data = jsn.StrOf(jsn.Get(b.src, "data"))
		if m.MIME == "" && kind == hub.PartFile {
			m.MIME = "application/pdf"
		}
	case "url":
		m.URL = jsn.StrOf(jsn.Get(b.src, "url"))
	case "file":
		kind, m.ID = hub.PartFileRef, jsn.StrOf(jsn.Get(b.src, "file_id"))
	case "text":
		return hub.Part{Text: titled(b.title, jsn.StrOf(jsn.Get(b.src, "data")))}, true
	case "content":
		var text jsn.Str
		for i, part := range p.texts(jsn.Get(b.src, "content")) {
			if i > 0 {
				text = append(text, `\n`...)
			}
			text = append(text, part.Text...)
		}
		return hub.Part{Text: titled(b.title, text)}, true
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
func (p *parser) searchResult(b *block) jsn.Str {
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
	line(b.title)
	line(b.source)
	for _, part := range p.texts(b.content) {
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
