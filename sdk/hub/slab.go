package hub

// Slab hands out small lists from larger blocks: a conversation has hundreds of
// messages with one part or one call. The zero value is ready.
type Slab[T any] struct{ free []T }

// PartSlab is the slab of message parts.
type PartSlab = Slab[Part]

const slabSize = 64

// One returns a list of the one element.
func (s *Slab[T]) One(v T) []T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	list := s.free[:1:1]
	s.free = s.free[1:]
	list[0] = v
	return list
}

// Append appends v to list, which starts in the slab when it is empty.
func (s *Slab[T]) Append(list []T, v T) []T {
	if len(list) == 0 {
		return s.One(v)
	}
	return append(list, v)
}
