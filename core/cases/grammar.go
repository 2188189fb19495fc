package cases

import "fmt"

// HasGrammar reports whether streams of a client format can be checked.
func HasGrammar(format string) bool { return grammarOf(format) != nil }

// CheckGrammar checks a whole stream against the rules of its client format and
// returns the violations. request is the client's own request, nil when unknown.
func CheckGrammar(format string, events []Event, request []byte) []string {
	check := grammarOf(format)
	if check == nil {
		return []string{"no grammar for format " + format}
	}
	g := &grammar{request: request}
	list := make([]Value, len(events))
	for i, e := range events {
		v, err := Parse(e.Data)
		if err != nil {
			return []string{fmt.Sprintf("event %d is no good JSON: %v", i, err)}
		}
		list[i] = v
	}
	if len(events) == 0 {
		return []string{"the stream is empty"}
	}
	check(g, events, list)
	return g.problems
}

// grammar collects the violations found in one stream.
type grammar struct {
	request  []byte
	problems []string
}

func (g *grammar) bad(i int, format string, args ...any) {
	g.problems = append(g.problems, fmt.Sprintf("event %d: ", i)+fmt.Sprintf(format, args...))
}

func grammarOf(format string) func(*grammar, []Event, []Value) {
	switch format {
	case "claude":
		return (*grammar).claude
	case "openai":
		return (*grammar).openai
	case "openai-responses":
		return (*grammar).responses
	case "gemini":
		return (*grammar).gemini
	}
	return nil
}

// asked reports whether the client's request has a boolean true under the path.
func (g *grammar) asked(path string) bool {
	v, err := Parse(g.request)
	if err != nil {
		return false
	}
	found, _ := Select(v, path)
	return len(found) == 1 && found[0].Bool
}

// isObjectText reports whether text parses as a JSON object.
func isObjectText(text string) bool {
	v, err := Parse([]byte(text))
	return err == nil && v.Kind == Object
}

func at(v Value, path string) (Value, bool) {
	found, err := Select(v, path)
	if err != nil || len(found) != 1 {
		return Value{}, false
	}
	return found[0], true
}

func kindAt(v Value, path string, k Kind) bool {
	x, ok := at(v, path)
	return ok && x.Kind == k
}

func textAt(v Value, path string) string {
	x, _ := at(v, path)
	if x.Kind != String {
		return ""
	}
	return x.Text
}

func intAt(v Value, path string) int {
	x, ok := at(v, path)
	if n, isInt := x.Int(); ok && isInt {
		return n
	}
	return -1
}

// present reports a member that is there and not null.
func present(v Value, path string) bool {
	x, ok := at(v, path)
	return ok && x.Kind != Null
}
