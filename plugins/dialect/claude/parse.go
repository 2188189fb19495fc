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
	arena  *hub.Arena

	block   block       // the one being read
	current hub.Message // the one being read
}

// ParseRequest implements hub.Dialect.
func (dialect) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	p := parser{c: c, t: c.Tokens(), r: &hub.Request{Source: Name}, arena: c.Arena}
	if p.arena == nil {
		p.arena = new(hub.Arena)
	}
	for _, a := range [...][2]string{{"stop", "stop_sequences"}, {"user", "metadata"}, {"reasoning_effort", "thinking"},
		{"reasoning_content", "thinking"}, {"parallel_tool_calls", "tool_choice"}, {"response_format", "output_config"}} {
		c.Alias(a[0], a[1])
	}
	for it := jsn.Object(body); it.Next(); {
		switch key := it.Key(); {
		case string(key) == "messages":
			// The first place is kept for the system message.
			p.r.Messages = p.arena.Messages(len(body)/bytesPerMessage + 16)[:1]
			list := it.Array()
			for list.Next() {
				m := list.Object()
				p.message(&m)
				list.Leave(m.End())
			}
			it.Leave(list.End())
		case string(key) == "tools":
			p.r.Tools = p.arena.Tools(32)
			list := it.Array()
			for list.Next() {
				p.tool(&list)
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

// block is a content block, read in one pass. It is small, and holds positions instead
// of slices, since one is filled for each block of the conversation.
type block struct {
	base   []byte // what the positions point into
	kind   kind
	typ    jsn.Str
	failed bool
	cited  bool
	at     [fields]span
}

// span is the position of a raw value; zero means that there is none.
type span struct{ start, end int32 }

// Members of blocks.
const (
	fieldText = iota
	fieldID
	fieldName
	fieldInput
	fieldContent
	fieldCallID
	fieldCache
	fieldThinking
	fieldSignature
	fieldData
	fieldTitle
	fieldSource
	fields
)

// kind is the type of a block.
type kind uint8

const (
	kindOther kind = iota
	kindText
	kindToolUse
	kindToolResult
	kindThinking
	kindRedacted
	kindImage
	kindDocument
	kindSearchResult
)

func kindOf(typ jsn.Str) kind {
	switch string(typ) {
	case "text":
		return kindText
	case "tool_use":
		return kindToolUse
	case "tool_result":
		return kindToolResult
	case "thinking":
		return kindThinking
	case "redacted_thinking":
		return kindRedacted
	case "image":
		return kindImage
	case "document":
		return kindDocument
	case "search_result":
		return kindSearchResult
	}
	return kindOther
}

// raw returns a member as it came, nil if there is none.
func (b *block) raw(field int) []byte {
	s := b.at[field]
	if s.end == 0 {
		return nil
	}
	return b.base[s.start:s.end:s.end]
}

// str returns a member that is a string.
func (b *block) str(field int) jsn.Str { return jsn.StrOf(b.raw(field)) }

// read fills b with the object that it walks.
func (b *block) read(it *jsn.ObjectIter) {
	*b = block{base: it.Base()}
	for it.Next() {
		field := 0
		switch string(it.Key()) {
		case "type":
			b.typ = jsn.StrOf(it.Value())
			b.kind = kindOf(b.typ)
			continue
		case "text":
			field = fieldText
		case "id":
			field = fieldID
		case "name":
			field = fieldName
		case "input":
			field = fieldInput
		case "content":
			field = fieldContent
		case "tool_use_id":
			field = fieldCallID
		case "cache_control":
			if it.Kind() != jsn.Obj {
				continue
			}
			field = fieldCache
		case "thinking":
			field = fieldThinking
		case "signature":
			field = fieldSignature
		case "data":
			field = fieldData
		case "title":
			field = fieldTitle
		case "source":
			field = fieldSource
		case "is_error":
			b.failed = jsn.IsTrue(it.Value())
			continue
		case "citations":
			b.cited = jsn.Len(it.Value()) > 0
			continue
		default:
			continue
		}
		start, end := it.Span()
		b.at[field] = span{int32(start), int32(end)}
	}
}

// message reads one message. Its blocks are read in place when the role stands ahead
// of them, as it usually does.
func (p *parser) message(it *jsn.ObjectIter) {
	m := &p.current
	m.Role, m.Parts, m.Calls, m.Reasoning = "", nil, nil, nil
	var late []byte
	for it.Next() {
		switch string(it.Key()) {
		case "role":
			m.Role = roleOf(jsn.StrOf(it.Value()))
		case "content":
			switch {
			case it.Kind() == jsn.String:
				m.Parts = p.text(nil, jsn.StrOf(it.Value()))
			case m.Role == "":
				late = it.Value()
			default:
				list := it.Array()
				p.blocks(m, &list)
				it.Leave(list.End())
			}
		}
	}
	if m.Role == "" {
		m.Role = hub.User
	}
	if late != nil {
		list := jsn.Array(late)
		p.blocks(m, &list)
	}
	if len(m.Parts) > 0 || len(m.Calls) > 0 || len(m.Reasoning) > 0 {
		p.r.Messages = append(p.r.Messages, *m)
	}
}

// roleOf makes every role that is none of the format's the user's.
func roleOf(s jsn.Str) string {
	switch string(s) {
	case hub.Assistant:
		return hub.Assistant
	case hub.System:
		return hub.System
	}
	return hub.User
}

func (p *parser) blocks(m *hub.Message, it *jsn.ArrayIter) {
	assistant := m.Role == hub.Assistant
	var pending *hub.Reasoning // signed by Gemini, waiting for its call (E-4)
	b := &p.block
	for it.Next() {
		members := it.Object()
		b.read(&members)
		it.Leave(members.End())
		switch {
		case b.kind == kindToolResult && m.Role != hub.System:
			if !assistant {
				p.result()
			}
		case b.kind == kindToolUse && m.Role != hub.System:
			if !assistant {
				continue
			}
			m.Calls = p.arena.Calls.Grow(m.Calls)
			call := &m.Calls[len(m.Calls)-1]
			call.ID, call.Name = p.t.Decode(b.str(fieldID)), p.t.Decode(b.str(fieldName))
			call.Args, call.Cache = hub.ArgsValue(b.raw(fieldInput)), b.raw(fieldCache)
			if pending != nil {
				call.GoogleSig, pending = pending.Sig, nil
			}
		case assistant && (b.kind == kindThinking || b.kind == kindRedacted):
			p.reasoning(m, b, &pending)
		default:
			m.Parts = p.part(m.Parts, b)
		}
	}
	if pending != nil {
		m.Reasoning = append(m.Reasoning, *pending)
	}
}

func (p *parser) reasoning(m *hub.Message, b *block, pending **hub.Reasoning) {
	if b.kind == kindRedacted {
		m.Reasoning = append(m.Reasoning, hub.Reasoning{Redacted: true, Provider: Name, Sig: b.str(fieldData)})
		return
	}
	thinking, signature := b.str(fieldThinking), b.str(fieldSignature)
	r, ok := envelope.Open(p.t, signature)
	switch {
	case ok && r.Provider == "gemini" && !r.Redacted:
		if *pending != nil { // no call took it: a thought
			m.Reasoning = append(m.Reasoning, **pending)
		}
		r.Text = thinking
		*pending = &r
		return
	case ok:
		r.Text = thinking
	case len(signature) > 0:
		r = hub.Reasoning{Text: thinking, Sig: signature, Provider: Name}
	default:
		r = hub.Reasoning{Text: thinking}
	}
	if r.Redacted {
		r.Text = nil
	}
	m.Reasoning = append(m.Reasoning, r)
}

// result adds the message of the tool result that was read last.
func (p *parser) result() {
	b := &p.block
	ms := p.r.Messages
	if len(ms) < cap(ms) { // what lies behind is empty
		ms = ms[:len(ms)+1]
	} else {
		ms = append(ms, hub.Message{})
	}
	p.r.Messages = ms
	m := &ms[len(ms)-1]
	m.Role, m.CallID, m.IsError, m.Cache = hub.Tool, p.t.Decode(b.str(fieldCallID)), b.failed, b.raw(fieldCache)
	content := b.raw(fieldContent)
	if s := jsn.StrOf(content); s != nil {
		m.Parts = p.text(m.Parts, s)
		return
	}
	for it := jsn.Array(content); it.Next(); {
		members := it.Object()
		b.read(&members)
		it.Leave(members.End())
		m.Parts = p.part(m.Parts, b)
	}
}

// text appends a text to parts.
func (p *parser) text(parts []hub.Part, s jsn.Str) []hub.Part {
	parts = p.arena.Parts.Grow(parts)
	parts[len(parts)-1].Text = s
	return parts
}

// part appends the part that a block stands for; blocks that are none are reported.
func (p *parser) part(parts []hub.Part, b *block) []hub.Part {
	if b.cited {
		p.c.Drop("citations")
	}
	switch b.kind {
	case kindText:
		s := b.str(fieldText)
		if s == nil {
			p.c.Drop("text")
			return parts
		}
		parts = p.text(parts, s)
	case kindImage, kindDocument:
		part, ok := p.source(b)
		if !ok {
			p.c.Drop(b.typ.String())
			return parts
		}
		parts = p.arena.Parts.Grow(parts)
		parts[len(parts)-1] = part
	case kindSearchResult:
		parts = p.text(parts, p.searchResult(b))
	default:
		p.c.Drop(b.typ.String())
		return parts
	}
	if b.at[fieldCache].end != 0 {
		parts[len(parts)-1].Cache = b.raw(fieldCache)
	}
	return parts
}

// source reads an image or document block.
func (p *parser) source(b *block) (hub.Part, bool) {
	m := &hub.Media{Type: b.typ.String(), Name: b.str(fieldTitle)}
	src := b.raw(fieldSource)
	kind := hub.PartImage
	if b.kind == kindDocument {
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
		return hub.Part{Text: titled(b.str(fieldTitle), jsn.StrOf(jsn.Get(src, "data")))}, true
	case "content":
		var text jsn.Str
		for i, part := range p.texts(jsn.Get(src, "content")) {
			if i > 0 {
				text = append(text, `\n`...)
			}
			text = append(text, part.Text...)
		}
		return hub.Part{Text: titled(b.str(fieldTitle), text)}, true
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
	line(b.str(fieldTitle))
	line(b.str(fieldSource))
	for _, part := range p.texts(b.raw(fieldContent)) {
		line(part.Text)
	}
	return out
}

// tool reads a definition in place.
func (p *parser) tool(list *jsn.ArrayIter) {
	p.r.Tools = append(p.r.Tools, hub.ToolDef{})
	def := &p.r.Tools[len(p.r.Tools)-1]
	var typ string
	it := list.Object()
	for it.Next() {
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
			if jsn.KindOf(v) == jsn.Obj {
				def.Cache = v
			}
		case "strict":
			if jsn.IsTrue(v) {
				p.c.Drop("tools.strict")
			}
		}
	}
	list.Leave(it.End())
	def.Raw = list.Value()
	if def.Parameters == nil && typ != "" && typ != "custom" {
		def.Hosted = typ
		if strings.HasPrefix(typ, "web_search_") {
			def.Hosted = "web_search"
		}
	}
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
