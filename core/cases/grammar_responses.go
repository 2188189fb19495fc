package cases

import (
	"slices"
	"strings"
)

// responses checks the Responses API event grammar.
func (g *grammar) responses(events []Event, data []Value) {
	s := responsesState{grammar: g, open: -1}
	for i, e := range events {
		if e.Done() {
			g.bad(i, "[DONE] does not exist in this format")
			continue
		}
		if s.ended {
			g.bad(i, "%s after the terminal event", e.Name)
			return
		}
		typ := data[i].Str("type")
		if typ != e.Name {
			g.bad(i, "event name %q but type %q", e.Name, typ)
		}
		if n := intAt(data[i], "sequence_number"); n != i {
			g.bad(i, "sequence_number %d, want %d", n, i)
		}
		if want := [...]string{"response.created", "response.in_progress"}; i < len(want) && typ != want[i] {
			g.bad(i, "%s where %s must stand", typ, want[i])
		}
		s.step(i, typ, data[i])
	}
	if !s.ended {
		g.bad(len(events)-1, "the stream has no terminal event")
	}
}

type responsesState struct {
	*grammar
	open   int // output_index of the open item, -1 when none
	itemID string
	items  []Value         // done items
	texts  strings.Builder // joined deltas of the open part
	parts  []string        // done texts of the open item
	ended  bool
}

func (s *responsesState) step(i int, typ string, v Value) {
	name := strings.TrimPrefix(typ, "response.")
	switch {
	case name == "created" || name == "in_progress":
		if i > 1 {
			s.bad(i, "%s again", typ)
		}
	case name == "output_item.added":
		s.added(i, v)
	case name == "output_item.done":
		s.done(i, v)
	case name == "completed" || name == "incomplete" || name == "failed":
		s.terminal(i, name, v)
	case typ == "error":
		if !kindAt(v, "message", String) {
			s.bad(i, "error without a message")
		}
	case strings.HasSuffix(name, ".delta"):
		s.inside(i, typ, v)
		s.texts.WriteString(v.Str("delta"))
	case strings.HasSuffix(name, ".added"):
		s.inside(i, typ, v)
		if strings.HasSuffix(name, "_part.added") {
			s.texts.Reset()
		}
	case strings.HasSuffix(name, ".done"):
		s.inside(i, typ, v)
		s.partDone(i, name, v)
	default:
		s.bad(i, "unknown event %s", typ)
	}
}

// inside checks that an event belongs to the open item.
func (s *responsesState) inside(i int, typ string, v Value) {
	if s.open < 0 || intAt(v, "output_index") != s.open {
		s.bad(i, "%s for item %d while item %d is open", typ, intAt(v, "output_index"), s.open)
	}
	if id := v.Str("item_id"); id != s.itemID {
		s.bad(i, "%s names item %q, open is %q", typ, id, s.itemID)
	}
}

func (s *responsesState) added(i int, v Value) {
	if s.open >= 0 {
		s.bad(i, "an item starts while item %d is open", s.open)
	}
	if n := intAt(v, "output_index"); n != len(s.items) {
		s.bad(i, "output_index %d, want %d", n, len(s.items))
	}
	s.open, s.itemID = len(s.items), textAt(v, "item.id")
	if s.itemID == "" || textAt(v, "item.type") == "" {
		s.bad(i, "the item has no id or type")
	}
	s.texts.Reset()
	s.parts = nil
}

// partDone compares a done text with its deltas.
func (s *responsesState) partDone(i int, name string, v Value) {
	for _, key := range []string{"text", "refusal", "arguments", "input"} {
		text, ok := v.Get(key)
		if !ok || text.Kind != String {
			continue
		}
		if joined := s.texts.String(); joined != text.Text {
			s.bad(i, "%s has %q, the deltas join to %q", name, clip(text.Text), clip(joined))
		}
		s.parts = append(s.parts, text.Text)
		s.texts.Reset()
		return
	}
	if part, ok := v.Get("part"); ok { // content_part.done, reasoning_summary_part.done
		text := part.Str("text") + part.Str("refusal")
		if len(s.parts) == 0 || s.parts[len(s.parts)-1] != text {
			s.bad(i, "%s has text %q, which no done event had", name, clip(text))
		}
	}
}

func (s *responsesState) done(i int, v Value) {
	if s.open < 0 || intAt(v, "output_index") != s.open {
		s.bad(i, "output_item.done for item %d while item %d is open", intAt(v, "output_index"), s.open)
	}
	item, _ := v.Get("item")
	if item.Str("id") != s.itemID {
		s.bad(i, "output_item.done has id %q, open is %q", item.Str("id"), s.itemID)
	}
	var texts []string
	for _, path := range []string{"content[*].text", "content[*].refusal", "summary[*].text", "arguments", "input"} {
		found, _ := Select(item, path)
		for _, f := range found {
			texts = append(texts, f.Text)
		}
	}
	if !slices.Equal(texts, s.parts) {
		s.bad(i, "the done item has texts %q, its parts had %q", texts, s.parts)
	}
	s.items = append(s.items, item)
	s.open = -1
}

func (s *responsesState) terminal(i int, name string, v Value) {
	s.ended = true
	if status := textAt(v, "response.status"); status != name {
		s.bad(i, "status is %q in %s", status, name)
	}
	if name == "failed" {
		if !kindAt(v, "response.error.message", String) {
			s.bad(i, "failed without error.message")
		}
		return
	}
	if s.open >= 0 {
		s.bad(i, "the response ends while item %d is open", s.open)
	}
	output, _ := at(v, "response.output")
	if !Equal(output, Value{Kind: Array, Items: s.items}) {
		s.bad(i, "the final output differs from the done items: %s", show(output))
	}
	for _, key := range []string{"input_tokens", "output_tokens", "total_tokens", "input_tokens_details.cached_tokens", "output_tokens_details.reasoning_tokens"} {
		if !kindAt(v, "response.usage."+key, Number) {
			s.bad(i, "usage.%s is no number", key)
		}
	}
}
