package jsn

import (
	"math/bits"
	"unsafe"
)

// Kind is the type of a JSON value.
type Kind uint8

// Kinds of values. None is the kind of an absent value.
const (
	None Kind = iota
	Null
	Bool
	Number
	String
	Arr
	Obj
)

// KindOf tells the kind of a raw value from its first byte.
func KindOf(v []byte) Kind {
	if len(v) == 0 {
		return None
	}
	switch v[0] {
	case '{':
		return Obj
	case '[':
		return Arr
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return Number
	}
	return None
}

// Trim cuts white space from both ends of a document.
func Trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Eight bytes are looked at together: lo has the low bit of each byte set, hi the high
// one. A byte of v equals c where has(v ^ c*lo) has its high bit set; bytes above a hit
// may be marked too, the lowest mark is always right.
const (
	lo = 0x0101010101010101
	hi = 0x8080808080808080
)

// load reads eight bytes. The caller checks that they are there.
func load(b []byte, i int) uint64 {
	return *(*uint64)(unsafe.Pointer(uintptr(unsafe.Pointer(unsafe.SliceData(b))) + uintptr(i)))
}

// store writes eight bytes. The caller checks that there is room.
func store(b []byte, i int, v uint64) {
	*(*uint64)(unsafe.Pointer(uintptr(unsafe.Pointer(unsafe.SliceData(b))) + uintptr(i))) = v
}

// stringEnd returns the index of the closing quote of a string whose content
// starts at i, or -1.
func stringEnd(b []byte, i int) int {
	for {
		if i+8 <= len(b) {
			v := load(b, i)
			q, e := v^('"'*lo), v^('\\'*lo)
			m := ((q-lo)&^q | (e-lo)&^e) & hi
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		} else {
			for i < len(b) && b[i] != '"' && b[i] != '\\' {
				i++
			}
			if i >= len(b) {
				return -1
			}
		}
		if b[i] == '"' {
			return i
		}
		i += 2
	}
}

// Classes of bytes outside of strings: brackets count the depth.
const (
	classOpen   = 1
	classClose  = -1
	classQuote  = 2
	classScalar = 3 // may stand in a number or a literal
)

// class is looked up byte by byte: in a guest each branch costs more than a load.
var class = func() (t [256]int8) {
	for c := '!'; c <= '~'; c++ {
		t[c] = classScalar
	}
	t[','], t[':'] = 0, 0
	t['{'], t['['] = classOpen, classOpen
	t['}'], t[']'] = classClose, classClose
	t['"'] = classQuote
	return t
}()

// valueEnd returns the index behind the value that starts at i.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		if e := stringEnd(b, i+1); e >= 0 {
			return e + 1
		}
		return len(b)
	case '{', '[':
		return containerEnd(b, i)
	}
	return scalarEnd(b, i)
}

func scalarEnd(b []byte, i int) int {
	for i < len(b) && class[b[i]] == classScalar {
		i++
	}
	return i
}

// containerEnd skips an object or array by counting brackets outside of strings.
func containerEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		c := class[b[i]]
		i++
		switch c {
		case classOpen, classClose:
			if depth += int(c); depth == 0 {
				return i
			}
		case classQuote:
			for {
				if i+8 <= len(b) {
					v := load(b, i)
					q, e := v^('"'*lo), v^('\\'*lo)
					m := ((q-lo)&^q | (e-lo)&^e) & hi
					if m == 0 {
						i += 8
						continue
					}
					i += bits.TrailingZeros64(m) >> 3
				} else {
					for i < len(b) && b[i] != '"' && b[i] != '\\' {
						i++
					}
					if i >= len(b) {
						return len(b)
					}
				}
				if b[i] == '"' {
					i++
					break
				}
				i += 2
			}
		}
	}
	return len(b)
}

// unknown is the position of an iterator that has not looked for the end of its
// current value yet.
const unknown = -1

// ObjectIter walks the members of an object in order. The end of a value is looked
// for when it is needed: a container that is walked in place is read once.
type ObjectIter struct {
	b     []byte
	i     int // behind the current value, or unknown
	start int // of the current value
	end   int // behind the object itself, once it was walked

	keyStart, keyEnd int
	escaped          bool // the key holds an escape
}

