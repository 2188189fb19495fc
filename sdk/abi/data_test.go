package abi

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func dataModule(count int, segments []byte, more ...byte) []byte {
	body := append(appendUvarint(nil, uint64(count)), segments...)
	m := append(bytes.Clone(wasmHead), more...)
	m = appendUvarint(append(m, sectionData), uint64(len(body)))
	return append(m, body...)
}

func active(at int32, content string) []byte {
	b := appendConst([]byte{0, 0x41}, at)
	b = appendUvarint(append(b, 0x0b), uint64(len(content)))
	return append(b, content...)
}

func TestJoinData(t *testing.T) {
	join := func(m []byte) []segment {
		out, err := JoinData(m)
		require.NoError(t, err)
		_, n := uvarint(out[len(wasmHead)+1:])
		segments, ok := readData(out[len(wasmHead)+1+n:])
		require.True(t, ok)
		return segments
	}
	// Out of order, close together, and far away beyond the middle of the address space.
	got := join(dataModule(4, bytes.Join([][]byte{active(100, "cd"), active(1000, "x"), active(96, "ab"), active(-16, "far")}, nil)))
	require.Equal(t, []segment{{96, []byte("ab\x00\x00cd")}, {1000, []byte("x")}, {1<<32 - 16, []byte("far")}}, got)

	for name, m := range map[string][]byte{
		"overlap":    dataModule(2, append(active(8, "abcd"), active(10, "x")...)),
		"passive":    dataModule(1, []byte{1, 1, 'a'}),
		"computed":   dataModule(1, []byte{0, 0x23, 0, 0x0b, 1, 'a'}),
		"data count": dataModule(1, active(8, "a"), sectionDataCount, 1, 1),
		"truncated":  dataModule(2, active(8, "a")),
		"no data":    wasmHead,
	} {
		out, err := JoinData(m)
		require.NoError(t, err, name)
		require.Equal(t, m, out, name)
	}
	_, err := JoinData([]byte("PK"))
	require.ErrorIs(t, err, ErrNotWasm)
	_, err = JoinData(append(bytes.Clone(wasmHead), sectionData, 200))
	require.ErrorIs(t, err, ErrNotWasm)
}

func FuzzJoinData(f *testing.F) {
	f.Add(dataModule(2, append(active(8, "abcd"), active(20, "x")...)))
	f.Add(dataModule(1, []byte{1, 1, 'a'}))
	f.Fuzz(func(t *testing.T, m []byte) {
		out, err := JoinData(m)
		if err != nil {
			return
		}
		again, err := JoinData(out)
		require.NoError(t, err)
		require.Equal(t, len(out), len(again))
	})
}
