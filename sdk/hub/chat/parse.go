package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// parser reads one request.
type parser struct {
	c *hub.Ctx
	t jsn.Tokens
	r *hub.Request
	// ext: x_omni is understood.
	ext   bool
	arena *hub.Arena
}

// bytesPerMessage is a guess that makes the list of messages rarely grow.
const bytesPerMessage = 200

func newParser(c *hub.Ctx, ext bool) parser {
	p := parser{c: c, t: c.Tokens(), r: &hub.Request{Source: Name}, ext: ext, arena: c.Arena}
	if p.arena == nil {
		p.arena = new(hub.Arena)
	}
	return p
}

// ParseRequest reads a chat completions request.
func ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	p := newParser(c, false)
	for it := jsn.Object(body); it.Next(); {
		p.member(&it)
	}
	return p.r, nil
}

// member takes one member of the root. The long lists are walked in place, so that they
// are read once.
func (p *parser) member(it *jsn.ObjectIter) {
	switch key := it.Key(); {
	case string(key) == "messages":
		p.r.Messages = p.arena.Messages(len(it.Base())/bytesPerMessage + 16)
		list := it.Array()
		for list.Next() {
			p.message(&list)
		}
		it.Leave(list.End())
	case string(key) == "tools":
		p.r.Tools = append(p.arena.Tools(32), p.r.Tools...)
		list := it.Array()
		for list.Next() {
			p.tool(list.Value())
		}
		it.Leave(list.End())
	default:
		if v := it.Value(); !jsn.IsNull(v) {
			p.field(string(key), v)
		}
	}
}

func (p *parser) field(key string, v []byte) {
	r := p.r
	switch key {
	case "model":
		r.Model = p.t.Decode(jsn.StrOf(v))
	case "stream":
		r.Stream = jsn.IsTrue(v)
	case "stream_options":
		r.IncludeUsage = jsn.IsTrue(jsn.Get(v, "include_usage"))
	case "functions":
		for it := jsn.Array(v); it.Next(); {
			r.Tools = append(r.Tools, p.function(it.Value()))
		}
		p.c.Alias("tools", key)
	case "tool_choice":
		p.choice(v)
	case "function_call":
		if r.Choice.Mode == "" {
			p.c.Alias("tool_choice", key)
			p.choice(v)
		}
	case "parallel_tool_calls":
		if jsn.IsFalse(v) {
			r.Parallel = hub.False
		} else if jsn.IsTrue(v) {
			r.Parallel = hub.True
		}
	case "max_completion_tokens":
		r.MaxTokens, r.ExplicitMaxTokens = v, true
		p.c.Alias("max_tokens", key)
	case "max_tokens":
		if r.MaxTokens == nil {
			r.MaxTokens, r.ExplicitMaxTokens = v, true
		}
	case "stop":
		if s := jsn.StrOf(v); s != nil {
			r.Stop = append(r.Stop, s)
		}
		for it := jsn.Array(v); it.Next(); {
			if s := jsn.StrOf(it.Value()); s != nil {
				r.Stop = append(r.Stop, s)
			}
		}
	case "reasoning_effort":
		r.Thinking = hub.Effort(p.t.Decode(jsn.StrOf(v)))
	case "response_format":
		r.Format = readFormat(v)
	case "x_omni":
	default:
		p.scalar(key, v)
	}
}

// scalar takes the fields that are only moved.
func (p *parser) scalar(key string, v []byte) {
	r := p.r
	switch key {
	case "temperature":
		r.Temperature = v
	case "top_p":
		r.TopP = v
	case "top_k":
		r.TopK = v
	case "presence_penalty":
		r.PresencePenalty = v
	case "frequency_penalty":
		r.FrequencyPenalty = v
	case "n":
		r.N = v
	case "seed":
		r.Seed = v
	case "logit_bias":
		r.LogitBias = v
	case "logprobs":
		r.Logprobs = v
	case "top_logprobs":
		r.TopLogprobs = v
	case "user":
		r.User = jsn.StrOf(v)
	case "safety_identifier":
		r.SafetyIdentifier = jsn.StrOf(v)
	case "prompt_cache_key":
		r.PromptCacheKey = jsn.StrOf(v)
	case "service_tier":
		r.ServiceTier = jsn.StrOf(v)
	case "verbosity":
		r.Verbosity = jsn.StrOf(v)
	case "metadata":
		r.Metadata = v
	case "store":
		r.Store = v
	case "modalities":
		r.Modalities = v
	default:
		r.Raw = append(r.Raw, hub.Field{Name: key, Raw: v})
	}
}

