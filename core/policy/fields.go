package policy

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value compiles one payload field; problems are reported and yield nil.
func (c *fieldCompiler) value(f field, n *yaml.Node) *value {
	if !c.src.checkTag(n, c.w) {
		return nil
	}
	v := &value{field: f}
	ok := false
	switch f.kind {
	case fieldBool:
		v.prog, ok = c.expr(n, wantBool)
	case fieldNumber:
		v.prog, ok = c.expr(n, wantNumber)
	case fieldDecision:
		v.prog, ok = c.expr(n, wantDecision)
	case fieldThink:
		v.prog, ok = c.expr(n, wantThink)
	case fieldNumbers:
		ok = c.list(n, func(item *yaml.Node) bool {
			p, ok := c.expr(item, wantNumber)
			v.progs = append(v.progs, p)
			return ok
		})
	case fieldDuration:
		v.prog, v.ms, ok = c.duration(n)
	case fieldText:
		v.text, ok = c.template(n)
	case fieldTexts:
		ok = c.list(n, func(item *yaml.Node) bool {
			t, ok := c.template(item)
			v.texts = append(v.texts, t)
			return ok
		})
	case fieldMap:
		v.sets, ok = c.setters(n)
	case fieldFlag:
		ok = true
		before := len(*c.src.diags)
		c.src.boolean(n, c.w, &v.flag)
		ok = len(*c.src.diags) == before
	case fieldCount:
		v.count, ok = c.count(n)
	case fieldName:
		v.name, ok = c.name(f, n)
	case fieldShares:
		ok = c.list(n, func(item *yaml.Node) bool {
			x, err := strconv.ParseFloat(item.Value, 64)
			if err != nil || x < 0 || x > 1 {
				c.src.report(item, Error, c.w, "must be a number from 0 to 1")
				return false
			}
			v.shares = append(v.shares, x)
			return true
		})
	}
	if !ok {
		return nil
	}
	return v
}

// scalarText returns the text of a scalar that holds an expression or template.
func (c *fieldCompiler) scalarText(n *yaml.Node) (string, bool) {
	n = resolve(n)
	switch {
	case n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode:
		c.src.report(n, Error, c.w, "an expression is expected here; a value that begins with [ or { is YAML syntax: %s", quoteIt)
		return "", false
	case n.Tag == "!!null":
		c.src.report(n, Error, c.w, "the value is empty%s", c.src.scalarHint(n))
		return "", false
	}
	return n.Value, c.src.checkTag(n, c.w)
}

func (c *fieldCompiler) expr(n *yaml.Node, w want) (*program, bool) {
	src, ok := c.scalarText(n)
	if !ok {
		return nil, false
	}
	p, err := c.x.compile(c.env, src, w)
	if err != nil {
		c.src.expression(n, 0, c.w, err)
		return nil, false
	}
	return p, true
}

// list reads a sequence, or a single value as a sequence of one.
func (c *fieldCompiler) list(n *yaml.Node, item func(*yaml.Node) bool) bool {
	if n.Kind != yaml.SequenceNode {
		return item(n)
	}
	if len(n.Content) == 0 {
		c.src.report(n, Error, c.w, "the list is empty")
		return false
	}
	ok := true
	for _, x := range n.Content {
		ok = item(resolve(x)) && ok
	}
	return ok
}

func (c *fieldCompiler) duration(n *yaml.Node) (*program, int, bool) {
	src, ok := c.scalarText(n)
	if !ok {
		return nil, 0, false
	}
	if isDuration(src) {
		ms, _ := parseDuration(src)
		return nil, ms, true
	}
	p, ok := c.expr(n, wantInt)
	return p, 0, ok
}

func (c *fieldCompiler) count(n *yaml.Node) (int, bool) {
	v, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || err != nil:
		c.src.report(n, Error, c.w, "must be a whole number")
		return 0, false
	case c.w.field == "status" && (v < 400 || v > 599):
		c.src.report(n, Error, c.w, "must be an HTTP status from 400 to 599")
		return 0, false
	case v < 0:
		c.src.report(n, Error, c.w, "must not be negative")
		return 0, false
	}
	return v, true
}

