package cursor

import (
	"strconv"

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
	dst = appendXML(dst, t, jsn.AppendEscaped(nil, m.Name))
	dst = append(dst, `</tool_name>\n<tool_call_id>`...)
	dst = appendXML(dst, t, jsn.AppendEscaped(nil, m.CallID))
	dst = append(dst, `</tool_call_id>\n<result>`...)
	for i := range m.Parts {
		if i > 0 {
			dst = append(dst, '\\', 'n')
		}
		dst = appendXML(dst, t, m.Parts[i].Text)
	}
	return append(dst, `</result>\n</tool_result>`...)
}

// special marks the bytes of escaped text that XML may take offence at: markup, the
// delete character, and the start of an escape.
var special = [256]bool{'&': true, '<': true, '>': true, '\\': true, 0x7f: true}

// appendXML appends a text with XML entities for markup and without control characters.
// Long text behind a token stays there unless it holds such.
func appendXML(dst []byte, t jsn.Tokens, s jsn.Str) []byte {
	text := t.Expand(s)
	start := len(dst)
	changed := false
	from := 0
	for i := 0; i < len(text); {
		if !special[text[i]] {
			i++
			continue
		}
		n, instead := entity(text[i:])
		if instead != keep {
			dst = append(append(dst, text[from:i]...), instead...)
			from, changed = i+n, true
		}
		i += n
	}
	if !changed {
		return append(dst[:start], s...)
	}
	return append(dst, text[from:]...)
}

// keep is what [entity] answers for text that stays as it is.
const keep = "\x00"

// entity looks at a special character of escaped text: how long it is, and what stands
// for it.
func entity(s []byte) (n int, instead string) {
	c := rune(s[0])
	n = 1
	if c == '\\' && len(s) > 1 {
		n = 2
		switch s[1] {
		case 'b', 'f':
			return n, ""
		case 'u':
			if len(s) < 6 {
				return len(s), keep
			}
			n = 6
			v, err := strconv.ParseUint(jsn.View(s[2:6]), 16, 16)
			if err != nil {
				return n, keep
			}
			c = rune(v)
		default:
			return n, keep
		}
	}
	switch {
	case c == '&':
		return n, "&amp;"
	case c == '<':
		return n, "&lt;"
	case c == '>':
		return n, "&gt;"
	case c < 0x20 && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
		return n, ""
	}
	return n, keep
}
