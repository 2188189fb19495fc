package canonicalize

import (
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/flow/call"
)

// geminiMember reads one root member of a generateContent request. Both the
// camelCase and the snake_case spelling of a member are accepted.
func (r *reader) geminiMember(key, raw []byte) {
	switch string(key) {
	case "generateContentRequest", "generate_content_request":
		if r.req.Endpoint == call.EndpointCountTokens && kind(raw) == 'o' {
			doc.Scan(raw, func(key, raw []byte) bool {
				if !isNull(raw) {
					r.geminiMember(key, raw)
				}
				return r.bad == nil
			})
		}
	case "contents":
		if kind(raw) == 'o' {
			r.geminiContent(raw)
			return
		}
		r.each("contents", raw, func(_ int, c []byte) bool { r.geminiContent(c); return true })
	case "systemInstruction", "system_instruction":
		r.req.HasSystem = true
	case "tools":
		r.each("tools", raw, func(_ int, t []byte) bool {
			decls, ok := doc.Get(t, "functionDeclarations")
			if !ok {
				decls, _ = doc.Get(t, "function_declarations")
			}
			doc.Each(decls, func(_ int, f []byte) bool {
				name, _ := doc.Get(f, "name")
				r.tool(name)
				return true
			})
			return true
		})
	case "toolConfig", "tool_config":
		for _, at := range [][2]string{{"functionCallingConfig", "allowedFunctionNames"}, {"function_calling_config", "allowed_function_names"}} {
			names, _ := doc.Get(raw, at[0], at[1])
			doc.Each(names, func(_ int, name []byte) bool { r.forced(name, true); return true })
		}
	case "generationConfig", "generation_config":
		doc.Scan(raw, func(key, raw []byte) bool {
			if !isNull(raw) {
				r.geminiConfig(key, raw)
			}
			return r.bad == nil
		})
	}
}

func (r *reader) geminiConfig(key, raw []byte) {
	req := r.req
	switch string(key) {
	case "maxOutputTokens", "max_output_tokens":
		r.int("generationConfig.maxOutputTokens", raw, &req.MaxTokens)
	case "temperature":
		r.float("generationConfig.temperature", raw, &req.Temperature)
	case "topP", "top_p":
		r.float("generationConfig.topP", raw, &req.TopP)
	case "candidateCount", "candidate_count":
		r.int("generationConfig.candidateCount", raw, &req.N)
	case "responseMimeType", "response_mime_type":
		if string(raw) == `"application/json"` && req.JSONMode == "" {
			req.JSONMode = "object"
		}
	case "responseSchema", "response_schema", "responseJsonSchema":
		req.JSONMode = "schema"
	case "thinkingConfig", "thinking_config":
		r.geminiThinking(raw)
	}
}

func (r *reader) geminiThinking(raw []byte) {
	t := &r.req.Thinking
	doc.Scan(raw, func(key, raw []byte) bool {
		switch string(key) {
		case "thinkingBudget", "thinking_budget":
			r.int("thinkingBudget", raw, &t.Budget)
			t.Requested = t.Budget != 0
		case "thinkingLevel", "thinking_level":
			r.short("thinkingLevel", raw, &t.Effort)
			t.Effort = strings.ToLower(t.Effort)
			t.Requested = true
		}
		return r.bad == nil
	})
}

func (r *reader) geminiContent(c []byte) {
	if kind(c) != 'o' {
		r.wrong("contents", "an array of objects")
		return
	}
	role, list := parts(c, "parts")
	switch role {
	case "model":
		role = "assistant"
	case "", "user":
		role = "user"
	}
	r.message(role)
	if kind(list) == 'o' {
		r.geminiPart(list)
		return
	}
	doc.Each(list, func(_ int, part []byte) bool { r.geminiPart(part); return true })
}

func (r *reader) geminiPart(part []byte) {
	doc.Scan(part, func(key, raw []byte) bool {
		switch string(key) {
		case "text":
			if kind(raw) == 's' {
				r.text(raw)
			}
		case "functionResponse", "function_response":
			r.req.LastRole = "tool"
		case "inlineData", "inline_data", "fileData", "file_data":
			r.geminiMedia(raw)
		}
		return true
	})
}

func (r *reader) geminiMedia(raw []byte) {
	mime, ok := doc.String(raw, "mimeType")
	if !ok {
		mime, _ = doc.String(raw, "mime_type")
	}
	switch {
	case strings.HasPrefix(mime, "image/"):
		r.req.Images++
	case strings.HasPrefix(mime, "audio/"):
		r.req.Audio = true
	default:
		r.req.Files++
	}
	if data, ok := doc.Get(raw, "data"); ok {
		r.inline(data)
	}
}
