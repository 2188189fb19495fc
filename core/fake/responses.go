package fake

import (
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// responses plays POST /responses.
// Source: platform.openai.com/docs/api-reference/responses.
type responses struct{}

var responsesParams = []string{
	"model", "input", "background", "conversation", "include", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
	"parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier",
	"service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
	"truncation", "user",
}

func (responses) check(r *Request) {
	v := r.JSON
	if strings.Contains(r.Path, "/codex/") {
		checkCodex(r)
		model := r.Model
		r.Model = "gpt-5-codex" // all of its models think
		defer func() { r.Model = model }()
	}
	r.only(v, "", responsesParams...)
	r.want(v, "", "model", cases.String)
	input, ok := v.Get("input")
	if !ok || input.Kind != cases.String && input.Kind != cases.Array {
		r.violate("missing required parameter: 'input'")
	}
	checkItems(r, input.Items)
	r.between(v, "max_output_tokens", 16, 1e9)
	r.between(v, "temperature", 0, 2)
	r.between(v, "top_p", 0, 1)
	if reasoningModel(r.Model) && hasAny(v, "temperature", "top_p") {
		r.violate("unsupported parameter: 'temperature' and 'top_p' are not supported with this model")
	}
	if reasoning, ok := r.may(v, "", "reasoning", cases.Object); ok {
		r.only(reasoning, "reasoning", "effort", "summary", "generate_summary")
		if !reasoningModel(r.Model) && reasoning.Str("effort") != "" {
			r.violate("unsupported parameter: 'reasoning.effort' is not supported with this model")
		}
	}
	if include, ok := r.may(v, "", "include", cases.Array); ok {
		for _, item := range include.Items {
			if item.Text == "reasoning.encrypted_content" && !reasoningModel(r.Model) {
				r.violate("encrypted content is not supported with this model")
			}
		}
	}
	tools, has := r.may(v, "", "tools", cases.Array)
	for i, tool := range tools.Items {
		path := index("tools", i)
		if tool.Str("type") != "function" {
			continue // hosted and custom tools have their own shapes
		}
		r.only(tool, path, "type", "name", "description", "parameters", "strict")
		r.matches(path+".name", tool.Str("name"), openaiName)
		checkJSONSchema(r, path, tool)
	}
	if choice, ok := v.Get("tool_choice"); ok && !has && choice.Text != "none" && choice.Text != "auto" {
		r.violate("'tool_choice' is only allowed when 'tools' are specified")
	}
}

// checkItems checks the input items and the pairing of calls and outputs.
func checkItems(r *Request, items []cases.Value) {
	open := map[string]bool{}
	for i, item := range items {
		path := index("input", i)
		typ := item.Str("type")
		if typ == "" && item.Str("role") != "" {
			typ = "message"
		}
		switch typ {
		case "message":
			role := item.Str("role")
			r.oneOf(path+".role", role, "user", "assistant", "system", "developer")
			r.only(item, path, "type", "role", "content", "id", "status", "phase")
			content, _ := item.Get("content")
			for n, part := range content.Items {
				checkItemPart(r, index(path+".content", n), role, part)
			}
		case "function_call":
			r.only(item, path, "type", "id", "call_id", "name", "arguments", "status")
			if id := item.Str("id"); id != "" && !strings.HasPrefix(id, "fc") {
				r.violate("invalid '%s.id': %q, expected an ID that begins with 'fc'", path, id)
			}
			r.matches(path+".name", item.Str("name"), openaiName)
			r.want(item, path, "arguments", cases.String)
			open[r.want(item, path, "call_id", cases.String).Text] = true
		case "function_call_output":
			r.only(item, path, "type", "id", "call_id", "output", "status")
			if id := item.Str("call_id"); !open[id] {
				r.violate("no tool call found for function call output with call_id %s", id)
			} else {
				delete(open, id)
			}
		case "reasoning":
			r.only(item, path, "type", "id", "summary", "content", "encrypted_content", "status")
			r.want(item, path, "summary", cases.Array)
			if sig := item.Str("encrypted_content"); sig != "" && !strings.HasPrefix(sig, "fakesign") {
				r.violate("%s: the encrypted content could not be verified", path)
			}
		case "custom_tool_call", "custom_tool_call_output", "item_reference", "web_search_call":
		default:
			r.violate("invalid value %q for '%s.type'", typ, path)
		}
	}
	for id := range open {
		r.violate("no tool output found for function call %s", id)
	}
}

func checkItemPart(r *Request, path, role string, part cases.Value) {
	want := []string{"input_text", "input_image", "input_file", "input_audio"}
	if role == "assistant" {
		want = []string{"output_text", "refusal"}
	}
	r.oneOf(path+".type", part.Str("type"), want...)
	if part.Str("type") == "input_image" && !hasAny(part, "file_id") {
		r.want(part, path, "image_url", cases.String)
	}
}

func responsesUsage(u Usage) obj {
	return obj{
		"input_tokens": u.Prompt, "output_tokens": u.Completion, "total_tokens": u.Prompt + u.Completion,
		"input_tokens_details": obj{"cached_tokens": u.Cached}, "output_tokens_details": obj{"reasoning_tokens": u.Reasoning},
	}
}

// items renders the output items.
func (responses) items(r *Request, reply Reply) []obj {
	out := []obj{}
	encrypted, _ := cases.Select(r.JSON, "include[*]")
	for i, t := range reply.Thinking {
		item := obj{"type": "reasoning", "id": "rs_fake" + string(rune('1'+i)), "summary": []obj{{"type": "summary_text", "text": t.Text}}}
		for _, e := range encrypted {
			if e.Text == "reasoning.encrypted_content" {
				item["encrypted_content"] = t.signature()
			}
		}
		out = append(out, item)
	}
	if reply.Text != "" {
		out = append(out, obj{
			"type": "message", "id": "msg_fake1", "role": "assistant", "status": "completed",
			"content": []obj{{"type": "output_text", "text": reply.Text, "annotations": []obj{}}},
		})
	}
	for _, c := range reply.Calls {
		out = append(out, obj{"type": "function_call", "id": "fc_" + c.ID, "call_id": c.ID, "name": c.Name, "arguments": c.args(), "status": "completed"})
	}
	return out
}

func (d responses) response(r *Request, reply Reply, status string) obj {
	out := obj{
		"id": "resp_fake1", "object": "response", "created_at": 1700000000, "status": status, "model": r.Model, "error": nil,
		"incomplete_details": nil, "output": []obj{}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": []obj{}, "metadata": obj{}, "usage": nil,
	}
	switch reply.finish() {
	case "length":
		out["incomplete_details"] = obj{"reason": "max_output_tokens"}
	case "content_filter":
		out["incomplete_details"] = obj{"reason": "content_filter"}
	}
	if status != "in_progress" {
		out["output"], out["usage"] = d.items(r, reply), responsesUsage(reply.usage())
	} else {
		out["incomplete_details"] = nil
	}
	return out
}

func responsesStatus(reply Reply) string {
	if f := reply.finish(); f == "length" || f == "content_filter" {
		return "incomplete"
	}
	return "completed"
}

func (d responses) body(r *Request, reply Reply) []byte {
	return encode(d.response(r, reply, responsesStatus(reply)))
}

// sequence renders events with their running number.
type sequence struct{ out []cases.Event }

func (s *sequence) add(name string, v obj) {
	v["type"], v["sequence_number"] = name, len(s.out)
	s.out = append(s.out, event(name, v))
}

func (d responses) events(r *Request, reply Reply) []cases.Event {
	s := &sequence{}
	s.add("response.created", obj{"response": d.response(r, reply, "in_progress")})
	s.add("response.in_progress", obj{"response": d.response(r, reply, "in_progress")})
	for i, item := range d.items(r, reply) {
		d.item(s, i, item, reply)
	}
	status := responsesStatus(reply)
	s.add("response."+status, obj{"response": d.response(r, reply, status)})
	return s.out
}

func (responses) item(s *sequence, i int, item obj, reply Reply) {
	id := item["id"]
	open := obj{}
	for k, v := range item {
		open[k] = v
	}
	switch item["type"] {
	case "reasoning":
		text := item["summary"].([]obj)[0]["text"].(string)
		open["summary"] = []obj{}
		delete(open, "encrypted_content")
		s.add("response.output_item.added", obj{"output_index": i, "item": open})
		s.add("response.reasoning_summary_part.added", obj{"output_index": i, "item_id": id, "summary_index": 0, "part": obj{"type": "summary_text", "text": ""}})
		for _, p := range cutWords(text) {
			s.add("response.reasoning_summary_text.delta", obj{"output_index": i, "item_id": id, "summary_index": 0, "delta": p})
		}
		s.add("response.reasoning_summary_text.done", obj{"output_index": i, "item_id": id, "summary_index": 0, "text": text})
		s.add("response.reasoning_summary_part.done", obj{"output_index": i, "item_id": id, "summary_index": 0, "part": obj{"type": "summary_text", "text": text}})
	case "message":
		open["content"], open["status"] = []obj{}, "in_progress"
		s.add("response.output_item.added", obj{"output_index": i, "item": open})
		s.add("response.content_part.added", obj{"output_index": i, "item_id": id, "content_index": 0, "part": obj{"type": "output_text", "text": "", "annotations": []obj{}}})
		for _, p := range reply.pieces() {
			s.add("response.output_text.delta", obj{"output_index": i, "item_id": id, "content_index": 0, "delta": p, "logprobs": []obj{}})
		}
		s.add("response.output_text.done", obj{"output_index": i, "item_id": id, "content_index": 0, "text": reply.Text, "logprobs": []obj{}})
		s.add("response.content_part.done", obj{"output_index": i, "item_id": id, "content_index": 0, "part": obj{"type": "output_text", "text": reply.Text, "annotations": []obj{}}})
	case "function_call":
		args := item["arguments"].(string)
		open["arguments"], open["status"] = "", "in_progress"
		s.add("response.output_item.added", obj{"output_index": i, "item": open})
		for _, half := range halves(args) {
			s.add("response.function_call_arguments.delta", obj{"output_index": i, "item_id": id, "delta": half})
		}
		s.add("response.function_call_arguments.done", obj{"output_index": i, "item_id": id, "arguments": args, "name": item["name"]})
	}
	s.add("response.output_item.done", obj{"output_index": i, "item": item})
}

func (responses) failure(reply Reply) answer { return chat{}.failure(reply) }

func (responses) errorEvents(message string) []cases.Event {
	return []cases.Event{
		event("error", obj{"type": "error", "code": "server_error", "message": message, "param": nil, "sequence_number": 99}),
		event("response.failed", obj{"type": "response.failed", "sequence_number": 100, "response": obj{
			"id": "resp_fake1", "object": "response", "status": "failed", "error": obj{"code": "server_error", "message": message}, "output": []obj{},
		}}),
	}
}

func (responses) extra(r *Request, models []string) answer { return chat{}.extra(r, models) }