// Object starts a walk over v. A value that is not an object has no members.
func Object(v []byte) ObjectIter {
	i := skipSpace(v, 0)
	if i >= len(v) || v[i] != '{' {
		return ObjectIter{}
	}
	return ObjectIter{b: v, i: i + 1}
}

// Next moves to the next member. JSON without white space, as programs write it, takes
// few branches here: in a guest they are what costs most.
func (it *ObjectIter) Next() bool {
	b := it.b
	i := it.i
	if i == unknown {
		i = valueEnd(b, it.start)
	}
	if i+ahead > len(b) {
		return it.next(i)
	}
	w := load(b, i)
	k := i + 1
	if byte(w) == ',' {
		w >>= 8
		k++
	}
	if byte(w) != '"' {
		return it.next(i)
	}
	it.keyStart = k
	var m uint64
	for {
		v := load(b, k)
		q, e := v^('"'*lo), v^('\\'*lo)
		if m = ((q-lo)&^q | (e-lo)&^e) & hi; m != 0 {
			break
		}
		if k += 8; k+ahead > len(b) {
			return it.next(i)
		}
	}
	k += bits.TrailingZeros64(m) >> 3
	w = load(b, k)
	if uint16(w) != '"'|':'<<8 || class[byte(w>>16)] <= 0 {
		return it.next(i)
	}
	it.keyEnd = k
	it.escaped = false
	k += 2
	it.start = k
	if byte(w>>16) != '"' {
		it.i = unknown
		return true
	}
	// Most values are strings: their end is found here, without a call.
	for k++; k+8 <= len(b); k += 8 {
		v := load(b, k)
		q, e := v^('"'*lo), v^('\\'*lo)
		if m = ((q-lo)&^q | (e-lo)&^e) & hi; m != 0 {
			k += bits.TrailingZeros64(m) >> 3
			break
		}
	}
	if k < len(b) && b[k] == '"' {
		it.i = k + 1
		return true
	}
	it.i = valueEnd(b, it.start)
	return true
}

// ahead is how far Next looks without asking for the end of the document.
const ahead = 16

// next is Next for every form of JSON.
func (it *ObjectIter) next(i int) bool {
	b := it.b
	for i < len(b) && (b[i] <= ' ' || b[i] == ',') {
		i++
	}
	if i >= len(b) || b[i] != '"' {
		return it.stop(i)
	}
	i++
	e := stringEnd(b, i)
	if e < 0 {
		return it.stop(len(b))
	}
	it.keyStart, it.keyEnd = i, e
	it.escaped = !unescaped(b[i:e])
	i = e + 1
	for i < len(b) && (b[i] <= ' ' || b[i] == ':') {
		i++
	}
	if i >= len(b) || class[b[i]] <= 0 {
		return it.stop(len(b))
	}
	it.start = i
	it.i = unknown
	return true
}

// stop ends the walk at i.
func (it *ObjectIter) stop(i int) bool {
	if i < len(it.b) && it.b[i] == '}' {
		it.end = i + 1
	}
	it.b, it.i, it.start = nil, 0, 0
	return false
}

// Key returns the decoded name of the member.
func (it *ObjectIter) Key() []byte {
	key := it.b[it.keyStart:it.keyEnd]
	if it.escaped {
		return appendDecoded(nil, key)
	}
	return key
}

// RawKey returns the name of the member in its escaped form.
func (it *ObjectIter) RawKey() Str { return Str(it.b[it.keyStart:it.keyEnd]) }

// Value returns the raw value of the member.
func (it *ObjectIter) Value() []byte {
	if it.i == unknown {
		it.i = valueEnd(it.b, it.start)
	}
	return it.b[it.start:it.i:it.i]
}

// Span returns where the value stands in [ObjectIter.Base].
func (it *ObjectIter) Span() (start, end int) {
	if it.i == unknown {
		it.i = valueEnd(it.b, it.start)
	}
	return it.start, it.i
}

// Base returns the document that is walked, before its end.
func (it *ObjectIter) Base() []byte { return it.b }

// ValueOffset returns where the value stands in the object that is walked.
func (it *ObjectIter) ValueOffset() int { return it.start }

// Kind tells the kind of the value without looking for its end.
func (it *ObjectIter) Kind() Kind { return KindOf(it.b[it.start:]) }

