package upstream

import (
	"bytes"

	"github.com/omniroute/omniroute/sdk/abi"
)

// sse reads server-sent events as defined by the HTML standard, section 9.2,
// except that a lone carriage return ends no line. A last event without its
// blank line counts. The event [DONE] ends the stream: what follows is ignored.
type sse struct {
	raw     bool
	carry   carry
	begun   bool // the byte order mark was dealt with
	scanned int  // start of the first line of the kept bytes not yet seen whole
	seen    int  // bytes of that line that hold no line break
	over    bool
}

var doneMark = []byte("[DONE]")

func (s *sse) done() bool { return s.over }

// Feed implements Framer.
func (s *sse) Feed(p []byte, emit func(abi.Frame)) error {
	if s.over {
		return nil
	}
	buf := s.carry.join(p)
	start := 0
	if !s.begun {
		bom := []byte("\xef\xbb\xbf")
		switch {
		case bytes.HasPrefix(buf, bom):
			start, s.scanned, s.begun = len(bom), len(bom), true
		case len(buf) < len(bom) && bytes.HasPrefix(bom, buf):
			s.carry.keep(buf, 0)
			return nil
		default:
			s.begun = true
		}
	}
	line, from := s.scanned, s.scanned+s.seen
	for !s.over {
		k := bytes.IndexByte(buf[from:], '\n')
		if k < 0 {
			break
		}
		end := from + k + 1
		if text := buf[line : end-1]; len(text) == 0 || len(text) == 1 && text[0] == '\r' {
			s.event(buf[start:end], emit)
			start = end
		}
		line, from = end, end
	}
	if len(buf)-start > MaxFrame {
		return badFrame("an event is larger than 8 MiB")
	}
	s.carry.keep(buf, start)
	s.scanned, s.seen = line-start, len(buf)-line
	return nil
}

// End implements Framer.
func (s *sse) End(emit func(abi.Frame)) error {
	if !s.over && len(s.carry.kept) > 0 {
		s.event(s.carry.kept, emit)
	}
	s.over = true
	return nil
}

// event emits one event with all its lines.
func (s *sse) event(text []byte, emit func(abi.Frame)) {
	name, data, kind := parseEvent(nil, text)
	s.over = kind == dataEvent && bytes.Equal(bytes.TrimSpace(data), doneMark)
	switch {
	case s.raw:
		if len(bytes.TrimSpace(text)) > 0 {
			emit(abi.Frame{Kind: abi.FrameRaw, Payload: text})
		}
	case kind == dataEvent:
		emit(abi.Frame{Name: abi.Intern(name), Payload: data})
	case kind == commentEvent:
		emit(abi.Frame{Kind: abi.FrameComment, Payload: data})
	}
}

type eventKind uint8

const (
	noEvent      eventKind = iota // neither data nor comment
	dataEvent                     // has data
	commentEvent                  // has nothing but comments
)

// parseEvent reads the lines of one event. Several data lines are joined on dst.
func parseEvent(dst, text []byte) (name, data []byte, kind eventKind) {
	var comment []byte
	lines := 0
	for len(text) > 0 {
		var line []byte
		if k := bytes.IndexByte(text, '\n'); k >= 0 {
			line, text = text[:k], text[k+1:]
		} else {
			line, text = text, nil
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		field, value, _ := bytes.Cut(line, []byte{':'})
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch string(field) {
		case "data":
			switch lines++; lines {
			case 1:
				data = value
			case 2:
				data = append(append(append(dst, data...), '\n'), value...)
			default:
				data = append(append(data, '\n'), value...)
			}
		case "event":
			name = value
		case "":
			if len(line) > 0 && comment == nil {
				comment, kind = value, commentEvent
			}
		}
	}
	if lines > 0 {
		return name, data, dataEvent
	}
	return name, comment, kind
}

// ParseEvent reads one event as the framing sse-raw gives it: its name and its
// data lines joined by line breaks. data aliases event if it is one line, and
// replaces the content of dst otherwise. comment is true if the event holds
// nothing but a comment, which is then the data.
func ParseEvent(dst, event []byte) (name string, data []byte, comment bool) {
	n, data, kind := parseEvent(dst[:0], event)
	return abi.Intern(n), data, kind == commentEvent
}

// AppendEvent appends an event; name may be "". Each line of data becomes a
// data line.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, '\n')
	}
	for {
		k := bytes.IndexByte(data, '\n')
		dst = append(dst, "data: "...)
		if k < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, data[:k+1]...)
		data = data[k+1:]
	}
}

// AppendComment appends a comment of one line.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\r' {
			dst = append(dst, c)
		}
	}
	return append(dst, "\n\n"...)
}

// AppendFrame appends a frame as SSE: data as an event, a comment as a
// comment, raw bytes as they are.
func AppendFrame(dst []byte, f abi.Frame) []byte {
	switch f.Kind {
	case abi.FrameRaw:
		return append(dst, f.Payload...)
	case abi.FrameComment:
		return AppendComment(dst, string(f.Payload))
	}
	return AppendEvent(dst, f.Name, f.Payload)
}
