package state

import "strings"

// generation is the first segment of every key. A layout that cannot be read
// by the present code gets the next number.
const generation = "1"

// Key joins kind and segments below the generation of the layout. Segments are
// escaped: "/" separates, so "/", "%" and control bytes inside a segment are
// written as %XX, which keeps the order of ordinary ids. kind may itself hold
// slashes ("d/cool").
func Key(kind string, segments ...string) string {
	n := len(generation) + 1 + len(kind)
	for _, s := range segments {
		n += 1 + len(s)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(generation)
	b.WriteByte('/')
	b.WriteString(kind)
	for _, s := range segments {
		b.WriteByte('/')
		escape(&b, s)
	}
	return b.String()
}

// Prefix is the prefix of all keys that have these leading segments and at
// least one more.
func Prefix(kind string, segments ...string) string { return Key(kind, segments...) + "/" }

// Segments splits what follows prefix in key and removes the escapes. ok is
// false if key does not start with prefix or an escape is broken.
func Segments(prefix, key string) (segments []string, ok bool) {
	rest, found := strings.CutPrefix(key, prefix)
	if !found {
		return nil, false
	}
	for part := range strings.SplitSeq(rest, "/") {
		s, good := unescape(part)
		if !good {
			return nil, false
		}
		segments = append(segments, s)
	}
	return segments, true
}

const hexDigits = "0123456789ABCDEF"

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		c := s[i]
		if c == '/' || c == '%' || c < 0x20 || c == 0x7f {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
			continue
		}
		b.WriteByte(c)
	}
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		out = append(out, byte(hi<<4|lo))
		i += 2
	}
	return string(out), true
}