// Object walks the value, an object, in place. Hand the walk to [ObjectIter.Leave]
// afterwards, so that the value is not read again to find its end:
//
//	inner := it.Object()
//	for inner.Next() { … }
//	it.Leave(inner.End())
func (it *ObjectIter) Object() ObjectIter {
	if len(it.b) == 0 || it.b[it.start] != '{' {
		return ObjectIter{}
	}
	return ObjectIter{b: it.b, i: it.start + 1}
}

// Array walks the value, an array, in place, like [ObjectIter.Object].
func (it *ObjectIter) Array() ArrayIter {
	if len(it.b) == 0 || it.b[it.start] != '[' {
		return ArrayIter{}
	}
	return ArrayIter{b: it.b, i: it.start + 1}
}

// End returns the position behind the object in the document that is walked, 0 unless
// it was walked to its end.
func (it *ObjectIter) End() int { return it.end }

// Leave goes on behind a value that was walked in place; end 0 changes nothing.
func (it *ObjectIter) Leave(end int) {
	if end > it.start {
		it.i = end
	}
}

// ArrayIter walks the elements of an array in order, as lazily as [ObjectIter].
type ArrayIter struct {
	b     []byte
	i     int
	start int
	end   int
}

// Array starts a walk over v. A value that is not an array has no elements.
func Array(v []byte) ArrayIter {
	i := skipSpace(v, 0)
	if i >= len(v) || v[i] != '[' {
		return ArrayIter{}
	}
	return ArrayIter{b: v, i: i + 1}
}

// Next moves to the next element.
func (it *ArrayIter) Next() bool {
	b := it.b
	i := it.i
	if i == unknown {
		i = valueEnd(b, it.start)
	}
	for i < len(b) && (b[i] == ',' || b[i] <= ' ') {
		i++
	}
	if i >= len(b) || class[b[i]] <= 0 {
		if i < len(b) && b[i] == ']' {
			it.end = i + 1
		}
		it.b, it.i, it.start = nil, 0, 0
		return false
	}
	it.start = i
	it.i = unknown
	return true
}

// Value returns the raw element.
func (it *ArrayIter) Value() []byte {
	if it.i == unknown {
		it.i = valueEnd(it.b, it.start)
	}
	return it.b[it.start:it.i:it.i]
}

// Kind tells the kind of the element without looking for its end.
func (it *ArrayIter) Kind() Kind { return KindOf(it.b[it.start:]) }

// Object walks the element, an object, in place, like [ObjectIter.Object].
func (it *ArrayIter) Object() ObjectIter {
	if len(it.b) == 0 || it.b[it.start] != '{' {
		return ObjectIter{}
	}
	return ObjectIter{b: it.b, i: it.start + 1}
}

// End returns the position behind the array, like [ObjectIter.End].
func (it *ArrayIter) End() int { return it.end }

// Leave goes on behind an element that was walked in place; end 0 changes nothing.
func (it *ArrayIter) Leave(end int) {
	if end > it.start {
		it.i = end
	}
}

// Len counts the elements of an array or the members of an object.
func Len(v []byte) int {
	n := 0
	switch KindOf(v) {
	case Arr:
		for it := Array(v); it.Next(); {
			n++
		}
	case Obj:
		for it := Object(v); it.Next(); {
			n++
		}
	}
	return n
}

// Get follows object member names from v and returns the raw value found, or nil.
// The first member of a name counts.
func Get(v []byte, path ...string) []byte {
	for _, name := range path {
		it := Object(v)
		v = nil
		for it.Next() {
			if string(it.Key()) == name {
				v = it.Value()
				break
			}
		}
		if v == nil {
			return nil
		}
	}
	return v
}

// IsNull tells whether v is absent or the literal null.
func IsNull(v []byte) bool { return len(v) == 0 || v[0] == 'n' }

// IsTrue tells whether v is the literal true.
func IsTrue(v []byte) bool { return len(v) == 4 && v[0] == 't' }

// IsFalse tells whether v is the literal false.
func IsFalse(v []byte) bool { return len(v) == 5 && v[0] == 'f' }

// View returns b as a string without copying. The bytes must not change while
// the string is in use.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// KeyOffset returns where the member, at the quote of its name, stands in the object
// that is walked.
func (it *ObjectIter) KeyOffset() int { return it.keyStart - 1 }

// ValueOffset returns where the element stands in the array that is walked.
func (it *ArrayIter) ValueOffset() int { return it.start }
