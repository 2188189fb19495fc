package fake

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// chat plays POST /chat/completions.
// Source: platform.openai.com/docs/api-reference/chat.
type chat struct{}

var openaiName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

var chatParams = []string{
	"model", "messages", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
	"max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
	"prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
	"stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}

// reasoningModel reports a model that refuses sampling parameters and max_tokens.
func reasoningModel(model string) bool {
	for _, prefix := range []string{"o1", "o3", "o4", "gpt-5"} {
		if strings.HasPrefix(model[strings.LastIndexByte(model, '/')+1:], prefix) {
			return true
		}
	}
	return false
}

func (chat) check(r *Request) {
	v := r.JSON
	r.only(v, "", chatParams...)
	r.want(v, "", "model", cases.String)
	messages := r.want(v, "", "messages", cases.Array)
	if messages.Kind == cases.Array && len(messages.Items) == 0 {
		r.violate("'messages' is empty")
	}
	checkChatMessages(r, messages.Items)
	checkChatTools(r, v)
	checkSampling(r, v)
	if options, ok := r.may(v, "", "stream_options", cases.Object); ok {
		r.only(options, "stream_options", "include_usage", "include_obfuscation")
		if !r.Stream {
			r.violate("'stream_options' is only allowed when 'stream' is enabled")
		}
	}
	if format, ok := r.may(v, "", "response_format", cases.Object); ok {
		r.oneOf("response_format.type", format.Str("type"), "text", "json_object", "json_schema")
		if format.Str("type") == "json_schema" {
			schema := r.want(format, "response_format", "json_schema", cases.Object)
			r.want(schema, "response_format.json_schema", "name", cases.String)
		}
	}
}

func checkSampling(r *Request, v cases.Value) {
	r.between(v, "temperature", 0, 2)
	r.between(v, "top_p", 0, 1)
	r.between(v, "frequency_penalty", -2, 2)
	r.between(v, "presence_penalty", -2, 2)
	r.between(v, "max_tokens", 1, 1e9)
	r.between(v, "max_completion_tokens", 1, 1e9)
	if stop, ok := v.Get("stop"); ok && stop.Kind == cases.Array && len(stop.Items) > 4 {
		r.violate("'stop' has more than 4 elements")
	}
	if _, ok := v.Get("max_tokens"); ok && reasoningModel(r.Model) {
		r.violate("unsupported parameter: 'max_tokens' is not supported with this model, use 'max_completion_tokens'")
	}
	if effort, ok := r.may(v, "", "reasoning_effort", cases.String); ok {
		r.oneOf("reasoning_effort", effort.Text, "none", "minimal", "low", "medium", "high", "xhigh")
	}
	if reasoningModel(r.Model) {
		for _, key := range []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "logit_bias"} {
			if m, ok := v.Get(key); ok && m.Text != "1" && m.Kind != cases.Null {
				r.violate("unsupported parameter: '%s' is not supported with this model", key)
			}
		}
	}
}

func checkChatMessages(r *Request, messages []cases.Value) {
	open := map[string]bool{} // calls that still need their result
	for i, m := range messages {
		path := index("messages", i)
		role := r.want(m, path, "role", cases.String).Text
		r.oneOf(path+".role", role, "system", "developer", "user", "assistant", "tool", "function")
		r.only(m, path, "role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call", "reasoning_content", "annotations")
		if role == "tool" {
			id := r.want(m, path, "tool_call_id", cases.String).Text
			if !open[id] {
				r.violate("%s: messages with role 'tool' must be a response to a preceding message with 'tool_calls' (%q)", path, id)
			}
			delete(open, id)
		} else if len(open) > 0 {
			r.violate("%s: an assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'", path)
			open = map[string]bool{}
		}
		content, _ := m.Get("content")
		calls, _ := m.Get("tool_calls")
		if role == "assistant" {
			if content.Kind == cases.Null && len(calls.Items) == 0 && !hasAny(m, "function_call", "refusal", "audio") {
				r.violate("%s: content is required when there are no calls", path)
			}
			for n, call := range calls.Items {
				checkChatCall(r, index(path+".tool_calls", n), call, open)
			}
		} else if content.Kind != cases.String && content.Kind != cases.Array {
			r.violate("invalid type for '%s.content': %s", path, content.Kind)
		}
		for n, part := range content.Items {
			checkChatPart(r, index(path+".content", n), role, part)
		}
	}
	if len(open) > 0 {
		r.violate("the last 'tool_calls' have no tool messages")
	}
}

func hasAny(v cases.Value, keys ...string) bool {
	for _, key := range keys {
		if m, ok := v.Get(key); ok && m.Kind != cases.Null {
			return true
		}
	}
	return false
}

