package doc

import (
	"encoding/binary"
	"math/bits"
)

// Strings are read eight bytes at a time (SWAR): a byte b of the word w is
// below n (n ≤ 128) iff bit 7 of (b-n)&^b is set, and zero iff it is below 1.
// Borrows can set bits above a true hit but never below it, so the lowest set
// bit is exact. See "Hacker's Delight" 6-1.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// specials marks the first byte of w that is a quote, a backslash or a control
// character. Flipping bit 1 turns a quote (0x22) into 0x20 and keeps control
// characters below it, and nothing else: one comparison finds both.
func specials(w uint64) uint64 {
	q := w ^ ones*0x02
	b := w ^ ones*'\\'
	return ((q-ones*0x21)&^q | (b-ones)&^b) & highs
}

// delimiters marks the first byte of w that is a quote or a backslash.
func delimiters(w uint64) uint64 {
	q := w ^ ones*'"'
	b := w ^ ones*'\\'
	return ((q-ones)&^q | (b-ones)&^b) & highs
}

// skipString returns the offset of the quote that closes the string whose
// content starts at i, -1 if there is none.
func skipString(src []byte, i int) int {
	for {
		for i+8 <= len(src) {
			m := delimiters(binary.LittleEndian.Uint64(src[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(src) && src[i] != '"' && src[i] != '\\' {
			i++
		}
		if i >= len(src) {
			return -1
		}
		if src[i] == '"' {
			return i
		}
		i += 2
	}
}
