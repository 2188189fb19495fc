package canonicalize

import "github.com/omniroute/omniroute/core/doc"

// openaiMember reads one root member of a chat completions request.
func (r *reader) openaiMember(key, raw []byte) {
	req := r.req
	switch string(key) {
	case "messages":
		r.each("messages", raw, func(_ int, m []byte) bool { r.openaiMessage(m); return true })
	case "tools":
		r.each("tools", raw, func(_ int, t []byte) bool {
			name, _ := doc.Get(t, "function", "name")
			r.tool(name)
			return true
		})
	case "functions":
		r.each("functions", raw, func(_ int, f []byte) bool {
			name, _ := doc.Get(f, "name")
			r.tool(name)
			return true
		})
	case "tool_choice":
		r.forced(doc.Get(raw, "function", "name"))
	case "function_call":
		r.forced(doc.Get(raw, "name"))
	case "max_tokens", "max_completion_tokens":
		r.int(string(key), raw, &req.MaxTokens)
	case "temperature":
		r.float("temperature", raw, &req.Temperature)
	case "top_p":
		r.float("top_p", raw, &req.TopP)
	case "n":
		r.int("n", raw, &req.N)
	case "reasoning_effort":
		r.short("reasoning_effort", raw, &req.Thinking.Effort)
		req.Thinking.Requested = req.Thinking.Effort != "none"
	case "response_format":
		req.JSONMode = jsonMode(raw)
	case "user":
		r.short("user", raw, &req.User)
	case "metadata":
		r.meta(raw)
	}
}

func (r *reader) openaiMessage(m []byte) {
	if kind(m) != 'o' {
		r.wrong("messages", "an array of objects")
		return
	}
	role, content := parts(m, "content")
	r.message(role)
	if role == "system" || role == "developer" {
		r.req.HasSystem = true
	}
	switch {
	case isNull(content):
	case kind(content) == 's':
		r.text(content)
	case kind(content) == 'a':
		doc.Each(content, func(_ int, part []byte) bool { r.openaiPart(part); return true })
	default:
		r.wrong("messages.content", "a string or an array")
	}
}

func (r *reader) openaiPart(part []byte) {
	switch typed(part) {
	case `"text"`, `"input_text"`, `"output_text"`:
		if text, ok := doc.Get(part, "text"); ok && kind(text) == 's' {
			r.text(text)
		}
	case `"image_url"`, `"input_image"`:
		r.req.Images++
		if url, ok := doc.Get(part, "image_url", "url"); ok {
			r.inline(url)
		} else if url, ok := doc.Get(part, "image_url"); ok {
			r.inline(url)
		}
	case `"input_audio"`:
		r.req.Audio = true
		if data, ok := doc.Get(part, "input_audio", "data"); ok {
			r.inline(data)
		}
	case `"file"`, `"input_file"`:
		r.req.Files++
		if data, ok := doc.Get(part, "file", "file_data"); ok {
			r.inline(data)
		} else if data, ok := doc.Get(part, "file_data"); ok {
			r.inline(data)
		}
	}
}

// jsonMode reads a response_format or text.format object.
func jsonMode(raw []byte) string {
	switch typed(raw) {
	case `"json_object"`:
		return "object"
	case `"json_schema"`:
		return "schema"
	}
	return ""
}