func checkChatCall(r *Request, path string, call cases.Value, open map[string]bool) {
	r.only(call, path, "id", "type", "function", "custom", "extra_content")
	id := r.want(call, path, "id", cases.String).Text
	if open[id] {
		r.violate("%s.id %q is used twice", path, id)
	}
	if len(id) > 64 {
		r.violate("%s.id is longer than 64", path)
	}
	open[id] = true
	r.oneOf(path+".type", call.Str("type"), "function", "custom")
	if call.Str("type") == "function" {
		f := r.want(call, path, "function", cases.Object)
		r.only(f, path+".function", "name", "arguments")
		r.matches(path+".function.name", f.Str("name"), openaiName)
		r.want(f, path+".function", "arguments", cases.String)
	}
}

func checkChatPart(r *Request, path, role string, part cases.Value) {
	typ := part.Str("type")
	r.oneOf(path+".type", typ, "text", "image_url", "input_audio", "file", "refusal")
	if typ != "text" && role != "user" && typ != "refusal" {
		r.violate("%s: %s parts are for user messages", path, typ)
	}
	switch typ {
	case "text":
		r.want(part, path, "text", cases.String)
		r.only(part, path, "type", "text")
	case "image_url":
		image := r.want(part, path, "image_url", cases.Object)
		r.only(image, path+".image_url", "url", "detail")
		url := r.want(image, path+".image_url", "url", cases.String).Text
		if !strings.HasPrefix(url, "data:image/") && !strings.HasPrefix(url, "http") {
			r.violate("%s.image_url.url is no image", path)
		}
	case "input_audio":
		audio := r.want(part, path, "input_audio", cases.Object)
		r.oneOf(path+".input_audio.format", audio.Str("format"), "wav", "mp3")
	case "file":
		r.want(part, path, "file", cases.Object)
	}
}

func checkChatTools(r *Request, v cases.Value) {
	tools, has := r.may(v, "", "tools", cases.Array)
	if has && len(tools.Items) == 0 {
		r.violate("'tools' is empty")
	}
	for i, tool := range tools.Items {
		path := index("tools", i)
		r.only(tool, path, "type", "function", "custom")
		if r.oneOf(path+".type", tool.Str("type"), "function", "custom"); tool.Str("type") != "function" {
			continue
		}
		f := r.want(tool, path, "function", cases.Object)
		r.only(f, path+".function", "name", "description", "parameters", "strict")
		r.matches(path+".function.name", f.Str("name"), openaiName)
		checkJSONSchema(r, path+".function.parameters", f)
	}
	if _, ok := v.Get("functions"); ok {
		has = true
	}
	for _, key := range []string{"tool_choice", "parallel_tool_calls"} {
		if m, ok := v.Get(key); ok && !has && m.Text != "none" {
			r.violate("'%s' is only allowed when 'tools' are specified", key)
		}
	}
}

// checkJSONSchema wants an object schema with properties, as the service does.
func checkJSONSchema(r *Request, path string, f cases.Value) {
	schema, ok := r.may(f, path, "parameters", cases.Object)
	if !ok || len(schema.Members) == 0 {
		return
	}
	if schema.Str("type") != "object" {
		r.violate("%s: schema must have type \"object\"", path)
	}
	if _, ok := schema.Get("properties"); !ok {
		r.violate("%s: object schema missing properties", path)
	}
}

// openaiUsage is the usage object in a style.
func openaiUsage(u Usage, style UsageStyle) obj {
	usage := obj{
		"prompt_tokens": u.Prompt, "completion_tokens": u.Completion, "total_tokens": u.Prompt + u.Completion,
		"prompt_tokens_details":     obj{"cached_tokens": u.Cached, "audio_tokens": 0},
		"completion_tokens_details": obj{"reasoning_tokens": u.Reasoning},
	}
	if style == UsageDeepSeek {
		delete(usage, "prompt_tokens_details")
		usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"] = u.Cached, u.Prompt-u.Cached
	}
	return usage
}

func (reply Reply) thinkingText() string {
	var parts []string
	for _, t := range reply.Thinking {
		parts = append(parts, t.Text)
	}
	return strings.Join(parts, "\n\n")
}

