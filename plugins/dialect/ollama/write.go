package ollama

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// AppendRequest writes a chat request (OL-1).
func (d *Dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	hub.KeepReasoning(c, r, hub.NoReasoning)
	hub.DropTextSignatures(r)
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	if err := media.Refuse(c, r, takes); err != nil {
		return dst, err
	}
	repair.Tools(c, r, repair.ToolOptions{})
	hub.PrefixErrors(c, r)
	hub.DropLost(c, r, d.Name(), carried(r)...)
	t := c.Tokens()
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", c.TargetModel(r.Model))
	dst = append(jsn.AppendKey(dst, "messages"), '[')
	for i := range r.Messages {
		dst = appendMessage(dst, t, &r.Messages[i])
	}
	dst = append(dst, ']')
	dst = jsn.AppendBoolMember(dst, "stream", r.Stream)
	if r.Choice.Mode != hub.ChoiceNone {
		dst = appendTools(dst, r.Tools)
	}
	switch {
	case r.Format.Kind == hub.FormatSchema && !jsn.IsNull(r.Format.Schema):
		dst = jsn.AppendMember(dst, "format", r.Format.Schema)
	case r.Format.Kind != "":
		dst = jsn.AppendStringMember(dst, "format", "json")
	}
	switch r.Thinking.Mode {
	case "":
	case hub.ThinkOff:
		dst = jsn.AppendBoolMember(dst, "think", false)
	default:
		dst = jsn.AppendBoolMember(dst, "think", true)
	}
	return append(appendOptions(dst, c, r), '}'), nil
}

// takes tells which media the API accepts: images as data, from the user.
func takes(m *hub.Message, p *hub.Part) bool {
	return p.Kind == hub.PartImage && p.Media != nil && len(p.Media.Data) > 0 && m.Role == hub.User
}

// carried names the fields this format has a place for. Of the tool choices that is
// none alone, which leaves the tools out.
func carried(r *hub.Request) []string {
	kept := []string{"max_tokens", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "stop",
		"response_format", "reasoning_effort"}
	if r.Choice.Mode == hub.ChoiceNone {
		kept = append(kept, "tool_choice")
	}
	return kept
}

func appendMessage(dst []byte, t jsn.Tokens, m *hub.Message) []byte {
	role, sep := m.Role, `\n`
	switch {
	case repair.IsSystem(m):
		role, sep = hub.System, `\n\n`
	case m.Role == hub.Assistant:
		sep = ""
	}
	dst = append(jsn.Sep(dst), '{')
	dst = jsn.AppendStringMember(dst, "role", role)
	dst = append(jsn.AppendKey(dst, "content"), '"')
	first := true
	for i := range m.Parts {
		if m.Parts[i].Kind != hub.PartText {
			continue
		}
		if !first {
			dst = append(dst, sep...)
		}
		first = false
		dst = append(dst, m.Parts[i].Text...)
	}
	dst = append(dst, '"')
	dst = appendImages(dst, m.Parts)
	if m.Role == hub.Tool && m.Name != "" {
		dst = jsn.AppendStringMember(dst, "tool_name", m.Name)
	}
	if len(m.Calls) > 0 {
		dst = append(jsn.AppendKey(dst, "tool_calls"), '[')
		for i := range m.Calls {
			dst = append(jsn.Sep(dst), `{"function":{`...)
			dst = jsn.AppendStringMember(dst, "name", m.Calls[i].Name)
			dst = m.Calls[i].Args.AppendObject(jsn.AppendKey(dst, "arguments"), t)
			dst = append(dst, '}', '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendImages(dst []byte, parts []hub.Part) []byte {
	open := false
	for i := range parts {
		if parts[i].Kind != hub.PartImage {
			continue
		}
		if !open {
			dst, open = append(jsn.AppendKey(dst, "images"), '['), true
		}
		dst = jsn.AppendStr(jsn.Sep(dst), parts[i].Media.Data)
	}
	if open {
		dst = append(dst, ']')
	}
	return dst
}

func appendTools(dst []byte, tools []hub.ToolDef) []byte {
	if len(tools) == 0 {
		return dst
	}
	dst = append(jsn.AppendKey(dst, "tools"), '[')
	for i := range tools {
		dst = append(jsn.Sep(dst), `{"type":"function","function":{`...)
		dst = jsn.AppendStringMember(dst, "name", tools[i].Name)
		dst = jsn.AppendStrMember(dst, "description", tools[i].Description)
		dst = jsn.AppendMember(dst, "parameters", hub.ObjectSchema(tools[i].Parameters))
		dst = append(dst, '}', '}')
	}
	return append(dst, ']')
}

func appendOptions(dst []byte, c *hub.Ctx, r *hub.Request) []byte {
	if c.Count {
		return dst
	}
	at := len(dst)
	dst = append(jsn.AppendKey(dst, "options"), '{')
	empty := len(dst)
	dst = jsn.AppendMember(dst, "temperature", r.Temperature)
	dst = jsn.AppendMember(dst, "top_p", r.TopP)
	dst = jsn.AppendMember(dst, "top_k", r.TopK)
	dst = jsn.AppendMember(dst, "num_predict", r.MaxTokens)
	if len(r.Stop) > 0 {
		dst = append(jsn.AppendKey(dst, "stop"), '[')
		for _, s := range r.Stop {
			dst = jsn.AppendStr(jsn.Sep(dst), s)
		}
		dst = append(dst, ']')
	}
	dst = jsn.AppendMember(dst, "seed", r.Seed)
	dst = jsn.AppendMember(dst, "presence_penalty", r.PresencePenalty)
	dst = jsn.AppendMember(dst, "frequency_penalty", r.FrequencyPenalty)
	if len(dst) == empty {
		return dst[:at]
	}
	return append(dst, '}')
}
