package claude

import (
	"github.com/omniroute/omniroute/sdk/jsn"
)

// appendToolSchema appends a tool's schema with a root Claude accepts: an object
// without unions, whose branches' properties are united (K-1).
func appendToolSchema(dst, raw []byte) []byte {
	union := false
	rootType := false
	for it := jsn.Object(raw); it.Next(); {
		switch string(it.Key()) {
		case "anyOf", "oneOf", "allOf":
			union = true
		case "type":
			rootType = jsn.StrOf(it.Value()).Is("object")
		}
	}
	if !union && rootType {
		return append(dst, raw...)
	}
	u := united{seen: map[string]bool{}}
	u.properties(jsn.Get(raw, "properties"))
	u.required(jsn.Get(raw, "required"))
	for it := jsn.Object(raw); it.Next(); {
		switch key := string(it.Key()); key {
		case "anyOf", "oneOf", "allOf":
			for b := jsn.Array(it.Value()); b.Next(); {
				u.branch(b.Value(), key == "allOf", 0)
			}
		}
	}
	dst = append(dst, `{"type":"object"`...)
	for it := jsn.Object(raw); it.Next(); {
		switch string(it.Key()) {
		case "type", "properties", "required", "anyOf", "oneOf", "allOf":
		default:
			dst = jsn.AppendRawMember(dst, it.RawKey(), it.Value())
		}
	}
	dst = append(append(append(jsn.AppendKey(dst, "properties"), '{'), u.props...), '}')
	if len(u.names) > 0 {
		dst = append(append(append(jsn.AppendKey(dst, "required"), '['), u.names...), ']')
	}
	return append(dst, '}')
}

// united collects the properties of a root and its branches; the first of a name wins.
type united struct {
	seen  map[string]bool
	props []byte
	names []byte
	have  map[string]bool
}

func (u *united) properties(raw []byte) {
	for it := jsn.Object(raw); it.Next(); {
		if key := string(it.Key()); !u.seen[key] {
			u.seen[key] = true
			u.props = jsn.AppendRawMember(u.props, it.RawKey(), it.Value())
		}
	}
}

func (u *united) required(raw []byte) {
	for it := jsn.Array(raw); it.Next(); {
		s := jsn.StrOf(it.Value())
		if s == nil || u.have[s.String()] {
			continue
		}
		if u.have == nil {
			u.have = map[string]bool{}
		}
		u.have[s.String()] = true
		u.names = jsn.AppendStr(jsn.Sep(u.names), s)
	}
}

func (u *united) branch(raw []byte, all bool, depth int) {
	if depth > 8 {
		return
	}
	u.properties(jsn.Get(raw, "properties"))
	if all {
		u.required(jsn.Get(raw, "required"))
	}
	for it := jsn.Object(raw); it.Next(); {
		switch key := string(it.Key()); key {
		case "anyOf", "oneOf", "allOf":
			for b := jsn.Array(it.Value()); b.Next(); {
				u.branch(b.Value(), all && key == "allOf", depth+1)
			}
		}
	}
}

// constraint tells whether a keyword is one that structured output refuses (K-2).
func constraint(key string) bool {
	switch key {
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"minItems", "maxItems", "uniqueItems", "pattern":
		return true
	}
	return false
}

// appendOutputSchema appends a schema as structured output accepts it (K-2): closed
// objects, anyOf for oneOf, constraints moved into the description.
func appendOutputSchema(dst, raw []byte) []byte { return outputSchema(dst, raw, 0) }

func outputSchema(dst, raw []byte, depth int) []byte {
	if jsn.KindOf(raw) != jsn.Obj || depth > 64 {
		return append(dst, raw...)
	}
	var hints, description jsn.Str
	var union []byte
	object := false
	dst = append(dst, '{')
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch key := string(it.Key()); {
		case constraint(key):
			if hints != nil {
				hints = append(hints, ',', ' ')
			}
			hints = append(append(hints, key...), ':', ' ')
			if s := jsn.StrOf(v); s != nil {
				hints = append(hints, s...)
			} else {
				hints = jsn.Tokens{}.AppendQuoted(hints, jsn.AppendCompact(nil, v))
			}
		case key == "description" && jsn.KindOf(v) == jsn.String:
			description = jsn.StrOf(v)
		case key == "additionalProperties":
			object = object || jsn.KindOf(v) != jsn.None
		case key == "type":
			object = object || typeHas(v, "object")
			dst = jsn.AppendMember(dst, key, v)
		case key == "properties":
			object = true
			dst = schemaMap(jsn.AppendKey(dst, key), v, depth)
		case key == "$defs" || key == "definitions" || key == "patternProperties" || key == "dependentSchemas":
			dst = schemaMap(jsn.AppendKey(dst, key), v, depth)
		case key == "oneOf" || key == "anyOf":
			for b := jsn.Array(v); b.Next(); {
				union = outputSchema(jsn.Sep(union), b.Value(), depth+1)
			}
		case key == "allOf" || key == "prefixItems":
			dst = schemaList(jsn.AppendKey(dst, key), v, depth)
		case key == "items" && jsn.KindOf(v) == jsn.Arr:
			dst = schemaList(jsn.AppendKey(dst, key), v, depth)
		case key == "items" || key == "not":
			dst = outputSchema(jsn.AppendKey(dst, key), v, depth+1)
		default:
			dst = jsn.AppendRawMember(dst, it.RawKey(), v)
		}
	}
	if hints != nil {
		text := append(jsn.Str(nil), description...)
		if len(text) > 0 {
			text = append(text, ' ')
		}
		description = append(append(append(text, '('), hints...), ')')
	}
	if union != nil {
		dst = append(append(append(jsn.AppendKey(dst, "anyOf"), '['), union...), ']')
	}
	if description != nil {
		dst = jsn.AppendStrMember(dst, "description", description)
	}
	if object {
		dst = jsn.AppendBoolMember(dst, "additionalProperties", false)
	}
	return append(dst, '}')
}

func typeHas(v []byte, name string) bool {
	if jsn.StrOf(v).Is(name) {
		return true
	}
	for it := jsn.Array(v); it.Next(); {
		if jsn.StrOf(it.Value()).Is(name) {
			return true
		}
	}
	return false
}

func schemaMap(dst, v []byte, depth int) []byte {
	if jsn.KindOf(v) != jsn.Obj {
		return append(dst, v...)
	}
	dst = append(dst, '{')
	for it := jsn.Object(v); it.Next(); {
		dst = jsn.AppendRawMember(dst, it.RawKey(), nil)
		dst = outputSchema(dst, it.Value(), depth+1)
	}
	return append(dst, '}')
}

func schemaList(dst, v []byte, depth int) []byte {
	if jsn.KindOf(v) != jsn.Arr {
		return append(dst, v...)
	}
	dst = append(dst, '[')
	for it := jsn.Array(v); it.Next(); {
		dst = outputSchema(jsn.Sep(dst), it.Value(), depth+1)
	}
	return append(dst, ']')
}
