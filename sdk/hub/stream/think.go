package stream

import (
	"bytes"

	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	openTag  = "<think>"
	closeTag = "</think>"
)

type thinkState uint8

const (
	thinkStart  thinkState = iota // nothing but blanks so far
	thinkInside                   // behind the start tag
	thinkBehind                   // right behind the end tag
	thinkOff
)

// ThinkSplitter finds reasoning between think tags at the start of a text that
// arrives in fragments. The zero value is ready.
type ThinkSplitter struct {
	state thinkState
	held  []byte // a possible tag, held back
}

// Off ends the search, releasing what was held back: as text, or as reasoning inside
// an open tag. Call it when upstream sends reasoning in a field of its own, when
// something else than text arrives, and at the end.
func (s *ThinkSplitter) Off(text, reasoning func(jsn.Str)) {
	if len(s.held) > 0 {
		if s.state == thinkInside {
			reasoning(s.held)
		} else {
			text(s.held)
		}
	}
	s.held, s.state = nil, thinkOff
}

// Interrupt tells that something else than text arrived: what was held back before a
// start tag is released and no tag is looked for any more.
func (s *ThinkSplitter) Interrupt(text func(jsn.Str)) {
	if s.state == thinkStart {
		s.Off(text, text)
	}
}

// Feed takes a fragment of text and passes it on as text or reasoning.
func (s *ThinkSplitter) Feed(frag jsn.Str, text, reasoning func(jsn.Str)) {
	if s.state == thinkOff {
		text(frag)
		return
	}
	b := plainTags(frag)
	if len(s.held) > 0 {
		b = append(append([]byte(nil), s.held...), b...)
		s.held = s.held[:0]
	}
	for len(b) > 0 {
		switch s.state {
		case thinkStart:
			b = s.start(b, text)
		case thinkInside:
			b = s.inside(b, reasoning)
		case thinkBehind:
			b = s.behind(b)
		default:
			text(b)
			return
		}
	}
}

func (s *ThinkSplitter) start(b []byte, text func(jsn.Str)) []byte {
	i := skipBlanks(b)
	rest := b[i:]
	switch {
	case bytes.HasPrefix(rest, []byte(openTag)):
		s.state = thinkInside
		return rest[len(openTag):]
	case len(rest) < len(openTag) && string(rest) == openTag[:len(rest)]:
		s.held = append(s.held, b...)
		return nil
	}
	s.state = thinkOff
	text(b)
	return nil
}

func (s *ThinkSplitter) inside(b []byte, reasoning func(jsn.Str)) []byte {
	if i := bytes.Index(b, []byte(closeTag)); i >= 0 {
		if i > 0 {
			reasoning(b[:i])
		}
		s.state = thinkBehind
		return b[i+len(closeTag):]
	}
	keep := 0
	for n := min(len(closeTag)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == closeTag[:n] {
			keep = n
			break
		}
	}
	if len(b) > keep {
		reasoning(b[:len(b)-keep])
	}
	s.held = append(s.held, b[len(b)-keep:]...)
	return nil
}

// behind drops one line break.
func (s *ThinkSplitter) behind(b []byte) []byte {
	if string(b) == `\r` {
		s.held = append(s.held, b...)
		return nil
	}
	s.state = thinkOff
	if bytes.HasPrefix(b, []byte(`\r\n`)) {
		return b[4:]
	}
	if bytes.HasPrefix(b, []byte(`\n`)) {
		return b[2:]
	}
	return b
}

// skipBlanks returns the length of the white space at the start of escaped text.
func skipBlanks(b []byte) int {
	i := 0
	for i < len(b) {
		switch {
		case b[i] == ' ':
			i++
		case b[i] == '\\' && i+1 < len(b) && (b[i+1] == 'n' || b[i+1] == 'r' || b[i+1] == 't'):
			i += 2
		default:
			return i
		}
	}
	return i
}

// plainTags writes the characters of the tags without escapes: servers that escape
// for HTML send < as \u003c.
func plainTags(s jsn.Str) []byte {
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			out = append(out, s[i])
			continue
		}
		switch {
		case s[i+1] == '/':
			out = append(out, '/')
			i++
		case s[i+1] == 'u' && i+5 < len(s) && plainEscape(s[i+2:i+6]) != 0:
			out = append(out, plainEscape(s[i+2:i+6]))
			i += 5
		default:
			out = append(out, s[i], s[i+1])
			i++
		}
	}
	return out
}

func plainEscape(hex []byte) byte {
	switch string(hex) {
	case "003c", "003C":
		return '<'
	case "003e", "003E":
		return '>'
	case "002f", "002F":
		return '/'
	case "0020":
		return ' '
	}
	return 0
}
