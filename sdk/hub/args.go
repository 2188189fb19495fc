package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// Args are the arguments of a call, either a raw JSON value or the escaped content
// of a string, whichever the source had. The zero value means no arguments.
type Args struct {
	raw []byte
	str jsn.Str
}

// ArgsValue takes arguments given as a JSON value. A string value counts as
// arguments in string form, null as none.
func ArgsValue(raw []byte) Args {
	switch jsn.KindOf(raw) {
	case jsn.None, jsn.Null:
		return Args{}
	case jsn.String:
		return Args{str: jsn.StrOf(raw)}
	}
	return Args{raw: raw}
}

// ArgsString takes arguments given as string content.
func ArgsString(s jsn.Str) Args { return Args{str: s} }

// Empty tells whether there are no arguments at all.
func (a Args) Empty() bool { return len(a.raw) == 0 && len(a.str) == 0 }

// AppendString appends the arguments as escaped string content, {} for none.
func (a Args) AppendString(dst []byte, t jsn.Tokens) []byte {
	switch {
	case len(a.str) > 0:
		if t.Blank(a.str) {
			return append(dst, '{', '}')
		}
		return append(dst, a.str...)
	case len(a.raw) > 0:
		return t.AppendQuoted(dst, a.raw)
	}
	return append(dst, '{', '}')
}

// AppendObject appends the arguments as a JSON object: {} for none, and
// {"_raw": …} around whatever is not an object. Numbers keep their digits.
func (a Args) AppendObject(dst []byte, t jsn.Tokens) []byte {
	if len(a.raw) > 0 {
		if a.raw[0] == '{' {
			return append(dst, a.raw...)
		}
		dst = append(dst, `{"_raw":"`...)
		dst = t.AppendQuoted(dst, a.raw)
		return append(dst, '"', '}')
	}
	if len(a.str) == 0 || t.Blank(a.str) {
		return append(dst, '{', '}')
	}
	if tok, ok := t.Whole(a.str); ok && tok.Quotes == 0 {
		tok.Unquote = true
		dst = append(dst, '"')
		dst = t.Append(dst, tok)
		return append(dst, '"')
	}
	at := len(dst)
	if out, ok := t.AppendUnquoted(dst, a.str); ok && jsn.IsObject(out[at:]) {
		return out
	}
	dst = append(dst[:at], `{"_raw":"`...)
	dst = append(dst, a.str...)
	return append(dst, '"', '}')
}

// CustomArgs wraps the input of a free-form call into arguments (T-6).
func CustomArgs(input jsn.Str) Args {
	raw := append([]byte(`{"input":"`), input...)
	return Args{raw: append(raw, '"', '}')}
}
