package canonicalize

import "github.com/omniroute/omniroute/core/doc"

// responsesMember reads one root member of a Responses request.
func (r *reader) responsesMember(key, raw []byte) {
	req := r.req
	switch string(key) {
	case "input":
		r.responsesInput(raw)
	case "instructions":
		req.HasSystem = kind(raw) == 's' && len(raw) > 2
	case "tools":
		r.each("tools", raw, func(_ int, t []byte) bool {
			name, _ := doc.Get(t, "name")
			r.tool(name)
			return true
		})
	case "tool_choice":
		r.forced(doc.Get(raw, "name"))
	case "max_output_tokens":
		r.int("max_output_tokens", raw, &req.MaxTokens)
	case "temperature":
		r.float("temperature", raw, &req.Temperature)
	case "top_p":
		r.float("top_p", raw, &req.TopP)
	case "reasoning":
		if effort, ok := doc.String(raw, "effort"); ok {
			req.Thinking.Effort = effort
			req.Thinking.Requested = effort != "none"
		}
	case "text":
		if format, ok := doc.Get(raw, "format"); ok {
			req.JSONMode = jsonMode(format)
		}
	case "user":
		r.short("user", raw, &req.User)
	case "metadata":
		r.meta(raw)
	}
}

func (r *reader) responsesInput(raw []byte) {
	if kind(raw) == 's' {
		r.message("user")
		r.text(raw)
		return
	}
	r.each("input", raw, func(_ int, item []byte) bool {
		if kind(item) != 'o' {
			r.wrong("input", "a string or an array of objects")
			return false
		}
		r.responsesItem(item)
		return true
	})
}

func (r *reader) responsesItem(item []byte) {
	switch typed(item) {
	case ``, `"message"`:
		role, content := parts(item, "content")
		r.message(role)
		if role == "system" || role == "developer" {
			r.req.HasSystem = true
		}
		if kind(content) == 's' {
			r.text(content)
			return
		}
		doc.Each(content, func(_ int, part []byte) bool { r.openaiPart(part); return true })
	case `"function_call_output"`, `"custom_tool_call_output"`:
		r.message("tool")
		if out, ok := doc.Get(item, "output"); ok && kind(out) == 's' {
			r.text(out)
		}
	case `"function_call"`, `"custom_tool_call"`, `"reasoning"`:
		r.req.LastRole = "assistant"
	}
}
