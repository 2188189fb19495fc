package execute

import (
	"fmt"
	"slices"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

// longToolText is the length beyond which the text of a tool result is cut when
// a conversation does not fit, in bytes.
const longToolText = 2000

// turn is one message of the hub form while a conversation is trimmed.
type turn struct {
	raw    []byte
	role   string
	tokens int
}

// trim makes a conversation fit: long tool results are cut first, then the
// reasoning of earlier turns goes, then the oldest messages go. System messages,
// the first user message, the last turn and what carries a cache mark stay; a tool
// call and its result go together.
func trim(c *call.Call, hub []byte, room int) ([]byte, *fault.Error) {
	t := trimmer{c: c}
	messages, _ := doc.Get(hub, "messages")
	doc.Each(messages, func(_ int, m []byte) bool {
		role, _ := doc.String(m, "role")
		t.turns = append(t.turns, turn{raw: m, role: role, tokens: t.size(m)})
		return true
	})
	rest, _ := doc.Set(nil, hub, []byte("[]"), "messages")
	t.total = t.size(rest)
	for _, m := range t.turns {
		t.total += m.tokens
	}
	for _, step := range [...]func(){t.cutTools, t.dropReasoning, func() { t.dropTurns(room) }} {
		if t.total <= room {
			break
		}
		step()
	}
	if t.total > room {
		return nil, fault.Newf(fault.ContextTooLong, "The request does not fit the model even without earlier turns: about %d of %d tokens", t.total, room)
	}
	out := []byte{'['}
	for _, m := range t.turns {
		out = appendElement(out, m.raw)
	}
	c.Trimmed = t.removed
	hub, _ = doc.Set(nil, hub, append(out, ']'), "messages")
	return hub, nil
}

type trimmer struct {
	c       *call.Call
	turns   []turn
	total   int
	removed int
}

// size estimates the tokens of a piece of the hub document, long strings
// included.
func (t *trimmer) size(raw []byte) int {
	full, err := t.c.Doc.Inflate(nil, raw, 0)
	if err != nil {
		return len(raw) / 4
	}
	return (len(full) + 3) / 4
}

func (t *trimmer) replace(i int, raw []byte) {
	t.total -= t.turns[i].tokens
	t.turns[i].raw, t.turns[i].tokens = raw, t.size(raw)
	t.total += t.turns[i].tokens
}

// cutTools shortens long texts of tool results, also where they are parts. What
// carries a cache mark keeps its bytes: the provider knows them by heart.
func (t *trimmer) cutTools() {
	for i, m := range t.turns {
		if m.role != "tool" || marked(m.raw) {
			continue
		}
		content, _ := doc.Get(m.raw, "content")
		short, cut := t.shorten(content)
		if len(content) > 0 && content[0] == '[' {
			short, cut = t.shortenParts(content)
		}
		if cut {
			raw, _ := doc.Set(nil, m.raw, short, "content")
			t.replace(i, raw)
		}
	}
}

// shortenParts shortens the texts of content parts; the others stay.
func (t *trimmer) shortenParts(parts []byte) (out []byte, cut bool) {
	out = []byte{'['}
	doc.Each(parts, func(_ int, part []byte) bool {
		text, _ := doc.Get(part, "text")
		if short, ok := t.shorten(text); ok {
			part, _ = doc.Set(nil, part, short, "text")
			cut = true
		}
		out = appendElement(out, part)
		return true
	})
	return append(out, ']'), cut
}

// shorten cuts a JSON string that is too long.
func (t *trimmer) shorten(raw []byte) ([]byte, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, false
	}
	full, err := t.c.Doc.Inflate(nil, raw, 0)
	if err != nil || len(full) <= longToolText {
		return raw, false
	}
	text, _ := doc.String(full)
	runes := []rune(text)
	if len(runes) <= longToolText {
		return raw, false
	}
	return doc.Quote(nil, string(runes[:longToolText])+"\n... [truncated]"), true
}

// marked tells whether a message carries a cache mark, on itself or on what it is made
// of.
func marked(m []byte) bool {
	if _, ok := doc.Get(m, "cache_control"); ok {
		return true
	}
	found := false
	for _, list := range [...]string{"content", "tool_calls"} {
		parts, _ := doc.Get(m, list)
		if len(parts) == 0 || parts[0] != '[' {
			continue
		}
		doc.Each(parts, func(_ int, part []byte) bool {
			_, ok := doc.Get(part, "cache_control")
			found = found || ok
			return !found
		})
	}
	return found
}

// dropReasoning takes the reasoning out of all assistant turns but the last.
func (t *trimmer) dropReasoning() {
	last := -1
	for i, m := range t.turns {
		if m.role == "assistant" {
			last = i
		}
	}
	for i, m := range t.turns {
		if m.role != "assistant" || i == last || marked(m.raw) {
			continue
		}
		raw, a := doc.Delete(nil, m.raw, "reasoning_content")
		raw, b := doc.Delete(nil, raw, extension, "reasoning")
		if a || b {
			t.replace(i, raw)
		}
	}
}

// dropTurns removes the oldest messages behind the first user message. It cuts
// before a user or an assistant message only, so that calls keep their results,
// never into the turn that is going on, and not beyond a message with a cache mark.
func (t *trimmer) dropTurns(room int) {
	first := slices.IndexFunc(t.turns, func(m turn) bool { return m.role == "user" })
	if first < 0 {
		return
	}
	from := first + 1
	to, removed := from, 0
	for i := from; i <= t.current(); i++ {
		if r := t.turns[i].role; r == "user" || r == "assistant" {
			if to = i; removed > 0 && t.total-removed+noteTokens <= room {
				break
			}
		}
		if marked(t.turns[i].raw) {
			break
		}
		removed += t.turns[i].tokens
	}
	if to <= from {
		return
	}
	for _, m := range t.turns[from:to] {
		t.total -= m.tokens
	}
	t.removed = to - from
	note := systemMessage(fmt.Sprintf("[Context compressed: %d earlier messages removed to fit context window]", t.removed))
	kept := append([]turn(nil), t.turns[:first]...)
	kept = append(kept, turn{raw: note, role: "system", tokens: noteTokens}, t.turns[first])
	t.turns = append(kept, t.turns[to:]...)
	t.total += noteTokens
}

// current is where the turn begins that is going on: the last assistant message
// if its results are the end or it carries reasoning, else the last user message.
func (t *trimmer) current() int {
	last := len(t.turns) - 1
	for i := last; i >= 0; i-- {
		switch m := t.turns[i]; m.role {
		case "user":
			last = min(last, i)
			if i == 0 || !t.reasoned(i-1) {
				return i
			}
		case "assistant":
			return i
		}
	}
	return last
}

// reasoned reports whether the assistant turn that ends at i carries reasoning.
func (t *trimmer) reasoned(i int) bool {
	for ; i >= 0 && t.turns[i].role == "tool"; i-- {
	}
	if i < 0 || t.turns[i].role != "assistant" {
		return false
	}
	_, ok := doc.Get(t.turns[i].raw, extension, "reasoning")
	return ok
}

// noteTokens is the size of the note that stands for removed turns.
const noteTokens = 30
