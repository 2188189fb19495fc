package fake

import "github.com/omniroute/omniroute/core/cases"

// ollama plays POST /api/chat and GET /api/tags.
// Source: github.com/ollama/ollama, docs/api.md.
type ollama struct{}

func (ollama) check(r *Request) {
	v := r.JSON
	r.want(v, "", "model", cases.String)
	messages := r.want(v, "", "messages", cases.Array)
	for i, m := range messages.Items {
		path := index("messages", i)
		r.oneOf(path+".role", m.Str("role"), "system", "user", "assistant", "tool")
		if content, ok := m.Get("content"); ok && content.Kind != cases.String {
			r.violate("json: cannot unmarshal %s into Go struct field %s.content of type string", content.Kind, path)
		}
		calls, _ := cases.Select(m, "tool_calls[*].function")
		for _, f := range calls {
			r.want(f, path+".tool_calls.function", "arguments", cases.Object)
		}
		images, _ := cases.Select(m, "images[*]")
		for _, image := range images {
			if image.Kind != cases.String || len(image.Text) > 5 && image.Text[:5] == "data:" {
				r.violate("%s.images: want base64 text", path)
			}
		}
	}
	if options, ok := r.may(v, "", "options", cases.Object); ok {
		if n, ok := options.Get("num_predict"); ok && n.Kind != cases.Number {
			r.violate("option \"num_predict\" must be of type integer")
		}
	}
	tools, _ := cases.Select(v, "tools[*]")
	for i, tool := range tools {
		r.want(tool, index("tools", i), "function", cases.Object)
	}
}

func ollamaCalls(reply Reply) []obj {
	var calls []obj
	for _, c := range reply.Calls {
		calls = append(calls, obj{"function": obj{"name": c.Name, "arguments": raw(c.args())}})
	}
	return calls
}

// line is one object of the answer.
func (ollama) line(r *Request, message obj, last bool, reply Reply) obj {
	message["role"] = "assistant"
	if _, ok := message["content"]; !ok {
		message["content"] = ""
	}
	out := obj{"model": r.Model, "created_at": "2025-01-01T00:00:00.000000Z", "message": message, "done": last}
	if last {
		reason := "stop"
		if reply.finish() == "length" {
			reason = "length"
		}
		u := reply.usage()
		out["done_reason"], out["prompt_eval_count"], out["eval_count"] = reason, u.Prompt, u.Completion
		out["total_duration"], out["load_duration"], out["prompt_eval_duration"], out["eval_duration"] = 4000, 1000, 1000, 2000
	}
	return out
}

func ollamaThinks(r *Request) bool {
	think, ok := r.JSON.Get("think")
	return ok && (think.Bool || think.Kind == cases.String)
}

func (d ollama) body(r *Request, reply Reply) []byte {
	message := obj{"content": reply.Text}
	if text := reply.thinkingText(); text != "" && ollamaThinks(r) {
		message["thinking"] = text
	}
	if calls := ollamaCalls(reply); calls != nil {
		message["tool_calls"] = calls
	}
	return encode(d.line(r, message, true, reply))
}

func (d ollama) events(r *Request, reply Reply) []cases.Event {
	var out []cases.Event
	add := func(message obj, last bool) { out = append(out, event("", d.line(r, message, last, reply))) }
	if ollamaThinks(r) {
		for _, p := range cutWords(reply.thinkingText()) {
			add(obj{"thinking": p}, false)
		}
	}
	for _, p := range reply.pieces() {
		add(obj{"content": p}, false)
	}
	for _, c := range ollamaCalls(reply) {
		add(obj{"tool_calls": []obj{c}}, false)
	}
	add(obj{}, true)
	return out
}

func (ollama) failure(reply Reply) answer {
	return answer{status: reply.Status, body: encode(obj{"error": reply.Error})}
}

func (ollama) errorEvents(message string) []cases.Event {
	return []cases.Event{event("", obj{"error": message})}
}

func (ollama) extra(_ *Request, models []string) answer {
	var list []obj
	for _, m := range models {
		list = append(list, obj{"name": m, "model": m, "size": 1})
	}
	return answer{status: 200, body: encode(obj{"models": list})}
}
