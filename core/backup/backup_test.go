package backup

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

var key = StorageKey(bytes.Repeat([]byte{7}, 32))

const canary = "sk-canary-0123456789abcdef"

func source(t testing.TB, n int) Source {
	s := state.NewMemory(nil)
	t.Cleanup(func() { s.Close() })
	for i := range n {
		require.NoError(t, s.Put(t.Context(), fmt.Sprintf("1/acct/%06d", i), []byte(strings.Repeat(canary, 1+i%50)), time.Duration(i%2)*time.Hour))
	}
	require.NoError(t, s.Put(t.Context(), "1/u/row", []byte("row"), 0))
	return Source{Store: s, Files: []File{{"omniroute.yaml", []byte("server: {}\n")}, {"plugins/x.wasm", []byte{0, 1}}}, Version: "v1"}
}

func write(t testing.TB, src Source, k Key) []byte {
	var out bytes.Buffer
	_, err := Write(t.Context(), &out, src, k)
	require.NoError(t, err)
	return out.Bytes()
}

// What goes in comes out, with storage key and passphrase.
func TestRoundTrip(t *testing.T) {
	src := source(t, 2000)
	for _, k := range []Key{key, Passphrase("correct horse battery staple")} {
		file := write(t, src, k)
		require.False(t, bytes.Contains(file, []byte(canary)), "nothing in clear")
		require.False(t, bytes.Contains(file, []byte("acct")), "nor names of keys")
		to := state.NewMemory(nil)
		defer to.Close()
		files := map[string][]byte{}
		l := &Loader{Ctx: t.Context(), Store: to, Files: func(f File) error { files[f.Name] = f.Data; return nil }}
		m, err := Read(t.Context(), bytes.NewReader(file), k, l)
		require.NoError(t, err)
		require.NoError(t, l.Flush())
		require.EqualValues(t, 2001, m.Entries)
		require.EqualValues(t, 2001, l.Entries)
		require.Equal(t, "v1", m.Version)
		require.Equal(t, "server: {}\n", string(files["omniroute.yaml"]))
		require.Equal(t, dump(t, src.Store), dump(t, to))
		e := map[bool]int{}
		require.NoError(t, to.Scan(t.Context(), state.Query{}, func(x state.Entry) error { e[x.Expires.IsZero()]++; return nil }))
		require.Equal(t, 1000, e[false], "what expires still does")
	}
}

func dump(t *testing.T, s state.Store) map[string]string {
	out := map[string]string{}
	require.NoError(t, s.Scan(t.Context(), state.Query{}, func(e state.Entry) error { out[e.Key] = string(e.Value); return nil }))
	return out
}

func TestSkip(t *testing.T) {
	src := source(t, 10)
	src.Skip = func(k string) bool { return strings.HasPrefix(k, "1/acct/") }
	m, err := Read(t.Context(), bytes.NewReader(write(t, src, key)), key, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, m.Entries)
}

// A wrong key, a cut file and a changed byte are told apart, and none passes.
func TestRefused(t *testing.T) {
	file := write(t, source(t, 300), key)
	read := func(file []byte, k Key) error {
		_, err := Read(t.Context(), bytes.NewReader(file), k, nil)
		return err
	}
	require.NoError(t, read(file, key))
	require.ErrorIs(t, read(file, StorageKey(make([]byte, 32))), ErrKey)
	require.ErrorIs(t, read(file, Passphrase("x")), ErrKey)
	require.ErrorIs(t, read(write(t, source(t, 1), Passphrase("x")), key), ErrKey)
	require.ErrorIs(t, read(write(t, source(t, 1), Passphrase("x")), Passphrase("y")), ErrKey)
	require.ErrorIs(t, read(nil, key), ErrFormat)
	require.ErrorIs(t, read([]byte("PK\x03\x04 a zip file of some kind"), key), ErrFormat)
	for cut := 0; cut < len(file); cut += max(len(file)/25, 1) {
		require.Error(t, read(file[:cut], key), "cut at %d", cut)
	}
	require.ErrorIs(t, read(file[:len(file)-1], key), ErrDamaged)
	require.ErrorIs(t, read(append(bytes.Clone(file), 0), key), ErrDamaged)
	head := bytes.IndexByte(file, '}') + 1
	for at := head; at < len(file); at += max(len(file)/40, 1) {
		bad := bytes.Clone(file)
		bad[at] ^= 1
		require.Error(t, read(bad, key), "changed at %d", at)
	}
}

// A sink that fails stops the reading.
func TestSinkFails(t *testing.T) {
	boom := errors.New("boom")
	file := write(t, source(t, 3), key)
	to := state.NewMemory(nil)
	l := &Loader{Ctx: t.Context(), Store: to, Files: func(File) error { return boom }}
	_, err := Read(t.Context(), bytes.NewReader(file), key, l)
	require.ErrorIs(t, err, boom)
	require.NoError(t, to.Close())
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, source(f, 3), key))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, _ = Read(t.Context(), bytes.NewReader(file), key, nil)
	})
}
