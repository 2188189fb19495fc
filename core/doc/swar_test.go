package doc

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpecials compares the word-wise search with a look at each byte.
func TestSpecials(t *testing.T) {
	for pos := range 8 {
		for c := range 256 {
			for _, fill := range []byte{'a', 0x80, 0xff, ' ', '!', '#', '[', ']', '"', 0x1f} {
				var word [8]byte
				for i := range word {
					word[i] = 'x'
					if i > pos {
						word[i] = fill
					}
				}
				word[pos] = byte(c)
				first, delimiter := 8, 8
				for i := 7; i >= 0; i-- {
					if b := word[i]; b == '"' || b == '\\' {
						first, delimiter = i, i
					} else if b < 0x20 {
						first = i
					}
				}
				w := binary.LittleEndian.Uint64(word[:])
				require.Equal(t, first, bits.TrailingZeros64(specials(w))>>3, "%q", word)
				require.Equal(t, delimiter, bits.TrailingZeros64(delimiters(w))>>3, "%q", word)
			}
		}
	}
}
