package host

import (
	"encoding/binary"
	"testing"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// tiny assembles a plugin of a few hundred bytes by hand, so that it can do
// what no SDK would. It describes itself properly and otherwise returns fixed
// values.
type tiny struct {
	buf      int32  // result of omni_buf
	result   uint64 // result of omni_call for anything but DESCRIBE
	trap     bool   // omni_call is unreachable instead
	importAs string // name of an extra import from omni_v1
	noBuf    bool   // omni_buf is not exported
	pages    byte
	manifest string
}

const tinyManifest = `{"schema":1,"name":"test/tiny","version":"1","abi":"1.0","provides":[{"kind":"executor","id":"tiny","body":"skeleton","base_url":"https://tiny.example"}]}`

func section(id byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

func vector(items ...[]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(items)))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func name(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

// sleb appends a signed LEB128 number, as constants are written.
func sleb(dst []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(dst, b)
		}
		dst = append(dst, b|0x80)
	}
}

func body(code ...byte) []byte {
	code = append(append([]byte{0}, code...), 0x0b)
	return append(binary.AppendUvarint(nil, uint64(len(code))), code...)
}

func (m tiny) build() []byte {
	manifest := m.manifest
	if manifest == "" {
		manifest = tinyManifest
	}
	var w abi.Writer
	w.String(abi.TagJSON, manifest)
	const i32, i64, at = 0x7f, 0x7e, 4096
	types := section(1, vector(
		[]byte{0x60, 0, 1, i32},
		[]byte{0x60, 2, i32, i32, 1, i32},
		[]byte{0x60, 3, i32, i32, i32, 1, i64},
		[]byte{0x60, 0, 0},
	))
	var imports []byte
	first := byte(0)
	if m.importAs != "" {
		imports = section(2, vector(append(append(name("omni_v1"), name(m.importAs)...), 0, 3)))
		first = 1
	}
	exports := [][]byte{
		append(name("memory"), 2, 0),
		append(name("omni_abi"), 0, first),
		append(name("omni_call"), 0, first+2),
	}
	if !m.noBuf {
		exports = append(exports, append(name("omni_buf"), 0, first+1))
	}
	// omni_call: op == DESCRIBE ? the manifest : the fixed result
	call := []byte{0x20, 0, 0x41, 1, 0x46, 0x04, i64, 0x42}
	call = sleb(call, int64(abi.Pack(at, uint32(len(w.Buf)), false)))
	call = append(call, 0x05)
	if m.trap {
		call = append(call, 0x00)
	} else {
		call = sleb(append(call, 0x42), int64(m.result))
	}
	call = append(call, 0x0b)
	out := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	out = append(out, types...)
	out = append(out, imports...)
	out = append(out, section(3, vector([]byte{0}, []byte{1}, []byte{2}))...)
	out = append(out, section(5, vector(append([]byte{0}, max(m.pages, 1))))...)
	out = append(out, section(7, vector(exports...))...)
	out = append(out, section(10, vector(
		body(sleb([]byte{0x41}, 1<<16)...),
		body(sleb([]byte{0x41}, int64(m.buf))...),
		body(call...),
	))...)
	out = append(out, section(11, vector(append(append([]byte{0, 0x41}, append(sleb(nil, at), 0x0b)...), name(string(w.Buf))...)))...)
	return abi.AppendSection(out, abi.SectionManifest, []byte(manifest))
}

func TestHostileGuests(t *testing.T) {
	cases := []struct {
		name  string
		guest tiny
		want  string
		trap  bool
	}{
		{"result outside memory", tiny{buf: 8, result: abi.Pack(65530, 100, false)}, "failed", true},
		{"result far outside memory", tiny{buf: 8, result: abi.Pack(0xfffffff0, 64, false)}, "failed", true},
		{"huge length", tiny{buf: 8, result: abi.Pack(8, 0x7fffffff, false)}, "larger than it may be", false},
		{"unreachable", tiny{buf: 8, trap: true}, "failed", true},
		{"empty answer", tiny{buf: 8}, "planned nothing", false},
		{"garbage record", tiny{buf: 8, result: abi.Pack(0, 12, false)}, "failed", false},
		{"garbage error", tiny{buf: 8, result: abi.Pack(4096, 5, true)}, "failed", false},
		{"describes itself as a plan", tiny{buf: 8, result: abi.Pack(4096, 30, false)}, "failed", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := serve(t, c.guest.build(), Options{})
			x, ok := g.Executor("tiny")
			require.True(t, ok)
			_, err := x.Plan(t.Context(), PlanInput{Model: "m"})
			f := fault.As(err)
			require.NotNil(t, f)
			require.Contains(t, f.Message, c.want)
			require.Equal(t, c.trap, g.modules[0].stats.traps.Load() > 0)
			if c.trap {
				_, err = x.OpenStream(t.Context(), PlanInput{Model: "m"})
				require.Error(t, err)
			}
			require.Zero(t, openStreams(g))
		})
	}
}

func openStreams(g *Generation) int64 {
	var n int64
	for _, m := range g.modules {
		n += m.stats.streams.Load()
	}
	return n
}

func TestBorderChecks(t *testing.T) {
	cases := []struct {
		name  string
		guest tiny
		limit Limits
		want  string
	}{
		{"unknown import", tiny{buf: 8, importAs: "http_get"}, Limits{}, "omni_v1.http_get, which ABI 1.0 does not have"},
		{"import with another signature", tiny{buf: 8, importAs: "log"}, Limits{}, "omni_v1.log with a different signature"},
		{"missing export", tiny{noBuf: true}, Limits{}, "does not export omni_buf"},
		{"too much memory", tiny{buf: 8, pages: 9}, Limits{MemoryPages: 4}, "needs 9 pages of memory; it may have 4"},
		{"too large a file", tiny{buf: 8}, Limits{Module: 100}, "plugins may have 100"},
		{"no buffer", tiny{buf: 0}, Limits{}, "no room for the input"},
		{"buffer outside memory", tiny{buf: -16}, Limits{}, "outside its memory"},
		{"no provides", tiny{buf: 8, manifest: `{"schema":1,"name":"a/b","version":"1","abi":"1.0"}`}, Limits{}, "provides nothing"},
		{"no json", tiny{buf: 8, manifest: `{`}, Limits{}, "not valid JSON"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, Options{Core: c.guest.build(), Limits: c.limit})
			require.Len(t, h.Problems(), 1)
			require.Contains(t, h.Problems()[0].Message, c.want)
		})
	}
}

func TestDeniedImports(t *testing.T) {
	for _, f := range imports {
		if f.needs == "" {
			continue
		}
		stack := make([]uint64, 8)
		denied(nil, nil, stack)
		require.EqualValues(t, abi.Denied, int32(stack[0]), f.name)
		require.EqualValues(t, abi.Denied, int64(stack[0]), f.name)
	}
}
