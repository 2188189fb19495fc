package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/core/fault"
	"go.yaml.in/yaml/v3"
)

// source is one layer being read, with everything needed to point into it.
type source struct {
	layer Layer
	root  *yaml.Node // the mapping under "policies", nil if there is none
	lines []string
	diags *[]Diagnostic
}

// where is the place of a problem in terms of rules.
type where struct{ hook, rule, field string }

func openSource(layer Layer, diags *[]Diagnostic) *source {
	s := &source{layer: layer, diags: diags}
	if len(layer.Data) > 0 {
		s.lines = strings.Split(string(layer.Data), "\n")
	}
	if layer.Node != nil {
		s.root = s.bounded(s.mapping(layer.Node, "policies"))
		return s
	}
	dec := yaml.NewDecoder(bytes.NewReader(layer.Data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			s.yamlError(err)
		} else {
			s.at(1, 1, Error, where{}, "the file is empty; rules belong under \"policies:\"")
		}
		return s
	}
	if dec.Decode(&yaml.Node{}) == nil {
		s.at(1, 1, Error, where{}, "the file has more than one YAML document")
	}
	top := s.mapping(doc.Content[0], "the file")
	if top == nil {
		return s
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == "policies" {
			s.root = s.bounded(s.mapping(top.Content[i+1], "policies"))
			return s
		}
	}
	s.report(top, Error, where{}, "there is no \"policies:\" in the file")
	return s
}

// mapping checks that a node is a mapping and resolves an alias.
func (s *source) mapping(n *yaml.Node, what string) *yaml.Node {
	n = resolve(n)
	if n.Kind == yaml.MappingNode {
		return n
	}
	if n.Tag != "!!null" {
		s.report(n, Error, where{}, "%s must be a mapping of names to values", what)
	}
	return nil
}

// maxYAML and maxYAMLDepth bound the tree after its aliases are followed.
const (
	maxYAML      = 200_000
	maxYAMLDepth = 64
)

// bounded refuses trees that aliases make huge or endless.
func (s *source) bounded(root *yaml.Node) *yaml.Node {
	if root == nil {
		return nil
	}
	left := maxYAML
	var visit func(n *yaml.Node, depth int) bool
	visit = func(n *yaml.Node, depth int) bool {
		n = resolve(n)
		if left--; left < 0 || depth > maxYAMLDepth || n.Kind == yaml.AliasNode {
			return false
		}
		for _, c := range n.Content {
			if !visit(c, depth+1) {
				return false
			}
		}
		return true
	}
	if visit(root, 0) {
		return root
	}
	s.report(root, Error, where{}, "the rules are nested too deeply or are too many, with all YAML aliases followed")
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && i < 16; i++ {
		n = n.Alias
	}
	return n
}

func (s *source) report(n *yaml.Node, sev Severity, w where, format string, args ...any) {
	s.at(n.Line, n.Column, sev, w, format, args...)
}

func (s *source) at(line, column int, sev Severity, w where, format string, args ...any) {
	d := Diagnostic{Severity: sev, Hook: w.hook, Rule: w.rule, Field: w.field}
	d.Diagnostic = fault.At(s.layer.File, s.layer.Data, line, column, describe(w)+fmt.Sprintf(format, args...))
	*s.diags = append(*s.diags, d)
}

// describe names a rule and field in front of a message.
func describe(w where) string {
	out := w.hook
	for _, part := range []string{w.rule, w.field} {
		if part != "" {
			out += "." + part
		}
	}
	if out != "" {
		out += ": "
	}
	return out
}

// expression reports a problem in an expression held by a scalar. skip is the
// offset of the expression in the scalar's value, in characters.
func (s *source) expression(n *yaml.Node, skip int, w where, e *exprError) {
	line, column := s.locate(n, skip+e.from)
	s.at(line, column, Error, w, "%s%s", e.msg, s.scalarHint(n))
}

