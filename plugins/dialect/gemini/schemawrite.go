package gemini

import "github.com/omniroute/omniroute/sdk/jsn"

// append writes a resolved node.
func (c *cleaner) append(dst []byte, n *node, depth int) []byte {
	if c.level == Strict {
		return c.appendPlain(dst, n.flat(), depth)
	}
	variants := n.union
	if len(variants) == 0 && len(n.types) > 1 {
		for _, t := range n.types {
			v := *n
			v.types = []string{t}
			variants = append(variants, &v)
		}
	}
	if len(variants) == 0 {
		return c.appendPlain(dst, n, depth)
	}
	dst = append(dst, `{"anyOf":[`...)
	for _, v := range variants {
		v.nullable = v.nullable || n.nullable
		dst = c.append(jsn.Sep(dst), v, depth+1)
	}
	return append(dst, ']', '}')
}

// flat returns the node without unions (AG-2): merged with its richest branch, an object
// before an array before a scalar, the first one on a tie; a type list counts by its
// first type.
func (n *node) flat() *node {
	if len(n.types) > 1 {
		n.types = n.types[:1]
	}
	if len(n.union) == 0 {
		return n
	}
	var best *node
	for _, v := range n.union {
		if v = v.flat(); best == nil || v.rank() < best.rank() {
			best = v
		}
	}
	n.union = nil
	n.merge(best, true)
	return n
}

func (n *node) rank() int {
	switch n.kind() {
	case "object":
		return 0
	case "array":
		return 1
	}
	return 2
}

// appendPlain writes a node that is no union.
func (c *cleaner) appendPlain(dst []byte, n *node, depth int) []byte {
	typ := n.kind()
	enum := n.cleanEnum(c.tokens, typ)
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "type", typ)
	if n.description != nil || n.note != nil {
		dst = jsn.AppendStrMember(dst, "description", joinNote(n.description, n.note))
	}
	if n.nullable {
		dst = jsn.AppendBoolMember(dst, "nullable", true)
	}
	if len(enum) > 0 {
		dst = append(jsn.AppendKey(dst, "enum"), '[')
		for _, v := range enum {
			dst = jsn.AppendStr(jsn.Sep(dst), v)
		}
		dst = append(dst, ']')
	}
	if c.level == Public {
		dst = n.appendConstraints(dst, typ)
	}
	switch typ {
	case "array":
		dst = jsn.AppendKey(dst, "items")
		dst = c.child(dst, n.items, n.itemsRefs, depth)
	case "object":
		dst = c.appendProperties(dst, n, depth)
	}
	return append(dst, '}')
}

// appendProperties writes the members of an object, and only the required names that
// exist (G-8).
func (c *cleaner) appendProperties(dst []byte, n *node, depth int) []byte {
	if len(n.props) == 0 {
		if c.level == Strict {
			dst = append(dst, `,"properties":{"reason":{"type":"string","description":"Why this is called."}},"required":["reason"]`...)
		}
		return dst
	}
	dst = append(jsn.AppendKey(dst, "properties"), '{')
	for i := range n.props {
		p := &n.props[i]
		dst = append(jsn.AppendStr(jsn.Sep(dst), p.name), ':')
		dst = c.child(dst, p.raw, p.refs, depth)
	}
	dst = append(dst, '}')
	opened := false
	for _, r := range n.required {
		name, ok := n.property(c.tokens, r)
		if !ok {
			continue
		}
		if !opened {
			dst, opened = append(jsn.AppendKey(dst, "required"), '['), true
		}
		dst = jsn.AppendStr(jsn.Sep(dst), name)
	}
	if opened {
		dst = append(dst, ']')
	}
	return jsn.AppendMember(dst, "propertyOrdering", n.ordering)
}

// property returns the name of a property as it stands under properties, given one that
// may be escaped in another way.
func (n *node) property(t jsn.Tokens, name jsn.Str) (jsn.Str, bool) {
	for i := range n.props {
		if string(n.props[i].name) == string(name) {
			return name, true
		}
	}
	want := t.Decode(name)
	for i := range n.props {
		if t.Decode(n.props[i].name) == want {
			return n.props[i].name, true
		}
	}
	return nil, false
}

// child cleans a schema below the current node, on the reference path it was found.
func (c *cleaner) child(dst, raw []byte, refs []string, depth int) []byte {
	saved := c.refs
	c.refs = append([]string(nil), refs...)
	n := c.node(raw, depth+1)
	dst = c.append(dst, n, depth+1)
	c.refs = saved
	return dst
}

// cleanEnum returns the enum values as string content (G-7). On a type that has no
// enum they become words in the description.
func (n *node) cleanEnum(t jsn.Tokens, typ string) []jsn.Str {
	if !n.hasEnum {
		return nil
	}
	var values []jsn.Str
	var words jsn.Str
	for _, v := range n.enum {
		if jsn.IsNull(v) {
			n.nullable = true
			continue
		}
		if typ != "string" {
			if words != nil {
				words = append(words, ", "...)
			}
			words = t.AppendQuoted(words, v)
			continue
		}
		s := jsn.StrOf(v)
		if s == nil {
			s = t.AppendQuoted(nil, jsn.AppendCompact(nil, v))
		}
		if len(s) > 0 {
			values = append(values, s)
		}
	}
	if words != nil {
		n.note = joinNote(n.note, append(jsn.Str("Allowed values: "), words...))
	}
	return values
}

// formatAllowed tells whether the API knows a format on a type (G-8).
func formatAllowed(typ, format string) bool {
	switch format {
	case "enum", "date-time":
		return typ == "string"
	case "float", "double":
		return typ == "number"
	case "int32", "int64":
		return typ == "integer"
	}
	return false
}

// appendConstraints writes the constraints that only the public API understands.
func (n *node) appendConstraints(dst []byte, typ string) []byte {
	if formatAllowed(typ, n.format) {
		dst = jsn.AppendStringMember(dst, "format", n.format)
	}
	for i, name := range boundNames() {
		dst = jsn.AppendMember(dst, name, n.bounds[i])
	}
	if n.pattern != nil {
		dst = jsn.AppendStrMember(dst, "pattern", n.pattern)
	}
	return dst
}
