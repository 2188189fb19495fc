package jsn

import (
	"bytes"
	"math/bits"
	"slices"
	"strconv"
)

// Blobs gives access to the content of strings that were replaced by tokens.
// Content is in escaped form, as it stood in the original body.
type Blobs interface {
	// Len returns the length of string id in bytes, or -1 when there is none.
	Len(id int) int
	// Read copies bytes of string id from off on into dst and returns how many.
	Read(id, off int, dst []byte) int
}

// Tokens is the token vocabulary of one document. The zero value has no tokens.
type Tokens struct {
	Nonce string
	Blobs Blobs
}

// Token is one parsed body token.
type Token struct {
	Start, End int  // position in the text
	ID         int  // string id
	Off, Len   int  // byte range; Len -1 = whole string
	Quotes     int  // how often the content is escaped once more
	Unquote    bool // the u form
}

// Find returns the first token of s at or behind from.
func (t Tokens) Find(s []byte, from int) (Token, bool) {
	if t.Nonce == "" {
		return Token{}, false
	}
	for from < len(s) {
		n := bytes.IndexByte(s[from:], '~')
		if n < 0 {
			break
		}
		from += n
		if tok, ok := t.parse(s, from); ok {
			return tok, true
		}
		from++
	}
	return Token{}, false
}

// Has tells whether s contains a token.
func (t Tokens) Has(s []byte) bool {
	_, ok := t.Find(s, 0)
	return ok
}

// Whole returns the token of which s consists entirely.
func (t Tokens) Whole(s []byte) (Token, bool) {
	if len(s) == 0 || s[0] != '~' || t.Nonce == "" {
		return Token{}, false
	}
	tok, ok := t.parse(s, 0)
	return tok, ok && tok.End == len(s)
}

func (t Tokens) parse(s []byte, at int) (Token, bool) {
	p := at + 2 + len(t.Nonce)
	if p >= len(s) || s[at] != '~' || s[at+1] != 'b' || string(s[at+2:p]) != t.Nonce || s[p] != '.' {
		return Token{}, false
	}
	tok := Token{Start: at, Len: -1}
	var ok bool
	if tok.ID, p, ok = number(s, p+1); !ok {
		return Token{}, false
	}
	if p+1 < len(s) && s[p] == '.' && isDigit(s[p+1]) {
		if tok.Off, p, ok = number(s, p+1); !ok || p >= len(s) || s[p] != '.' {
			return Token{}, false
		}
		if tok.Len, p, ok = number(s, p+1); !ok {
			return Token{}, false
		}
	}
	if p+1 < len(s) && s[p] == '.' {
		p++
		if s[p] == 'u' {
			tok.Unquote = true
			p++
		}
		for p < len(s) && s[p] == 'q' {
			tok.Quotes++
			p++
		}
	}
	if p >= len(s) || s[p] != '~' {
		return Token{}, false
	}
	tok.End = p + 1
	return tok, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func number(s []byte, i int) (n, end int, ok bool) {
	start := i
	for i < len(s) && isDigit(s[i]) && i-start < 10 {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, i, i > start
}

// Append appends tok in its written form.
func (t Tokens) Append(dst []byte, tok Token) []byte {
	dst = append(dst, '~', 'b')
	dst = append(dst, t.Nonce...)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, int64(tok.ID), 10)
	if tok.Len >= 0 {
		dst = append(dst, '.')
		dst = strconv.AppendInt(dst, int64(tok.Off), 10)
		dst = append(dst, '.')
		dst = strconv.AppendInt(dst, int64(tok.Len), 10)
	}
	if tok.Unquote {
		dst = append(dst, '.', 'u')
	} else if tok.Quotes > 0 {
		dst = append(dst, '.')
		for range tok.Quotes {
			dst = append(dst, 'q')
		}
	}
	return append(dst, '~')
}

// size returns the range of tok inside its string as (offset, length).
func (t Tokens) size(tok Token) (off, n int) {
	if t.Blobs == nil {
		return 0, 0
	}
	total := max(t.Blobs.Len(tok.ID), 0)
	if tok.Len < 0 {
		return 0, total
	}
	off = min(tok.Off, total)
	return off, min(tok.Len, total-off)
}

// content appends the text a token stands for, at most limit bytes of it
// (before any further escaping); limit < 0 means all.
func (t Tokens) content(dst []byte, tok Token, limit int) []byte {
	off, n := t.size(tok)
	if limit >= 0 && tok.Quotes == 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return dst
	}
	if tok.Quotes == 0 {
		at := len(dst)
		dst = append(dst, make([]byte, n)...)
		got := t.Blobs.Read(tok.ID, off, dst[at:])
		return dst[:at+max(got, 0)]
	}
	buf := make([]byte, n)
	buf = buf[:max(t.Blobs.Read(tok.ID, off, buf), 0)]
	for range tok.Quotes {
		buf = appendQuoted(nil, buf)
	}
	return append(dst, buf...)
}

// Expand returns s with every token replaced by the content it stands for. Without
// tokens it returns s itself.
func (t Tokens) Expand(s Str) Str {
	tok, ok := t.Find(s, 0)
	if !ok {
		return s
	}
	out := make([]byte, 0, len(s)+512)
	pos := 0
	for ok {
		out = append(out, s[pos:tok.Start]...)
		out = t.content(out, tok, -1)
		pos = tok.End
		tok, ok = t.Find(s, pos)
	}
	return Str(append(out, s[pos:]...))
}

