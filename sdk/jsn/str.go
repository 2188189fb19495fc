package jsn

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Str is the content of a JSON string in its escaped form, without the quotes.
// It may contain body tokens. A nil Str means "no string"; an empty string is a
// non-nil Str of length 0.
type Str []byte

// Empty is the content of "".
var emptyStr = make([]byte, 0)

// StrOf returns the content of a raw string value, nil for any other value.
func StrOf(v []byte) Str {
	if len(v) < 2 || v[0] != '"' {
		return nil
	}
	return Str(v[1 : len(v)-1 : len(v)-1])
}

// Lit escapes s into a Str that is never nil.
func Lit(s string) Str {
	for i := 0; i < len(s); i++ {
		if needsEscape[s[i]] {
			return AppendEscaped(make([]byte, 0, len(s)+8), s)
		}
	}
	if s == "" {
		return emptyStr
	}
	return Str(s)
}

// unescaped tells whether s reads as it stands: no escape in it.
func unescaped(s []byte) bool { return !contains(s, '\\', '\\') }

// contains tells whether s holds one of two bytes, eight at a time.
func contains(s []byte, x, y byte) bool {
	if len(s) < 8 {
		for _, c := range s {
			if c == x || c == y {
				return true
			}
		}
		return false
	}
	mx, my := uint64(x)*lo, uint64(y)*lo
	for i := 0; ; i += 8 {
		if i > len(s)-8 {
			i = len(s) - 8 // the last eight, some of them again
		}
		v := load(s, i)
		p, q := v^mx, v^my
		if ((p-lo)&^p|(q-lo)&^q)&hi != 0 {
			return true
		}
		if i == len(s)-8 {
			return false
		}
	}
}

// String decodes s. Body tokens are not looked through: see [Tokens.Decode].
func (s Str) String() string {
	if unescaped(s) {
		return string(s)
	}
	return string(appendDecoded(make([]byte, 0, len(s)), s))
}

// View decodes s without copying when it holds no escape. The result is valid as
// long as the bytes under s do not change.
func (s Str) View() string {
	if unescaped(s) {
		return View(s)
	}
	return View(appendDecoded(make([]byte, 0, len(s)), s))
}

// Is tells whether the decoded content equals want.
func (s Str) Is(want string) bool {
	if string(s) == want {
		return s != nil
	}
	return !unescaped(s) && string(appendDecoded(nil, s)) == want
}

// appendDecoded appends the decoded form of escaped text. Bad escapes are kept as
// they are; a lone surrogate becomes U+FFFD.
func appendDecoded(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		n := bytes.IndexByte(s[i:], '\\')
		if n < 0 || i+n+1 >= len(s) {
			return append(dst, s[i:]...)
		}
		dst = append(dst, s[i:i+n]...)
		i += n
		c := s[i+1]
		i += 2
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(s[i:])
			if !ok {
				dst = append(dst, '\\', 'u')
				continue
			}
			i += 4
			if utf16.IsSurrogate(r) {
				lo := rune(-1)
				if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
					if v, ok := hex4(s[i+2:]); ok {
						lo = v
					}
				}
				if d := utf16.DecodeRune(r, lo); d != utf8.RuneError {
					r = d
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Int reads a number that is an integer (1, 1.0 and 1e3 count) within int64.
func Int(v []byte) (int64, bool) {
	if KindOf(v) != Number {
		return 0, false
	}
	if n, err := strconv.ParseInt(View(v), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(View(v), 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -(1<<53) {
		return 0, false
	}
	return int64(f), true
}

// Float reads a number, for comparing only: the raw bytes are what is sent on.
func Float(v []byte) (float64, bool) {
	if KindOf(v) != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(View(v), 64)
	return f, err == nil
}

// AppendDecoded appends the decoded form of s. Body tokens are not looked through.
func AppendDecoded(dst []byte, s Str) []byte { return appendDecoded(dst, s) }
