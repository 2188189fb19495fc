package fake

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// claude plays POST /v1/messages and /v1/messages/count_tokens.
// Source: docs.anthropic.com/en/api/messages.
type claude struct{}

var (
	claudeToolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	claudeToolID   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	claudeVersion  = regexp.MustCompile(`claude-(?:[a-z]+-)?(\d)-(\d{1,2})(?:$|-)`)
)

// blockFields are the members of each content block type.
var blockFields = map[string][]string{
	"text":              {"text", "citations"},
	"image":             {"source"},
	"document":          {"source", "title", "context", "citations"},
	"tool_use":          {"id", "name", "input", "caller"},
	"tool_result":       {"tool_use_id", "content", "is_error"},
	"thinking":          {"thinking", "signature"},
	"redacted_thinking": {"data"},
	"server_tool_use":   {"id", "name", "input"},
	"search_result":     {"source", "title", "content", "citations"},
}

func (claude) check(r *Request) {
	v := r.JSON
	if r.Header.Get("anthropic-version") == "" {
		r.violate("anthropic-version: header is required")
	}
	allowed := []string{"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "context_management", "mcp_servers"}
	if r.Kind == "chat" {
		allowed = append(allowed, "max_tokens", "metadata", "stop_sequences", "stream", "temperature", "top_k", "top_p", "service_tier", "container", "speed")
		if m := r.want(v, "", "max_tokens", cases.Number); m.Kind == cases.Number && strings.HasPrefix(m.Text, "-") || m.Text == "0" {
			r.violate("max_tokens: must be at least 1")
		}
	}
	r.only(v, "", allowed...)
	r.want(v, "", "model", cases.String)
	messages := r.want(v, "", "messages", cases.Array)
	if messages.Kind == cases.Array && len(messages.Items) == 0 {
		r.violate("messages: at least one message is required")
	}
	r.between(v, "temperature", 0, 1)
	r.between(v, "top_p", 0, 1)
	if metadata, ok := r.may(v, "", "metadata", cases.Object); ok {
		r.only(metadata, "metadata", "user_id")
	}
	if stops, ok := r.may(v, "", "stop_sequences", cases.Array); ok {
		for _, s := range stops.Items {
			if strings.TrimSpace(s.Text) == "" {
				r.violate("stop_sequences: each stop sequence must contain non-whitespace")
			}
		}
	}
	checkClaudeSystem(r, v)
	checkClaudeTurns(r, messages.Items)
	checkClaudeTools(r, v)
	checkClaudeThinking(r, v, messages.Items)
	checkCacheMarks(r)
	if newClaude(r.Model, 4, 1) && hasAny(v, "temperature") && hasAny(v, "top_p") {
		r.violate("`temperature` and `top_p` cannot both be specified for this model")
	}
}

// newClaude reports a model of at least the version.
func newClaude(model string, major, minor int) bool {
	m := claudeVersion.FindStringSubmatch(strings.ReplaceAll(model, ".", "-"))
	if m == nil {
		return false
	}
	a, b := int(m[1][0]-'0'), 0
	for _, c := range m[2] {
		b = b*10 + int(c-'0')
	}
	return a > major || a == major && b >= minor
}

func checkClaudeSystem(r *Request, v cases.Value) {
	system, ok := v.Get("system")
	if !ok || system.Kind == cases.String {
		return
	}
	if system.Kind != cases.Array {
		r.violate("system: must be a string or blocks")
	}
	for i, block := range system.Items {
		path := index("system", i)
		r.only(block, path, "type", "text", "cache_control", "citations")
		if block.Str("type") != "text" || strings.TrimSpace(block.Str("text")) == "" {
			r.violate("%s: text content blocks must be non-empty", path)
		}
	}
}

func checkClaudeTurns(r *Request, messages []cases.Value) {
	var open []string // calls of the turn before
	last := ""
	for i, m := range messages {
		path := index("messages", i)
		role := r.want(m, path, "role", cases.String).Text
		r.oneOf(path+".role", role, "user", "assistant")
		r.only(m, path, "role", "content")
		if i == 0 && role != "user" {
			r.violate("messages: first message must use the \"user\" role")
		}
		if role == last {
			r.violate("%s: roles must alternate between \"user\" and \"assistant\"", path)
		}
		last = role
		content, _ := m.Get("content")
		switch content.Kind {
		case cases.String:
			if strings.TrimSpace(content.Text) == "" {
				r.violate("%s: text content blocks must be non-empty", path)
			}
		case cases.Array:
			if len(content.Items) == 0 {
				r.violate("%s: content must not be empty", path)
			}
		default:
			r.violate("%s.content: must be a string or blocks", path)
		}
		checkResults(r, path, content.Items, open)
		open = nil
		for n, block := range content.Items {
			checkBlock(r, index(path+".content", n), role, block)
			if block.Str("type") == "tool_use" {
				open = append(open, block.Str("id"))
			}
		}
	}
	if len(open) > 0 {
		r.violate("messages: `tool_use` ids were found without `tool_result` blocks immediately after: %s", strings.Join(open, ", "))
	}
	if last == "assistant" && newClaude(r.Model, 4, 6) {
		r.violate("this model does not support assistant message prefill")
	}
}

// checkResults compares the results of a turn with the calls of the one before.
func checkResults(r *Request, path string, blocks []cases.Value, open []string) {
	missing := map[string]bool{}
	for _, id := range open {
		if missing[id] {
			r.violate("%s: `tool_use` ids must be unique", path)
		}
		missing[id] = true
	}
	other := false
	for _, b := range blocks {
		if b.Str("type") != "tool_result" {
			other = true
			continue
		}
		id := b.Str("tool_use_id")
		if !missing[id] {
			r.violate("%s: unexpected `tool_use_id` found in `tool_result` blocks: %s", path, id)
		}
		if other {
			r.violate("%s: tool_result blocks must come first", path)
		}
		delete(missing, id)
	}
	if len(missing) > 0 {
		r.violate("%s: `tool_use` ids were found without `tool_result` blocks immediately after", path)
	}
}

func checkBlock(r *Request, path, role string, b cases.Value) {
	typ := b.Str("type")
	fields, known := blockFields[typ]
	if !known {
		if !strings.HasSuffix(typ, "_tool_result") {
			r.violate("%s.type: unknown block type %q", path, typ)
		}
		return
	}
	r.only(b, path, append([]string{"type", "cache_control"}, fields...)...)
	switch typ {
	case "text":
		if strings.TrimSpace(r.want(b, path, "text", cases.String).Text) == "" {
			r.violate("%s: text content blocks must contain non-whitespace text", path)
		}
	case "image", "document":
		checkSource(r, path, typ, b)
	case "tool_use":
		r.matches(path+".id", b.Str("id"), claudeToolID)
		r.matches(path+".name", b.Str("name"), claudeToolName)
		r.want(b, path, "input", cases.Object)
	case "tool_result":
		content, _ := b.Get("content")
		for i, part := range content.Items {
			checkBlock(r, index(path+".content", i), role, part)
		}
	case "thinking":
		text := r.want(b, path, "thinking", cases.String).Text
		if sig := r.want(b, path, "signature", cases.String).Text; sig != Sign(text) {
			r.violate("%s: Invalid `signature` in `thinking` block", path)
		}
	}
	switch wrong := map[string]string{"tool_use": "user", "thinking": "user", "redacted_thinking": "user", "tool_result": "assistant", "image": "assistant", "document": "assistant"}[typ]; {
	case wrong == role:
		r.violate("%s: %s blocks are not allowed in %s turns", path, typ, role)
	}
}

func checkSource(r *Request, path, typ string, b cases.Value) {
	source := r.want(b, path, "source", cases.Object)
	switch source.Str("type") {
	case "base64":
		r.want(source, path+".source", "data", cases.String)
		if typ == "image" {
			r.oneOf(path+".source.media_type", source.Str("media_type"), "image/jpeg", "image/png", "image/gif", "image/webp")
		} else {
			r.oneOf(path+".source.media_type", source.Str("media_type"), "application/pdf")
		}
	case "url":
		r.want(source, path+".source", "url", cases.String)
	case "text", "content", "file":
	default:
		r.violate("%s.source.type: unknown %q", path, source.Str("type"))
	}
}

func checkClaudeTools(r *Request, v cases.Value) {
	tools, has := r.may(v, "", "tools", cases.Array)
	for i, tool := range tools.Items {
		path := index("tools", i)
		if typ := tool.Str("type"); typ != "" && typ != "custom" {
			continue // server tools have their own shapes
		}
		r.only(tool, path, "type", "name", "description", "input_schema", "cache_control", "strict", "eager_input_streaming", "defer_loading", "input_examples", "allowed_callers")
		r.matches(path+".name", tool.Str("name"), claudeToolName)
		schema := r.want(tool, path, "input_schema", cases.Object)
		if schema.Str("type") != "object" {
			r.violate("%s.input_schema.type: must be \"object\"", path)
		}
		if hasAny(schema, "oneOf", "anyOf", "allOf") {
			r.violate("%s.input_schema: does not support oneOf, allOf, or anyOf at the top level", path)
		}
	}
	choice, ok := r.may(v, "", "tool_choice", cases.Object)
	if !ok {
		return
	}
	if !has {
		r.violate("tool_choice may only be specified while providing tools")
	}
	r.oneOf("tool_choice.type", choice.Str("type"), "auto", "any", "tool", "none")
	if choice.Str("type") == "none" && hasAny(choice, "disable_parallel_tool_use") {
		r.violate("tool_choice.none: extra inputs are not permitted")
	}
}

func checkClaudeThinking(r *Request, v cases.Value, messages []cases.Value) {
	thinking, ok := r.may(v, "", "thinking", cases.Object)
	if !ok {
		return
	}
	typ := thinking.Str("type")
	r.oneOf("thinking.type", typ, "enabled", "disabled", "adaptive")
	if typ == "disabled" {
		return
	}
	if typ == "enabled" {
		budget, _ := r.want(thinking, "thinking", "budget_tokens", cases.Number).Int()
		if budget < 1024 {
			r.violate("thinking.enabled.budget_tokens: must be at least 1024")
		}
		if limit, ok := v.Get("max_tokens"); ok {
			if n, _ := limit.Int(); n <= budget {
				r.violate("`max_tokens` must be greater than `thinking.budget_tokens`")
			}
		}
	}
	if t, ok := v.Get("temperature"); ok && t.Text != "1" && t.Text != "1.0" {
		r.violate("`temperature` may only be set to 1 when thinking is enabled")
	}
	if choice, _ := v.Get("tool_choice"); choice.Str("type") == "any" || choice.Str("type") == "tool" {
		r.violate("thinking may not be enabled when tool_choice forces tool use")
	}
	checkOpenLoop(r, messages)
}

// checkOpenLoop wants the turn that the tool results answer to begin with its thinking.
func checkOpenLoop(r *Request, messages []cases.Value) {
	if len(messages) < 2 {
		return
	}
	last, _ := messages[len(messages)-1].Get("content")
	before, _ := messages[len(messages)-2].Get("content")
	if len(last.Items) == 0 || last.Items[0].Str("type") != "tool_result" || len(before.Items) == 0 {
		return
	}
	if typ := before.Items[0].Str("type"); typ != "thinking" && typ != "redacted_thinking" {
		r.violate("messages[%d].content[0].type: expected `thinking` or `redacted_thinking`, but found `%s`", len(messages)-2, typ)
	}
}

// checkCacheMarks allows four cache_control marks, long ones before short ones.
func checkCacheMarks(r *Request) {
	var marks []string
	var walk func(v cases.Value)
	walk = func(v cases.Value) {
		for _, m := range v.Members {
			switch m.Key {
			case "cache_control":
				marks = append(marks, m.Value.Str("ttl"))
			case "input", "input_schema":
			default:
				walk(m.Value)
			}
		}
		for _, item := range v.Items {
			walk(item)
		}
	}
	for _, key := range []string{"tools", "system", "messages"} {
		if part, ok := r.JSON.Get(key); ok {
			walk(part)
		}
	}
	if len(marks) > 4 {
		r.violate("a maximum of 4 blocks with cache_control may be provided, found %d", len(marks))
	}
	short := false
	for _, ttl := range marks {
		if ttl == "1h" && short {
			r.violate("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")
		}
		short = short || ttl != "1h"
	}
}

func claudeUsage(u Usage) obj {
	return obj{
		"input_tokens": u.Prompt - u.Cached - u.CacheWrite, "output_tokens": u.Completion,
		"cache_read_input_tokens": u.Cached, "cache_creation_input_tokens": u.CacheWrite,
	}
}

func claudeStop(finish string) string {
	switch finish {
	case "tool_calls":
		return "tool_use"
	case "length":
		return "max_tokens"
	case "content_filter":
		return "refusal"
	}
	return "end_turn"
}

// showsThinking tells whether the request asked for thinking; the service sends none otherwise.
func showsThinking(r *Request) bool {
	thinking, ok := r.JSON.Get("thinking")
	return ok && thinking.Str("type") != "disabled"
}

func (claude) body(r *Request, reply Reply) []byte {
	content := []obj{}
	if showsThinking(r) {
		for _, t := range reply.Thinking {
			if t.Redacted != "" {
				content = append(content, obj{"type": "redacted_thinking", "data": t.Redacted})
				continue
			}
			content = append(content, obj{"type": "thinking", "thinking": t.Text, "signature": t.signature()})
		}
	}
	if reply.Text != "" {
		content = append(content, obj{"type": "text", "text": reply.Text})
	}
	for _, c := range reply.Calls {
		content = append(content, obj{"type": "tool_use", "id": c.ID, "name": c.Name, "input": raw(c.args())})
	}
	return encode(obj{
		"id": "msg_fake1", "type": "message", "role": "assistant", "model": r.Model, "content": content,
		"stop_reason": claudeStop(reply.finish()), "stop_sequence": nil, "usage": claudeUsage(reply.usage()),
	})
}

// blocks renders the events of content blocks.
type blocks struct {
	out []cases.Event
	n   int
}

func (b *blocks) add(name string, v obj) {
	v["type"] = name
	b.out = append(b.out, event(name, v))
}

func (b *blocks) block(start obj, deltas ...obj) {
	b.add("content_block_start", obj{"index": b.n, "content_block": start})
	for _, d := range deltas {
		b.add("content_block_delta", obj{"index": b.n, "delta": d})
	}
	b.add("content_block_stop", obj{"index": b.n})
	b.n++
}

func (claude) events(r *Request, reply Reply) []cases.Event {
	b := &blocks{}
	u := reply.usage()
	start := claudeUsage(u)
	start["output_tokens"] = 1
	b.add("message_start", obj{"message": obj{
		"id": "msg_fake1", "type": "message", "role": "assistant", "model": r.Model, "content": []obj{},
		"stop_reason": nil, "stop_sequence": nil, "usage": start,
	}})
	b.add("ping", obj{})
	if showsThinking(r) {
		for _, t := range reply.Thinking {
			if t.Redacted != "" {
				b.block(obj{"type": "redacted_thinking", "data": t.Redacted})
				continue
			}
			var deltas []obj
			for _, p := range cutWords(t.Text) {
				deltas = append(deltas, obj{"type": "thinking_delta", "thinking": p})
			}
			for _, p := range halves(t.signature()) {
				deltas = append(deltas, obj{"type": "signature_delta", "signature": p})
			}
			b.block(obj{"type": "thinking", "thinking": "", "signature": ""}, deltas...)
		}
	}
	if pieces := reply.pieces(); len(pieces) > 0 {
		var deltas []obj
		for _, p := range pieces {
			deltas = append(deltas, obj{"type": "text_delta", "text": p})
		}
		b.block(obj{"type": "text", "text": ""}, deltas...)
	}
	for _, c := range reply.Calls {
		deltas := []obj{{"type": "input_json_delta", "partial_json": ""}}
		for _, half := range halves(c.args()) {
			deltas = append(deltas, obj{"type": "input_json_delta", "partial_json": half})
		}
		b.block(obj{"type": "tool_use", "id": c.ID, "name": c.Name, "input": obj{}}, deltas...)
	}
	b.add("message_delta", obj{"delta": obj{"stop_reason": claudeStop(reply.finish()), "stop_sequence": nil}, "usage": claudeUsage(u)})
	b.add("message_stop", obj{})
	return b.out
}

func claudeErrorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable, 529:
		return "overloaded_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

func (claude) failure(reply Reply) answer {
	return answer{status: reply.Status, body: encode(obj{
		"type": "error", "error": obj{"type": claudeErrorType(reply.Status), "message": reply.Error}, "request_id": "req_fake1",
	})}
}

func (claude) errorEvents(message string) []cases.Event {
	return []cases.Event{event("error", obj{"type": "error", "error": obj{"type": "overloaded_error", "message": message}})}
}

func (claude) extra(r *Request, models []string) answer {
	if r.Kind == "count" {
		return answer{status: 200, body: encode(obj{"input_tokens": len(r.Body) / 4})}
	}
	var data []obj
	for _, m := range models {
		data = append(data, obj{"type": "model", "id": m, "display_name": m, "created_at": "2025-01-01T00:00:00Z"})
	}
	return answer{status: 200, body: encode(obj{"data": data, "has_more": false, "first_id": models[0], "last_id": models[len(models)-1]})}
}