func readFormat(v []byte) hub.Format {
	switch kind := jsn.StrOf(jsn.Get(v, "type")).String(); kind {
	case hub.FormatJSON:
		return hub.Format{Kind: kind}
	case hub.FormatSchema:
		f := hub.Format{Kind: kind}
		for it := jsn.Object(jsn.Get(v, kind)); it.Next(); {
			switch string(it.Key()) {
			case "name":
				f.Name = jsn.StrOf(it.Value())
			case "description":
				f.Description = jsn.StrOf(it.Value())
			case "schema":
				f.Schema = object(it.Value())
			case "strict":
				f.Strict = boolean(it.Value())
			}
		}
		if f.Schema == nil {
			return hub.Format{Kind: hub.FormatJSON}
		}
		return f
	}
	return hub.Format{}
}

func object(v []byte) []byte {
	if jsn.KindOf(v) == jsn.Obj {
		return v
	}
	return nil
}

func boolean(v []byte) []byte {
	if jsn.KindOf(v) == jsn.Bool {
		return v
	}
	return nil
}

// message reads one message in place. Calls, and the name, belong to some roles only;
// the role may stand behind them.
func (p *parser) message(list *jsn.ArrayIter) {
	m := hub.Message{}
	var legacy, reasoning, cache, omni []byte
	var refusal jsn.Str
	it := list.Object()
	for it.Next() {
		switch string(it.Key()) {
		case "role":
			m.Role = jsn.StrOf(it.Value()).View()
		case "content":
			m.Parts = p.parts(&it)
		case "tool_calls":
			calls := it.Array()
			p.calls(&m, &calls)
			it.Leave(calls.End())
		case "function_call":
			legacy = it.Value()
		case "reasoning_content":
			reasoning = it.Value()
		case "reasoning":
			if reasoning == nil {
				reasoning = it.Value()
			}
		case "refusal":
			refusal = jsn.StrOf(it.Value())
		case "tool_call_id":
			m.CallID = p.t.Decode(jsn.StrOf(it.Value()))
		case "name":
			m.Name = p.t.Decode(jsn.StrOf(it.Value()))
		case "cache_control":
			cache = object(it.Value())
		case "x_omni":
			omni = it.Value()
		}
	}
	list.Leave(it.End())
	if len(refusal) > 0 {
		m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: refusal})
	}
	switch m.Role {
	case "function":
		m.Role, m.CallID = hub.Tool, ""
	case hub.System, hub.Developer, hub.User, hub.Tool:
	case hub.Assistant, "model":
		m.Role = hub.Assistant
		if s := jsn.StrOf(reasoning); len(s) > 0 {
			m.Reasoning = append(m.Reasoning, hub.Reasoning{Text: s})
		}
		p.legacyCall(&m, legacy)
	default:
		m.Role = hub.User
	}
	if m.Role != hub.Tool {
		m.Name = ""
	}
	if m.Role != hub.Assistant {
		m.Calls = nil
	}
	if n := len(m.Parts); cache != nil && m.Role == hub.Tool {
		m.Cache = cache
	} else if cache != nil && n > 0 && m.Parts[n-1].Cache == nil {
		m.Parts[n-1].Cache = cache
	}
	if p.ext {
		p.omni(&m, omni)
	}
	p.r.Messages = append(p.r.Messages, m)
}

// calls reads tool_calls in place.
func (p *parser) calls(m *hub.Message, list *jsn.ArrayIter) {
	for list.Next() {
		grown := p.arena.Calls.Grow(m.Calls)
		members := list.Object()
		if p.call(&grown[len(grown)-1], &members) {
			m.Calls = grown
		}
		list.Leave(members.End())
	}
}

// legacyCall reads the function_call of a message without tool_calls (T-8).
func (p *parser) legacyCall(m *hub.Message, legacy []byte) {
	if jsn.KindOf(legacy) == jsn.Obj && len(m.Calls) == 0 {
		m.Calls = append(m.Calls, hub.Call{
			Name: p.t.Decode(jsn.StrOf(jsn.Get(legacy, "name"))),
			Args: hub.ArgsValue(jsn.Get(legacy, "arguments")),
		})
	}
}

