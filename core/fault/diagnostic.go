package fault

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Diagnostic is a problem at a place in a file. It is printed for people and
// is JSON for the admin interface.
type Diagnostic struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 = the file as a whole
	Column  int    `json:"column"` // in characters, from 1; 0 = the line as a whole
	Message string `json:"message"`

	// Excerpt is the offending line with a caret under the place, see
	// [Excerpt]; "" if there is nothing to show.
	Excerpt string `json:"excerpt,omitempty"`
}

// String returns "file:line:col: message" without the parts that are unknown.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		b.WriteByte(':')
	}
	if d.Line > 0 {
		b.WriteString(strconv.Itoa(d.Line))
		b.WriteByte(':')
		if d.Column > 0 {
			b.WriteString(strconv.Itoa(d.Column))
			b.WriteByte(':')
		}
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(d.Message)
	return b.String()
}

// Error makes a Diagnostic usable as an error.
func (d Diagnostic) Error() string { return d.String() }

// Text returns String followed by the excerpt on lines of its own.
func (d Diagnostic) Text() string {
	if d.Excerpt == "" {
		return d.String()
	}
	return d.String() + "\n" + d.Excerpt
}

// At returns a Diagnostic for a place in a source text, with its excerpt.
func At(file string, src []byte, line, column int, message string) Diagnostic {
	return Diagnostic{File: file, Line: line, Column: column, Message: message, Excerpt: Excerpt(src, line, column)}
}

// maxExcerpt bounds the width of an excerpt in characters.
const maxExcerpt = 120

// Excerpt returns the given line of src and, below it, a caret under the
// given column; "" if there is no such line. A long line is cut around the
// column, tabs are kept so that the caret stays in place.
func Excerpt(src []byte, line, column int) string {
	if line < 1 {
		return ""
	}
	rest := string(src)
	for ; line > 1; line-- {
		_, after, found := strings.Cut(rest, "\n")
		if !found {
			return ""
		}
		rest = after
	}
	text, _, _ := strings.Cut(rest, "\n")
	text = strings.ToValidUTF8(strings.TrimSuffix(text, "\r"), string(utf8.RuneError))
	if column < 1 {
		column = 0
	}
	runes := []rune(text)
	caret := min(max(column-1, 0), len(runes))
	prefix := ""
	if len(runes) > maxExcerpt {
		from := min(max(caret-maxExcerpt/2, 0), len(runes)-maxExcerpt)
		to := from + maxExcerpt
		suffix := ""
		if to < len(runes) {
			suffix = "…"
		}
		if from > 0 {
			prefix = "…"
		}
		runes, caret = runes[from:to], caret-from
		text = prefix + string(runes) + suffix
	}
	if column == 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text)
	b.WriteByte('\n')
	if prefix != "" {
		b.WriteByte(' ')
	}
	for _, r := range runes[:caret] {
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteByte('^')
	return b.String()
}
