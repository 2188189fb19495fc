package hub

import (
	"strconv"
	"unicode/utf8"

	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// CheckBody prepares a request body for parsing: it must be one JSON object. Bodies
// with tokens were validated by the host already.
func CheckBody(c *Ctx, body []byte) ([]byte, error) {
	body = jsn.Trim(body)
	if c.Nonce == "" {
		if err := jsn.Valid(body); err != nil {
			return nil, BadRequest("", "", err.Error())
		}
	}
	if jsn.KindOf(body) != jsn.Obj {
		return nil, BadRequest("", "", "the request body must be a JSON object")
	}
	return body, nil
}

// CheckAnswer prepares an upstream body for parsing: it must be one JSON object
// (of an array, the first element counts).
func CheckAnswer(body []byte) ([]byte, error) {
	body = jsn.Trim(body)
	if jsn.Valid(body) != nil {
		return nil, ErrBody("JSON")
	}
	if jsn.KindOf(body) == jsn.Arr {
		if it := jsn.Array(body); it.Next() {
			body = it.Value()
		}
	}
	if jsn.KindOf(body) != jsn.Obj {
		return nil, ErrBody("a JSON object")
	}
	return body, nil
}

// Level returns the wish as a level of the effort ladder: "" for no wish and for
// auto, which sends no level.
func (t Thinking) Level() string {
	switch t.Mode {
	case ThinkBudget:
		return caps.Level(t.Budget)
	case ThinkEffort:
		return t.Effort
	case ThinkOff:
		return caps.None
	}
	return ""
}

// Effort makes the wish that a level name stands for.
func Effort(level string) Thinking {
	switch level {
	case "":
		return Thinking{}
	case caps.None:
		return Thinking{Mode: ThinkOff}
	case "auto":
		return Thinking{Mode: ThinkAuto}
	}
	return Thinking{Mode: ThinkEffort, Effort: level}
}

// Clamp returns raw when it is a number within lo and hi, else the nearer bound. What
// is not a number is nil.
func Clamp(raw []byte, lo, hi int64) []byte {
	f, ok := jsn.Float(raw)
	switch {
	case !ok:
		return nil
	case f < float64(lo):
		return strconv.AppendInt(nil, lo, 10)
	case f > float64(hi):
		return strconv.AppendInt(nil, hi, 10)
	}
	return raw
}

// LongerThan tells whether the content of s has more than n characters.
func LongerThan(t jsn.Tokens, s jsn.Str, n int) bool {
	if len(s) <= n && !t.Has(s) {
		return false
	}
	return utf8.RuneCountInString(t.Decode(s)) > n
}

// ErrorPrefix is what the text of a failed call starts with where the target has no
// flag for it (T-9).
const ErrorPrefix = "Error: "

// PrefixErrors marks failed calls by their text for targets without a flag (T-9). A
// result that starts with "error" in any case stays as it is.
func PrefixErrors(c *Ctx, r *Request) {
	t := c.Tokens()
	for i := range r.Messages {
		m := &r.Messages[i]
		if m.Role != Tool || !m.IsError {
			continue
		}
		at := -1
		for j := range m.Parts {
			if m.Parts[j].Kind == PartText {
				at = j
				break
			}
		}
		if at < 0 {
			m.Parts = append([]Part{{Kind: PartText, Text: jsn.Str("Error")}}, m.Parts...)
			continue
		}
		if p := &m.Parts[at]; !startsWithError(t.Peek(p.Text, 8)) {
			p.Text = append(jsn.Str(ErrorPrefix), p.Text...)
		}
	}
}

func startsWithError(b []byte) bool {
	const word = "error"
	if len(b) < len(word) {
		return false
	}
	for i := range len(word) {
		if b[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// ObjectSchema returns a tool's parameters as an object schema with properties (T-1).
func ObjectSchema(raw []byte) []byte {
	var typ, props, any bool
	for it := jsn.Object(raw); !(typ && props) && it.Next(); any = true {
		switch string(it.Key()) {
		case "type":
			typ = true
		case "properties":
			props = true
		}
	}
	if !any {
		return []byte(`{"type":"object","properties":{}}`)
	}
	if typ && props {
		return raw
	}
	out := make([]byte, 0, len(raw)+40)
	out = append(out, '{')
	if !typ {
		out = append(out, `"type":"object"`...)
	}
	for it := jsn.Object(raw); it.Next(); {
		out = jsn.AppendRawMember(out, it.RawKey(), it.Value())
	}
	if !props {
		out = append(jsn.AppendKey(out, "properties"), '{', '}')
	}
	return append(out, '}')
}

// JoinReasoning returns the reasoning text of a message, blocks joined with a blank
// line; nil when there is none.
func JoinReasoning(rs []Reasoning) jsn.Str {
	var out jsn.Str
	for i := range rs {
		if len(rs[i].Text) == 0 {
			continue
		}
		if out != nil {
			out = append(out, `\n\n`...)
		}
		out = append(out, rs[i].Text...)
	}
	return out
}

// CustomSchema is the schema of a free-form tool: one string named input (T-6).
func CustomSchema() []byte {
	return []byte(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`)
}
