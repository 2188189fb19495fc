package abi

import (
	"bytes"
	"cmp"
	"slices"
)

// joinGap is how many zero bytes between two data segments are written out
// rather than begin a segment of its own. Linkers leave out runs of zeros from
// two words on, which makes tens of thousands of segments of a large module;
// a host keeps some hundred bytes for each.
const joinGap = 32

// sectionData and sectionDataCount are the ids of the sections that hold and
// announce data segments.
const (
	sectionData      = 11
	sectionDataCount = 12
)

// JoinData returns a module with neighbouring data segments made one: it
// starts with the same memory, and loads faster and smaller. A module whose
// segments are not plainly placed (passive ones, several memories, computed
// addresses, overlaps) is returned as it is.
func JoinData(module []byte) ([]byte, error) {
	if !bytes.HasPrefix(module, wasmHead) {
		return nil, ErrNotWasm
	}
	out := bytes.Clone(wasmHead)
	rest := module[len(wasmHead):]
	for len(rest) > 0 {
		size, n := uvarint(rest[1:])
		if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
			return nil, ErrNotWasm
		}
		section := rest[:1+n+int(size)]
		rest = rest[len(section):]
		switch section[0] {
		case sectionDataCount:
			return module, nil // instructions may name segments
		case sectionData:
			segments, ok := readData(section[1+n:])
			if !ok {
				return module, nil
			}
			out = appendData(out, segments)
		default:
			out = append(out, section...)
		}
	}
	return out, nil
}

// segment is data at an address of memory 0.
type segment struct {
	at    uint32
	bytes []byte
}

func (s segment) end() uint64 { return uint64(s.at) + uint64(len(s.bytes)) }

// readData reads the content of a data section into segments in the order of
// their addresses.
func readData(b []byte) ([]segment, bool) {
	count, n := uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, false
	}
	b = b[n:]
	segments := make([]segment, 0, count)
	for range count {
		// active in memory 0, at i32.const
		if len(b) < 2 || b[0] != 0 || b[1] != 0x41 {
			return nil, false
		}
		at, n := readConst(b[2:])
		b = b[2+n:]
		if n == 0 || len(b) == 0 || b[0] != 0x0b {
			return nil, false
		}
		size, n := uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return nil, false
		}
		b = b[1+n:]
		segments = append(segments, segment{uint32(at), b[:size]})
		b = b[size:]
	}
	slices.SortStableFunc(segments, func(x, y segment) int { return cmp.Compare(x.at, y.at) })
	for k := 1; k < len(segments); k++ {
		if segments[k-1].end() > uint64(segments[k].at) {
			return nil, false
		}
	}
	return segments, true
}

// readConst reads a signed LEB128 number of 32 bits; n = 0 is none.
func readConst(b []byte) (v int32, n int) {
	var sum int64
	for k, c := range b[:min(5, len(b))] {
		sum |= int64(c&0x7f) << (7 * k)
		if c < 0x80 {
			if c&0x40 != 0 {
				sum -= 1 << (7 * (k + 1))
			}
			return int32(sum), k + 1
		}
	}
	return 0, 0
}

func appendConst(dst []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(dst, c)
		}
		dst = append(dst, c|0x80)
	}
}

// appendData appends a data section with the neighbours among segments joined.
func appendData(dst []byte, segments []segment) []byte {
	var joined []segment
	for _, s := range segments {
		if k := len(joined) - 1; k >= 0 {
			if gap := uint64(s.at) - joined[k].end(); gap <= joinGap {
				joined[k].bytes = append(append(joined[k].bytes, make([]byte, gap)...), s.bytes...)
				continue
			}
		}
		joined = append(joined, segment{s.at, bytes.Clone(s.bytes)})
	}
	body := appendUvarint(nil, uint64(len(joined)))
	for _, s := range joined {
		body = appendConst(append(body, 0, 0x41), int32(s.at))
		body = appendUvarint(append(body, 0x0b), uint64(len(s.bytes)))
		body = append(body, s.bytes...)
	}
	dst = appendUvarint(append(dst, sectionData), uint64(len(body)))
	return append(dst, body...)
}

// What a translation may know of the upstream, in TagTrait.
const (
	TraitDeveloper = "developer"       // it knows the role developer
	TraitPrefilled = "think_prefilled" // its prompts end with a start tag of reasoning
	TraitThink     = "think:"          // and the name of a tag that it puts around reasoning
)
