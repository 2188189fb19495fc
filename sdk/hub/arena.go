package hub

// Arena is the memory of a parsed request: lists of messages, parts, calls and tools.
// Whoever translates request after request keeps one in [Ctx.Arena] and resets it
// before each; a request does not outlive its translation. The zero value is ready.
type Arena struct {
	Parts    Slab[Part]
	Calls    Slab[Call]
	messages []Message
	tools    []ToolDef
	lent     bool // messages are in use
}

// Most elements that a reset keeps: memory for ordinary requests, not for giant ones.
const arenaKeeps = 2048

// Reset takes all memory back. The lists handed out before are no longer valid.
func (a *Arena) Reset() {
	a.Parts.reset()
	a.Calls.reset()
	a.messages = emptied(a.messages)
	a.tools = emptied(a.tools)
	a.lent = false
}

func emptied[T any](list []T) []T {
	if cap(list) > arenaKeeps {
		return nil
	}
	list = list[:cap(list)]
	clear(list)
	return list[:0]
}

// Messages returns an empty list with room for n messages, which are zero up to its
// capacity. A request has one; further ones get memory of their own.
func (a *Arena) Messages(n int) []Message {
	if a.lent {
		return make([]Message, 0, n)
	}
	a.lent = true
	if cap(a.messages) < n {
		a.messages = make([]Message, 0, n)
	}
	return a.messages[:0]
}

// Tools returns an empty list with room for n tools. A request has one.
func (a *Arena) Tools(n int) []ToolDef {
	if cap(a.tools) < n {
		a.tools = make([]ToolDef, 0, n)
	}
	return a.tools[:0]
}

// Slab hands out small lists from larger blocks: a conversation has hundreds of
// messages with one part or one call. The zero value is ready.
type Slab[T any] struct {
	block []T
	used  int
}

const slabSize = 64

// Grow returns list with one more, empty, element at its end, which is the caller's to
// fill. An empty list starts in the slab.
func (s *Slab[T]) Grow(list []T) []T {
	if len(list) > 0 {
		var empty T
		return append(list, empty)
	}
	if s.used == len(s.block) {
		s.block, s.used = make([]T, max(slabSize, 2*len(s.block))), 0
	}
	at := s.used
	s.used++
	return s.block[at:s.used:s.used]
}

func (s *Slab[T]) reset() {
	clear(s.block[:s.used])
	s.used = 0
	if len(s.block) > arenaKeeps {
		s.block = nil
	}
}
