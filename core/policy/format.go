package policy

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fmt puts expressions that YAML would misread into single quotes, removes
// trailing blanks and ends the file with one newline. Comments, order and
// layout stay as they are. It also mends files the YAML parser refuses, which
// is what an unquoted ternary or a leading quote usually leads to. The error
// tells where YAML still cannot be read afterwards.
func Fmt(src []byte) ([]byte, error) {
	var out bytes.Buffer
	f := newFormatter()
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	for _, line := range strings.Split(strings.TrimRight(text, "\n \t"), "\n") {
		out.WriteString(f.line(line))
		out.WriteByte('\n')
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(out.Bytes(), &doc); err != nil {
		var diags []Diagnostic
		openSource(Layer{Data: out.Bytes()}, &diags)
		for _, d := range diags {
			return out.Bytes(), d.Diagnostic
		}
		return out.Bytes(), err
	}
	return out.Bytes(), nil
}

// expressionFields maps the names of fields that hold expressions to true, and
// all other fields of rules to false.
func expressionFields() map[string]bool {
	out := map[string]bool{}
	for _, h := range Hooks() {
		for _, f := range append(common(), h.fields...) {
			switch f.kind {
			case fieldBool, fieldNumber, fieldDecision, fieldThink, fieldNumbers, fieldDuration:
				out[f.name] = true
			default:
				out[f.name] = out[f.name] || false
			}
		}
	}
	return out
}

type formatter struct {
	fields map[string]bool
	start  *regexp.Regexp // the start of a field in a one-line rule
	// block is the indentation of a block scalar's key while inside one, plus 1.
	block int
	// list is the indentation of a by: list while inside one, plus 1.
	list int
}

func newFormatter() *formatter {
	fields := expressionFields()
	names := strings.Join(sortedKeys(fields), "|")
	return &formatter{fields: fields, start: regexp.MustCompile(`(?:^|,)\s*(` + names + `):\s`)}
}

var (
	reField1 = regexp.MustCompile(`^(\s*(?:- )?\s*)([a-z_0-9]+):(\s+)(.*)$`)
	reItem   = regexp.MustCompile(`^(\s*- )(.*)$`)
)

func (f *formatter) line(line string) string {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	if f.block > 0 {
		if strings.TrimSpace(line) == "" || indent >= f.block {
			return strings.TrimRight(line, " \t")
		}
		f.block = 0
	}
	line = strings.TrimRight(line, " \t")
	trimmed := strings.TrimLeft(line, " ")
	if trimmed == "" || trimmed[0] == '#' {
		return line
	}
	if f.list > 0 && indent < f.list-1 {
		f.list = 0
	}
	if i := strings.Index(line, "- {"); i >= 0 && strings.TrimSpace(line[:i]) == "" {
		return line[:i+2] + f.flow(line[i+2:])
	}
	if m := reField1.FindStringSubmatch(line); m != nil {
		isExpr, known := f.fields[m[2]]
		value := m[4]
		if strings.HasPrefix(value, "|") || strings.HasPrefix(value, ">") && !strings.HasPrefix(value, "> ") {
			f.block = indent + 1
			if strings.HasPrefix(trimmed, "- ") {
				f.block = indent + 3
			}
			return line
		}
		f.list = 0
		if known && isExpr && value != "" {
			return m[1] + m[2] + ":" + m[3] + quoteValue(value, m[2] == "by", false)
		}
		return line
	}
	if strings.HasSuffix(trimmed, "by:") {
		f.list = indent + 1
		return line
	}
	if m := reItem.FindStringSubmatch(line); m != nil && f.list > 0 {
		if strings.HasPrefix(m[2], "|") || strings.HasPrefix(m[2], ">") {
			f.block = len(m[1])
			return line
		}
		return m[1] + quoteValue(m[2], false, false)
	}
	return line
}

// quoteValue quotes one expression if YAML would misread it. A comment after
// the value is only recognised where the expression is complete before it.
func quoteValue(value string, list, inFlow bool) string {
	body, comment := splitComment(value)
	body = strings.TrimSpace(body)
	switch {
	case body == "" || list && strings.HasPrefix(body, "[") && closesAt(body) == len(body)-1:
		return value
	case wholeQuoted(body):
		return value
	case !misread(body, inFlow):
		return value
	}
	quoted := "'" + strings.ReplaceAll(body, "'", "''") + "'"
	if comment != "" {
		quoted += "  " + comment
	}
	return quoted
}

// splitComment separates a trailing comment. " # " inside brackets or quotes is
// the element of a predicate, not a comment.
func splitComment(value string) (body, comment string) {
	at := len(value)
	unquoted(value, func(i, depth int) bool {
		if value[i] == '#' && depth <= 0 && i > 0 && value[i-1] == ' ' {
			at = i
		}
		return at == len(value)
	})
	return value[:at], value[at:]
}

// unquoted visits the bytes of an expression that are outside quotes, with the
// number of brackets around them (a bracket is not around itself), until visit
// says to stop.
func unquoted(s string, visit func(i, depth int) bool) {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
			continue
		case c == ')' || c == ']' || c == '}':
			depth--
		}
		if !visit(i, depth) {
			return
		}
		switch c {
		case '"', '\'':
			quote = c
		case '(', '[', '{':
			depth++
		}
	}
}

