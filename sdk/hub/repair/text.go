package repair

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ErrorPrefix returns what stands before the text of a failed call for targets
// without a mark for it: nothing when the text says so itself (T-9).
func ErrorPrefix(t jsn.Tokens, parts []hub.Part) string {
	const word = "error"
	for i := range parts {
		if parts[i].Kind != hub.PartText || len(parts[i].Text) == 0 {
			continue
		}
		head := t.Peek(parts[i].Text, len(word))
		if len(head) >= len(word) && strings.EqualFold(string(head[:len(word)]), word) {
			return ""
		}
		break
	}
	return "Error: "
}

// AppendParameters appends a tool's schema with its root completed to an object with
// properties, and otherwise as it is (T-1, 8.3).
func AppendParameters(dst, schema []byte) []byte {
	if jsn.KindOf(schema) != jsn.Obj {
		return append(dst, `{"type":"object","properties":{}}`...)
	}
	typ, props := false, false
	for it := jsn.Object(schema); it.Next(); {
		switch string(it.Key()) {
		case "type":
			typ = true
		case "properties":
			props = true
		}
	}
	if typ && props {
		return append(dst, schema...)
	}
	dst = append(dst, '{')
	if !typ {
		dst = append(dst, `"type":"object"`...)
	}
	for it := jsn.Object(schema); it.Next(); {
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		dst = append(dst, it.Value()...)
	}
	if !props {
		dst = append(jsn.AppendKey(dst, "properties"), '{', '}')
	}
	return append(dst, '}')
}
