package openairesponses

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ParseRequest reads a create-response request (RS-1 to RS-3).
func (dialect) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	c.Alias("max_tokens", "max_output_tokens")
	c.Alias("reasoning_effort", "reasoning")
	c.Alias("response_format", "text.format")
	c.Alias("verbosity", "text.verbosity")
	c.Alias("reasoning_content", "input.reasoning")
	c.Alias("logprobs", "include")
	p := &requestParser{ctx: c, tokens: c.Tokens(), arena: c.Arena, req: &hub.Request{Source: Name}}
	if p.arena == nil {
		p.arena = new(hub.Arena)
	}
	// The first place is kept for the instructions.
	p.req.Messages = p.arena.Messages(len(body)/bytesPerMessage + 16)[:1]
	inputErr := missingInput()
	var instructions jsn.Str
	var choice, include []byte
	for it := jsn.Object(body); it.Next(); {
		switch key := string(it.Key()); key {
		case "input":
			inputErr = p.input(&it)
		case "instructions":
			instructions = jsn.StrOf(it.Value())
		case "tools":
			p.tools(it.Value())
		case "tool_choice":
			choice = it.Value()
		case "include":
			include = it.Value()
			p.raw(key, include)
		default:
			p.field(key, it.Value())
		}
	}
	if err := hub.CheckState(c, p.req); err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	if len(instructions) > 0 {
		p.req.Messages[0] = hub.Message{Role: hub.System, Parts: []hub.Part{{Kind: hub.PartText, Text: instructions}}}
	} else {
		p.req.Messages = p.req.Messages[1:]
	}
	p.choice(choice)
	for it := jsn.Array(include); it.Next(); {
		if jsn.StrOf(it.Value()).Is("message.output_text.logprobs") {
			p.req.Logprobs = []byte("true")
		}
	}
	return p.req, nil
}

type requestParser struct {
	ctx    *hub.Ctx
	tokens jsn.Tokens
	req    *hub.Request
	arena  *hub.Arena
	entry  inputItem // the one being read
	// turn is the assistant message being put together from items (RS-3).
	turn  hub.Message
	inRun bool
	// carried is Gemini-signed reasoning that belongs to the next call (E-4).
	carried *hub.Reasoning
}

func (p *requestParser) raw(key string, v []byte) {
	p.req.Raw = append(p.req.Raw, hub.Field{Name: key, Raw: v})
}

func (p *requestParser) text(v []byte) string { return p.tokens.Decode(jsn.StrOf(v)) }

// field reads one root field that is not the conversation or its tools.
func (p *requestParser) field(key string, v []byte) {
	r := p.req
	if jsn.IsNull(v) {
		return
	}
	switch key {
	case "model":
		r.Model = p.text(v)
	case "stream":
		r.Stream = jsn.IsTrue(v)
	case "max_output_tokens":
		r.MaxTokens, r.ExplicitMaxTokens = v, true
	case "temperature":
		r.Temperature = v
	case "top_p":
		r.TopP = v
	case "top_logprobs":
		r.TopLogprobs = v
	case "parallel_tool_calls":
		r.Parallel = hub.False
		if jsn.IsTrue(v) {
			r.Parallel = hub.True
		}
	case "reasoning":
		p.reasoningWish(v)
	case "text":
		p.format(v)
	case "metadata":
		r.Metadata = v
	case "user":
		r.User = jsn.StrOf(v)
	case "safety_identifier":
		r.SafetyIdentifier = jsn.StrOf(v)
	case "prompt_cache_key":
		r.PromptCacheKey = jsn.StrOf(v)
	case "service_tier":
		r.ServiceTier = jsn.StrOf(v)
	case "x_omni":
		// Not a channel for clients (P-3).
	default:
		p.raw(key, v)
	}
}

