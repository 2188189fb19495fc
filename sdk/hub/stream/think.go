package stream

import (
	"bytes"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

type thinkState uint8

const (
	thinkStart  thinkState = iota // nothing but blanks so far
	thinkInside                   // behind the start tag
	thinkBehind                   // right behind the end tag
	thinkOff
)

// defaultTag is the spelling that most models use; others are told by configuration.
const defaultTag = "think"

// ThinkSplitter finds reasoning between think tags at the start of a text that
// arrives in fragments; case does not matter in tags. The zero value is ready.
type ThinkSplitter struct {
	// Tags are the names of the tags that are looked for; nil = think.
	Tags []string
	// Prefilled tells that the prompt ends with a start tag: the text begins as
	// reasoning, up to an end tag.
	Prefilled bool

	state thinkState
	tag   string // that was opened; "" = any
	held  []byte // a possible tag, held back
}

// Splitter returns the splitter for an upstream's answers.
func Splitter(c *hub.Ctx) ThinkSplitter {
	return ThinkSplitter{Tags: c.ThinkTags, Prefilled: c.ThinkPrefilled}
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
	rest := b[skipBlanks(b):]
	partial := len(rest) == 0
	for i := 0; ; i++ {
		tag, ok := s.name(i)
		if !ok {
			break
		}
		switch n := tagPrefix(rest, "<", tag); {
		case n == len(tag)+2:
			s.state, s.tag = thinkInside, tag
			return rest[n:]
		case n == len(rest):
			partial = true
		}
	}
	switch {
	case partial:
		s.held = append(s.held, b...)
		return nil
	case s.Prefilled:
		s.state = thinkInside
		return b
	}
	s.state = thinkOff
	text(b)
	return nil
}

// name returns the i-th tag that is looked for.
func (s *ThinkSplitter) name(i int) (string, bool) {
	switch {
	case s.tag != "":
		return s.tag, i == 0
	case len(s.Tags) == 0:
		return defaultTag, i == 0
	case i < len(s.Tags):
		return s.Tags[i], true
	}
	return "", false
}

// tagPrefix returns how many bytes at the start of b are those of a tag: all of the tag
// when it is complete, all of b when it may become one, else 0.
func tagPrefix(b []byte, open, name string) int {
	n := min(len(b), len(open)+len(name)+1)
	for i := range n {
		var want byte
		switch {
		case i < len(open):
			want = open[i]
		case i < len(open)+len(name):
			want = name[i-len(open)]
		default:
			want = '>'
		}
		if lower(b[i]) != lower(want) {
			return 0
		}
	}
	return n
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (s *ThinkSplitter) inside(b []byte, reasoning func(jsn.Str)) []byte {
	for at := 0; at < len(b); at++ {
		n := bytes.IndexByte(b[at:], '<')
		if n < 0 {
			break
		}
		at += n
		for i := 0; ; i++ {
			tag, ok := s.name(i)
			if !ok {
				break
			}
			n := tagPrefix(b[at:], "</", tag)
			if n == 0 || n < len(tag)+3 && n < len(b)-at {
				continue
			}
			if at > 0 {
				reasoning(b[:at])
			}
			if n == len(tag)+3 {
				s.state = thinkBehind
				return b[at+n:]
			}
			s.held = append(s.held, b[at:]...)
			return nil
		}
	}
	reasoning(b)
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
