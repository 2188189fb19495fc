package policy

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-json"
)

// maxFactText bounds the texts of a request that rules can see.
const maxFactText = 64 << 10

// RecordFromRequest makes a record to explain from JSON: either a Record, or
// the body of a chat request (OpenAI, Responses, Claude or Gemini), about which
// then only the request itself is known.
func RecordFromRequest(data []byte) (*Record, error) {
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("the request is not a JSON object: %w", err)
	}
	if _, isRecord := top["req"]; isRecord || top["model"] == nil {
		r := &Record{}
		if err := json.Unmarshal(data, r); err != nil {
			return nil, err
		}
		return r, nil
	}
	req := ReqFromBody(top)
	req.TokensIn = (len(data) + 3) / 4
	return &Record{
		At: time.Now(), Req: req, Key: NewKey(), Sys: &Sys{}, Cfg: NewCfg(), Guard: &Guard{}, Combo: &Combo{Size: 1}, Attempt: &Attempt{N: 1},
	}, nil
}

// ReqFromBody reads the facts a body alone tells: the dialect by its shape,
// model, sampling, tools and texts.
func ReqFromBody(body map[string]any) *Req {
	r := NewReq()
	r.Body = body
	r.Endpoint, r.Format = "chat", "openai"
	r.Model = asText(body["model"])
	r.Stream, _ = body["stream"].(bool)
	for _, k := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens"} {
		if n, ok := body[k].(float64); ok {
			r.MaxTokens = int(n)
		}
	}
	r.Temperature, r.TopP = asFloat(body["temperature"]), asFloat(body["top_p"])
	if n, ok := body["n"].(float64); ok {
		r.N = int(n)
	}
	r.User = asText(body["user"])
	if m, ok := body["metadata"].(map[string]any); ok {
		r.Meta = map[string]string{}
		for k, v := range m {
			r.Meta[k] = asText(v)
		}
		if r.User == "" {
			r.User = r.Meta["user_id"]
		}
	}
	r.readTools(body)
	r.readThinking(body)
	switch {
	case body["contents"] != nil:
		r.Endpoint, r.Format = "gemini", "gemini"
		r.HasSystem = body["systemInstruction"] != nil || body["system_instruction"] != nil
		r.readMessages(body["contents"], "parts")
	case body["input"] != nil:
		r.Endpoint, r.Format = "responses", "openai-responses"
		r.HasSystem = asText(body["instructions"]) != ""
		r.readMessages(body["input"], "content")
	default:
		if body["system"] != nil || body["anthropic_version"] != nil {
			r.Endpoint, r.Format, r.HasSystem = "messages", "claude", body["system"] != nil
		}
		r.readMessages(body["messages"], "content")
	}
	return r
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

func asFloat(v any) *float64 {
	if n, ok := v.(float64); ok {
		return &n
	}
	return nil
}

func (r *Req) readTools(body map[string]any) {
	list, _ := body["tools"].([]any)
	for _, t := range list {
		m, _ := t.(map[string]any)
		name := asText(m["name"])
		if fn, ok := m["function"].(map[string]any); ok {
			name = asText(fn["name"])
		}
		if name != "" {
			r.ToolNames = append(r.ToolNames, name)
		}
		r.Tools++
	}
	if f, ok := body["response_format"].(map[string]any); ok {
		switch f["type"] {
		case "json_object":
			r.JSONMode = "object"
		case "json_schema":
			r.JSONMode = "schema"
		}
	}
}

func (r *Req) readThinking(body map[string]any) {
	if t, ok := body["thinking"].(map[string]any); ok && t["type"] != "disabled" {
		r.Thinking.Requested = true
		if n, ok := t["budget_tokens"].(float64); ok {
			r.Thinking.Budget = int(n)
		}
	}
	effort := asText(body["reasoning_effort"])
	if m, ok := body["reasoning"].(map[string]any); ok && effort == "" {
		effort = asText(m["effort"])
	}
	if effort != "" && effort != "none" {
		r.Thinking.Requested, r.Thinking.Effort = true, effort
	}
}

// readMessages reads a list of messages whose content is under key, or a plain
// text as one message of the user.
func (r *Req) readMessages(v any, key string) {
	if s, ok := v.(string); ok {
		v = []any{map[string]any{"role": "user", key: s}}
	}
	list, _ := v.([]any)
	var user []string
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		r.Messages++
		role, text := asText(m["role"]), r.content(m[key])
		if role == "system" || role == "developer" {
			r.HasSystem = true
		}
		if i == 0 {
			r.FirstText = cut(text)
		}
		r.LastRole, r.LastText = role, cut(text)
		if role == "user" {
			user = append(user, text)
			r.LastUserText, r.LastUserChars = cut(text), utf8.RuneCountInString(text)
		}
	}
	r.UserText = cut(strings.Join(user, "\n"))
}

// content returns the text of a message and counts its media.
func (r *Req) content(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case []any:
		var texts []string
		for _, p := range x {
			m, _ := p.(map[string]any)
			switch m["type"] {
			case "image", "image_url", "input_image":
				r.Images++
			case "document", "file", "input_file":
				r.Files++
			case "input_audio", "audio":
				r.Audio = true
			}
			if s := asText(m["text"]); s != "" {
				texts = append(texts, s)
			}
		}
		return strings.Join(texts, "\n")
	}
	return ""
}

func cut(s string) string {
	if len(s) <= maxFactText {
		return s
	}
	s = s[:maxFactText]
	for range utf8.UTFMax - 1 { // do not end within a character
		if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