var reYAML = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// yamlError turns an error of the YAML parser into a diagnostic which says what
// is most likely wrong: the parser only knows that a mapping looks odd.
func (s *source) yamlError(err error) {
	line, msg := 1, err.Error()
	if m := reYAML.FindStringSubmatch(msg); m != nil {
		msg = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	// The parser reports the line where it gave up, often the one after.
	hint := ""
	places := []int{line, line - 1, line + 1}
	for i := range s.lines {
		if text := s.lines[i]; reQuoted.MatchString(text) || reTernary.MatchString(text) || reSpecial.MatchString(text) || reAnchor.MatchString(text) {
			places = append(places, i+1)
		}
	}
	for _, l := range places {
		if hint = s.lineHint(l); hint != "" {
			line = l
			break
		}
	}
	s.at(line, 1, Error, where{}, "YAML: %s%s", msg, hint)
}

var (
	reComment = regexp.MustCompile(`[({\[,|&]\s*[^'"]*\s#[\w\s.=!<>,()]`)
	reTernary = regexp.MustCompile(`:\s+[^'"\s][^'"]*\?[^'"]*\s:\s`)
	reQuoted  = regexp.MustCompile(`:\s+("[^"]*"|'[^']*')\s+[^\s,}#]`)
	reSpecial = regexp.MustCompile("[:,{]\\s+[@`%]")
	reAnchor  = regexp.MustCompile(`:\s+[*&]`)
)

const quoteIt = "put the whole expression in single quotes or use a >- block (policy fmt does it)"

// lineHint recognises what usually goes wrong when an expression is written
// into YAML without quotes.
func (s *source) lineHint(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text := s.lines[line-1]
	switch {
	case reQuoted.MatchString(text):
		return "; a value that begins with a quote ends at the closing one: " + quoteIt
	case reTernary.MatchString(text):
		return "; \": \" inside an unquoted value starts a mapping: " + quoteIt
	case reSpecial.MatchString(text):
		return "; a value cannot begin with @, % or a backtick: " + quoteIt
	case reAnchor.MatchString(text):
		return "; * and & at the beginning of a value are YAML aliases and anchors: " + quoteIt
	case reComment.MatchString(text):
		return "; a # after a blank starts a comment, so the rest of the line is lost: " + quoteIt
	}
	return ""
}

// scalarHint explains an expression that YAML has cut short.
func (s *source) scalarHint(n *yaml.Node) string {
	if n.Style != 0 && n.Style != yaml.FlowStyle || n.Line < 1 || n.Line > len(s.lines) {
		return ""
	}
	rest := s.lines[n.Line-1]
	if i := strings.Index(rest, n.Value); i >= 0 {
		rest = strings.TrimLeft(rest[i+len(n.Value):], " ")
		if strings.HasPrefix(rest, "#") && unbalanced(n.Value) {
			return "; a # after a blank starts a comment, so YAML cut the expression off: " + quoteIt
		}
		if strings.HasPrefix(rest, ",") && unbalanced(n.Value) {
			return "; inside {…} a comma ends an unquoted value: " + quoteIt
		}
	}
	return ""
}

// unbalanced tells whether a bracket or the right side of an operator is missing.
func unbalanced(expr string) bool {
	depth := 0
	for _, r := range expr {
		switch r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
	}
	return depth != 0
}

// checkTag reports a scalar YAML read as something else than a value.
func (s *source) checkTag(n *yaml.Node, w where) bool {
	if n.Kind == yaml.ScalarNode && strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		s.report(n, Error, w, "YAML reads a ! at the beginning of a value as a tag: write not …, or %s", quoteIt)
		return false
	}
	if n.Anchor != "" {
		s.report(n, Error, w, "YAML reads an & at the beginning of a value as an anchor: %s", quoteIt)
		return false
	}
	return true
}

// unknownField reports a field no rule of the hook has. In a one-line mapping
// it is most often the rest of an expression with a comma in it.
func (s *source) unknownField(key, value *yaml.Node, flow bool, w where, names []string) {
	if flow && value.Tag == "!!null" {
		s.report(key, Error, w, "unknown field %q; inside {…} a comma, a bracket or a ? ends an unquoted value: %s", key.Value, quoteIt)
		return
	}
	s.report(key, Error, w, "unknown field %q%s", key.Value, didYouMean(key.Value, names))
}

// locate maps an offset in a scalar's value to its place in the file, by
// walking value and text side by side. When they cannot be matched, it is the
// place of the scalar.
func (s *source) locate(n *yaml.Node, offset int) (line, column int) {
	if n.Line < 1 || n.Line > len(s.lines) || offset == 0 && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return n.Line, n.Column + quoteWidth(n)
	}
	c := cursor{lines: s.lines, line: n.Line - 1, col: 0}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		c.line++
		c.blanks()
	} else {
		c.col = byteColumn(s.lines[c.line], n.Column) + quoteWidth(n)
	}
	for i, r := range []rune(n.Value) {
		if i == offset {
			break
		}
		if !c.step(r, n.Style) {
			return n.Line, n.Column
		}
	}
	if c.line >= len(c.lines) {
		return n.Line, n.Column
	}
	return c.line + 1, utf8.RuneCountInString(c.lines[c.line][:min(c.col, len(c.lines[c.line]))]) + 1
}

func quoteWidth(n *yaml.Node) int {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return 1
	}
	return 0
}

func byteColumn(line string, column int) int {
	for i := range line {
		if column--; column == 0 {
			return i
		}
	}
	return len(line)
}

// cursor walks the text of a scalar.
type cursor struct {
	lines     []string
	line, col int
}

// blanks moves over line ends and indentation.
func (c *cursor) blanks() {
	for c.line < len(c.lines) {
		text := strings.TrimSuffix(c.lines[c.line], "\r")
		for c.col < len(text) && (text[c.col] == ' ' || text[c.col] == '\t') {
			c.col++
		}
		if c.col < len(text) {
			return
		}
		c.line, c.col = c.line+1, 0
	}
}

// step moves over one character of the value.
func (c *cursor) step(r rune, style yaml.Style) bool {
	if c.line >= len(c.lines) {
		return false
	}
	text := strings.TrimSuffix(c.lines[c.line], "\r")
	if c.col >= len(text) {
		c.blanks()
		return r == ' ' || r == '\n'
	}
	got, size := utf8.DecodeRuneInString(text[c.col:])
	switch {
	case style&yaml.SingleQuotedStyle != 0 && r == '\'' && strings.HasPrefix(text[c.col:], "''"):
		size = 2
	case style&yaml.DoubleQuotedStyle != 0 && got == '\\' && c.col+1 < len(text):
		_, next := utf8.DecodeRuneInString(text[c.col+1:])
		size = 1 + next
	case got != r:
		return false
	}
	if c.col += size; r == ' ' && c.col >= len(text) { // blanks before a folded line end
		c.blanks()
	}
	return true
}

// checkCode, checkZone and checkClock check plain texts with a format.
func checkCode(s string) error {
	codes := make([]string, 0, 48)
	for _, e := range fault.Catalogue() {
		codes = append(codes, string(e.Code))
	}
	if slices.Contains(codes, s) {
		return nil
	}
	return fmt.Errorf("unknown error code %q%s", s, didYouMean(s, codes))
}

func checkZone(s string) error {
	_, err := zone(s)
	return err
}

func checkClock(s string) error {
	_, err := minuteOfDay(s)
	return err
}
