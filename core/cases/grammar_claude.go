package cases

import "strings"

// claude checks the Messages event grammar: message_start, blocks one after the
// other, one message_delta, message_stop; or an error event at the end.
func (g *grammar) claude(events []Event, data []Value) {
	s := claudeState{grammar: g, open: -1}
	for i, e := range events {
		if s.ended {
			g.bad(i, "%s after the end of the stream", e.Name)
			return
		}
		if typ := data[i].Str("type"); typ != e.Name {
			g.bad(i, "event name %q but type %q", e.Name, typ)
		}
		if (i == 0) != (e.Name == "message_start") && e.Name != "error" {
			g.bad(i, "%s where message_start must be first and only once", e.Name)
		}
		s.step(i, e.Name, data[i])
	}
	if !s.ended {
		g.bad(len(events)-1, "the stream ends with %s, want message_stop or error", events[len(events)-1].Name)
	}
	if s.stopReason != "max_tokens" {
		for i, text := range s.args {
			if text != "" && !isObjectText(text) {
				g.bad(len(events)-1, "the arguments of tool block %d are no JSON object: %s", i, clip(text))
			}
		}
	}
}

type claudeState struct {
	*grammar
	open, blocks int
	openType     string
	partial      strings.Builder
	args         []string
	stopReason   string
	delta, ended bool
}

func (s *claudeState) step(i int, name string, v Value) {
	switch name {
	case "message_start":
		s.start(i, v)
	case "content_block_start":
		s.blockStart(i, v)
	case "content_block_delta":
		s.blockDelta(i, v)
	case "content_block_stop":
		if s.open < 0 || intAt(v, "index") != s.open {
			s.bad(i, "stop of block %d while block %d is open", intAt(v, "index"), s.open)
		}
		if s.openType == "tool_use" {
			s.args = append(s.args, s.partial.String())
		}
		s.open = -1
	case "message_delta":
		if s.open >= 0 {
			s.bad(i, "message_delta while block %d is open", s.open)
		}
		if s.delta {
			s.bad(i, "a second message_delta")
		}
		s.delta = true
		if s.stopReason = textAt(v, "delta.stop_reason"); s.stopReason == "" {
			s.bad(i, "message_delta without stop_reason")
		}
		if !kindAt(v, "usage.output_tokens", Number) {
			s.bad(i, "message_delta without usage.output_tokens")
		}
	case "message_stop":
		if !s.delta {
			s.bad(i, "message_stop without message_delta")
		}
		s.ended = true
	case "error":
		if textAt(v, "error.type") == "" || !kindAt(v, "error.message", String) {
			s.bad(i, "error without type and message")
		}
		s.ended = true
	case "ping":
	default:
		s.bad(i, "unknown event %q", name)
	}
}

func (s *claudeState) start(i int, v Value) {
	if content, ok := at(v, "message.content"); !ok || content.Kind != Array || len(content.Items) > 0 {
		s.bad(i, "message_start must have empty content")
	}
	if reason, ok := at(v, "message.stop_reason"); !ok || reason.Kind != Null {
		s.bad(i, "message_start must have stop_reason null")
	}
	for _, key := range []string{"message.usage.input_tokens", "message.usage.output_tokens"} {
		if !kindAt(v, key, Number) {
			s.bad(i, "%s is no number", key)
		}
	}
}

func (s *claudeState) blockStart(i int, v Value) {
	if s.delta {
		s.bad(i, "a block after message_delta")
	}
	if s.open >= 0 {
		s.bad(i, "a block starts while block %d is open", s.open)
	}
	if n := intAt(v, "index"); n != s.blocks {
		s.bad(i, "block index %d, want %d", n, s.blocks)
	}
	s.open, s.openType = s.blocks, textAt(v, "content_block.type")
	s.blocks++
	s.partial.Reset()
	switch s.openType {
	case "":
		s.bad(i, "a block without a type")
	case "tool_use":
		if input, ok := at(v, "content_block.input"); !ok || input.Kind != Object || len(input.Members) > 0 {
			s.bad(i, "tool_use must start with input {}")
		}
	case "thinking":
		if !kindAt(v, "content_block.thinking", String) {
			s.bad(i, "a thinking block must start with a thinking string")
		}
	case "text":
		if !kindAt(v, "content_block.text", String) {
			s.bad(i, "a text block must start with a text string")
		}
	}
}

func (s *claudeState) blockDelta(i int, v Value) {
	if n := intAt(v, "index"); s.open < 0 || n != s.open {
		s.bad(i, "a delta for block %d while block %d is open", n, s.open)
	}
	fits := map[string]string{
		"text_delta": "text", "citations_delta": "text",
		"thinking_delta": "thinking", "signature_delta": "thinking",
		"input_json_delta": "tool_use",
	}
	typ := textAt(v, "delta.type")
	want, known := fits[typ]
	if !known {
		s.bad(i, "unknown delta type %q", typ)
	} else if want != s.openType && (typ != "input_json_delta" || s.openType != "server_tool_use") {
		s.bad(i, "%s in a %s block", typ, s.openType)
	}
	s.partial.WriteString(textAt(v, "delta.partial_json"))
}
