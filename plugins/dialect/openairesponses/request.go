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
	p := &requestParser{ctx: c, tokens: c.Tokens(), req: &hub.Request{Source: Name}}
	var input, choice, include []byte
	for it := jsn.Object(body); it.Next(); {
		v := it.Value()
		switch key := string(it.Key()); key {
		case "input":
			input = v
		case "instructions":
			p.instructions(v)
		case "tools":
			p.tools(v)
		case "tool_choice":
			choice = v
		case "include":
			include = v
			p.raw(key, v)
		default:
			p.field(key, v)
		}
	}
	if err := hub.CheckState(c, p.req); err != nil {
		return nil, err
	}
	if err := p.input(input); err != nil {
		return nil, err
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

func (p *requestParser) instructions(v []byte) {
	if s := jsn.StrOf(v); len(s) > 0 {
		m := hub.Message{Role: hub.System, Parts: []hub.Part{{Kind: hub.PartText, Text: s}}}
		p.req.Messages = append([]hub.Message{m}, p.req.Messages...)
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

// input reads the conversation.
func (p *requestParser) input(v []byte) error {
	missing := hub.BadRequest("missing_required_parameter", "input", "input is required")
	switch jsn.KindOf(v) {
	case jsn.String:
		if len(jsn.StrOf(v)) == 0 {
			return missing
		}
		p.req.Messages = append(p.req.Messages, hub.Message{Role: hub.User,
			Parts: []hub.Part{{Kind: hub.PartText, Text: jsn.StrOf(v)}}})
		return nil
	case jsn.Arr:
		if jsn.Len(v) == 0 {
			return missing
		}
	default:
		return missing
	}
	for it := jsn.Array(v); it.Next(); {
		if err := p.item(it.Value()); err != nil {
			return err
		}
	}
	p.flush()
	return nil
}

func (p *requestParser) item(v []byte) error {
	typ, role := "", ""
	for it := jsn.Object(v); it.Next(); {
		switch string(it.Key()) {
		case "type":
			typ = p.text(it.Value())
		case "role":
			role = p.text(it.Value())
		}
	}
	switch {
	case typ == "item_reference":
		return &hub.Error{Status: 400, Code: "unsupported_parameter", Param: "input", Fallback: true, // RS-1
			Message: "item_reference refers to an item that only the Responses API itself keeps; send the item in input"}
	case typ == "reasoning":
		p.reasoning(v)
	case typ == "function_call", typ == "custom_tool_call":
		p.call(v, typ == "custom_tool_call")
	case typ == "function_call_output", typ == "custom_tool_call_output":
		p.output(v)
	case typ == "message", typ == "" && role != "":
		p.message(v, role)
	default:
		p.ctx.Drop("input." + typ)
	}
	return nil
}

func (p *requestParser) message(v []byte, role string) {
	m := hub.Message{Role: role}
	switch role {
	case hub.System, hub.Developer, hub.Assistant:
	default:
		m.Role = hub.User
	}
	content := jsn.Get(v, "content")
	if s := jsn.StrOf(content); s != nil {
		m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: s})
	}
	for it := jsn.Array(content); it.Next(); {
		if part, ok := p.part(it.Value()); ok {
			m.Parts = append(m.Parts, part)
		}
	}
	if m.Role != hub.Assistant {
		p.flush()
		p.req.Messages = append(p.req.Messages, m)
		return
	}
	p.inRun = true
	p.turn.Parts = repair.JoinTexts(p.turn.Parts, m.Parts)
	if phase := jsn.Get(v, "phase"); jsn.StrOf(phase) != nil {
		p.turn.Phase = p.text(phase)
	}
}

// part reads one content part.
func (p *requestParser) part(v []byte) (hub.Part, bool) {
	typ := p.text(jsn.Get(v, "type"))
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
func (p *requestParser) reasoning(v []byte) {
	p.inRun = true
	var r hub.Reasoning
	sealed := jsn.StrOf(jsn.Get(v, "encrypted_content"))
	if len(sealed) > 0 {
		var ok bool
		if r, ok = envelope.Open(p.tokens, sealed); !ok {
			r = hub.Reasoning{Sig: sealed, Provider: "openai"}
		}
	}
	r.Text = joinTexts(jsn.Get(v, "summary"))
	if r.Text == nil {
		r.Text = joinTexts(jsn.Get(v, "content"))
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

func (p *requestParser) call(v []byte, custom bool) {
	call := hub.Call{Custom: custom}
	namespace := ""
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch string(it.Key()) {
		case "call_id":
			call.ID = p.text(val)
		case "name":
			call.Name = p.text(val)
		case "namespace":
			namespace = p.text(val)
		case "arguments":
			call.Args = hub.ArgsValue(val)
		case "input":
			if custom {
				raw := append([]byte(nil), `{"input":`...)
				call.Args = hub.ArgsValue(append(append(raw, val...), '}'))
			}
		}
	}
	if call.Name == "" {
		p.ctx.Drop("input")
		return
	}
	if namespace != "" {
		call.Name = namespace + namespaceSep + call.Name
	}
	if p.carried != nil {
		call.GoogleSig = p.carried.Sig
		p.carried = nil
	}
	p.inRun = true
	p.turn.Calls = append(p.turn.Calls, call)
}

// output reads the result of a call.
func (p *requestParser) output(v []byte) {
	p.flush()
	m := hub.Message{Role: hub.Tool, CallID: p.text(jsn.Get(v, "call_id"))}
	switch out := jsn.Get(v, "output"); jsn.KindOf(out) {
	case jsn.String:
		m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: jsn.StrOf(out)})
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