func (p *requestParser) reasoningWish(v []byte) {
	r := p.req
	for it := jsn.Object(v); it.Next(); {
		switch string(it.Key()) {
		case "effort":
			r.Thinking = hub.Effort(p.text(it.Value()))
		case "summary", "generate_summary":
			if s := jsn.StrOf(it.Value()); len(s) > 0 {
				r.Visible, r.Summary = true, s
			}
		}
	}
}

func (p *requestParser) format(v []byte) {
	r := p.req
	for it := jsn.Object(v); it.Next(); {
		switch key := string(it.Key()); key {
		case "verbosity":
			r.Verbosity = jsn.StrOf(it.Value())
		case "format":
			f := it.Value()
			switch typ := jsn.StrOf(jsn.Get(f, "type")); {
			case typ.Is(hub.FormatJSON):
				r.Format.Kind = hub.FormatJSON
			case typ.Is(hub.FormatSchema):
				r.Format = hub.Format{Kind: hub.FormatSchema, Name: jsn.StrOf(jsn.Get(f, "name")),
					Description: jsn.StrOf(jsn.Get(f, "description")), Schema: jsn.Get(f, "schema"), Strict: jsn.Get(f, "strict")}
			}
		default:
			p.raw("text."+key, it.Value())
		}
	}
}

// bytesPerMessage is a guess that makes the list of messages rarely grow.
const bytesPerMessage = 200

func missingInput() error {
	return hub.BadRequest("missing_required_parameter", "input", "input is required")
}

// input reads the conversation in place.
func (p *requestParser) input(it *jsn.ObjectIter) error {
	switch it.Kind() {
	case jsn.String:
		s := jsn.StrOf(it.Value())
		if len(s) == 0 {
			return missingInput()
		}
		p.req.Messages = append(p.req.Messages, hub.Message{Role: hub.User, Parts: []hub.Part{{Kind: hub.PartText, Text: s}}})
		return nil
	case jsn.Arr:
	default:
		return missingInput()
	}
	list, n := it.Array(), 0
	var failed error
	for ; list.Next(); n++ {
		members := list.Object()
		p.entry.read(&members)
		list.Leave(members.End())
		if err := p.item(&p.entry); err != nil && failed == nil {
			failed = err
		}
	}
	it.Leave(list.End())
	if n == 0 {
		return missingInput()
	}
	p.flush()
	return failed
}

// inputItem is an entry of input: its members as raw values, nil where there is none.
type inputItem struct {
	typ, role                jsn.Str
	content, phase           []byte
	callID, name, namespace  []byte
	arguments, input, output []byte
	summary, encrypted       []byte
}

func (e *inputItem) read(it *jsn.ObjectIter) {
	*e = inputItem{}
	for it.Next() {
		switch string(it.Key()) {
		case "type":
			e.typ = jsn.StrOf(it.Value())
		case "role":
			e.role = jsn.StrOf(it.Value())
		case "content":
			e.content = it.Value()
		case "phase":
			e.phase = it.Value()
		case "call_id":
			e.callID = it.Value()
		case "name":
			e.name = it.Value()
		case "namespace":
			e.namespace = it.Value()
		case "arguments":
			e.arguments = it.Value()
		case "input":
			e.input = it.Value()
		case "output":
			e.output = it.Value()
		case "summary":
			e.summary = it.Value()
		case "encrypted_content":
			e.encrypted = it.Value()
		}
	}
}

func (p *requestParser) item(e *inputItem) error {
	switch string(e.typ) {
	case "item_reference":
		return &hub.Error{Status: 400, Code: "unsupported_parameter", Param: "input", Fallback: true, // RS-1
			Message: "item_reference refers to an item that only the Responses API itself keeps; send the item in input"}
	case "reasoning":
		p.reasoning(e)
	case "function_call", "custom_tool_call":
		p.call(e, string(e.typ) == "custom_tool_call")
	case "function_call_output", "custom_tool_call_output":
		p.output(e)
	case "message":
		p.message(e)
	default:
		if len(e.typ) == 0 && len(e.role) > 0 {
			p.message(e)
			return nil
		}
		p.ctx.Drop("input." + p.tokens.Decode(e.typ))
	}
	return nil
}

