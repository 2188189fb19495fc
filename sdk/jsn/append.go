package jsn

import (
	"strconv"
	"unicode/utf8"
	"unsafe"
)

var needsEscape = func() (t [256]bool) {
	for i := range 0x20 {
		t[i] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

const hexDigits = "0123456789abcdef"

// AppendEscaped appends s as string content, without quotes. Bytes that are not
// UTF-8 become U+FFFD.
func AppendEscaped(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if !needsEscape[c] {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += n
	}
	return append(dst, s[start:]...)
}

// plain tells whether s is ASCII without a character that needs an escape.
func plain(s string) bool {
	if len(s) < 8 {
		for i := 0; i < len(s); i++ {
			if c := s[i]; needsEscape[c] || c >= utf8.RuneSelf {
				return false
			}
		}
		return true
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for i := 0; ; i += 8 {
		if i > len(b)-8 {
			i = len(b) - 8
		}
		v := load(b, i)
		q, e := v^('"'*lo), v^('\\'*lo)
		if (v|(q-lo)&^q|(e-lo)&^e|(v-0x20*lo)&^v)&hi != 0 {
			return false
		}
		if i == len(b)-8 {
			return true
		}
	}
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// AppendString appends s as a JSON string value.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendStr appends s, which is escaped already, as a JSON string value.
func AppendStr(dst []byte, s Str) []byte {
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// AppendInt appends n.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// AppendKey appends `"key":`, with a comma before it unless it is the first
// member of its object. key must not need escaping.
func AppendKey(dst []byte, key string) []byte {
	dst = Sep(dst)
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// Sep appends a comma unless dst ends where the first element of an array or the
// first member of an object is due.
func Sep(dst []byte) []byte {
	if n := len(dst); n > 0 {
		switch dst[n-1] {
		case '{', '[', ':', ',':
			return dst
		}
		return append(dst, ',')
	}
	return dst
}

// AppendMember appends a member with a raw value; an empty value appends nothing.
func AppendMember(dst []byte, key string, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	dst = AppendKey(dst, key)
	return append(dst, raw...)
}

// AppendStringMember appends a member with a string value.
func AppendStringMember(dst []byte, key, s string) []byte {
	return AppendString(AppendKey(dst, key), s)
}

// AppendStrMember appends a member with an already escaped string value.
func AppendStrMember(dst []byte, key string, s Str) []byte {
	return AppendStr(AppendKey(dst, key), s)
}

// AppendIntMember appends a member with an integer value.
func AppendIntMember(dst []byte, key string, n int64) []byte {
	return AppendInt(AppendKey(dst, key), n)
}

// AppendBoolMember appends a member with a boolean value.
func AppendBoolMember(dst []byte, key string, b bool) []byte {
	return strconv.AppendBool(AppendKey(dst, key), b)
}

// AppendCompact appends raw without the white space between tokens.
func AppendCompact(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if isSpace(c) {
			continue
		}
		if c != '"' {
			dst = append(dst, c)
			continue
		}
		e := stringEnd(raw, i+1)
		if e < 0 {
			return append(dst, raw[i:]...)
		}
		dst = append(dst, raw[i:e+1]...)
		i = e
	}
	return dst
}

// AppendRawMember appends a member whose name is escaped already.
func AppendRawMember(dst []byte, key Str, raw []byte) []byte {
	dst = append(Sep(dst), '"')
	dst = append(dst, key...)
	dst = append(dst, '"', ':')
	return append(dst, raw...)
}
