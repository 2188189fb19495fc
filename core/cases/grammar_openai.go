package cases

import "strings"

// openai checks the chat completion chunk grammar.
func (g *grammar) openai(events []Event, data []Value) {
	s := openaiState{grammar: g, finishAt: -1}
	for i, e := range events {
		if e.Name != "" {
			g.bad(i, "has an event name %q", e.Name)
		}
		switch {
		case s.done:
			g.bad(i, "after [DONE]")
		case e.Done():
			s.done = true
		case s.failed:
			g.bad(i, "only [DONE] may follow an error")
		case present(data[i], "error"):
			if !kindAt(data[i], "error.message", String) {
				g.bad(i, "error without a message")
			}
			s.failed = true
		default:
			s.chunk(i, data[i])
		}
	}
	last := len(events) - 1
	switch {
	case s.failed:
		return
	case !s.done:
		g.bad(last, "the stream does not end with [DONE]")
	case s.finishAt < 0:
		g.bad(last, "no chunk has a finish_reason")
	}
	for n, text := range s.args {
		if s.finish != "length" && !isObjectText(text) {
			g.bad(last, "the arguments of call %d are no JSON object: %s", n, clip(text))
		}
	}
}

type openaiState struct {
	*grammar
	first        *Value
	args         []string
	finish       string
	finishAt     int
	usageChunk   bool
	failed, done bool
}

func (s *openaiState) chunk(i int, v Value) {
	if s.first == nil {
		s.first = &v
		for _, key := range []string{"id", "created", "model"} {
			if !present(v, key) {
				s.bad(i, "the chunk has no %s", key)
			}
		}
	}
	for _, key := range []string{"id", "created", "model"} {
		a, _ := s.first.Get(key)
		if b, _ := v.Get(key); !Equal(a, b) {
			s.bad(i, "%s changed to %s", key, show(b))
		}
	}
	if v.Str("object") != "chat.completion.chunk" {
		s.bad(i, "object is %q", v.Str("object"))
	}
	choices, _ := v.Get("choices")
	if choices.Kind != Array {
		s.bad(i, "choices is no array")
		return
	}
	if s.finishAt < 0 && present(v, "usage") && !present(v, "choices[0].finish_reason") {
		s.bad(i, "usage before the finish chunk")
	}
	if s.finishAt >= 0 || len(choices.Items) == 0 {
		s.trailer(i, v, choices)
		return
	}
	s.choice(i, choices.Items[0])
}

// trailer checks what may follow the finish chunk: one usage chunk, on request.
func (s *openaiState) trailer(i int, v, choices Value) {
	switch {
	case s.finishAt < 0:
		s.bad(i, "empty choices before finish_reason")
	case len(choices.Items) > 0:
		s.bad(i, "content after finish_reason")
	case !present(v, "usage"):
		s.bad(i, "empty choices without usage")
	case s.usageChunk:
		s.bad(i, "a second usage chunk")
	case !s.asked("stream_options.include_usage"):
		s.bad(i, "a usage chunk that the client did not ask for")
	}
	s.usageChunk = true
}

func (s *openaiState) choice(i int, c Value) {
	delta, ok := c.Get("delta")
	if !ok || delta.Kind != Object {
		s.bad(i, "the choice has no delta object")
	}
	if _, role := delta.Get("role"); role != (i == 0) {
		if role {
			s.bad(i, "role again")
		} else {
			s.bad(i, "the first chunk has no role")
		}
	}
	if calls, ok := delta.Get("tool_calls"); ok && calls.Kind == Array {
		for _, call := range calls.Items {
			s.call(i, call)
		}
	}
	if reason, ok := c.Get("finish_reason"); ok && reason.Kind == String {
		s.finish, s.finishAt = reason.Text, i
	}
}

func (s *openaiState) call(i int, call Value) {
	n := intAt(call, "index")
	name, id := textAt(call, "function.name"), call.Str("id")
	switch {
	case n >= 0 && n < len(s.args):
		if id != "" || name != "" {
			s.bad(i, "a later delta of call %d repeats id or name", n)
		}
	case n == len(s.args):
		if id == "" || name == "" || call.Str("type") != "function" {
			s.bad(i, "the first delta of call %d needs id, type and name", n)
		}
		s.args = append(s.args, "")
	default:
		s.bad(i, "tool index %d, want at most %d", n, len(s.args))
		return
	}
	var b strings.Builder
	b.WriteString(s.args[n])
	b.WriteString(textAt(call, "function.arguments"))
	s.args[n] = b.String()
}