// Peek returns about the first n escaped bytes of s, looking through tokens. The
// result may be longer, and may end inside an escape.
func (t Tokens) Peek(s Str, n int) []byte {
	tok, ok := t.Find(s, 0)
	if !ok || tok.Start >= n {
		return s
	}
	var out []byte
	pos := 0
	for ok && len(out) < n {
		out = append(out, s[pos:tok.Start]...)
		out = t.content(out, tok, n-len(out))
		pos = tok.End
		tok, ok = t.Find(s, pos)
	}
	if len(out) < n {
		out = append(out, s[pos:]...)
	}
	return out
}

// Decode returns the decoded content of s, looking through tokens. Without tokens
// and escapes the result shares the bytes of s.
func (t Tokens) Decode(s Str) string {
	if !contains(s, '~', '\\') {
		return View(s)
	}
	return t.Expand(s).View()
}

// HasPrefix tells whether the decoded content of s starts with prefix.
func (t Tokens) HasPrefix(s Str, prefix string) bool {
	p := t.Peek(s, len(prefix)*6)
	if bytes.IndexByte(p, '\\') >= 0 {
		p = appendDecoded(nil, p)
	}
	return len(p) >= len(prefix) && string(p[:len(prefix)]) == prefix
}

// Blank tells whether the decoded content of s is nothing but white space.
func (t Tokens) Blank(s Str) bool {
	if len(s) > 0 && s[0] > ' ' && s[0] != '~' && s[0] != '\\' && s[0] < 0x7f {
		return false
	}
	if blank(t.Peek(s, 64)) {
		return blank(t.Expand(s))
	}
	return false
}

func blank(s []byte) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
		case '\\':
			if i+1 >= len(s) {
				return true
			}
			i++
			switch s[i] {
			case 'n', 't', 'r', 'f':
			case 'u':
				r, ok := hex4(s[i+1:])
				if !ok {
					return len(s)-i < 5
				}
				if !spaceRune(r) {
					return false
				}
				i += 4
			default:
				return false
			}
		case 0xC2:
			if i+1 < len(s) && (s[i+1] != 0xA0 && s[i+1] != 0x85) {
				return false
			}
			i++
		case 0xE3:
			if i+2 < len(s) && (s[i+1] != 0x80 || s[i+2] != 0x80) {
				return false
			}
			i += 2
		default:
			return false
		}
	}
	return true
}

func spaceRune(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xA0, 0x3000:
		return true
	}
	return false
}

// Cut returns s without its first n escaped bytes, counted with tokens looked
// through. The cut must not fall inside an escape or a UTF-8 sequence.
func (t Tokens) Cut(s Str, n int) Str {
	tok, ok := t.Find(s, 0)
	if !ok || tok.Start >= n {
		return s[min(n, len(s)):]
	}
	if tok.Quotes > 0 {
		s = t.Expand(s)
		return s[min(n, len(s)):]
	}
	off, size := t.size(tok)
	n -= tok.Start
	if n >= size {
		return t.Cut(s[tok.End:], n-size)
	}
	tok.Off, tok.Len = off+n, size-n
	return Str(append(t.Append(nil, tok), s[tok.End:]...))
}

// AppendQuoted appends raw (a value or escaped text) escaped once more, so that it
// can stand inside a string. Tokens in it get one more q.
func (t Tokens) AppendQuoted(dst, raw []byte) []byte {
	tok, ok := t.Find(raw, 0)
	pos := 0
	for ok {
		dst = appendQuoted(dst, raw[pos:tok.Start])
		pos = tok.End
		tok.Quotes++
		dst = t.Append(dst, tok)
		tok, ok = t.Find(raw, pos)
	}
	return appendQuoted(dst, raw[pos:])
}

func appendQuoted(dst, raw []byte) []byte {
	// Room for the worst common case, two bytes for one, lets the loop write without
	// asking; control characters are rare enough to be appended.
	for len(raw) > 0 {
		n := min(len(raw), quoteStep)
		dst = quote(slices.Grow(dst, 6*n), raw[:n])
		raw = raw[n:]
	}
	return dst
}

// quoteStep bounds the memory that quoting reserves ahead.
const quoteStep = 512

// quote appends raw escaped; dst has room for six bytes for each of raw.
func quote(dst, raw []byte) []byte {
	at := len(dst)
	out := dst[:cap(dst)]
	for i := 0; i < len(raw); {
		if i+8 <= len(raw) {
			v := load(raw, i)
			q, e := v^('"'*lo), v^('\\'*lo)
			m := ((q-lo)&^q | (e-lo)&^e | (v-0x20*lo)&^v) & hi
			store(out, at, v)
			if m == 0 {
				i += 8
				at += 8
				continue
			}
			n := bits.TrailingZeros64(m) >> 3
			i += n
			at += n
		}
		c := raw[i]
		i++
		switch {
		case c == '"' || c == '\\':
			out[at], out[at+1] = '\\', c
			at += 2
		case c < 0x20:
			at = len(appendEscape(out[:at], c))
		default:
			out[at] = c
			at++
		}
	}
	return out[:at]
}

// AppendUnquoted appends s unescaped once: the text that the string held. Tokens
// in it lose one q. It reports false when a token has none to lose, in which case
// dst is returned unchanged.
func (t Tokens) AppendUnquoted(dst []byte, s Str) ([]byte, bool) {
	at := len(dst)
	tok, ok := t.Find(s, 0)
	pos := 0
	for ok {
		if tok.Quotes == 0 {
			return dst[:at], false
		}
		dst = appendDecoded(dst, s[pos:tok.Start])
		pos = tok.End
		tok.Quotes--
		dst = t.Append(dst, tok)
		tok, ok = t.Find(s, pos)
	}
	return appendDecoded(dst, s[pos:]), true
}
