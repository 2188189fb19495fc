package hub

// PartSlab hands out small part lists from larger blocks: a conversation has hundreds
// of one-part messages. The zero value is ready.
type PartSlab struct{ free []Part }

const slabSize = 64

// One returns a list of the one part.
func (s *PartSlab) One(p Part) []Part {
	if len(s.free) == 0 {
		s.free = make([]Part, slabSize)
	}
	list := s.free[:1:1]
	s.free = s.free[1:]
	list[0] = p
	return list
}

// Append appends p to list, which starts in the slab when it is empty.
func (s *PartSlab) Append(list []Part, p Part) []Part {
	if len(list) == 0 {
		return s.One(p)
	}
	return append(list, p)
}
