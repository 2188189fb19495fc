package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// Level tells how much of JSON Schema the receiving API understands.
type Level uint8

const (
	// Public is the level of the public Gemini API: unions become anyOf.
	Public Level = iota
	// Strict is the level of the code assistant back end: unions are flattened to
	// their richest branch and every object has properties.
	Strict
)

// maxSchemaDepth bounds nesting after references are inlined; deeper nodes become
// plain objects.
const maxSchemaDepth = 64

// maxSchemaNodes bounds how many nodes one schema may grow to by inlining.
const maxSchemaNodes = 20000

// AppendSchema appends the cleaned form of a JSON schema (G-1 to G-9). What is not
// on the allow list of the API is left out or turned into words in a description.
func AppendSchema(dst []byte, t jsn.Tokens, raw []byte, level Level) []byte {
	c := cleaner{tokens: t, root: raw, level: level}
	return c.append(dst, c.node(raw, 0), 0)
}

// AppendParameters appends the cleaned schema of a function's parameters, which is an
// object unless it says otherwise (T-1). It reports false, and appends nothing, for an
// object without properties (G-9).
func AppendParameters(dst []byte, t jsn.Tokens, raw []byte, level Level) ([]byte, bool) {
	c := cleaner{tokens: t, root: raw, level: level}
	n := c.node(raw, 0)
	if len(n.types) == 0 && n.union == nil {
		n.types = []string{"object"}
	}
	if level == Public && n.union == nil && n.kind() == "object" && len(n.props) == 0 {
		return dst, false
	}
	return c.append(dst, n, 0), true
}

// cleaner walks one schema. refs is the path of references being followed.
type cleaner struct {
	tokens jsn.Tokens
	root   []byte
	level  Level
	refs   []string
	nodes  int
}

// property is one member under properties; its name is data, never a keyword.
type property struct {
	name jsn.Str
	raw  []byte
	// refs is the reference path the schema of the property was reached by.
	refs []string
}

// node is one schema with its references, allOf and single-variant unions resolved.
type node struct {
	types       []string
	nullable    bool
	nullType    bool // null was named as a type
	description jsn.Str
	note        jsn.Str // words to append to the description
	enum        [][]byte
	hasEnum     bool
	format      string
	pattern     jsn.Str
	items       []byte
	itemsRefs   []string
	tuple       bool
	props       []property
	required    []jsn.Str
	ordering    []byte
	bounds      [6][]byte
	union       []*node
}

// boundNames are the numeric keywords that are kept, in the order of node.bounds.
func boundNames() [6]string {
	return [6]string{"minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength"}
}

// node reads raw, resolving what has to be resolved.
func (c *cleaner) node(raw []byte, depth int) *node {
	n := &node{}
	c.nodes++
	if jsn.KindOf(raw) != jsn.Obj {
		return n // boolean schemas are the empty schema
	}
	if depth > maxSchemaDepth || c.nodes > maxSchemaNodes {
		n.types = []string{"object"}
		return n
	}
	mark := len(c.refs)
	c.read(n, raw, depth)
	c.refs = c.refs[:mark]
	return n
}

// read takes the keywords of raw into n; what n has already wins.
func (c *cleaner) read(n *node, raw []byte, depth int) {
	var ref, allOf, anyOf, oneOf, prefix []byte
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch key := string(it.Key()); key {
		case "$ref":
			ref = v
		case "allOf":
			allOf = v
		case "anyOf":
			anyOf = v
		case "oneOf":
			oneOf = v
		case "prefixItems":
			prefix = v
		default:
			c.keyword(n, key, v)
		}
	}
	if n.items == nil {
		if it := jsn.Array(prefix); it.Next() {
			n.items, n.itemsRefs, n.tuple = it.Value(), c.path(), true
		}
	}
	// What stands beside a reference wins over what it leads to.
	for it := jsn.Array(allOf); it.Next(); {
		n.merge(c.node(it.Value(), depth+1), true)
	}
	for _, union := range [...][]byte{anyOf, oneOf} {
		c.unite(n, union, depth)
	}
	if ref != nil {
		c.reference(n, c.tokens.Decode(jsn.StrOf(ref)), depth)
	}
}