func (c *fieldCompiler) name(f field, n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		c.src.report(n, Error, c.w, "must be a plain text")
		return "", false
	}
	if len(f.values) > 0 && !slices.Contains(f.values, n.Value) {
		c.src.report(n, Error, c.w, "must be %s, not %q%s", strings.Join(f.values, ", "), n.Value, didYouMean(n.Value, f.values))
		return "", false
	}
	if f.check != nil {
		if err := f.check(n.Value); err != nil {
			c.src.report(n, Error, c.w, "%s", err)
			return "", false
		}
	}
	return n.Value, true
}

func (c *fieldCompiler) setters(n *yaml.Node) ([]setter, bool) {
	if n.Kind != yaml.MappingNode {
		c.src.report(n, Error, c.w, "must be a mapping of body paths to expressions")
		return nil, false
	}
	var out []setter
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if key == "model" || key == "stream" || key == "messages" {
			c.src.report(n.Content[i], Error, c.w, "%s cannot be set here", key)
			ok = false
			continue
		}
		p, good := c.expr(resolve(n.Content[i+1]), wantAny)
		ok = ok && good
		out = append(out, setter{key, p})
	}
	return out, ok
}

// template compiles a text with ${expression} holes; $${ stands for ${.
func (c *fieldCompiler) template(n *yaml.Node) (*template, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		c.src.report(n, Error, c.w, "a text is expected here")
		return nil, false
	}
	if n.Tag == "!!null" {
		return &template{}, true
	}
	holes, err := splitTemplate(n.Value)
	if err != nil {
		c.src.expression(n, 0, c.w, err)
		return nil, false
	}
	t, ok := &template{}, true
	dynamic := false
	for _, h := range holes {
		if !h.expr {
			t.parts = append(t.parts, part{text: h.text})
			t.fixed += h.text
			continue
		}
		dynamic = true
		p, err := c.x.compile(c.env, h.text, wantAny)
		if err != nil {
			c.src.expression(n, h.offset, c.w, err)
			ok = false
			continue
		}
		t.parts = append(t.parts, part{hole: p})
	}
	if !dynamic {
		t.parts = nil
	}
	return t, ok
}

// hole is a piece of a template: a text, or an expression at an offset (in
// characters) of the template.
type hole struct {
	text   string
	expr   bool
	offset int
}

func splitTemplate(s string) ([]hole, *exprError) {
	var out []hole
	var plain strings.Builder
	runes := []rune(s)
	for i := 0; i < len(runes); {
		switch {
		case hasPrefix(runes[i:], "$${"):
			plain.WriteString("${")
			i += 3
		case hasPrefix(runes[i:], "${"):
			end := closing(runes, i+2)
			if end < 0 {
				return nil, &exprError{msg: "the ${ is never closed; write $${ for a literal ${", from: i}
			}
			if plain.Len() > 0 {
				out = append(out, hole{text: plain.String()})
				plain.Reset()
			}
			out = append(out, hole{text: string(runes[i+2 : end]), expr: true, offset: i + 2})
			i = end + 1
		default:
			plain.WriteRune(runes[i])
			i++
		}
	}
	if plain.Len() > 0 {
		out = append(out, hole{text: plain.String()})
	}
	return out, nil
}

func hasPrefix(runes []rune, prefix string) bool {
	return len(runes) >= len(prefix) && string(runes[:len(prefix)]) == prefix
}

// closing finds the } that ends a hole, minding quotes and inner braces.
func closing(runes []rune, i int) int {
	depth, quote := 1, rune(0)
	for ; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote != 0:
			if r == '\\' && quote != '`' {
				i++
			} else if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"' || r == '`':
			quote = r
		case r == '{':
			depth++
		case r == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
