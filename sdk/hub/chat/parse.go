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
	ext bool
}

// ParseRequest reads a chat completions request.
func ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	p := parser{c: c, t: c.Tokens(), r: &hub.Request{Source: Name}}
	for it := jsn.Object(body); it.Next(); {
		if v := it.Value(); !jsn.IsNull(v) {
			p.field(string(it.Key()), v)
		}
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
	case "stream_options":
		r.IncludeUsage = jsn.IsTrue(jsn.Get(v, "include_usage"))
	case "messages":
		r.Messages = make([]hub.Message, 0, jsn.Len(v))
		for it := jsn.Array(v); it.Next(); {
			p.message(it.Value())
		}
	case "tools":
		for it := jsn.Array(v); it.Next(); {
			p.tool(it.Value())
		}
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

func (p *parser) message(raw []byte) {
	m := hub.Message{}
	var content, calls, legacy, reasoning, cache, omni []byte
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "role":
			m.Role = jsn.StrOf(v).View()
		case "content":
			content = v
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "reasoning_content":
			reasoning = v
		case "reasoning":
			if reasoning == nil {
				reasoning = v
			}
		case "refusal":
			if s := jsn.StrOf(v); len(s) > 0 {
				m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: s})
			}
		case "tool_call_id":
			m.CallID = p.t.Decode(jsn.StrOf(v))
		case "name":
			m.Name = p.t.Decode(jsn.StrOf(v))
		case "cache_control":
			cache = object(v)
		case "x_omni":
			omni = v
		}
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
		p.calls(&m, calls, legacy)
	default:
		m.Role = hub.User
	}
	if m.Role != hub.Tool {
		m.Name = ""
	}
	m.Parts = append(p.parts(content), m.Parts...)
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

func (p *parser) calls(m *hub.Message, calls, legacy []byte) {
	for it := jsn.Array(calls); it.Next(); {
		if call, ok := p.call(it.Value()); ok {
			m.Calls = append(m.Calls, call)
		}
	}
	if jsn.KindOf(legacy) == jsn.Obj && len(m.Calls) == 0 {
		m.Calls = append(m.Calls, hub.Call{
			Name: p.t.Decode(jsn.StrOf(jsn.Get(legacy, "name"))),
			Args: hub.ArgsValue(jsn.Get(legacy, "arguments")),
		})
	}
}

func (p *parser) call(raw []byte) (call hub.Call, ok bool) {
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "id":
			call.ID = p.t.Decode(jsn.StrOf(v))
		case "function":
			for f := jsn.Object(v); f.Next(); {
				switch string(f.Key()) {
				case "name":
					call.Name = p.t.Decode(jsn.StrOf(f.Value()))
				case "arguments":
					call.Args = hub.ArgsValue(f.Value())
				}
			}
			ok = true
		case "custom":
			call.Name = p.t.Decode(jsn.StrOf(jsn.Get(v, "name")))
			call.Args, call.Custom, ok = hub.CustomArgs(jsn.StrOf(jsn.Get(v, "input"))), true, true
		case "extra_content":
			call.GoogleSig = jsn.StrOf(jsn.Get(v, "google", "thought_signature"))
		case "cache_control":
			call.Cache = object(v)
		case "x_omni":
			call.Custom = p.ext && jsn.IsTrue(jsn.Get(v, "custom"))
		}
	}
	return call, ok
}

// parts reads message content: a string or an array of parts.
func (p *parser) parts(v []byte) []hub.Part {
	switch jsn.KindOf(v) {
	case jsn.String:
		return []hub.Part{{Kind: hub.PartText, Text: jsn.StrOf(v)}}
	case jsn.Arr:
		parts := make([]hub.Part, 0, 2)
		for it := jsn.Array(v); it.Next(); {
			if part, ok := p.part(it.Value()); ok {
				parts = append(parts, part)
			}
		}
		return parts
	case jsn.Obj:
		if part, ok := p.part(v); ok {
			return []hub.Part{part}
		}
	}
	return nil
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