// keyword takes one keyword of the allow list unless n has it.
func (c *cleaner) keyword(n *node, key string, v []byte) {
	switch key {
	case "type":
		if len(n.types) == 0 {
			n.readType(v)
		}
	case "nullable":
		n.nullable = n.nullable || jsn.IsTrue(v)
	case "description":
		if n.description == nil {
			n.description = jsn.StrOf(v)
		}
	case "const":
		if !n.hasEnum {
			n.enum, n.hasEnum = [][]byte{v}, true
		}
	case "enum":
		if !n.hasEnum && jsn.KindOf(v) == jsn.Arr {
			n.hasEnum = true
			for it := jsn.Array(v); it.Next(); {
				n.enum = append(n.enum, it.Value())
			}
		}
	case "format":
		if n.format == "" {
			n.format = jsn.StrOf(v).String()
		}
	case "pattern":
		if n.pattern == nil {
			n.pattern = jsn.StrOf(v)
		}
	case "items":
		if n.items == nil || n.tuple {
			if jsn.KindOf(v) == jsn.Arr { // a tuple in the old spelling
				it := jsn.Array(v)
				if !it.Next() {
					return
				}
				v = it.Value()
			}
			n.items, n.itemsRefs, n.tuple = v, c.path(), false
		}
	case "properties":
		for it := jsn.Object(v); it.Next(); {
			n.addProperty(property{name: it.RawKey(), raw: it.Value(), refs: c.path()})
		}
	case "required":
		for it := jsn.Array(v); it.Next(); {
			n.addRequired(jsn.StrOf(it.Value()))
		}
	case "propertyOrdering":
		if n.ordering == nil && jsn.KindOf(v) == jsn.Arr {
			n.ordering = v
		}
	default:
		for i, name := range boundNames() {
			if key == name && n.bounds[i] == nil && jsn.KindOf(v) == jsn.Number {
				n.bounds[i] = v
			}
		}
	}
}

func (n *node) readType(v []byte) {
	add := func(raw []byte) {
		switch t := strings.ToLower(jsn.StrOf(raw).String()); t {
		case "null":
			n.nullable, n.nullType = true, true
		case "":
		default:
			n.types = append(n.types, t)
		}
	}
	if jsn.KindOf(v) != jsn.Arr {
		add(v)
		return
	}
	for it := jsn.Array(v); it.Next(); {
		add(it.Value())
	}
}

func (n *node) addProperty(p property) {
	for i := range n.props {
		if string(n.props[i].name) == string(p.name) {
			return
		}
	}
	n.props = append(n.props, p)
}

func (n *node) addRequired(name jsn.Str) {
	if name == nil {
		return
	}
	for _, have := range n.required {
		if string(have) == string(name) {
			return
		}
	}
	n.required = append(n.required, name)
}

// path returns a copy of the reference path, for schemas that are read later.
func (c *cleaner) path() []string {
	if len(c.refs) == 0 {
		return nil
	}
	return append([]string(nil), c.refs...)
}

// reference inlines a reference into the same document (G-2). A reference met again
// on its own path, or one that leads nowhere, becomes a hint.
func (c *cleaner) reference(n *node, ref string, depth int) {
	target := c.lookup(ref)
	for _, seen := range c.refs {
		if seen == ref {
			n.hint(target, ref)
			return
		}
	}
	if target == nil || depth >= maxSchemaDepth {
		n.hint(target, ref)
		return
	}
	c.refs = append(c.refs, ref)
	m := &node{}
	if jsn.KindOf(target) == jsn.Obj {
		c.read(m, target, depth+1)
	}
	n.merge(m, false)
	// The path stays until the node is complete: unions beside the reference are read
	// already, and what is read later knows the path it was found on.
}

// hint stands in for a reference that cannot be inlined.
func (n *node) hint(target []byte, ref string) {
	if len(n.types) == 0 {
		if n.readType(jsn.Get(target, "type")); len(n.types) == 0 {
			n.types = []string{"object"}
		}
	}
	see := "See: " + ref[strings.LastIndexByte(ref, '/')+1:]
	if n.description == nil {
		n.description = jsn.Lit(see)
	} else {
		n.note = joinNote(n.note, jsn.Lit("("+see+")"))
	}
}

// lookup resolves a JSON pointer written as a URI fragment; nil if it leads nowhere.
func (c *cleaner) lookup(ref string) []byte {
	if ref == "#" {
		return c.root
	}
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	v := c.root
	for seg := range strings.SplitSeq(path, "/") {
		seg = strings.ReplaceAll(strings.ReplaceAll(seg, "~1", "/"), "~0", "~")
		switch jsn.KindOf(v) {
		case jsn.Obj:
			v = c.member(v, seg)
		case jsn.Arr:
			v = element(v, seg)
		default:
			return nil
		}
	}
	return v
}

