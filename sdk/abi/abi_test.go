package abi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// TestGeneratedFilesAreFresh fails when tags.json changed and `go generate
// ./sdk/abi` was not run.
func TestGeneratedFilesAreFresh(t *testing.T) {
	dir := t.TempDir()
	constants, names := filepath.Join(dir, "tags_gen.go"), filepath.Join(dir, "table_gen.go")
	files := map[string]string{constants: "tags_gen.go", names: "../fixture/table_gen.go"}
	for _, name := range []string{"rust/src/tags.rs", "assemblyscript/tags.ts", "c/omni_tags.h"} {
		fresh := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(fresh), 0o755))
		files[fresh] = "../" + name
	}
	out, err := exec.Command("go", "run", "./gen", "-in", "tags.json", "-out", constants, "-table", names, "-shells", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	for fresh, committed := range files {
		want, err := os.ReadFile(fresh)
		require.NoError(t, err)
		got, err := os.ReadFile(committed)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run go generate ./sdk/abi")
	}
}

func sample() []byte {
	var w abi.Writer
	w.String(abi.TagModel, "gpt")
	w.U8(abi.TagStream, 1)
	w.U32(abi.TagStatus, 429)
	w.I64(abi.TagErrResetAt, -5)
	w.Pair(abi.TagHeader, "a", "b")
	w.Frame(abi.Frame{Name: "ping", Payload: []byte("{}"), DelayMS: 7})
	w.Frame(abi.Frame{Kind: abi.FrameComment, Payload: []byte("keep-alive")})
	return w.Buf
}

func TestRoundTrip(t *testing.T) {
	r := abi.Read(sample())
	next := func() abi.Field {
		require.True(t, r.Next())
		return r.Field()
	}
	require.Equal(t, "gpt", next().Text())
	require.True(t, next().Bool())
	require.EqualValues(t, 429, next().Uint())
	require.EqualValues(t, -5, next().Int())
	name, value, err := next().Pair()
	require.NoError(t, err)
	require.Equal(t, "ab", name+value)
	f, err := next().Frame()
	require.NoError(t, err)
	require.Equal(t, abi.Frame{Name: "ping", Payload: []byte("{}"), DelayMS: 7}, f)
	f, err = next().Frame()
	require.NoError(t, err)
	require.Equal(t, abi.FrameComment, f.Kind)
	require.False(t, r.Next())
	require.NoError(t, r.Err())
}

func TestTruncatedRecords(t *testing.T) {
	whole := sample()
	borders := map[int]bool{0: true}
	at := 0
	for r := abi.Read(whole); r.Next(); {
		at += abi.HeaderSize + len(r.Field().Value)
		borders[at] = true
	}
	for n := range whole {
		r := abi.Read(whole[:n])
		for r.Next() {
		}
		if borders[n] {
			require.NoError(t, r.Err(), "%d", n)
		} else {
			require.ErrorIs(t, r.Err(), abi.ErrTruncated, "%d", n)
		}
	}
}

func TestUnknownFields(t *testing.T) {
	plain := []byte{0xff, 0xff, 0, 0, 1, 0, 0, 0, 9}
	critical := []byte{0xff, 0xff, 1, 0, 1, 0, 0, 0, 9}
	for _, c := range []struct {
		record []byte
		err    error
	}{{plain, nil}, {critical, abi.ErrCritical}} {
		r := abi.Read(c.record)
		for r.Next() {
			r.Unknown()
		}
		require.Equal(t, c.err, r.Err())
	}
	require.True(t, abi.TagPlan.Critical())
	require.False(t, abi.TagModel.Critical())
}

func TestErrorRecord(t *testing.T) {
	want := &abi.ErrorRecord{
		Message: "m", Class: "rate", Scope: "model", Status: 429, Code: "c", Type: "t", Param: "p",
		Retryable: true, NoCode: true, Upstream: true, Fallback: true, RetryAfterMS: 1, CooldownMS: 2, ResetAt: 3,
	}
	var w abi.Writer
	want.AppendTo(&w)
	got, err := abi.ReadError(w.Buf)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.EqualError(t, got, "rate: m")
}

func TestPackedResult(t *testing.T) {
	for _, c := range []struct {
		addr, length uint32
		isError      bool
	}{{0, 0, false}, {1 << 31, 1<<31 - 1, true}, {0xffffffff, 7, false}} {
		addr, length, isError := abi.Unpack(abi.Pack(c.addr, c.length, c.isError))
		require.Equal(t, c.addr, addr)
		require.Equal(t, c.length, length)
		require.Equal(t, c.isError, isError)
	}
}

func TestOps(t *testing.T) {
	require.Equal(t, "ExPlan", abi.OpExPlan.String())
	require.Equal(t, "op 0x99", abi.Op(0x99).String())
	require.True(t, abi.OpTrRequest.Stateless())
	require.False(t, abi.OpTrData.Stateless())
}

func TestSections(t *testing.T) {
	wasm := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	_, ok, err := abi.Section(wasm, abi.SectionManifest)
	require.NoError(t, err)
	require.False(t, ok)
	wasm = abi.AppendSection(wasm, "other", []byte("x"))
	wasm = abi.AppendSection(wasm, abi.SectionManifest, []byte(`{"a":1}`))
	got, ok, err := abi.Section(wasm, abi.SectionManifest)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, `{"a":1}`, string(got))
	for n := 1; n < len(wasm); n++ {
		_, _, _ = abi.Section(wasm[:n], abi.SectionManifest)
	}
	_, _, err = abi.Section([]byte("text"), "x")
	require.ErrorIs(t, err, abi.ErrNotWasm)
}

// FuzzReader walks hostile records: no panic, every value inside the record,
// and what was read can be written again.
func FuzzReader(f *testing.F) {
	f.Add(sample())
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, record []byte) {
		var w abi.Writer
		r := abi.Read(record)
		for r.Next() {
			v := r.Field()
			w.Bytes(v.Tag, v.Value)
			_, _ = v.Frame()
			_, _, _ = v.Pair()
			_ = v.Int()
		}
		_, _ = abi.ReadError(record)
		if r.Err() != nil {
			return
		}
		require.Equal(t, len(record), len(w.Buf))
		again, want := abi.Read(w.Buf), abi.Read(record)
		for want.Next() {
			require.True(t, again.Next())
			require.Equal(t, want.Field().Tag, again.Field().Tag)
			require.Equal(t, want.Field().Value, again.Field().Value)
		}
	})
}

func FuzzSection(f *testing.F) {
	f.Add(abi.AppendSection([]byte{0, 'a', 's', 'm', 1, 0, 0, 0}, abi.SectionManifest, []byte("{}")))
	f.Fuzz(func(t *testing.T, module []byte) { _, _, _ = abi.Section(module, abi.SectionManifest) })
}

func BenchmarkFrames(b *testing.B) {
	var w abi.Writer
	payload := make([]byte, 250)
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		for range 8 {
			w.Frame(abi.Frame{Name: "content_block_delta", Payload: payload})
		}
		for r := abi.Read(w.Buf); r.Next(); {
			if _, err := r.Field().Frame(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func TestReadingAndWritingDoNotAllocate(t *testing.T) {
	w := abi.Writer{Buf: make([]byte, 0, 4096)}
	payload := []byte("data")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w.Reset()
		w.Frame(abi.Frame{Name: "ping", Payload: payload})
		for r := abi.Read(w.Buf); r.Next(); {
			_, _ = r.Field().Frame()
		}
	}))
}