func (chat) body(r *Request, reply Reply) []byte {
	if r.Kind != "chat" {
		return chat{}.extra(r, nil).body
	}
	message := obj{"role": "assistant", "content": any(reply.Text), "refusal": nil}
	if reply.Text == "" && len(reply.Calls) > 0 {
		message["content"] = nil
	}
	if len(reply.Thinking) > 0 {
		switch reply.ThinkStyle {
		case ThinkTags:
			message["content"] = "<think>" + reply.thinkingText() + "</think>\n" + reply.Text
		case ThinkReasoning:
			message["reasoning"] = reply.thinkingText()
		default:
			message["reasoning_content"] = reply.thinkingText()
		}
	}
	var calls []obj
	for _, c := range reply.Calls {
		calls = append(calls, obj{"id": c.ID, "type": "function", "function": obj{"name": c.Name, "arguments": c.args()}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	choice := obj{"index": 0, "message": message, "finish_reason": reply.finish(), "logprobs": nil}
	out := obj{"id": "chatcmpl-fake1", "object": "chat.completion", "created": 1700000000, "model": r.Model, "choices": []obj{choice}}
	usage := openaiUsage(reply.usage(), reply.UsageStyle)
	switch reply.UsageStyle {
	case UsageNone:
	case UsageXGroq:
		out["x_groq"] = obj{"usage": usage}
	case UsageInChoice:
		choice["usage"] = usage
	default:
		out["usage"] = usage
	}
	return encode(out)
}

// chunker renders chat completion chunks.
type chunker struct {
	model string
	out   []cases.Event
}

func (c *chunker) chunk(delta obj, finish any, extra ...obj) {
	choice := obj{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": nil}
	c.add([]obj{choice}, extra...)
}

func (c *chunker) add(choices []obj, extra ...obj) {
	chunk := obj{"id": "chatcmpl-fake1", "object": "chat.completion.chunk", "created": 1700000000, "model": c.model, "choices": choices}
	for _, e := range extra {
		for k, v := range e {
			chunk[k] = v
		}
	}
	c.out = append(c.out, event("", chunk))
}

func (chat) events(r *Request, reply Reply) []cases.Event {
	c := &chunker{model: r.Model}
	var extra []obj
	if reply.UsageStyle == UsageEveryChunk {
		extra = []obj{{"usage": openaiUsage(reply.usage(), UsageStandard)}}
	}
	c.chunk(obj{"role": "assistant", "content": ""}, nil, extra...)
	pieces := reply.pieces()
	if think := reply.thinkingText(); think != "" {
		switch reply.ThinkStyle {
		case ThinkTags: // cut inside both tags
			pieces = append([]string{"<th", "ink>" + think, "</thi", "nk>\n"}, pieces...)
		case ThinkReasoning:
			for _, p := range cutWords(think) {
				c.chunk(obj{"reasoning": p}, nil, extra...)
			}
		default:
			for _, p := range cutWords(think) {
				c.chunk(obj{"reasoning_content": p}, nil, extra...)
			}
		}
	}
	for _, p := range pieces {
		c.chunk(obj{"content": p}, nil, extra...)
	}
	for i, call := range reply.Calls {
		c.chunk(obj{"tool_calls": []obj{{"index": i, "id": call.ID, "type": "function", "function": obj{"name": call.Name, "arguments": ""}}}}, nil, extra...)
		for _, half := range halves(call.args()) {
			c.chunk(obj{"tool_calls": []obj{{"index": i, "function": obj{"arguments": half}}}}, nil, extra...)
		}
	}
	c.finish(r, reply, extra)
	return append(c.out, cases.Event{Data: []byte(`"[DONE]"`)})
}

func (c *chunker) finish(r *Request, reply Reply, extra []obj) {
	usage := openaiUsage(reply.usage(), reply.UsageStyle)
	switch reply.UsageStyle {
	case UsageInFinish, UsageEveryChunk:
		c.chunk(obj{}, reply.finish(), obj{"usage": usage})
	case UsageXGroq:
		c.chunk(obj{}, reply.finish(), obj{"x_groq": obj{"id": "req_1", "usage": usage}})
	case UsageInChoice:
		c.add([]obj{{"index": 0, "delta": obj{}, "finish_reason": reply.finish(), "usage": usage}})
	default:
		c.chunk(obj{}, reply.finish(), extra...)
		asked, _ := cases.Select(r.JSON, "stream_options.include_usage")
		if reply.UsageStyle != UsageNone && len(asked) == 1 && asked[0].Bool {
			c.add([]obj{}, obj{"usage": usage})
		}
	}
}

// openaiError is type and code of the service for a status.
func openaiError(status int) (typ string, code any) {
	switch status {
	case http.StatusUnauthorized:
		return "invalid_request_error", "invalid_api_key"
	case http.StatusForbidden:
		return "invalid_request_error", "permission_denied"
	case http.StatusNotFound:
		return "invalid_request_error", "model_not_found"
	case http.StatusTooManyRequests:
		return "requests", "rate_limit_exceeded"
	}
	if status >= 500 {
		return "server_error", nil
	}
	return "invalid_request_error", nil
}

func (chat) failure(reply Reply) answer {
	typ, code := openaiError(reply.Status)
	return answer{status: reply.Status, body: encode(obj{"error": obj{"message": reply.Error, "type": typ, "param": nil, "code": code}})}
}

func (chat) errorEvents(message string) []cases.Event {
	return []cases.Event{event("", obj{"error": obj{"message": message, "type": "server_error", "code": nil}})}
}

func (chat) extra(r *Request, models []string) answer {
	var data []obj
	for _, m := range models {
		data = append(data, obj{"id": m, "object": "model", "created": 1700000000, "owned_by": "fake"})
	}
	return answer{status: 200, body: encode(obj{"object": "list", "data": data})}
}
