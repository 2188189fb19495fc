package chat

import (
	"sort"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// HubName is the name of the hub's JSON form.
const HubName = "hub"

// Hub is the JSON form of the hub: chat completions with x_omni. It applies no rule
// of any target, so that what one module parsed another can write. It never leaves
// the gateway.
type Hub struct{}

// Name implements hub.Dialect.
func (Hub) Name() string { return HubName }

// ParseError implements hub.Dialect.
func (Hub) ParseError(c *hub.Ctx, body []byte) *hub.Error { return readHubError(c.Status, body) }

// AppendError implements hub.Dialect.
func (Hub) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte { return appendHubError(dst, e) }

// AppendPassthrough implements hub.Passthrough.
func (Hub) AppendPassthrough(_ *hub.Ctx, dst, body []byte) ([]byte, error) {
	return append(dst, body...), nil
}

func appendHubError(dst []byte, e *hub.Error) []byte {
	dst = append(dst, `{"error":`...)
	dst = hub.AppendOpenAIErrorObject(dst, e)
	dst = append(dst, `,"x_omni":{`...)
	dst = jsn.AppendIntMember(dst, "status", int64(e.Status))
	dst = jsn.AppendStringMember(dst, "code", e.Code)
	dst = jsn.AppendStringMember(dst, "type", e.Type)
	dst = jsn.AppendBoolMember(dst, "no_code", e.NoCode)
	dst = jsn.AppendBoolMember(dst, "upstream", e.Upstream)
	dst = jsn.AppendBoolMember(dst, "fallback", e.Fallback)
	dst = jsn.AppendIntMember(dst, "retry_after_ms", e.RetryAfterMS)
	return append(dst, '}', '}')
}

func readHubError(status int, body []byte) *hub.Error {
	e := hub.ReadError(status, body)
	for it := jsn.Object(jsn.Get(body, "x_omni")); it.Next(); {
		v := it.Value()
		n, _ := jsn.Int(v)
		switch string(it.Key()) {
		case "status":
			if n >= 400 && n <= 599 {
				e.Status = int(n)
			}
		case "code":
			e.Code = jsn.StrOf(v).String()
		case "type":
			e.Type = jsn.StrOf(v).String()
		case "no_code":
			e.NoCode = jsn.IsTrue(v)
		case "upstream":
			e.Upstream = jsn.IsTrue(v)
		case "fallback":
			e.Fallback = jsn.IsTrue(v)
		case "retry_after_ms":
			e.RetryAfterMS = n
		}
	}
	return e
}

// ParseRequest implements hub.Dialect.
func (Hub) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	p := newParser(c, true)
	var omni []byte
	for it := jsn.Object(body); it.Next(); {
		if string(it.Key()) == "x_omni" {
			omni = it.Value()
		} else {
			p.member(&it)
		}
	}
	p.root(omni)
	return p.r, hub.CheckState(c, p.r)
}

// root takes the x_omni member of the request.
func (p *parser) root(omni []byte) {
	r := p.r
	r.ExplicitMaxTokens = false
	var exact hub.Thinking
	for it := jsn.Object(omni); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "source":
			r.Source = jsn.StrOf(v).String()
		case "thinking":
			exact.Mode = jsn.StrOf(jsn.Get(v, "mode")).String()
			exact.Budget, _ = jsn.Int(jsn.Get(v, "budget"))
			exact.Effort = jsn.StrOf(jsn.Get(v, "effort")).String()
		case "visible":
			r.Visible = jsn.IsTrue(v)
		case "summary":
			r.Summary = jsn.StrOf(v)
		case "max_explicit":
			r.ExplicitMaxTokens = jsn.IsTrue(v)
		case "raw":
			for f := jsn.Object(v); f.Next(); {
				r.Raw = append(r.Raw, hub.Field{Name: string(f.Key()), Raw: f.Value()})
			}
		case "names":
			for f := jsn.Object(v); f.Next(); {
				p.c.Alias(string(f.Key()), jsn.StrOf(f.Value()).String())
			}
		}
	}
	// A policy may have changed the effort in between: then the effort counts.
	if exact.Level() == r.Thinking.Level() {
		r.Thinking = exact
	}
}

