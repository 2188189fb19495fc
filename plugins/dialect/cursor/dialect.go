package cursor

import (
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Dialect is the Cursor format. Use [New].
type Dialect struct {
	hub.ProviderOnly
	answers hub.Dialect // the executor hands over hub chunks
}

// New returns the dialect.
func New() hub.Dialect {
	return &Dialect{hub.ProviderOnly{Format: "cursor"}, openai.New()}
}

// ParseResponse implements [hub.Dialect]: the answer has the shape of chat
// completions.
func (d *Dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	return d.answers.ParseResponse(c, body)
}

// NewDecoder implements [hub.Dialect]: events are chat completion chunks.
func (d *Dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return d.answers.NewDecoder(c) }

// AppendRequest implements [hub.Dialect].
func (d *Dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	hub.KeepReasoning(c, r, hub.NoReasoning)
	hub.DropTextSignatures(r)
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	if err := media.Refuse(c, r, func(*hub.Message, *hub.Part) bool { return false }); err != nil {
		return dst, err
	}
	hub.PrefixErrors(c, r)
	repair.Tools(c, r, repair.ToolOptions{})
	hub.DropLost(c, r, d.Name(), "reasoning_effort")
	t := c.Tokens()
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", c.TargetModel(r.Model))
	dst = append(jsn.AppendKey(dst, "messages"), '[')
	for i := range r.Messages {
		dst = appendMessage(dst, t, &r.Messages[i])
	}
	dst = append(dst, ']')
	if len(r.Tools) > 0 {
		dst = append(jsn.AppendKey(dst, "tools"), '[')
		for i := range r.Tools {
			dst = append(jsn.Sep(dst), `{"type":"function","function":{`...)
			dst = jsn.AppendStringMember(dst, "name", r.Tools[i].Name)
			dst = jsn.AppendStrMember(dst, "description", r.Tools[i].Description)
			dst = append(jsn.AppendMember(dst, "parameters", hub.ObjectSchema(r.Tools[i].Parameters)), '}', '}')
		}
		dst = append(dst, ']')
	}
	if level := effort(&r.Thinking); level != "" {
		dst = jsn.AppendStringMember(dst, "reasoning_effort", level)
	} else if r.Thinking.Mode != "" && r.Thinking.Mode != hub.ThinkOff {
		c.Drop("reasoning_effort")
	}
	return append(dst, `,"stream":true}`...), nil
}

// effort is the level the service knows: medium and high only.
func effort(t *hub.Thinking) string {
	switch level := t.Level(); {
	case level == "" || !caps.Known(level):
		return ""
	case caps.AtLeast(level, caps.High):
		return caps.High
	case caps.AtLeast(level, caps.Medium):
		return caps.Medium
	}
	return ""
}

func appendMessage(dst []byte, t jsn.Tokens, m *hub.Message) []byte {
	role, prefix, sep := hub.User, "", `\n`
	switch {
	case repair.IsSystem(m):
		prefix, sep = `[System Instructions]\n`, `\n\n`
	case m.Role == hub.Assistant:
		role, sep = hub.Assistant, ""
	}
	dst = append(jsn.Sep(dst), '{')
	dst = jsn.AppendStringMember(dst, "role", role)
	dst = append(jsn.AppendKey(dst, "content"), '"')
	if m.Role == hub.Tool {
		dst = append(appendResult(dst, t, m), '"', '}')
		return dst
	}
	dst = append(dst, prefix...)
	for i := range m.Parts {
		if i > 0 {
			dst = append(dst, sep...)
		}
		dst = append(dst, m.Parts[i].Text...)
	}
	dst = append(dst, '"')
	if len(m.Calls) > 0 {
		dst = append(jsn.AppendKey(dst, "tool_calls"), '[')
		for i := range m.Calls {
			call := &m.Calls[i]
			dst = append(jsn.Sep(dst), '{')
			dst = jsn.AppendStringMember(dst, "id", call.ID)
			dst = append(dst, `,"type":"function","function":{`...)
			dst = jsn.AppendStringMember(dst, "name", call.Name)
			dst = append(jsn.AppendKey(dst, "arguments"), '"')
			dst = append(call.Args.AppendString(dst, t), `"}}`...)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendResult writes a tool result as a text block (CU-2).
func appendResult(dst []byte, t jsn.Tokens, m *hub.Message) []byte {
	dst = append(dst, `<tool_result>\n<tool_name>`...)
	dst = appendXML(dst, m.Name)
	dst = append(dst, `</tool_name>\n<tool_call_id>`...)
	dst = appendXML(dst, m.CallID)
	dst = append(dst, `</tool_call_id>\n<result>`...)
	for i := range m.Parts {
		if i > 0 {
			dst = append(dst, '\\', 'n')
		}
		dst = appendXML(dst, t.Decode(m.Parts[i].Text))
	}
	return append(dst, `</result>\n</tool_result>`...)
}

// appendXML appends text as escaped string content, with XML entities for markup and
// without control characters.
func appendXML(dst []byte, s string) []byte {
	plain := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&':
			plain = append(plain, "&amp;"...)
		case c == '<':
			plain = append(plain, "&lt;"...)
		case c == '>':
			plain = append(plain, "&gt;"...)
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7f:
		default:
			plain = append(plain, c)
		}
	}
	return jsn.AppendEscaped(dst, jsn.View(plain))
}
