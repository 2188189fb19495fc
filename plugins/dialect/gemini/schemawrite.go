package gemini

import "github.com/omniroute/omniroute/sdk/jsn"

// append writes a resolved node.
func (c *cleaner) append(dst []byte, n *node, depth int) []byte {
	variants := n.union
	if len(variants) == 0 && len(n.types) > 1 {
		for _, t := range n.types {
			v := *n
			v.types, v.nullable = []string{t}, false
			variants = append(variants, &v)
		}
	}
	if len(variants) == 0 {
		return c.appendPlain(dst, n, depth)
	}
	if c.level == Strict {
		best := richest(variants)
		best.nullable = best.nullable || n.nullable
		if best.description == nil {
			best.description = n.description
		}
		return c.append(dst, best, depth)
	}
	dst = append(dst, `{"anyOf":[`...)
	for _, v := range variants {
		v.nullable = v.nullable || n.nullable
		dst = c.append(jsn.Sep(dst), v, depth+1)
	}
	return append(dst, ']', '}')
}

// richest picks the branch that says most: object before array before scalar, the
// first one on a tie. A type list counts by its first type.
func richest(variants []*node) *node {
	rank := func(n *node) int {
		switch n.kind() {
		case "object":
			return 0
		case "array":
			return 1
		}
		return 2
	}
	best := variants[0]
	for _, v := range variants[1:] {
		if len(v.union) > 0 {
			v = richest(v.union)
		}
		if rank(v) < rank(best) {
			best = v
		}
	}
	if len(best.types) > 1 {
		best.types = best.types[:1]
	}
	return best
}

// appendPlain writes a node that is no union.
func (c *cleaner) appendPlain(dst []byte, n *node, depth int) []byte {
	typ := n.kind()
	enum := n.cleanEnum(typ)
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "type", typ)
	if n.description != nil || n.note != "" {
		dst = append(jsn.AppendKey(dst, "description"), '"')
		dst = append(dst, n.description...)
		if n.note != "" {
			if len(n.description) > 0 {
				dst = append(dst, ' ')
			}
			dst = jsn.AppendEscaped(dst, n.note)
		}
		dst = append(dst, '"')
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
		dst = n.appendConstraints(dst, typ, len(enum) > 0)
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
		if !n.hasProperty(r) {
			continue
		}
		if !opened {
			dst, opened = append(jsn.AppendKey(dst, "required"), '['), true
		}
		dst = jsn.AppendStr(jsn.Sep(dst), r)
	}
	if opened {
		dst = append(dst, ']')
	}
	return jsn.AppendMember(dst, "propertyOrdering", n.ordering)
}

func (n *node) hasProperty(name jsn.Str) bool {
	for i := range n.props {
		if string(n.props[i].name) == string(name) {
			return true
		}
	}
	return false
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
func (n *node) cleanEnum(typ string) []jsn.Str {
	if !n.hasEnum {
		return nil
	}
	var values []jsn.Str
	words := ""
	for _, v := range n.enum {
		if jsn.IsNull(v) {
			n.nullable = true
			continue
		}
		s := jsn.StrOf(v)
		if s == nil {
			s = jsn.Lit(string(v))
		}
		if typ != "string" {
			if words != "" {
				words += ", "
			}
			words += string(v)
			continue
		}
		if len(s) > 0 {
			values = append(values, s)
		}
	}
	if words != "" {
		n.note = joinNote(n.note, "Allowed values: "+words)
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
func (n *node) appendConstraints(dst []byte, typ string, hasEnum bool) []byte {
	if formatAllowed(typ, n.format) && (n.format != "enum" || hasEnum) {
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
