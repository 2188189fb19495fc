package hub

// Arena is the memory of a parsed request: lists of messages, parts, calls and tools.
// Whoever translates request after request keeps one in [Ctx.Arena] and resets it
// before each; a request does not outlive its translation. The zero value is ready.
type Arena struct {
	Parts    Slab[Part]
	Calls    Slab[Call]
	messages []Message
	tools    []ToolDef
}

// Most elements that a reset keeps: memory for ordinary requests, not for giant ones.
const arenaKeeps = 2048

// Reset takes all memory back. The lists handed out before are no longer valid.
func (a *Arena) Reset() {
	a.Parts.reset()
	a.Calls.reset()
	a.messages = emptied(a.messages)
	a.tools = emptied(a.tools)
}

func emptied[T any](list []T) []T {
	if cap(list) > arenaKeeps {
		return nil
	}
	list = list[:cap(list)]
	clear(list)
	return list[:0]
}

// Messages returns an empty list with room for n messages. A request has one.
func (a *Arena) Messages(n int) []Message {
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

// One returns a list of the one element.
func (s *Slab[T]) One(v T) []T {
	if s.used == len(s.block) {
		s.block, s.used = make([]T, max(slabSize, 2*len(s.block))), 0
	}
	at := s.used
	s.used++
	s.block[at] = v
	return s.block[at:s.used:s.used]
}

// Append appends v to list, which starts in the slab when it is empty.
func (s *Slab[T]) Append(list []T, v T) []T {
	if len(list) == 0 {
		return s.One(v)
	}
	return append(list, v)
}

func (s *Slab[T]) reset() {
	clear(s.block[:s.used])
	s.used = 0
	if len(s.block) > arenaKeeps {
		s.block = nil
	}
}