// call fills an empty call; false means that it is none.
func (p *parser) call(call *hub.Call, it *jsn.ObjectIter) (ok bool) {
	for it.Next() {
		switch string(it.Key()) {
		case "id":
			call.ID = p.t.Decode(jsn.StrOf(it.Value()))
		case "function":
			f := it.Object()
			for f.Next() {
				switch string(f.Key()) {
				case "name":
					call.Name = p.t.Decode(jsn.StrOf(f.Value()))
				case "arguments":
					call.Args = hub.ArgsValue(f.Value())
				}
			}
			it.Leave(f.End())
			ok = true
		case "custom":
			v := it.Value()
			call.Name = p.t.Decode(jsn.StrOf(jsn.Get(v, "name")))
			call.Args, call.Custom, ok = hub.CustomArgs(jsn.StrOf(jsn.Get(v, "input"))), true, true
		case "extra_content":
			call.GoogleSig = jsn.StrOf(jsn.Get(it.Value(), "google", "thought_signature"))
		case "cache_control":
			call.Cache = object(it.Value())
		case "x_omni":
			call.Custom = p.ext && jsn.IsTrue(jsn.Get(it.Value(), "custom"))
		}
	}
	return ok
}

// parts reads message content in place: a string or an array of parts.
func (p *parser) parts(it *jsn.ObjectIter) (parts []hub.Part) {
	switch it.Kind() {
	case jsn.String:
		parts = p.arena.Parts.Grow(nil)
		parts[0] = hub.Part{Kind: hub.PartText, Text: jsn.StrOf(it.Value())}
	case jsn.Arr:
		list := it.Array()
		for list.Next() {
			part, ok := p.plainText(&list)
			if !ok {
				part, ok = p.part(list.Value())
			}
			if ok {
				parts = p.arena.Parts.Grow(parts)
				parts[len(parts)-1] = part
			}
		}
		it.Leave(list.End())
	case jsn.Obj:
		if part, ok := p.part(it.Value()); ok {
			return []hub.Part{part}
		}
	}
	return parts
}

// plainText reads a part that is nothing but text, as most are, in place; false means
// that [parser.part] has to look.
func (p *parser) plainText(list *jsn.ArrayIter) (part hub.Part, ok bool) {
	it := list.Object()
	var typ jsn.Str
	for it.Next() {
		switch string(it.Key()) {
		case "type":
			typ = jsn.StrOf(it.Value())
		case "text":
			part.Text = jsn.StrOf(it.Value())
		case "cache_control":
			part.Cache = object(it.Value())
		default:
			return part, false
		}
	}
	list.Leave(it.End())
	return part, part.Text != nil && typ.Is("text")
}

func (p *parser) part(raw []byte) (part hub.Part, ok bool) {
	if s := jsn.StrOf(raw); s != nil {
		return hub.Part{Kind: hub.PartText, Text: s}, true
	}
	typ := jsn.StrOf(jsn.Get(raw, "type")).String()
	if p.ext {
		if part, ok = p.hubPart(raw, typ); ok {
			return part, true
		}
		part.Sig = jsn.StrOf(jsn.Get(raw, "x_omni", "sig"))
	}
	switch typ {
	case "text", "input_text", "output_text":
		part.Text = jsn.StrOf(jsn.Get(raw, "text"))
	case "refusal":
		part.Text = jsn.StrOf(jsn.Get(raw, "refusal"))
	case "image_url", "video_url":
		v := jsn.Get(raw, typ)
		if jsn.KindOf(v) == jsn.String {
			part = media.FromURL(p.t, jsn.StrOf(v), typ)
		} else {
			part = media.FromURL(p.t, jsn.StrOf(jsn.Get(v, "url")), typ)
			part.Media.Detail = jsn.StrOf(jsn.Get(v, "detail"))
		}
		if typ == "video_url" {
			part.Kind = hub.PartVideo
		}
	case "input_audio":
		v := jsn.Get(raw, typ)
		mime := media.AudioType(jsn.StrOf(jsn.Get(v, "format")).String())
		part = hub.Part{Kind: hub.PartAudio, Media: &hub.Media{MIME: mime, Data: jsn.StrOf(jsn.Get(v, "data")), Type: typ}}
	case "file":
		part = p.file(jsn.Get(raw, typ))
	default:
		if jsn.KindOf(raw) != jsn.Obj {
			return part, false
		}
		if typ == "" {
			if s := jsn.StrOf(jsn.Get(raw, "text")); s != nil {
				return hub.Part{Kind: hub.PartText, Text: s, Cache: object(jsn.Get(raw, "cache_control"))}, true
			}
			typ = "content"
		}
		part = hub.Part{Kind: hub.PartFileRef, Media: &hub.Media{Type: typ}}
	}
	if part.Kind == hub.PartText && part.Text == nil {
		return part, false
	}
	part.Cache = object(jsn.Get(raw, "cache_control"))
	return part, true
}

