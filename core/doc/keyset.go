package doc

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// keySet finds duplicate keys. The keys of all open objects lie on one stack.
// A small object compares the head of a new key with those it has; a larger
// one looks into a hash table that all large objects share, so that an object
// with many keys costs no more per key than a small one.
type keySet struct {
	keys  []key
	table []uint32 // open addressing; index into keys plus one, 0 = free
	used  int      // taken places of table
	last  uint32   // number of the latest object
	seed  maphash.Seed
	ready bool // seed is set
}

type key struct {
	head       uint64 // its first eight bytes
	hash       uint64 // set when it enters the table
	start, end uint32
	object     uint32
	escaped    bool
	tabled     bool
}

// object is an open object: its number and where its keys start.
type object struct {
	number uint32
	base   int
}

// smallObject is the number of keys up to which comparing heads one by one is
// cheaper than the table.
const smallObject = 16

// maxKeptKeys bounds what a pooled keySet keeps.
const maxKeptKeys = 1 << 14

func (k *keySet) reset() {
	if cap(k.keys) > maxKeptKeys {
		k.keys = nil
	}
	if len(k.table) > 4*maxKeptKeys {
		k.table = nil
	}
	if k.used > 0 {
		clear(k.table)
	}
	k.keys, k.used, k.last = k.keys[:0], 0, 0
}

func (k *keySet) open() object {
	k.last++
	return object{k.last, len(k.keys)}
}

func (k *keySet) close(o object) { k.keys = k.keys[:o.base] }

// add adds the key src[start:end] to the innermost object o and reports whether
// it is new there.
func (k *keySet) add(o object, src []byte, start, end int, escaped bool) bool {
	text, first := src[start:end], uint64(0)
	switch {
	case escaped:
		text = unescape(nil, text)
		first = head(text)
	case start+8 <= len(src):
		first = binary.LittleEndian.Uint64(src[start:])
		if n := end - start; n < 8 {
			first &= 1<<(8*n) - 1
		}
	default:
		first = head(text)
	}
	n := key{head: first, start: uint32(start), end: uint32(end), object: o.number, escaped: escaped}
	siblings := k.keys[o.base:]
	if len(siblings) < smallObject {
		for i := range siblings {
			if siblings[i].head == n.head && siblings[i].same(src, text) {
				return false
			}
		}
		k.keys = append(k.keys, n)
		return true
	}
	if !k.ready {
		// A seed per set, hence per pooled scanner, keeps clients from
		// preparing keys that collide.
		k.seed, k.ready = maphash.MakeSeed(), true
	}
	if len(siblings) == smallObject {
		for i := range siblings {
			k.insert(o.base+i, maphash.Bytes(k.seed, siblings[i].text(src)))
		}
	}
	hash := maphash.Bytes(k.seed, text)
	if k.contains(hash, o.number, src, text) {
		return false
	}
	k.keys = append(k.keys, n)
	k.insert(len(k.keys)-1, hash)
	return true
}

// head packs the first eight bytes of a key.
func head(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.LittleEndian.Uint64(text)
	}
	var w uint64
	for i, c := range text {
		w |= uint64(c) << (8 * i)
	}
	return w
}

// text returns the unescaped key.
func (n *key) text(src []byte) []byte {
	if n.escaped {
		return unescape(nil, src[n.start:n.end])
	}
	return src[n.start:n.end]
}

func (n *key) same(src, text []byte) bool { return bytes.Equal(n.text(src), text) }

// slot is where the search for a key begins: the same key in another object
// begins elsewhere.
func (k *keySet) slot(hash uint64, object uint32) uint64 {
	return (hash + uint64(object)*0x9e3779b97f4a7c15) & uint64(len(k.table)-1)
}

// contains looks for a key of an object. Places whose object was closed since
// point at nothing or at another key; both are told by the comparison.
func (k *keySet) contains(hash uint64, object uint32, src, text []byte) bool {
	for p := k.slot(hash, object); ; p = (p + 1) & uint64(len(k.table)-1) {
		ref := k.table[p]
		if ref == 0 {
			return false
		}
		if int(ref) > len(k.keys) {
			continue
		}
		n := &k.keys[ref-1]
		if n.hash == hash && n.object == object && n.same(src, text) {
			return true
		}
	}
}

func (k *keySet) insert(i int, hash uint64) {
	if 2*(k.used+1) > len(k.table) {
		k.grow()
	}
	k.keys[i].tabled, k.keys[i].hash = true, hash
	k.place(i)
}

func (k *keySet) place(i int) {
	n := &k.keys[i]
	p := k.slot(n.hash, n.object)
	for k.table[p] != 0 {
		p = (p + 1) & uint64(len(k.table)-1)
	}
	k.table[p] = uint32(i + 1)
	k.used++
}

// grow makes room for as many keys again as are alive, and forgets the dead.
func (k *keySet) grow() {
	alive := 0
	for i := range k.keys {
		if k.keys[i].tabled {
			alive++
		}
	}
	size := 128
	for size < 4*(alive+1) {
		size *= 2
	}
	if size <= len(k.table) {
		clear(k.table)
	} else {
		k.table = make([]uint32, size)
	}
	k.used = 0
	for i := range k.keys {
		if k.keys[i].tabled {
			k.place(i)
		}
	}
}