// AppendRequest implements hub.Dialect.
func (Hub) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	t := c.Tokens()
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", c.TargetModel(r.Model))
	dst = append(jsn.AppendKey(dst, "messages"), '[')
	for i := range r.Messages {
		dst = appendHubMessage(jsn.Sep(dst), t, &r.Messages[i])
	}
	dst = append(dst, ']')
	dst = appendHubTools(dst, r)
	for _, f := range [...]hub.Field{
		{Name: "max_tokens", Raw: r.MaxTokens}, {Name: "temperature", Raw: r.Temperature}, {Name: "top_p", Raw: r.TopP},
		{Name: "top_k", Raw: r.TopK}, {Name: "presence_penalty", Raw: r.PresencePenalty},
		{Name: "frequency_penalty", Raw: r.FrequencyPenalty}, {Name: "n", Raw: r.N}, {Name: "seed", Raw: r.Seed},
		{Name: "logit_bias", Raw: r.LogitBias}, {Name: "logprobs", Raw: r.Logprobs},
		{Name: "top_logprobs", Raw: r.TopLogprobs}, {Name: "metadata", Raw: r.Metadata}, {Name: "store", Raw: r.Store},
		{Name: "modalities", Raw: r.Modalities},
	} {
		dst = jsn.AppendMember(dst, f.Name, f.Raw)
	}
	for _, f := range [...]struct {
		name string
		s    jsn.Str
	}{
		{"user", r.User}, {"safety_identifier", r.SafetyIdentifier}, {"prompt_cache_key", r.PromptCacheKey},
		{"service_tier", r.ServiceTier}, {"verbosity", r.Verbosity},
	} {
		if f.s != nil {
			dst = jsn.AppendStrMember(dst, f.name, f.s)
		}
	}
	if len(r.Stop) > 0 {
		dst = append(jsn.AppendKey(dst, "stop"), '[')
		for _, s := range r.Stop {
			dst = jsn.AppendStr(jsn.Sep(dst), s)
		}
		dst = append(dst, ']')
	}
	dst = AppendFormat(dst, &r.Format)
	if level := r.Thinking.Level(); level != "" {
		dst = jsn.AppendStringMember(dst, "reasoning_effort", level)
	}
	if r.Stream {
		dst = jsn.AppendBoolMember(dst, "stream", true)
	}
	if r.IncludeUsage {
		dst = append(jsn.AppendKey(dst, "stream_options"), `{"include_usage":true}`...)
	}
	dst = appendHubRoot(dst, c, r)
	return append(dst, '}'), nil
}