func (p *requestParser) message(e *inputItem) {
	m := hub.Message{Role: hub.User}
	switch string(e.role) {
	case hub.System:
		m.Role = hub.System
	case hub.Developer:
		m.Role = hub.Developer
	case hub.Assistant:
		m.Role = hub.Assistant
	}
	if s := jsn.StrOf(e.content); s != nil {
		m.Parts = p.arena.Parts.Grow(nil)
		m.Parts[0] = hub.Part{Kind: hub.PartText, Text: s}
	}
	for it := jsn.Array(e.content); it.Next(); {
		if part, ok := p.part(it.Value()); ok {
			m.Parts = p.arena.Parts.Grow(m.Parts)
			m.Parts[len(m.Parts)-1] = part
		}
	}
	if m.Role != hub.Assistant {
		p.flush()
		p.req.Messages = append(p.req.Messages, m)
		return
	}
	p.inRun = true
	p.turn.Parts = repair.JoinTexts(p.turn.Parts, m.Parts)
	if jsn.StrOf(e.phase) != nil {
		p.turn.Phase = p.text(e.phase)
	}
}

// part reads one content part.
func (p *requestParser) part(v []byte) (hub.Part, bool) {
	typ := jsn.StrOf(jsn.Get(v, "type")).View()
	switch typ {
	case "input_text", "output_text", "text", "summary_text":
		s := jsn.StrOf(jsn.Get(v, "text"))
		return hub.Part{Kind: hub.PartText, Text: s}, s != nil
	case "refusal":
		s := jsn.StrOf(jsn.Get(v, "refusal"))
		return hub.Part{Kind: hub.PartText, Text: s}, s != nil
	case "input_image":
		return p.image(v, typ), true
	case "input_file":
		return p.file(v, typ), true
	case "input_audio":
		a := jsn.Get(v, "input_audio")
		return hub.Part{Kind: hub.PartAudio, Media: &hub.Media{Type: typ,
			MIME: media.AudioType(p.text(jsn.Get(a, "format"))), Data: jsn.StrOf(jsn.Get(a, "data"))}}, true
	}
	p.ctx.Drop("input.content." + typ)
	return hub.Part{}, false
}

func (p *requestParser) image(v []byte, typ string) hub.Part {
	url := jsn.Get(v, "image_url")
	if jsn.KindOf(url) == jsn.Obj { // the chat completions spelling
		url = jsn.Get(url, "url")
	}
	if id := jsn.StrOf(jsn.Get(v, "file_id")); id != nil && jsn.StrOf(url) == nil {
		return hub.Part{Kind: hub.PartFileRef, Media: &hub.Media{Type: typ, ID: id}}
	}
	part := media.FromURL(p.tokens, jsn.StrOf(url), typ)
	if d := jsn.StrOf(jsn.Get(v, "detail")); d != nil {
		if d.Is("original") {
			d = jsn.Lit("high")
		}
		part.Media.Detail = d
	}
	return part
}

func (p *requestParser) file(v []byte, typ string) hub.Part {
	fileName := jsn.StrOf(jsn.Get(v, "filename"))
	part := hub.Part{Kind: hub.PartFile, Media: &hub.Media{Type: typ}}
	switch data, url, id := jsn.StrOf(jsn.Get(v, "file_data")), jsn.StrOf(jsn.Get(v, "file_url")), jsn.StrOf(jsn.Get(v, "file_id")); {
	case data != nil:
		mime, payload, ok := media.DataURL(p.tokens, data)
		if !ok {
			payload = data
			mime = media.GuessType(p.tokens, fileName, "application/pdf")
		}
		part = media.FromData(mime, payload, typ)
	case url != nil:
		part.Media.URL = url
		part.Media.MIME = media.GuessType(p.tokens, url, "")
	case id != nil:
		part.Kind, part.Media.ID = hub.PartFileRef, id
	}
	part.Media.Name = fileName
	return part
}

