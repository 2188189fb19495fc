package doc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"sync"
	"unicode/utf8"
)

// scanner validates a document in one pass and, if it was given a token
// prefix, elides on the way. Positions are offsets into src; a method that
// returns a position returns -1 after a failure, which is then in err.
type scanner struct {
	src       []byte
	maxDepth  int
	threshold int    // strings with more bytes are elided
	prefix    []byte // of the tokens; nil = validate only
	collides  bool   // src contains prefix: look into short strings too
	anyKeys   bool   // duplicate keys pass

	out   []byte // skeleton so far
	last  int    // end of the part of src that is in out
	spans []span // elided parts of src
	keys  keySet
	err   *SyntaxError
}

// span is a part of the source.
type span struct{ start, end uint32 }

var scannerPool = sync.Pool{New: func() any { return new(scanner) }}

// release clears everything that refers to the document and pools s.
func (s *scanner) release() {
	keys := s.keys
	keys.reset()
	*s = scanner{keys: keys}
	scannerPool.Put(s)
}

func (s *scanner) fail(offset int, msg string) int {
	if s.err == nil {
		s.err = syntaxError(s.src, offset, msg)
	}
	return -1
}

// document scans the whole of src.
func (s *scanner) document() bool {
	if bytes.HasPrefix(s.src, []byte("\xef\xbb\xbf")) {
		s.fail(0, "the document starts with a byte order mark")
		return false
	}
	i := s.value(s.space(0), 0)
	if i < 0 {
		return false
	}
	if i = s.space(i); i < len(s.src) {
		s.fail(i, found(s.src, i)+" after the document")
		return false
	}
	if s.prefix != nil {
		s.out = append(s.out, s.src[s.last:]...)
	}
	return true
}

func (s *scanner) space(i int) int {
	src := s.src
	for i < len(src) && (src[i] == ' ' || src[i] == '\n' || src[i] == '\r' || src[i] == '\t') {
		i++
	}
	return i
}

// value scans the value at i, which lies inside depth containers.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.src) {
		return s.fail(i, "unexpected end of the document")
	}
	switch c := s.src[i]; c {
	case '"':
		end, _ := s.str(i + 1)
		if end < 0 {
			return -1
		}
		return end + 1
	case '{':
		return s.object(i, depth+1)
	case '[':
		return s.array(i, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.number(i)
		}
		return s.fail(i, found(s.src, i)+" where a value should be")
	}
}

