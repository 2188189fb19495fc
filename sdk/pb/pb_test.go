package pb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/pb"
)

func TestRoundTrip(t *testing.T) {
	var w pb.Writer
	w.String(1, "héllo")
	w.Uint(2, 1<<63)
	w.Bool(3, true)
	w.Packed(4, 1, 300)
	w.Message(5, func(w *pb.Writer) { w.Bytes(1, []byte{0}) })
	require.True(t, pb.Valid(w.Data()))
	var got []int
	for f := range pb.Fields(w.Data()) {
		got = append(got, f.Number)
	}
	require.Equal(t, []int{1, 2, 3, 4, 5}, got)
	f, ok := pb.Get(w.Data(), 2)
	require.True(t, ok)
	require.Equal(t, uint64(1)<<63, f.Uint)
	f, _ = pb.Get(w.Data(), 4)
	require.Equal(t, []byte{1, 0xac, 2}, f.Bytes)
	_, ok = pb.Get(w.Data(), 9)
	require.False(t, ok)
}

func TestMalformed(t *testing.T) {
	for _, b := range [][]byte{{0x08}, {0x0a, 5, 1}, {0x00, 1}, {0x0b}, {0x0d, 1}, {0x09, 1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		require.False(t, pb.Valid(b), "% x", b)
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte{0x0a, 1, 'x', 0x10, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for range pb.Fields(b) {
			n++
		}
		if len(b) > 0 && pb.Valid(b) {
			require.Positive(t, n)
		}
	})
}
