package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// AppendPatched copies an object byte for byte, except that the value of its model
// member becomes model (unless "") and a member x_omni is left out (P-1, P-3).
func AppendPatched(dst, body []byte, model string) []byte {
	at, end := -1, -1
	for it := jsn.Object(body); it.Next(); {
		switch string(it.Key()) {
		case "model":
			if at < 0 {
				at, end = it.ValueOffset(), it.ValueOffset()+len(it.Value())
			}
		case "x_omni":
			return appendWithoutOmni(dst, body, model)
		}
	}
	if at < 0 || model == "" {
		return append(dst, body...)
	}
	dst = append(dst, body[:at]...)
	dst = jsn.AppendString(dst, model)
	return append(dst, body[end:]...)
}

func appendWithoutOmni(dst, body []byte, model string) []byte {
	dst = append(dst, '{')
	for it := jsn.Object(body); it.Next(); {
		switch key := string(it.Key()); {
		case key == "x_omni":
		case key == "model" && model != "":
			dst = jsn.AppendStringMember(dst, key, model)
		default:
			dst = jsn.AppendRawMember(dst, it.RawKey(), it.Value())
		}
	}
	return append(dst, '}')
}