// wholeQuoted tells whether a value is one YAML quoted scalar.
func wholeQuoted(s string) bool {
	if len(s) < 2 {
		return false
	}
	switch s[0] {
	case '\'':
		inner := strings.ReplaceAll(s[1:], "''", "")
		return strings.IndexByte(inner, '\'') == len(inner)-1
	case '"':
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				return i == len(s)-1
			}
		}
	}
	return false
}

// misread tells whether YAML reads an unquoted value as something else.
func misread(s string, inFlow bool) bool {
	if strings.ContainsRune("\"'[]{}!*&%@`|>?,#", rune(s[0])) || strings.HasPrefix(s, "- ") {
		return true
	}
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") {
		return true
	}
	return inFlow && strings.ContainsAny(s, ",[]{}")
}

// closesAt finds the bracket that closes the first one of s, which s starts with;
// -1 if there is none.
func closesAt(s string) int {
	at := -1
	unquoted(s, func(i, depth int) bool {
		if i > 0 && depth == 0 {
			at = i
		}
		return at < 0
	})
	return at
}

// flow formats a one-line rule. Fields are told from commas in expressions by
// the names a rule can have.
func (f *formatter) flow(s string) string {
	end := closesAt(s)
	if end < 0 || s[0] != '{' {
		return s
	}
	rest := s[end+1:]
	body := s[1:end]
	starts := topLevel(body, f.start.FindAllStringSubmatchIndex(body, -1))
	if len(starts) == 0 || strings.TrimSpace(body[:starts[0][0]]) != "" {
		return s
	}
	var parts []string
	for i, at := range starts {
		stop := len(body)
		if i+1 < len(starts) {
			stop = starts[i+1][0]
		}
		name, value := body[at[2]:at[3]], strings.TrimSpace(body[at[1]:stop])
		if f.fields[name] && value != "" {
			value = quoteValue(value, name == "by", true)
		}
		parts = append(parts, fmt.Sprintf("%s: %s", name, value))
	}
	lead := body[:len(body)-len(strings.TrimLeft(body, " "))]
	return "{" + lead + strings.Join(parts, ", ") + body[len(strings.TrimRight(body, " ")):] + "}" + rest
}

// topLevel keeps the matches that are not inside brackets or quotes.
func topLevel(s string, matches [][]int) [][]int {
	top := make([]bool, len(s)+1)
	unquoted(s, func(i, depth int) bool {
		top[i] = depth <= 0
		return true
	})
	return slices.DeleteFunc(matches, func(m []int) bool { return !top[m[2]] })
}
