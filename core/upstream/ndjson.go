package upstream

import (
	"bytes"

	"github.com/omniroute/omniroute/sdk/abi"
)

// ndjson reads one JSON text per line. Empty lines are skipped; a last line
// without its line break counts.
type ndjson struct {
	carry carry
	seen  int // kept bytes that hold no line break
}

// Feed implements Framer.
func (f *ndjson) Feed(p []byte, emit func(abi.Frame)) error {
	buf := f.carry.join(p)
	start, from := 0, f.seen
	for {
		k := bytes.IndexByte(buf[from:], '\n')
		if k < 0 {
			break
		}
		if line := bytes.TrimSpace(buf[start : from+k]); len(line) > 0 {
			emit(abi.Frame{Payload: line})
		}
		start = from + k + 1
		from = start
	}
	if len(buf)-start > MaxFrame {
		return badFrame("a line is longer than 8 MiB")
	}
	f.carry.keep(buf, start)
	f.seen = len(buf) - start
	return nil
}

// End implements Framer.
func (f *ndjson) End(emit func(abi.Frame)) error {
	if line := bytes.TrimSpace(f.carry.kept); len(line) > 0 {
		emit(abi.Frame{Payload: line})
	}
	f.carry = carry{}
	return nil
}

// jsonArray reads the elements of one JSON array as they become complete. It
// looks at brackets and strings only; what an element is worth its reader finds.
type jsonArray struct {
	carry   carry
	pos     int // kept bytes already looked at
	depth   int // brackets open inside the array
	string  bool
	escaped bool
	opened  bool // the array has begun
	closed  bool // the array is over
}

// Feed implements Framer.
func (f *jsonArray) Feed(p []byte, emit func(abi.Frame)) error {
	buf := f.carry.join(p)
	start := 0 // of the current element
	for i := f.pos; i < len(buf); i++ {
		c := buf[i]
		switch {
		case f.closed || !f.opened:
			if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
				continue
			}
			if f.closed || c != '[' {
				return badFrame("not one JSON array")
			}
			f.opened = true
			start = i + 1
		case f.string:
			switch {
			case f.escaped:
				f.escaped = false
			case c == '\\':
				f.escaped = true
			case c == '"':
				f.string = false
			}
		case c == '"':
			f.string = true
		case c == '{' || c == '[':
			f.depth++
		case (c == ']' || c == '}') && f.depth > 0:
			f.depth--
		case c == '}':
			return badFrame("a bracket closes nothing")
		case (c == ',' || c == ']') && f.depth == 0:
			if element := bytes.TrimSpace(buf[start:i]); len(element) > 0 {
				emit(abi.Frame{Payload: element})
			}
			f.closed = c == ']'
			start = i + 1
		}
	}
	if len(buf)-start > MaxFrame {
		return badFrame("an element is larger than 8 MiB")
	}
	if f.closed || !f.opened {
		start = len(buf)
	}
	f.carry.keep(buf, start)
	f.pos = len(buf) - start
	return nil
}

// End implements Framer.
func (f *jsonArray) End(func(abi.Frame)) error {
	if f.opened && !f.closed {
		return badFrame("the JSON array has no end")
	}
	return nil
}