// member returns the member of a name, which may stand behind a body token.
func (c *cleaner) member(v []byte, name string) []byte {
	if got := jsn.Get(v, name); got != nil {
		return got
	}
	for it := jsn.Object(v); it.Next(); {
		if key := it.RawKey(); c.tokens.Has(key) && c.tokens.Decode(key) == name {
			return it.Value()
		}
	}
	return nil
}

func element(v []byte, index string) []byte {
	i := 0
	for it := jsn.Array(v); it.Next(); i++ {
		if string(jsn.AppendInt(nil, int64(i))) == index {
			return it.Value()
		}
	}
	return nil
}

// merge takes over what n lacks from another node. With unite, properties and required
// names of both come together (G-4); without, they are keywords like any other (G-2).
func (n *node) merge(m *node, unite bool) {
	if len(n.types) == 0 {
		n.types = m.types
	}
	n.nullable = n.nullable || m.nullable
	if n.description == nil {
		n.description = m.description
	}
	n.note = joinNote(n.note, m.note)
	if !n.hasEnum {
		n.enum, n.hasEnum = m.enum, m.hasEnum
	}
	if n.format == "" {
		n.format = m.format
	}
	if n.pattern == nil {
		n.pattern = m.pattern
	}
	if n.items == nil {
		n.items, n.itemsRefs, n.tuple = m.items, m.itemsRefs, m.tuple
	}
	if unite || len(n.props) == 0 {
		for _, p := range m.props {
			n.addProperty(p)
		}
	}
	if unite || len(n.required) == 0 {
		for _, r := range m.required {
			n.addRequired(r)
		}
	}
	if n.ordering == nil {
		n.ordering = m.ordering
	}
	for i := range n.bounds {
		if n.bounds[i] == nil {
			n.bounds[i] = m.bounds[i]
		}
	}
	if n.union == nil {
		n.union = m.union
	}
}

// unite takes the variants of anyOf or oneOf (G-5).
func (c *cleaner) unite(n *node, union []byte, depth int) {
	if jsn.KindOf(union) != jsn.Arr {
		return
	}
	var variants []*node
	bare := true
	for it := jsn.Array(union); it.Next(); {
		v := c.node(it.Value(), depth+1)
		bare = bare && v.bare()
		if v.isNull() {
			n.nullable = true
			continue
		}
		variants = append(variants, v)
	}
	switch {
	case len(variants) == 0:
	case len(variants) == 1:
		n.merge(variants[0], true)
	case bare && (len(n.types) > 0 || len(n.props) > 0):
		// Branches that only say which of the node's own properties are required are no
		// schemas of their own.
	case n.union == nil:
		n.union = variants
	}
}

// bare tells whether the node says nothing about the value but names it requires.
func (n *node) bare() bool {
	for _, b := range n.bounds {
		if b != nil {
			return false
		}
	}
	return len(n.types) == 0 && !n.nullable && !n.hasEnum && n.items == nil && len(n.props) == 0 && n.union == nil &&
		n.description == nil && n.format == "" && n.pattern == nil
}

// isNull tells whether the node admits nothing but null.
func (n *node) isNull() bool {
	if n.hasEnum {
		for _, v := range n.enum {
			if !jsn.IsNull(v) {
				return false
			}
		}
		return len(n.enum) > 0
	}
	return n.nullType && len(n.types) == 0 && n.union == nil && len(n.props) == 0 && n.items == nil
}

// kind returns the type the node will have (G-6).
func (n *node) kind() string {
	if len(n.types) > 0 {
		return n.types[0]
	}
	if t := n.enumType(); t != "" {
		return t
	}
	switch {
	case len(n.props) > 0:
		return "object"
	case n.items != nil:
		return "array"
	}
	return "string"
}

// enumType is the common type of the enum values when none of them is a string.
func (n *node) enumType() string {
	typ := ""
	for _, v := range n.enum {
		var t string
		switch jsn.KindOf(v) {
		case jsn.Bool:
			t = "boolean"
		case jsn.Number:
			t = "integer"
			if strings.ContainsAny(string(v), ".eE") {
				t = "number"
			}
		case jsn.Null:
			continue
		default:
			return ""
		}
		switch {
		case typ == "" || typ == t:
			typ = t
		case typ != "boolean" && t != "boolean":
			typ = "number"
		default:
			return ""
		}
	}
	return typ
}

func joinNote(a, b jsn.Str) jsn.Str {
	if len(a) == 0 || len(b) == 0 {
		return append(a[:len(a):len(a)], b...)
	}
	return append(append(a[:len(a):len(a)], ' '), b...)
}
