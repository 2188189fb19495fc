package executor

import "github.com/omniroute/omniroute/sdk/abi"

// pattern is a small regular expression: alternation, groups, classes, ., ^, $
// and the quantifiers * + ? {n}. It exists because package regexp would add
// more to a guest than all its executors together. Matching backtracks, on
// model names and ids of a few dozen bytes.
type pattern struct{ alt []branch }

type branch []piece

type piece struct {
	kind     byte // 'c' class, 'g' group, '^', '$'
	class    [32]byte
	group    []branch
	min, max int // repetitions; max -1 = any
}

const maxPattern = 256

type patternParser struct {
	src   string
	at    int
	depth int
}

// compilePattern reads a pattern.
func compilePattern(src string) (*pattern, error) {
	p := &patternParser{src: src}
	if len(src) <= maxPattern {
		if alt, ok := p.alternatives(); ok && p.at == len(src) {
			return &pattern{alt}, nil
		}
	}
	return nil, &abi.ErrorRecord{Message: "the pattern " + src + " is not supported", Class: "client", Scope: "provider", Status: 400}
}

func (p *patternParser) alternatives() ([]branch, bool) {
	if p.depth++; p.depth > 8 {
		return nil, false
	}
	defer func() { p.depth-- }()
	var alt []branch
	for {
		b, ok := p.branch()
		if !ok {
			return nil, false
		}
		alt = append(alt, b)
		if p.at >= len(p.src) || p.src[p.at] != '|' {
			return alt, true
		}
		p.at++
	}
}

func (p *patternParser) branch() (branch, bool) {
	b := branch{}
	for p.at < len(p.src) && p.src[p.at] != '|' && p.src[p.at] != ')' {
		x, ok := p.atom()
		if !ok || !p.quantifier(&x) {
			return nil, false
		}
		b = append(b, x)
	}
	return b, true
}

func (p *patternParser) atom() (piece, bool) {
	x := piece{kind: 'c', min: 1, max: 1}
	c := p.src[p.at]
	p.at++
	switch c {
	case '^', '$':
		x.kind = c
	case '(':
		if len(p.src) > p.at+1 && p.src[p.at:p.at+2] == "?:" {
			p.at += 2
		}
		alt, ok := p.alternatives()
		if !ok || p.at >= len(p.src) || p.src[p.at] != ')' {
			return x, false
		}
		p.at++
		x.kind, x.group = 'g', alt
	case '[':
		return x, p.class(&x)
	case '.':
		for i := range x.class {
			x.class[i] = 0xff
		}
	case '\\':
		if p.at >= len(p.src) {
			return x, false
		}
		c = p.src[p.at]
		p.at++
		if c == 'd' {
			x.add('0', '9')
		} else {
			x.add(c, c)
		}
	case '*', '+', '?', '{', '}', ']':
		return x, false
	default:
		x.add(c, c)
	}
	return x, true
}

func (p *patternParser) class(x *piece) bool {
	negate := false
	if p.at < len(p.src) && p.src[p.at] == '^' {
		negate = true
		p.at++
	}
	for start := p.at; p.at < len(p.src); {
		c := p.src[p.at]
		if c == ']' && p.at > start {
			p.at++
			if negate {
				for i := range x.class {
					x.class[i] = ^x.class[i]
				}
			}
			return true
		}
		p.at++
		hi := c
		if p.at+1 < len(p.src) && p.src[p.at] == '-' && p.src[p.at+1] != ']' {
			hi = p.src[p.at+1]
			p.at += 2
		}
		x.add(c, hi)
	}
	return false
}

func (x *piece) add(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		x.class[c>>3] |= 1 << (c & 7)
	}
}

func (p *patternParser) quantifier(x *piece) bool {
	if p.at >= len(p.src) {
		return true
	}
	switch p.src[p.at] {
	case '*':
		x.min, x.max = 0, -1
	case '+':
		x.max = -1
	case '?':
		x.min = 0
	case '{':
		n := 0
		for p.at++; p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' && n < 1000; p.at++ {
			n = n*10 + int(p.src[p.at]-'0')
		}
		if p.at >= len(p.src) || p.src[p.at] != '}' {
			return false
		}
		x.min, x.max = n, n
	default:
		return true
	}
	p.at++
	return x.kind == 'c' || x.kind == 'g'
}

// find reports whether the pattern matches anywhere in s.
func (p *pattern) find(s string) bool {
	for at := 0; at <= len(s); at++ {
		if any(p.alt, s, at, func(int) bool { return true }) {
			return true
		}
	}
	return false
}

// any tries each branch at a place; then says whether the rest matches.
func any(alt []branch, s string, at int, then func(int) bool) bool {
	for _, b := range alt {
		if b.match(s, at, then) {
			return true
		}
	}
	return false
}

func (b branch) match(s string, at int, then func(int) bool) bool {
	if len(b) == 0 {
		return then(at)
	}
	return b[0].repeat(s, at, 0, func(next int) bool { return b[1:].match(s, next, then) })
}

func (x *piece) repeat(s string, at, done int, then func(int) bool) bool {
	switch x.kind {
	case '^':
		return at == 0 && then(at)
	case '$':
		return at == len(s) && then(at)
	}
	if x.max < 0 || done < x.max {
		again := func(next int) bool {
			return (next > at || done < x.min) && x.repeat(s, next, done+1, then)
		}
		if x.kind == 'g' && any(x.group, s, at, again) {
			return true
		}
		if x.kind == 'c' && at < len(s) && x.class[s[at]>>3]&(1<<(s[at]&7)) != 0 && again(at+1) {
			return true
		}
	}
	return done >= x.min && then(at)
}
