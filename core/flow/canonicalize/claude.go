package canonicalize

import "github.com/omniroute/omniroute/core/doc"

// claudeMember reads one root member of a Messages request.
func (r *reader) claudeMember(key, raw []byte) {
	req := r.req
	switch string(key) {
	case "messages":
		r.each("messages", raw, func(_ int, m []byte) bool { r.claudeMessage(m); return true })
	case "system":
		req.HasSystem = len(raw) > 2
	case "tools":
		r.each("tools", raw, func(_ int, t []byte) bool {
			name, _ := doc.Get(t, "name")
			r.tool(name)
			return true
		})
	case "tool_choice":
		r.forced(doc.Get(raw, "name"))
	case "max_tokens":
		r.int("max_tokens", raw, &req.MaxTokens)
	case "temperature":
		r.float("temperature", raw, &req.Temperature)
	case "top_p":
		r.float("top_p", raw, &req.TopP)
	case "thinking":
		t, _ := doc.String(raw, "type")
		req.Thinking.Requested = t == "enabled" || t == "adaptive"
		if budget, ok := doc.Int(raw, "budget_tokens"); ok {
			req.Thinking.Budget = int(budget)
		}
	case "output_config":
		if effort, ok := doc.String(raw, "effort"); ok {
			req.Thinking.Effort = effort
		}
		if format, ok := doc.Get(raw, "format"); ok {
			req.JSONMode = jsonMode(format)
		}
	case "metadata":
		if user, ok := doc.Get(raw, "user_id"); ok && kind(user) == 's' {
			req.User = r.str(user, 4096)
		}
		r.meta(raw)
	}
}

func (r *reader) claudeMessage(m []byte) {
	if kind(m) != 'o' {
		r.wrong("messages", "an array of objects")
		return
	}
	role, content := parts(m, "content")
	r.message(role)
	switch {
	case isNull(content):
	case kind(content) == 's':
		r.text(content)
	case kind(content) == 'a':
		doc.Each(content, func(_ int, block []byte) bool { r.claudeBlock(block); return true })
	default:
		r.wrong("messages.content", "a string or an array")
	}
}

func (r *reader) claudeBlock(block []byte) {
	switch typed(block) {
	case `"text"`:
		if text, ok := doc.Get(block, "text"); ok && kind(text) == 's' {
			r.text(text)
		}
	case `"image"`:
		r.req.Images++
		r.claudeSource(block)
	case `"document"`:
		r.req.Files++
		r.claudeSource(block)
	case `"tool_result"`:
		r.req.LastRole = "tool"
		content, _ := doc.Get(block, "content")
		doc.Each(content, func(_ int, part []byte) bool {
			if t, _ := doc.String(part, "type"); t == "image" {
				r.req.Images++
				r.claudeSource(part)
			}
			return true
		})
	}
}

func (r *reader) claudeSource(block []byte) {
	if t, _ := doc.String(block, "source", "type"); t != "base64" {
		return
	}
	if data, ok := doc.Get(block, "source", "data"); ok {
		r.inline(data)
	}
}
