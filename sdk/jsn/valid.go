package jsn

import "strconv"

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
	p.i = skipSpace(b, 0)
	if !p.value(0) {
		return &SyntaxError{Offset: p.i, Msg: p.msg}
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

type parser struct {
	b   []byte
	i   int
	msg string
}

func (p *parser) fail(msg string) bool {
	p.msg = msg
	return false
}

func (p *parser) value(depth int) bool {
	if p.i >= len(p.b) {
		return p.fail("unexpected end")
	}
	if depth > MaxDepth {
		return p.fail("nested too deeply")
	}
	switch c := p.b[p.i]; c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		p.i++
		return p.str()
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return p.number()
		}
	}
	return p.fail("unexpected character")
}

func (p *parser) object(depth int) bool {
	p.i = skipSpace(p.b, p.i+1)
	if p.i < len(p.b) && p.b[p.i] == '}' {
		p.i++
		return true
	}
	for {
		if p.i >= len(p.b) || p.b[p.i] != '"' {
			return p.fail("expected a member name")
		}
		p.i++
		if !p.str() {
			return false
		}
		p.i = skipSpace(p.b, p.i)
		if p.i >= len(p.b) || p.b[p.i] != ':' {
			return p.fail("expected a colon")
		}
		p.i = skipSpace(p.b, p.i+1)
		if !p.value(depth + 1) {
			return false
		}
		p.i = skipSpace(p.b, p.i)
		if p.i >= len(p.b) {
			return p.fail("unexpected end")
		}
		switch p.b[p.i] {
		case ',':
			p.i = skipSpace(p.b, p.i+1)
		case '}':
			p.i++
			return true
		default:
			return p.fail("expected a comma or the end of the object")
		}
	}
}

func (p *parser) array(depth int) bool {
	p.i = skipSpace(p.b, p.i+1)
	if p.i < len(p.b) && p.b[p.i] == ']' {
		p.i++
		return true
	}
	for {
		if !p.value(depth + 1) {
			return false
		}
		p.i = skipSpace(p.b, p.i)
		if p.i >= len(p.b) {
			return p.fail("unexpected end")
		}
		switch p.b[p.i] {
		case ',':
			p.i = skipSpace(p.b, p.i+1)
		case ']':
			p.i++
			return true
		default:
			return p.fail("expected a comma or the end of the array")
		}
	}
}

// str checks string content from p.i on and stops behind the closing quote.
func (p *parser) str() bool {
	b := p.b
	for i := p.i; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			p.i = i + 1
			return true
		case c < 0x20:
			p.i = i
			return p.fail("control character in a string")
		case c == '\\':
			i++
			if i >= len(b) {
				p.i = i
				return p.fail("unexpected end")
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(b[i+1:]); !ok {
					p.i = i
					return p.fail("bad \\u escape")
				}
				i += 4
			default:
				p.i = i
				return p.fail("bad escape")
			}
		}
	}
	p.i = len(b)
	return p.fail("unterminated string")
}

func (p *parser) literal(want string) bool {
	if len(p.b)-p.i < len(want) || string(p.b[p.i:p.i+len(want)]) != want {
		return p.fail("unexpected character")
	}
	p.i += len(want)
	return true
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
		return p.fail("bad number")
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		p.i++
		if !p.digits() {
			return p.fail("bad number")
		}
	}
	if p.i < len(p.b) && (p.b[p.i] == 'e' || p.b[p.i] == 'E') {
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		if !p.digits() {
			return p.fail("bad number")
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
