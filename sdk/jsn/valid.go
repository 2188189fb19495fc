package jsn

import (
	"math/bits"
	"strconv"
)

// MaxDepth is the deepest nesting that [Valid] accepts.
const MaxDepth = 512

// SyntaxError says where a document stops being JSON.
type SyntaxError struct {
	Offset int
	Msg    string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return "invalid JSON at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Valid checks that b is exactly one JSON document (white space around it is
// allowed) and returns a *[SyntaxError] when it is not. UTF-8 is not checked.
func Valid(b []byte) error {
	p := parser{b: b}
	if !p.document() {
		return &SyntaxError{Offset: min(p.i, len(b)), Msg: p.msg}
	}
	if p.i = skipSpace(b, p.i); p.i != len(b) {
		return &SyntaxError{Offset: p.i, Msg: "text after the document"}
	}
	return nil
}

// IsObject tells whether b is one valid JSON object.
func IsObject(b []byte) bool {
	i := skipSpace(b, 0)
	return i < len(b) && b[i] == '{' && Valid(b) == nil
}

// parser checks a document in one loop, without recursion: calls are what costs most
// in a guest.
type parser struct {
	b     []byte
	i     int
	msg   string
	stack [(MaxDepth + 64) / 64]uint64 // a bit per open container: 1 = object
}

func (p *parser) fail(i int, msg string) bool {
	p.i, p.msg = i, msg
	return false
}

func (p *parser) document() bool {
	b := p.b
	depth := 0
	object := false
	i := 0
	for {
		// A value is due.
		for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
			i++
		}
		if i >= len(b) {
			return p.fail(i, "unexpected end")
		}
		switch c := b[i]; c {
		case '"':
			if i = p.str(i + 1); i < 0 {
				return false
			}
		case '{', '[':
			if depth >= MaxDepth {
				return p.fail(i, "nested too deeply")
			}
			object = c == '{'
			if object {
				p.stack[depth>>6] |= 1 << (depth & 63)
			} else {
				p.stack[depth>>6] &^= 1 << (depth & 63)
			}
			depth++
			i++
			for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
				i++
			}
			if i < len(b) && b[i] == c+2 {
				i++
				depth--
				object = depth > 0 && p.stack[(depth-1)>>6]>>((depth-1)&63)&1 == 1
				break
			}
			if object {
				if i = p.key(i); i < 0 {
					return false
				}
			}
			continue
		default:
			if i = p.scalar(i); i < 0 {
				return false
			}
		}
		// A value is over: what follows belongs to its container.
		for {
			if depth == 0 {
				p.i = i
				return true
			}
			for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
				i++
			}
			if i >= len(b) {
				return p.fail(i, "unexpected end")
			}
			if b[i] == ',' {
				i++
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return p.fail(i, "expected a comma or the end of the container")
			}
			i++
			depth--
			object = depth > 0 && p.stack[(depth-1)>>6]>>((depth-1)&63)&1 == 1
		}
		if object {
			if i = p.key(i); i < 0 {
				return false
			}
		}
	}
}

// scalar checks a literal or number and returns the index behind it.
func (p *parser) scalar(i int) int {
	switch c := p.b[i]; {
	case c == 't':
		return p.literal(i, "true")
	case c == 'f':
		return p.literal(i, "false")
	case c == 'n':
		return p.literal(i, "null")
	case c != '-' && (c < '0' || c > '9'):
		p.fail(i, "unexpected character")
		return -1
	}
	if p.i = i; !p.number() {
		return -1
	}
	return p.i
}

// key checks a member name and its colon and returns the index behind.
func (p *parser) key(i int) int {
	b := p.b
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != '"' {
		p.fail(i, "expected a member name")
		return -1
	}
	if i = p.str(i + 1); i < 0 {
		return -1
	}
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != ':' {
		p.fail(i, "expected a colon")
		return -1
	}
	return i + 1
}

// str checks string content from i on and returns the index behind the closing quote.
func (p *parser) str(i int) int {
	b := p.b
	for {
		for i+8 <= len(b) {
			v := load(b, i)
			q, e := v^('"'*lo), v^('\\'*lo)
			// The third term marks bytes below 0x20.
			if m := ((q-lo)&^q | (e-lo)&^e | (v-0x20*lo)&^v) & hi; m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			i++
		}
		switch {
		case i >= len(b):
			p.fail(i, "unterminated string")
			return -1
		case b[i] == '"':
			return i + 1
		case b[i] < 0x20:
			p.fail(i, "control character in a string")
			return -1
		}
		if i++; i >= len(b) {
			p.fail(i, "unexpected end")
			return -1
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i++
		case 'u':
			if _, ok := hex4(b[i+1:]); !ok {
				p.fail(i, "bad \\u escape")
				return -1
			}
			i += 5
		default:
			p.fail(i, "bad escape")
			return -1
		}
	}
}

func (p *parser) literal(i int, want string) int {
	if len(p.b)-i < len(want) || string(p.b[i:i+len(want)]) != want {
		p.fail(i, "unexpected character")
		return -1
	}
	return i + len(want)
}

func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

func (p *parser) number() bool {
	if p.b[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.b) && p.b[p.i] == '0' {
		p.i++
	} else if !p.digits() {
		return p.fail(p.i, "bad number")
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		p.i++
		if !p.digits() {
			return p.fail(p.i, "bad number")
		}
	}
	if p.i < len(p.b) && (p.b[p.i] == 'e' || p.b[p.i] == 'E') {
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		if !p.digits() {
			return p.fail(p.i, "bad number")
		}
	}
	return true
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
