package fake

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/cases"
)

// obj is a JSON object under construction.
type obj = map[string]any

func encode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // only plain maps, slices, strings and numbers are encoded
	}
	return out
}

func event(name string, v any) cases.Event { return cases.Event{Name: name, Data: encode(v)} }

// raw is JSON text that is embedded as it is.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// only complains about members that the service does not know.
func (r *Request) only(v cases.Value, path string, allowed ...string) {
	for _, m := range v.Members {
		if !slices.Contains(allowed, m.Key) {
			r.violate("unknown parameter: '%s'", joinPath(path, m.Key))
		}
	}
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// want fetches a member that must be there with the type.
func (r *Request) want(v cases.Value, path, key string, kind cases.Kind) cases.Value {
	m, ok := v.Get(key)
	switch {
	case !ok:
		r.violate("missing required parameter: '%s'", joinPath(path, key))
	case m.Kind != kind:
		r.violate("invalid type for '%s': expected %s, got %s", joinPath(path, key), kind, m.Kind)
	}
	return m
}

// may fetches a member that must have the type when it is there and not null.
func (r *Request) may(v cases.Value, path, key string, kind cases.Kind) (cases.Value, bool) {
	m, ok := v.Get(key)
	if !ok || m.Kind == cases.Null {
		return cases.Value{}, false
	}
	if m.Kind != kind {
		r.violate("invalid type for '%s': expected %s, got %s", joinPath(path, key), kind, m.Kind)
		return cases.Value{}, false
	}
	return m, true
}

// between checks a number's range.
func (r *Request) between(v cases.Value, key string, low, high float64) {
	m, ok := r.may(v, "", key, cases.Number)
	if !ok {
		return
	}
	if n, err := strconv.ParseFloat(m.Text, 64); err != nil || n < low || n > high {
		r.violate("'%s' is %s, must be between %g and %g", key, m.Text, low, high)
	}
}

func (r *Request) oneOf(path, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		r.violate("invalid value %q for '%s'", got, path)
	}
}

func (r *Request) matches(path, got string, re *regexp.Regexp) {
	if !re.MatchString(got) {
		r.violate("'%s' is %q, must match %s", path, got, re)
	}
}

// ToolResults returns the texts of the tool results at the end of the
// conversation, in the order of the request.
func (r *Request) ToolResults() []string {
	if b, ok := dialects[r.Dialect].(binary); ok {
		return b.results(r)
	}
	var out []string
	dialect := r.Dialect
	if dialect == "gemini-cli" || dialect == "antigravity" {
		dialect = "gemini" // within an envelope
	}
	list, _ := r.JSON.Get(map[string]string{"openai-responses": "input", "gemini": "contents"}[dialect])
	if list.Kind != cases.Array {
		list, _ = r.JSON.Get("messages")
	}
	for i := len(list.Items) - 1; i >= 0; i-- {
		found := toolResults(dialect, list.Items[i])
		if len(found) == 0 {
			break
		}
		out = append(found, out...)
	}
	return out
}

func toolResults(dialect string, m cases.Value) []string {
	path := map[string]string{"claude": "content[*]", "gemini": "parts[*].functionResponse"}[dialect]
	if path == "" {
		if m.Str("role") == "tool" || m.Str("type") == "function_call_output" {
			return []string{firstText(m, "content", "output")}
		}
		return nil
	}
	var out []string
	found, _ := cases.Select(m, path)
	for _, part := range found {
		switch {
		case dialect == "gemini":
			response, _ := part.Get("response")
			out = append(out, firstText(response, "output", "result", "error"))
		case part.Str("type") == "tool_result":
			out = append(out, firstText(part, "content"))
		}
	}
	return out
}

// firstText is the text of the first member that exists, be it a string or parts.
func firstText(v cases.Value, keys ...string) string {
	for _, key := range keys {
		m, ok := v.Get(key)
		switch {
		case !ok:
		case m.Kind == cases.String:
			return m.Text
		case m.Kind == cases.Array:
			text := ""
			for _, part := range m.Items {
				text += part.Str("text")
			}
			return text
		default:
			return string(m.Raw)
		}
	}
	return string(v.Raw)
}