func (s *scanner) literal(i int, word string) int {
	if len(s.src)-i < len(word) || string(s.src[i:i+len(word)]) != word {
		return s.fail(i, "invalid literal, expected "+word)
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	src := s.src
	if src[i] == '-' {
		i++
	}
	first := i
	i = digits(src, i)
	if i == first {
		return s.fail(i, found(src, i)+" in a number")
	}
	if src[first] == '0' && i > first+1 {
		return s.fail(first, "a number starts with a superfluous 0")
	}
	if i < len(src) && src[i] == '.' {
		frac := i + 1
		if i = digits(src, frac); i == frac {
			return s.fail(i, found(src, i)+" in a number")
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		if i++; i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		exp := i
		if i = digits(src, exp); i == exp {
			return s.fail(i, found(src, i)+" in a number")
		}
	}
	return i
}

func digits(src []byte, i int) int {
	for i < len(src) && src[i]-'0' <= 9 {
		i++
	}
	return i
}

func (s *scanner) array(i, depth int) int {
	if depth > s.maxDepth {
		return s.fail(i, s.tooDeep())
	}
	if i = s.space(i + 1); i < len(s.src) && s.src[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return -1
		}
		if i = s.space(i); i >= len(s.src) {
			return s.fail(i, "unexpected end of the document in an array")
		}
		switch s.src[i] {
		case ',':
			i = s.space(i + 1)
		case ']':
			return i + 1
		default:
			return s.fail(i, found(s.src, i)+" in an array, expected , or ]")
		}
	}
}

func (s *scanner) object(i, depth int) int {
	if depth > s.maxDepth {
		return s.fail(i, s.tooDeep())
	}
	if i = s.space(i + 1); i < len(s.src) && s.src[i] == '}' {
		return i + 1
	}
	obj := s.keys.open()
	for {
		if i >= len(s.src) || s.src[i] != '"' {
			return s.fail(i, found(s.src, i)+" where a key should be")
		}
		start := i + 1
		end, escaped := s.str(start)
		if end < 0 {
			return -1
		}
		if !s.anyKeys && !s.keys.add(obj, s.src, start, end, escaped) {
			return s.fail(i, "duplicate key "+keyForMessage(s.src[start:end]))
		}
		if i = s.space(end + 1); i >= len(s.src) || s.src[i] != ':' {
			return s.fail(i, found(s.src, i)+" after a key, expected :")
		}
		if i = s.value(s.space(i+1), depth); i < 0 {
			return -1
		}
		if i = s.space(i); i >= len(s.src) {
			return s.fail(i, "unexpected end of the document in an object")
		}
		switch s.src[i] {
		case ',':
			i = s.space(i + 1)
		case '}':
			s.keys.close(obj)
			return i + 1
		default:
			return s.fail(i, found(s.src, i)+" in an object, expected , or }")
		}
	}
}

func (s *scanner) tooDeep() string {
	return "nested deeper than " + strconv.Itoa(s.maxDepth) + " levels"
}

// keyForMessage quotes the start of a raw key for an error message.
func keyForMessage(raw []byte) string {
	const most = 64
	if len(raw) > most {
		return strconv.Quote(string(raw[:most]) + "…")
	}
	return strconv.Quote(string(raw))
}

// str scans the string whose content starts at start, elides it if it is long,
// and returns the offset of its closing quote.
func (s *scanner) str(start int) (end int, escaped bool) {
	src := s.src
	i := start
	var seen uint64 // all bytes read, or-ed: bit 7 of any means non-ASCII
	for {
		for i+16 <= len(src) {
			block := src[i : i+16 : i+16]
			w := binary.LittleEndian.Uint64(block)
			v := binary.LittleEndian.Uint64(block[8:])
			seen |= w | v
			m, n := specials(w), specials(v)
			if m|n != 0 {
				if m == 0 {
					m = n
					i += 8
				}
				i += bits.TrailingZeros64(m) >> 3
				goto special
			}
			i += 16
		}
		for ; i < len(src); i++ {
			c := src[i]
			seen |= uint64(c)
			if c == '"' || c == '\\' || c < 0x20 {
				goto special
			}
		}
		return s.fail(start-1, "unterminated string"), false
	special:
		if src[i] == '\\' {
			escaped = true
			if i+1 < len(src) && simpleEscape[src[i+1]] {
				i += 2
				continue
			}
			if i = s.unicodeEscape(i); i < 0 {
				return -1, false
			}
			continue
		}
		if src[i] != '"' {
			return s.fail(i, "control character in a string, "+found(src, i)), false
		}
		if seen&highs != 0 && !utf8.Valid(src[start:i]) {
			return s.badUTF8(start, i), false
		}
		if s.prefix != nil && (i-start > s.threshold || s.collides && s.collision(src[start:i], escaped)) {
			s.elide(start, i)
		}
		return i, escaped
	}
}

// simpleEscape tells which bytes make an escape of two together with a backslash.
var simpleEscape = [256]bool{
	'n': true, '"': true, '\\': true, 't': true, 'r': true, '/': true, 'b': true, 'f': true,
}

// unicodeEscape checks the escape at i, which is not a simple one, and its
// partner if it is the first half of a surrogate pair.
func (s *scanner) unicodeEscape(i int) int {
	r, ok := hex4(s.src, i)
	if !ok {
		return s.fail(i, "invalid escape sequence")
	}
	switch {
	case r < 0xd800 || r > 0xdfff:
		return i + 6
	case r < 0xdc00:
		if low, ok := hex4(s.src, i+6); ok && low >= 0xdc00 && low <= 0xdfff {
			return i + 12
		}
	}
	return s.fail(i, "lone surrogate in a string")
}

// hex4 reads the escape \uXXXX at i.
func hex4(src []byte, i int) (rune, bool) {
	if i+6 > len(src) || src[i] != '\\' || src[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range src[i+2 : i+6] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case (c|0x20)-'a' <= 5:
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) badUTF8(start, end int) int {
	for i := start; i < end; {
		r, size := utf8.DecodeRune(s.src[i:end])
		if r == utf8.RuneError && size <= 1 {
			return s.fail(i, "invalid UTF-8 in a string")
		}
		i += size
	}
	return s.fail(start, "invalid UTF-8 in a string")
}

// collision reports whether the content of a string would read as a token,
// as it stands or once a rewriter has unescaped it.
func (s *scanner) collision(raw []byte, escaped bool) bool {
	if bytes.Contains(raw, s.prefix) {
		return true
	}
	return escaped && bytes.Contains(unescape(nil, raw), s.prefix)
}

// elide puts a token in place of src[start:end].
func (s *scanner) elide(start, end int) {
	s.out = append(s.out, s.src[s.last:start]...)
	s.out = append(s.out, s.prefix...)
	s.out = strconv.AppendUint(s.out, uint64(len(s.spans)), 10)
	s.out = append(s.out, '~')
	s.spans = append(s.spans, span{uint32(start), uint32(end)})
	s.last = end
}
