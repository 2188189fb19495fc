package guard

import (
	"bytes"

	"github.com/omniroute/omniroute/core/doc"
)

// maxNesting bounds JSON within JSON within JSON: arguments of tools are text
// that is JSON again.
const maxNesting = 3

// spoken are the members whose strings are texts.
func spoken(key []byte) bool {
	switch string(key) {
	case "content", "text", "input", "system", "instructions", "prompt", "thinking", "reasoning", "reasoning_content",
		"output", "refusal", "delta", "partial_json":
		return true
	}
	return false
}

// open are the members whose objects a model or a tool filled in: all strings
// below them are texts.
func open(key []byte) bool {
	switch string(key) {
	case "input", "arguments", "args", "response", "output":
		return true
	}
	return false
}

// closed are the members that hold no texts of the conversation.
func closed(key []byte) bool {
	switch string(key) {
	case "tools", "functions", "tool_choice", "response_format", "text_format", "metadata", "source", "image_url", "input_audio",
		"file", "inlineData", "inline_data", "fileData", "file_data", "cache_control", "usage", "logprobs":
		return true
	}
	return false
}

// walker goes through the texts of one JSON body.
type walker struct {
	// see is called for each text; changed is put in its place if ok.
	see   func(text string) (changed string, ok bool)
	edits []edit
	depth int
}

// edit puts a JSON string in the place of raw, which is a part of the body.
type edit struct{ raw, with []byte }

// value visits raw. text tells that it is a text if it is a string, all that
// every string below it is.
func (w *walker) value(raw []byte, text, all bool) {
	if len(raw) == 0 {
		return
	}
	switch raw[0] {
	case '{':
		doc.Scan(raw, func(key, value []byte) bool {
			w.member(key, value, all)
			return true
		})
	case '[':
		doc.Each(raw, func(_ int, item []byte) bool {
			w.value(item, text, all)
			return true
		})
	case '"':
		if text || all {
			w.text(raw)
		}
	}
}

func (w *walker) member(key, value []byte, all bool) {
	switch {
	case all:
		w.value(value, true, true)
	case closed(key):
	case string(key) == "arguments" && value[0] == '"':
		w.nested(value)
	default:
		w.value(value, spoken(key), open(key) && value[0] == '{')
	}
}

// nested visits the JSON within a string, so that what is put there leaves it
// JSON.
func (w *walker) nested(raw []byte) {
	text, ok := doc.Unquote(nil, raw)
	inner := bytes.TrimSpace(text)
	if !ok || w.depth >= maxNesting || len(inner) == 0 || inner[0] != '{' || doc.Valid(inner, doc.Options{}) != nil {
		w.text(raw)
		return
	}
	below := walker{see: w.see, depth: w.depth + 1}
	below.value(inner, true, true)
	if len(below.edits) > 0 {
		w.edits = append(w.edits, edit{raw, doc.Quote(nil, string(splice(nil, inner, below.edits)))})
	}
}

func (w *walker) text(raw []byte) {
	text, ok := doc.Unquote(nil, raw)
	if !ok {
		return
	}
	if changed, ok := w.see(string(text)); ok {
		w.edits = append(w.edits, edit{raw, doc.Quote(nil, changed)})
	}
}

// splice appends body with its edits done to dst. They are in the order of the
// body.
func splice(dst, body []byte, edits []edit) []byte {
	done := 0
	for _, e := range edits {
		at := cap(body) - cap(e.raw) // both end where the memory behind them ends
		dst = append(append(dst, body[done:at]...), e.with...)
		done = at + len(e.raw)
	}
	return append(dst, body[done:]...)
}
