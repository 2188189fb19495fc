package cases

import (
	"bytes"
	"fmt"
	"strings"
)

// HasWire reports whether the format streams as text: Server-Sent Events, or
// newline-delimited JSON for ollama. kiro and cursor use binary frames.
func HasWire(format string) bool { return format != "kiro" && format != "cursor" }

// AppendWire writes events as the format puts them on the wire.
func AppendWire(dst []byte, format string, events []Event) []byte {
	for _, e := range events {
		dst = AppendEvent(dst, format, e)
	}
	return dst
}

// AppendEvent writes one event. A JSON string as data is written as its bare text.
func AppendEvent(dst []byte, format string, e Event) []byte {
	text := e.Data
	if len(text) > 0 && text[0] == '"' {
		if v, err := Parse(text); err == nil {
			text = []byte(v.Text)
		}
	}
	if format == "ollama" {
		return append(append(dst, text...), '\n')
	}
	if e.Name != "" {
		dst = append(append(append(dst, "event: "...), e.Name...), '\n')
	}
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		dst = append(append(append(dst, "data: "...), line...), '\n')
	}
	return append(dst, '\n')
}

// ParseWire reads events back from wire bytes. Comments are dropped; data that
// is not JSON becomes a JSON string. A last event without its blank line counts.
func ParseWire(format string, wire []byte) []Event {
	var out []Event
	if format == "ollama" {
		for line := range bytes.SplitSeq(wire, []byte("\n")) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				out = append(out, Event{Data: asJSON(line)})
			}
		}
		return out
	}
	var name string
	var data []byte
	var has bool
	flush := func() {
		if has {
			out = append(out, Event{Name: name, Data: asJSON(data)})
		}
		name, data, has = "", nil, false
	}
	for line := range bytes.SplitSeq(wire, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case len(line) == 0:
			flush()
		case field == "event":
			name = value
		case field == "data":
			if has {
				data = append(data, '\n')
			}
			data, has = append(data, value...), true
		}
	}
	flush()
	return out
}

func asJSON(text []byte) []byte {
	if _, err := Parse(text); err == nil {
		return bytes.Clone(text)
	}
	return quote(string(text))
}

// quote writes text as a JSON string.
func quote(text string) []byte {
	out := []byte{'"'}
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, string(r)...)
		}
	}
	return append(out, '"')
}
