package gemini

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// AppendPassthrough implements [hub.Passthrough]: the body goes as it came, but for
// reasoning that another provider signed (P-7) and a client's x_omni (P-3).
func (d *Dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	t := c.Tokens()
	if !needsPatch(t, body) {
		return append(dst, body...), nil
	}
	dst = append(dst, '{')
	for it := jsn.Object(body); it.Next(); {
		v := it.Value()
		key := name(it.Key())
		if key == "x_omni" {
			continue
		}
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		if key != "contents" || jsn.KindOf(v) != jsn.Arr {
			dst = append(dst, v...)
			continue
		}
		dst = append(dst, '[')
		for el := jsn.Array(v); el.Next(); {
			dst = appendContent(dst, t, el.Value())
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

// needsPatch tells whether a passthrough body holds anything that must not go on.
func needsPatch(t jsn.Tokens, body []byte) bool {
	for it := jsn.Object(body); it.Next(); {
		switch name(it.Key()) {
		case "x_omni":
			return true
		case "contents":
			for el := jsn.Array(it.Value()); el.Next(); {
				for p := jsn.Array(member(el.Value(), "parts")); p.Next(); {
					if foreignSignature(t, p.Value()) {
						return true
					}
				}
			}
		}
	}
	return false
}

func foreignSignature(t jsn.Tokens, part []byte) bool {
	_, ok := envelope.OpenBase64(t, jsn.StrOf(member(part, "thoughtSignature")))
	return ok
}

// appendContent copies one content without foreign reasoning; nothing, if that was
// all it held.
func appendContent(dst []byte, t jsn.Tokens, v []byte) []byte {
	at := len(dst)
	dst = append(jsn.Sep(dst), '{')
	empty := false
	for m := jsn.Object(v); m.Next(); {
		dst = append(jsn.AppendStr(jsn.Sep(dst), m.RawKey()), ':')
		if name(m.Key()) != "parts" || jsn.KindOf(m.Value()) != jsn.Arr {
			dst = append(dst, m.Value()...)
			continue
		}
		dst = append(dst, '[')
		start := len(dst)
		for p := jsn.Array(m.Value()); p.Next(); {
			part := p.Value()
			switch {
			case !foreignSignature(t, part):
				dst = append(jsn.Sep(dst), part...)
			case !jsn.IsTrue(member(part, "thought")):
				dst = appendWithout(jsn.Sep(dst), part, "thoughtSignature")
			}
		}
		empty = len(dst) == start
		dst = append(dst, ']')
	}
	if empty {
		return dst[:at]
	}
	return append(dst, '}')
}

func appendWithout(dst, obj []byte, key string) []byte {
	dst = append(dst, '{')
	for m := jsn.Object(obj); m.Next(); {
		if name(m.Key()) == key {
			continue
		}
		dst = append(jsn.AppendStr(jsn.Sep(dst), m.RawKey()), ':')
		dst = append(dst, m.Value()...)
	}
	return append(dst, '}')
}

// AppendEnvelope copies an enveloped request, with the model replaced
// when the call names one.
func AppendEnvelope(c *hub.Ctx, dst, body []byte) []byte {
	if c.Model == "" {
		return append(dst, body...)
	}
	dst = append(dst, '{')
	for it := jsn.Object(body); it.Next(); {
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		if string(it.Key()) == "model" {
			dst = jsn.AppendString(dst, c.Model)
			continue
		}
		dst = append(dst, it.Value()...)
	}
	return append(dst, '}')
}