func appendHubRoot(dst []byte, c *hub.Ctx, r *hub.Request) []byte {
	dst = append(jsn.AppendKey(dst, "x_omni"), `{"v":1`...)
	dst = jsn.AppendStringMember(dst, "source", r.Source)
	if th := r.Thinking; th.Mode != "" {
		dst = append(jsn.AppendKey(dst, "thinking"), '{')
		dst = jsn.AppendStringMember(dst, "mode", th.Mode)
		dst = jsn.AppendIntMember(dst, "budget", th.Budget)
		dst = append(jsn.AppendStringMember(dst, "effort", th.Effort), '}')
	}
	dst = jsn.AppendBoolMember(dst, "visible", r.Visible)
	if r.Summary != nil {
		dst = jsn.AppendStrMember(dst, "summary", r.Summary)
	}
	dst = jsn.AppendBoolMember(dst, "max_explicit", r.ExplicitMaxTokens)
	if len(r.Raw) > 0 {
		dst = append(jsn.AppendKey(dst, "raw"), '{')
		for _, f := range r.Raw {
			dst = jsn.AppendRawMember(dst, jsn.Lit(f.Name), f.Raw)
		}
		dst = append(dst, '}')
	}
	if names := c.Aliases(); len(names) > 0 {
		keys := make([]string, 0, len(names))
		for k := range names {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		dst = append(jsn.AppendKey(dst, "names"), '{')
		for _, k := range keys {
			dst = jsn.AppendStringMember(dst, k, names[k])
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendHubMessage(dst []byte, t jsn.Tokens, m *hub.Message) []byte {
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "role", m.Role)
	dst = jsn.AppendKey(dst, "content")
	switch {
	case len(m.Parts) == 0 && len(m.Calls) > 0:
		dst = append(dst, "null"...)
	case len(m.Parts) == 1 && m.Parts[0].Kind == hub.PartText && m.Parts[0].Cache == nil && m.Parts[0].Sig == nil:
		dst = jsn.AppendStr(dst, m.Parts[0].Text)
	default:
		dst = append(dst, '[')
		for i := range m.Parts {
			dst = appendHubPart(jsn.Sep(dst), &m.Parts[i])
		}
		dst = append(dst, ']')
	}
	if m.CallID != "" {
		dst = jsn.AppendStringMember(dst, "tool_call_id", m.CallID)
	}
	if m.Name != "" {
		dst = jsn.AppendStringMember(dst, "name", m.Name)
	}
	dst = jsn.AppendMember(dst, "cache_control", m.Cache)
	if s := hub.JoinReasoning(m.Reasoning); s != nil {
		dst = jsn.AppendStrMember(dst, "reasoning_content", s)
	}
	if len(m.Calls) > 0 {
		dst = append(jsn.AppendKey(dst, "tool_calls"), '[')
		for i := range m.Calls {
			dst = appendHubCall(dst, t, &m.Calls[i])
		}
		dst = append(dst, ']')
	}
	if len(m.Reasoning) > 0 || m.IsError || m.Phase != "" {
		dst = append(jsn.AppendKey(dst, "x_omni"), '{')
		dst = appendHubReasoning(dst, m.Reasoning)
		if m.IsError {
			dst = jsn.AppendBoolMember(dst, "is_error", true)
		}
		if m.Phase != "" {
			dst = jsn.AppendStringMember(dst, "phase", m.Phase)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendHubReasoning(dst []byte, rs []hub.Reasoning) []byte {
	if len(rs) == 0 {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "reasoning"), '[')
	for i := range rs {
		dst = append(jsn.Sep(dst), '{')
		dst = jsn.AppendStrMember(dst, "text", rs[i].Text)
		dst = jsn.AppendStrMember(dst, "sig", rs[i].Sig)
		dst = jsn.AppendBoolMember(dst, "redacted", rs[i].Redacted)
		dst = append(jsn.AppendStringMember(dst, "provider", rs[i].Provider), '}')
	}
	return append(dst, ']')
}

func readHubReasoning(v []byte) []hub.Reasoning {
	var rs []hub.Reasoning
	for it := jsn.Array(v); it.Next(); {
		var r hub.Reasoning
		for f := jsn.Object(it.Value()); f.Next(); {
			s := jsn.StrOf(f.Value())
			switch string(f.Key()) {
			case "text":
				r.Text = s
			case "sig":
				r.Sig = s
			case "redacted":
				r.Redacted = jsn.IsTrue(f.Value())
			case "provider":
				r.Provider = s.String()
			}
		}
		rs = append(rs, r)
	}
	return rs
}

// omni takes the x_omni member of a message.
func (p *parser) omni(m *hub.Message, v []byte) {
	for it := jsn.Object(v); it.Next(); {
		switch string(it.Key()) {
		case "reasoning":
			m.Reasoning = readHubReasoning(it.Value())
		case "is_error":
			m.IsError = jsn.IsTrue(it.Value())
		case "phase":
			m.Phase = jsn.StrOf(it.Value()).String()
		}
	}
}

func appendHubCall(dst []byte, t jsn.Tokens, k *hub.Call) []byte {
	dst = AppendCall(dst, t, k)
	dst = dst[:len(dst)-1]
	if len(k.GoogleSig) > 0 {
		dst = appendGoogle(dst, k.GoogleSig)
	}
	dst = jsn.AppendMember(dst, "cache_control", k.Cache)
	if k.Custom {
		dst = append(jsn.AppendKey(dst, "x_omni"), `{"custom":true}`...)
	}
	return append(dst, '}')
}

func appendHubPart(dst []byte, p *hub.Part) []byte {
	if p.Kind == hub.PartText {
		dst = append(dst, `{"type":"text"`...)
		dst = jsn.AppendStrMember(dst, "text", p.Text)
		if len(p.Sig) > 0 {
			dst = append(jsn.AppendKey(dst, "x_omni"), '{')
			dst = append(jsn.AppendStrMember(dst, "sig", p.Sig), '}')
		}
		return append(jsn.AppendMember(dst, "cache_control", p.Cache), '}')
	}
	kind, m := mediaKind(p.Kind), p.Media
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "type", kind)
	dst = append(jsn.AppendKey(dst, kind), '{')
	for _, f := range [...]struct {
		name string
		s    jsn.Str
	}{{"url", m.URL}, {"data", m.Data}, {"file_id", m.ID}, {"filename", m.Name}, {"detail", m.Detail}} {
		if f.s != nil {
			dst = jsn.AppendStrMember(dst, f.name, f.s)
		}
	}
	dst = jsn.AppendStringMember(dst, "mime", m.MIME)
	dst = append(jsn.AppendStringMember(dst, "part", m.Type), '}')
	return append(jsn.AppendMember(dst, "cache_control", p.Cache), '}')
}

func mediaKind(k hub.PartKind) string {
	switch k {
	case hub.PartImage:
		return "image_url"
	case hub.PartAudio:
		return "input_audio"
	case hub.PartVideo:
		return "video_url"
	case hub.PartFileRef:
		return "file_ref"
	}
	return "file"
}

// hubPart reads a media part of the hub's own form; ok is false for the plain chat
// forms, which are read as in any request.
func (p *parser) hubPart(raw []byte, typ string) (part hub.Part, ok bool) {
	v := jsn.Get(raw, typ)
	if typ == "text" || jsn.Get(v, "part") == nil {
		return part, false
	}
	m := &hub.Media{}
	for it := jsn.Object(v); it.Next(); {
		s := jsn.StrOf(it.Value())
		switch string(it.Key()) {
		case "url":
			m.URL = s
		case "data":
			m.Data = s
		case "file_id":
			m.ID = s
		case "filename":
			m.Name = s
		case "detail":
			m.Detail = s
		case "mime":
			m.MIME = media.Type(s.String())
		case "part":
			m.Type = s.String()
		}
	}
	for k := hub.PartImage; k <= hub.PartFileRef; k++ {
		if mediaKind(k) == typ {
			return hub.Part{Kind: k, Media: m, Cache: object(jsn.Get(raw, "cache_control"))}, true
		}
	}
	return part, false
}

func appendHubTools(dst []byte, r *hub.Request) []byte {
	if len(r.Tools) > 0 {
		dst = append(jsn.AppendKey(dst, "tools"), '[')
		for i := range r.Tools {
			dst = appendHubTool(jsn.Sep(dst), &r.Tools[i])
		}
		dst = append(dst, ']')
	}
	switch ch := r.Choice; {
	case ch.Mode == "":
	case ch.Mode == hub.ChoiceNamed:
		dst = append(jsn.AppendKey(dst, "tool_choice"), `{"type":"function","function":{`...)
		dst = append(jsn.AppendStringMember(dst, "name", ch.Names[0]), '}', '}')
	case len(ch.Names) > 0:
		dst = append(jsn.AppendKey(dst, "tool_choice"), `{"type":"allowed_tools","allowed_tools":{`...)
		dst = jsn.AppendStringMember(dst, "mode", ch.Mode)
		dst = append(jsn.AppendKey(dst, "tools"), '[')
		for _, name := range ch.Names {
			dst = append(jsn.Sep(dst), '{')
			dst = append(jsn.AppendStringMember(dst, "name", name), '}')
		}
		dst = append(dst, ']', '}', '}')
	default:
		dst = jsn.AppendStringMember(dst, "tool_choice", ch.Mode)
	}
	if r.Parallel != hub.Unset {
		dst = jsn.AppendBoolMember(dst, "parallel_tool_calls", r.Parallel == hub.True)
	}
	return dst
}

func appendHubTool(dst []byte, def *hub.ToolDef) []byte {
	if def.Hosted != "" {
		dst = append(dst, `{"type":"hosted"`...)
		dst = jsn.AppendStringMember(dst, "hosted", def.Hosted)
		dst = append(jsn.AppendKey(dst, "x_omni"), '{')
		return append(jsn.AppendMember(dst, "raw", def.Raw), '}', '}')
	}
	dst = append(dst, `{"type":"function","function":{`...)
	dst = jsn.AppendStringMember(dst, "name", def.Name)
	if def.Description != nil {
		dst = jsn.AppendStrMember(dst, "description", def.Description)
	}
	dst = jsn.AppendMember(dst, "parameters", def.Parameters)
	dst = append(jsn.AppendMember(dst, "strict", def.Strict), '}')
	dst = jsn.AppendMember(dst, "cache_control", def.Cache)
	if def.Custom || def.Namespace != "" {
		dst = append(jsn.AppendKey(dst, "x_omni"), '{')
		dst = jsn.AppendBoolMember(dst, "custom", def.Custom)
		dst = append(jsn.AppendStringMember(dst, "namespace", def.Namespace), '}')
	}
	return append(dst, '}')
}
