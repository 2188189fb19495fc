package cases

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind is the JSON type of a [Value].
type Kind uint8

// The JSON types.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String is the type's name as the `$type` operator spells it.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Value is a parsed JSON value that keeps what a map would lose: the order of
// members, the digits of numbers and the source text.
type Value struct {
	Kind Kind
	Bool bool
	// Text is the decoded string, or the literal of a number.
	Text    string
	Items   []Value
	Members []Member
	// Raw is the source text of the value.
	Raw []byte
}

// Member is one name and value of an object.
type Member struct {
	Key   string
	Value Value
}

// Get finds a member of an object.
func (v Value) Get(key string) (Value, bool) {
	for i := range v.Members {
		if v.Members[i].Key == key {
			return v.Members[i].Value, true
		}
	}
	return Value{}, false
}

// Str returns the member's string, "" if it is none.
func (v Value) Str(key string) string {
	if m, ok := v.Get(key); ok && m.Kind == String {
		return m.Text
	}
	return ""
}

// Int returns the value as a small integer.
func (v Value) Int() (int, bool) {
	if v.Kind != Number {
		return 0, false
	}
	n, err := strconv.Atoi(v.Text)
	return n, err == nil
}

// SyntaxError is invalid JSON with the byte where it was noticed.
type SyntaxError struct {
	Offset int
	Msg    string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Msg)
}

const maxDepth = 512

// Parse reads one JSON value (RFC 8259). Stricter than most readers where a
// translator must not be sloppy: a repeated member name, invalid UTF-8 and
// anything after the value are errors. Lone surrogate escapes become U+FFFD.
// The value keeps slices of data.
func Parse(data []byte) (Value, error) {
	p := parser{data: data}
	v, err := p.value(0)
	if err == nil {
		if p.space(); p.pos < len(p.data) {
			err = p.fail("text after the value")
		}
	}
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

type parser struct {
	data []byte
	pos  int
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Offset: p.pos, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) value(depth int) (v Value, err error) {
	if depth > maxDepth {
		return v, p.fail("nested deeper than %d", maxDepth)
	}
	p.space()
	start := p.pos
	switch c := p.peek(); {
	case p.pos >= len(p.data):
		return v, p.fail("unexpected end")
	case c == '{':
		v.Kind = Object
		err = p.object(&v, depth)
	case c == '[':
		v.Kind = Array
		err = p.array(&v, depth)
	case c == '"':
		v.Kind = String
		v.Text, err = p.str()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		v.Text, err = p.number()
	case p.word("true"):
		v.Kind, v.Bool = Bool, true
	case p.word("false"):
		v.Kind = Bool
	case p.word("null"):
	default:
		return v, p.fail("unexpected %q", c)
	}
	v.Raw = p.data[start:p.pos:p.pos]
	return v, err
}

func (p *parser) word(w string) bool {
	if len(p.data)-p.pos >= len(w) && string(p.data[p.pos:p.pos+len(w)]) == w {
		p.pos += len(w)
		return true
	}
	return false
}

func (p *parser) object(v *Value, depth int) error {
	p.pos++
	v.Members = []Member{}
	seen := map[string]bool{}
	if p.space(); p.peek() == '}' {
		p.pos++
		return nil
	}
	for {
		if p.space(); p.peek() != '"' {
			return p.fail("expected a member name")
		}
		key, err := p.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return p.fail("repeated member %q", key)
		}
		seen[key] = true
		if p.space(); p.peek() != ':' {
			return p.fail("expected a colon")
		}
		p.pos++
		m, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.Members = append(v.Members, Member{key, m})
		if done, err := p.next('}'); done || err != nil {
			return err
		}
	}
}

func (p *parser) array(v *Value, depth int) error {
	p.pos++
	v.Items = []Value{}
	if p.space(); p.peek() == ']' {
		p.pos++
		return nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.Items = append(v.Items, item)
		if done, err := p.next(']'); done || err != nil {
			return err
		}
	}
}

// next reads a comma, or the closing mark of the container.
func (p *parser) next(closing byte) (done bool, err error) {
	p.space()
	switch p.peek() {
	case ',':
		p.pos++
		return false, nil
	case closing:
		p.pos++
		return true, nil
	}
	return false, p.fail("expected a comma or %q", closing)
}

func (p *parser) number() (string, error) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	switch c := p.peek(); {
	case c == '0':
		p.pos++
	case c >= '1' && c <= '9':
		p.digits()
	default:
		return "", p.fail("bad number")
	}
	if p.peek() == '.' {
		if p.pos++; !p.digits() {
			return "", p.fail("bad number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return "", p.fail("bad number")
		}
	}
	return string(p.data[start:p.pos]), nil
}

func (p *parser) digits() bool {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.data) { // the common case has no escapes
		switch c := p.data[p.pos]; {
		case c == '"':
			s := string(p.data[start:p.pos])
			if !utf8.ValidString(s) {
				return "", p.fail("invalid UTF-8 in a string")
			}
			p.pos++
			return s, nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.data[start:p.pos]...))
		case c < 0x20:
			return "", p.fail("control character in a string")
		}
		p.pos++
	}
	return "", p.fail("unterminated string")
}

func (p *parser) escaped(buf []byte) (string, error) {
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		p.pos++
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				return "", p.fail("invalid UTF-8 in a string")
			}
			return string(buf), nil
		case c == '\\':
			var err error
			if buf, err = p.escape(buf); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", p.fail("control character in a string")
		default:
			buf = append(buf, c)
		}
	}
	return "", p.fail("unterminated string")
}

func (p *parser) escape(buf []byte) ([]byte, error) {
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return append(buf, c), nil
	case 'b':
		return append(buf, '\b'), nil
	case 'f':
		return append(buf, '\f'), nil
	case 'n':
		return append(buf, '\n'), nil
	case 'r':
		return append(buf, '\r'), nil
	case 't':
		return append(buf, '\t'), nil
	case 'u':
		r, err := p.hex()
		if err != nil {
			return nil, err
		}
		if utf16.IsSurrogate(r) && p.word(`\u`) {
			low, err := p.hex()
			if err != nil {
				return nil, err
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return utf8.AppendRune(buf, pair), nil
			}
			return utf8.AppendRune(utf8.AppendRune(buf, r), low), nil
		}
		return utf8.AppendRune(buf, r), nil
	}
	return nil, p.fail("bad escape")
}

func (p *parser) hex() (rune, error) {
	if len(p.data)-p.pos < 4 {
		return 0, p.fail("bad escape")
	}
	n, err := strconv.ParseUint(string(p.data[p.pos:p.pos+4]), 16, 32)
	if err != nil {
		return 0, p.fail("bad escape")
	}
	p.pos += 4
	return rune(n), nil
}