// reasoning reads a reasoning item. What Gemini signed belongs to the next call of
// the run; everything else is a block of the turn.
func (p *requestParser) reasoning(e *inputItem) {
	p.inRun = true
	var r hub.Reasoning
	sealed := jsn.StrOf(e.encrypted)
	if len(sealed) > 0 {
		var ok bool
		if r, ok = envelope.Open(p.tokens, sealed); !ok {
			r = hub.Reasoning{Sig: sealed, Provider: "openai"}
		}
	}
	r.Text = joinTexts(e.summary)
	if r.Text == nil {
		r.Text = joinTexts(e.content)
	}
	p.settleCarried()
	if r.Provider == "gemini" && len(r.Sig) > 0 {
		p.carried = &r
		return
	}
	if len(r.Text) > 0 || len(r.Sig) > 0 {
		p.turn.Reasoning = append(p.turn.Reasoning, r)
	}
}

// joinTexts joins the texts of an array of parts with blank lines; nil if there are
// none.
func joinTexts(v []byte) jsn.Str {
	var out jsn.Str
	for it := jsn.Array(v); it.Next(); {
		s := jsn.StrOf(jsn.Get(it.Value(), "text"))
		if len(s) == 0 {
			continue
		}
		if out != nil {
			out = append(out, `\n\n`...)
		}
		out = append(out, s...)
	}
	return out
}

func (p *requestParser) settleCarried() {
	if p.carried != nil {
		p.turn.Reasoning = append(p.turn.Reasoning, *p.carried)
		p.carried = nil
	}
}

func (p *requestParser) call(e *inputItem, custom bool) {
	name := p.text(e.name)
	if name == "" {
		p.ctx.Drop("input")
		return
	}
	if namespace := p.text(e.namespace); namespace != "" {
		name = namespace + namespaceSep + name
	}
	p.turn.Calls = p.arena.Calls.Grow(p.turn.Calls)
	call := &p.turn.Calls[len(p.turn.Calls)-1]
	call.ID, call.Name, call.Custom, call.Args = p.text(e.callID), name, custom, hub.ArgsValue(e.arguments)
	if custom && e.input != nil {
		raw := append([]byte(nil), `{"input":`...)
		call.Args = hub.ArgsValue(append(append(raw, e.input...), '}'))
	}
	if p.carried != nil {
		call.GoogleSig = p.carried.Sig
		p.carried = nil
	}
	p.inRun = true
}

// output reads the result of a call.
func (p *requestParser) output(e *inputItem) {
	p.flush()
	m := hub.Message{Role: hub.Tool, CallID: p.text(e.callID)}
	switch out := e.output; jsn.KindOf(out) {
	case jsn.String:
		m.Parts = p.arena.Parts.Grow(nil)
		m.Parts[0] = hub.Part{Kind: hub.PartText, Text: jsn.StrOf(out)}
	case jsn.Arr:
		known := true
		for it := jsn.Array(out); it.Next(); {
			part, ok := p.part(it.Value())
			if !ok {
				known = false
				break
			}
			m.Parts = append(m.Parts, part)
		}
		if !known {
			m.Parts = []hub.Part{{Kind: hub.PartText, Text: p.tokens.AppendQuoted([]byte{}, out)}}
		}
	case jsn.None:
	default:
		m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: p.tokens.AppendQuoted([]byte{}, out)})
	}
	p.req.Messages = append(p.req.Messages, m)
}

// flush ends a run of assistant items. Reasoning that led to nothing is dropped.
func (p *requestParser) flush() {
	if !p.inRun {
		return
	}
	p.settleCarried()
	if len(p.turn.Parts) > 0 || len(p.turn.Calls) > 0 {
		p.turn.Role = hub.Assistant
		p.req.Messages = append(p.req.Messages, p.turn)
	}
	p.turn, p.inRun = hub.Message{}, false
}
