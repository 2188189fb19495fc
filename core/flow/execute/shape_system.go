package execute

import (
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/policy"
)

// withSystem puts a system text into the hub form. What is there keeps its bytes
// and its cache marks: appended text goes behind the last block, prepended text
// before the first.
func withSystem(hub []byte, text policy.SystemText) []byte {
	messages, _ := doc.Get(hub, "messages")
	out := []byte{'['}
	leading, done := true, false
	last := lastOf(messages, text.Position)
	if text.Position == "replace" || last < 0 && text.Position != "last_user" {
		out = append(out, systemMessage(text.Text)...)
		done = true
	}
	doc.Each(messages, func(i int, m []byte) bool {
		role, _ := doc.String(m, "role")
		leading = leading && isSystem(role)
		switch {
		case text.Position == "replace" && isSystem(role):
			return true
		case !done && i == last:
			m = withText(m, text)
			done = true
		}
		out = appendElement(out, m)
		return true
	})
	hub, _ = doc.Set(nil, hub, append(out, ']'), "messages")
	return hub
}

// lastOf finds the message that a text goes into: the first or last of the
// leading system messages, or the last user message; -1 if there is none.
func lastOf(messages []byte, position string) int {
	at, leading := -1, true
	doc.Each(messages, func(i int, m []byte) bool {
		role, _ := doc.String(m, "role")
		switch {
		case position == "last_user":
			if role == "user" {
				at = i
			}
		case leading && isSystem(role):
			if position != "prepend" || at < 0 {
				at = i
			}
		default:
			leading = false
		}
		return true
	})
	return at
}

func isSystem(role string) bool { return role == "system" || role == "developer" }

func systemMessage(text string) []byte {
	return append(doc.Quote([]byte(`{"role":"system","content":`), text), '}')
}

// withText joins a text with the content of a message: a string by a blank
// line, parts by a part of its own.
func withText(m []byte, text policy.SystemText) []byte {
	add := text.Text
	if text.Position == "last_user" {
		add = "<system-reminder>\n" + add + "\n</system-reminder>"
	}
	content, _ := doc.Get(m, "content")
	var joined []byte
	switch {
	case len(content) > 0 && content[0] == '[':
		part := append(doc.Quote([]byte(`{"type":"text","text":`), add), '}')
		joined = []byte{'['}
		if text.Position == "prepend" {
			joined = append(joined, part...)
		}
		doc.Each(content, func(_ int, p []byte) bool { joined = appendElement(joined, p); return true })
		if text.Position != "prepend" {
			joined = appendElement(joined, part)
		}
		joined = append(joined, ']')
	case len(content) > 2 && content[0] == '"':
		quoted := doc.Quote(nil, add)
		first, second := content, quoted
		if text.Position == "prepend" {
			first, second = quoted, content
		}
		joined = append(joined, first[:len(first)-1]...)
		joined = append(joined, `\n\n`...)
		joined = append(joined, second[1:]...)
	default:
		joined = doc.Quote(nil, add)
	}
	m, _ = doc.Set(nil, m, joined, "content")
	return m
}
