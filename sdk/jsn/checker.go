package jsn

// Checker validates one JSON object that arrives in pieces. The zero value expects
// the object's start.
type Checker struct {
	stack []byte // '{' or '[' of the open containers
	state checkState
	lit   string // rest of a literal
	num   byte   // where inside a number
	hex   int    // digits missing of a \u escape
	key   bool   // the string being read is a member name
	bad   bool
}

type checkState uint8

const (
	wantObject   checkState = iota // before the object
	wantKeyOrEnd                   // behind {
	wantKey                        // behind , in an object
	wantColon
	wantValue      // behind :
	wantValueOrEnd // behind [
	wantItem       // behind , in an array
	wantNext       // behind a value
	inString
	inEscape
	inHex
	inNumber
	inLiteral
	complete
)

// Parts of a number: what was read last.
const (
	numMinus byte = iota
	numZero
	numInt
	numDot
	numFrac
	numExp
	numExpSign
	numExpDigits
)

// Complete tells whether the object is closed and nothing but white space follows.
func (c *Checker) Complete() bool { return c.state == complete && !c.bad }

// Started tells whether the opening brace was seen.
func (c *Checker) Started() bool { return c.state != wantObject }

// Feed takes the next bytes and returns how many of them can belong to the object:
// all, unless the text stops being one. Behind a complete object nothing but white
// space is taken.
func (c *Checker) Feed(p []byte) int {
	for i := 0; i < len(p) && !c.bad; i++ {
		if c.state == inString {
			for i < len(p) && p[i] != '"' && p[i] != '\\' && p[i] >= 0x20 {
				i++
			}
			if i == len(p) {
				break
			}
		}
		if c.state == complete && !isSpace(p[i]) {
			return i
		}
		if c.bad = !c.step(p[i]); c.bad {
			return i
		}
	}
	if c.bad {
		return 0
	}
	return len(p)
}

func (c *Checker) step(b byte) bool {
	switch c.state {
	case inString:
		switch {
		case b == '"':
			c.state = wantNext
			if c.key {
				c.state = wantColon
			}
		case b == '\\':
			c.state = inEscape
		default:
			return b >= 0x20
		}
		return true
	case inEscape:
		c.state = inString
		switch b {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			c.state, c.hex = inHex, 4
		default:
			return false
		}
		return true
	case inHex:
		if c.hex--; c.hex == 0 {
			c.state = inString
		}
		return isDigit(b) || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
	case inLiteral:
		if c.lit[0] != b {
			return false
		}
		if c.lit = c.lit[1:]; c.lit == "" {
			c.state = wantNext
		}
		return true
	case inNumber:
		if c.number(b) {
			return true
		}
		if c.num == numMinus || c.num == numDot || c.num == numExp || c.num == numExpSign {
			return false
		}
		c.state = wantNext
	}
	if isSpace(b) {
		return true
	}
	return c.structure(b)
}

func (c *Checker) structure(b byte) bool {
	switch c.state {
	case wantObject:
		return b == '{' && c.push(b)
	case wantKeyOrEnd, wantKey:
		if b == '"' {
			c.state, c.key = inString, true
			return true
		}
		return b == '}' && c.state == wantKeyOrEnd && c.pop(b)
	case wantColon:
		c.state = wantValue
		return b == ':'
	case wantValueOrEnd:
		if b == ']' {
			return c.pop(b)
		}
		return c.value(b)
	case wantValue, wantItem:
		return c.value(b)
	case wantNext:
		if b != ',' {
			return (b == '}' || b == ']') && c.pop(b)
		}
		c.state = wantKey
		if c.stack[len(c.stack)-1] == '[' {
			c.state = wantItem
		}
		return true
	}
	return false
}

func (c *Checker) push(b byte) bool {
	c.stack = append(c.stack, b)
	c.state = wantKeyOrEnd
	if b == '[' {
		c.state = wantValueOrEnd
	}
	return len(c.stack) <= MaxDepth
}

func (c *Checker) pop(b byte) bool {
	n := len(c.stack) - 1
	if n < 0 || c.stack[n] != b-2 {
		return false
	}
	c.stack = c.stack[:n]
	c.state = wantNext
	if n == 0 {
		c.state = complete
	}
	return true
}

func (c *Checker) value(b byte) bool {
	switch {
	case b == '"':
		c.state, c.key = inString, false
	case b == '{' || b == '[':
		return c.push(b)
	case b == 't':
		c.state, c.lit = inLiteral, "rue"
	case b == 'f':
		c.state, c.lit = inLiteral, "alse"
	case b == 'n':
		c.state, c.lit = inLiteral, "ull"
	case b == '-':
		c.state, c.num = inNumber, numMinus
	case b == '0':
		c.state, c.num = inNumber, numZero
	case isDigit(b):
		c.state, c.num = inNumber, numInt
	default:
		return false
	}
	return true
}

// number takes b when it continues the number being read.
func (c *Checker) number(b byte) bool {
	digit := isDigit(b)
	exp := b == 'e' || b == 'E'
	switch c.num {
	case numMinus:
		if b == '0' {
			c.num = numZero
			return true
		}
		if digit {
			c.num = numInt
		}
		return digit
	case numZero, numInt:
		switch {
		case digit && c.num == numInt:
			return true
		case b == '.':
			c.num = numDot
			return true
		case exp:
			c.num = numExp
			return true
		}
		return false
	case numDot, numFrac:
		if digit {
			c.num = numFrac
			return true
		}
		if exp && c.num == numFrac {
			c.num = numExp
			return true
		}
		return false
	case numExp:
		if b == '+' || b == '-' {
			c.num = numExpSign
			return true
		}
	}
	if digit {
		c.num = numExpDigits
	}
	return digit
}