func (p *parser) file(v []byte) hub.Part {
	const typ = "file"
	if id := jsn.StrOf(jsn.Get(v, "file_id")); len(id) > 0 {
		return hub.Part{Kind: hub.PartFileRef, Media: &hub.Media{ID: id, Type: typ}}
	}
	data := jsn.StrOf(jsn.Get(v, "file_data"))
	var part hub.Part
	if mime, payload, ok := media.DataURL(p.t, data); ok {
		part = media.FromData(mime, payload, typ)
	} else if p.t.HasPrefix(data, "http://") || p.t.HasPrefix(data, "https://") {
		part = hub.Part{Kind: hub.PartFile, Media: &hub.Media{URL: data, Type: typ}}
	} else {
		name := jsn.StrOf(jsn.Get(v, "filename"))
		part = media.FromData(media.GuessType(p.t, name, "application/pdf"), data, typ)
	}
	part.Media.Name = jsn.StrOf(jsn.Get(v, "filename"))
	return part
}

func (p *parser) tool(raw []byte) {
	typ := jsn.StrOf(jsn.Get(raw, "type")).String()
	fn := jsn.Get(raw, "function")
	var def hub.ToolDef
	switch {
	case typ == "hosted" && p.ext:
		def.Hosted = jsn.StrOf(jsn.Get(raw, "hosted")).String()
		raw = jsn.Get(raw, "x_omni", "raw")
	case typ == "custom":
		def = p.function(jsn.Get(raw, "custom"))
		if def.Name == "" {
			def = p.function(raw)
		}
		def.Custom, def.Parameters = true, hub.CustomSchema()
	case fn != nil:
		def = p.function(fn)
	case jsn.Get(raw, "input_schema") != nil && jsn.Get(raw, "name") != nil:
		def = p.function(raw)
	case typ == "function" || typ == "":
		def = p.function(raw)
	case typ == "web_search" || typ == "web_search_preview":
		def.Hosted = "web_search"
	default:
		def.Hosted = typ
	}
	if c := object(jsn.Get(raw, "cache_control")); c != nil {
		def.Cache = c
	}
	if p.ext && def.Hosted == "" {
		def.Custom = jsn.IsTrue(jsn.Get(raw, "x_omni", "custom"))
		def.Namespace = jsn.StrOf(jsn.Get(raw, "x_omni", "namespace")).String()
	}
	def.Raw = raw
	p.r.Tools = append(p.r.Tools, def)
}

func (p *parser) function(raw []byte) hub.ToolDef {
	var def hub.ToolDef
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "name":
			def.Name = p.t.Decode(jsn.StrOf(v))
		case "description":
			def.Description = jsn.StrOf(v)
		case "parameters", "input_schema":
			def.Parameters = object(v)
		case "strict":
			def.Strict = boolean(v)
		case "cache_control":
			def.Cache = object(v)
		}
	}
	return def
}

func (p *parser) choice(v []byte) {
	ch := &p.r.Choice
	if s := jsn.StrOf(v); s != nil {
		switch mode := s.String(); mode {
		case hub.ChoiceAuto, hub.ChoiceNone, hub.ChoiceRequired:
			ch.Mode = mode
		case "any":
			ch.Mode = hub.ChoiceRequired
		}
		return
	}
	name := jsn.Get(v, "name")
	for _, kind := range [...]string{"function", "custom"} {
		if n := jsn.Get(v, kind, "name"); n != nil {
			name = n
		}
	}
	if list := jsn.Get(v, "allowed_tools"); list != nil || jsn.StrOf(jsn.Get(v, "type")).Is("allowed_tools") {
		if list == nil {
			list = v
		}
		ch.Mode = hub.ChoiceAuto
		if jsn.StrOf(jsn.Get(list, "mode")).Is(hub.ChoiceRequired) {
			ch.Mode = hub.ChoiceRequired
		}
		for it := jsn.Array(jsn.Get(list, "tools")); it.Next(); {
			n := jsn.Get(it.Value(), "function", "name")
			if n == nil {
				n = jsn.Get(it.Value(), "name")
			}
			if s := jsn.StrOf(n); len(s) > 0 {
				ch.Names = append(ch.Names, p.t.Decode(s))
			}
		}
		return
	}
	if s := jsn.StrOf(name); len(s) > 0 {
		ch.Mode, ch.Names = hub.ChoiceNamed, []string{p.t.Decode(s)}
	}
}
