package host

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

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
	code     []byte // what omni_call does instead; it leaves an i64
	answer   []byte // record that omni_call answers instead
	importAs string // name of an extra import from omni_v1
	of       byte   // index of its type; 0 = () -> ()
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
	result := m.result
	if m.answer != nil {
		result = abi.Pack(at+uint32(len(w.Buf)), uint32(len(m.answer)), false)
	}
	types := section(1, vector(
		[]byte{0x60, 0, 1, i32},
		[]byte{0x60, 2, i32, i32, 1, i32},
		[]byte{0x60, 3, i32, i32, i32, 1, i64},
		[]byte{0x60, 0, 0},
		[]byte{0x60, 3, i32, i32, i32, 0},
		[]byte{0x60, 2, i32, i32, 0},
		[]byte{0x60, 4, i32, i32, i32, i32, 1, i32},
		[]byte{0x60, 4, i32, i32, i32, 0x7c, 0},
	))
	var imports []byte
	first := byte(0)
	if m.importAs != "" {
		imports = section(2, vector(append(append(name("omni_v1"), name(m.importAs)...), 0, max(m.of, 3))))
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
	switch {
	case m.trap:
		call = append(call, 0x00)
	case m.code != nil:
		call = append(call, m.code...)
	default:
		call = sleb(append(call, 0x42), int64(result))
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
	out = append(out, section(11, vector(append(append([]byte{0, 0x41}, append(sleb(nil, at), 0x0b)...), name(string(w.Buf)+string(m.answer))...)))...)
	return abi.AppendSection(out, abi.SectionManifest, []byte(manifest))
}

// Types of imports in tiny guests.
const (
	typeLog    = 4
	typeRandom = 5
	typeDigest = 6
	typeMetric = 7
)

// forever repeats instructions without end.
func forever(code ...byte) []byte {
	return append(append([]byte{0x03, 0x40}, code...), 0x0c, 0, 0x0b, 0x00)
}

func i32(v int64) []byte { return sleb([]byte{0x41}, v) }

// together joins instructions.
func together(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const megabyte = 1 << 20

func TestHostileGuests(t *testing.T) {
	const stopped, crashed = fault.PluginDeadline, fault.PluginTrap
	short := Limits{Wall: 50 * time.Millisecond, Fuel: 1 << 50}
	grow := forever(together(i32(1), []byte{0x40, 0}, i32(-1), []byte{0x46, 0x04, 0x40, 0x00, 0x0b})...)
	branches := func() []byte { // a loop that leads through a block to its head
		return []byte{0x03, 0x40, 0x02, 0x40, 0x0c, 1, 0x0b, 0x0b, 0x00}
	}
	table := func() []byte { // looks like a jump of Go's compiler, and leads back
		return together([]byte{0x03, 0x40, 0x02, 0x40, 0x20, 1, 0x0e, 1, 0, 1, 0x0b}, i32(0), []byte{0x21, 1, 0x0c, 0, 0x0b, 0x00})
	}
	cases := []struct {
		name  string
		guest tiny
		limit Limits
		code  fault.Code
		want  string
		trap  bool
	}{
		{"endless loop", tiny{buf: 8, code: forever()}, short, stopped, "ran longer than 50ms and was stopped", true},
		{"endless loop within a block", tiny{buf: 8, code: branches()}, short, stopped, "ran longer than 50ms", true},
		{"endless loop over a branch table", tiny{buf: 8, code: table()}, short, stopped, "ran longer than 50ms", true},
		{"fuel", tiny{buf: 8, code: forever()}, Limits{Wall: time.Hour}, stopped, "used up its fuel of 20", true},
		{"recursion", tiny{buf: 8, code: []byte{0x20, 0, 0x20, 1, 0x20, 2, 0x10, 2}}, Limits{Wall: time.Hour}, crashed, "recursed too deeply", true},
		{"recursion, stopped early", tiny{buf: 8, code: []byte{0x20, 0, 0x20, 1, 0x20, 2, 0x10, 2}}, Limits{Fuel: 1000, Wall: time.Hour}, stopped, "used up its fuel of 1", true},
		{"memory growth", tiny{buf: 8, code: grow}, Limits{MemoryPages: 16}, crashed, "needs more than its 16 pages of memory", true},
		{"memory fill", tiny{buf: 8, pages: 100, code: forever(together(i32(0), i32(0), i32(100<<16), []byte{0xfc, 11, 0})...)}, short, stopped, "ran longer than 50ms", true},
		{"memory copy", tiny{buf: 8, pages: 100, code: forever(together(i32(0), i32(megabyte), i32(5*megabyte), []byte{0xfc, 10, 0, 0})...)}, short, stopped, "ran longer than 50ms", true},
		{"log flood", tiny{buf: 8, importAs: "log", of: typeLog, code: forever(together(i32(1), i32(0), i32(4096), []byte{0x10, 0})...)}, short, stopped, "was stopped", true},
		{"random flood", tiny{buf: 8, pages: 100, importAs: "random", of: typeRandom, code: forever(together(i32(0), i32(100<<16), []byte{0x10, 0})...)}, short, stopped, "was stopped", true},
		{"digest flood", tiny{buf: 8, pages: 100, importAs: "digest", of: typeDigest, code: forever(together(i32(0), i32(0), i32(99<<16), i32(0), []byte{0x10, 0, 0x1a})...)}, short, stopped, "was stopped", true},
		{"metric flood", tiny{buf: 8, pages: 100, importAs: "metric", of: typeMetric, code: forever(together(i32(0), i32(100<<16), i32(0), append([]byte{0x44}, make([]byte, 8)...), []byte{0x10, 0})...)}, short, stopped, "was stopped", true},
		{"load outside memory", tiny{buf: 8, code: together(i32(-8), []byte{0x29, 0, 0})}, Limits{}, crashed, "used an address outside its memory", true},
		{"division", tiny{buf: 8, code: []byte{0x42, 1, 0x42, 0, 0x7f}}, Limits{}, crashed, "divided by zero", true},
		{"result outside memory", tiny{buf: 8, result: abi.Pack(65530, 100, false)}, Limits{}, crashed, "used an address outside its memory", true},
		{"result far outside memory", tiny{buf: 8, result: abi.Pack(0xfffffff0, 64, false)}, Limits{}, crashed, "used an address outside its memory", true},
		{"unreachable", tiny{buf: 8, trap: true}, Limits{}, crashed, "gave up (unreachable)", true},
		{"giant output", tiny{buf: 8, result: abi.Pack(8, 0x7fffffff, false)}, Limits{}, crashed, "larger than it may be", false},
		{"empty answer", tiny{buf: 8}, Limits{}, crashed, "planned nothing", false},
		{"garbage record", tiny{buf: 8, result: abi.Pack(0, 12, false)}, Limits{}, crashed, "failed", false},
		{"garbage error", tiny{buf: 8, result: abi.Pack(4096, 5, true)}, Limits{}, crashed, "failed", false},
		{"describes itself as a plan", tiny{buf: 8, result: abi.Pack(4096, 30, false)}, Limits{}, crashed, "failed", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := serve(t, c.guest.build(), Options{Limits: c.limit})
			x, ok := g.Executor("tiny")
			require.True(t, ok)
			start := time.Now()
			_, err := x.Plan(t.Context(), PlanInput{Model: "m"})
			t.Logf("%v: %v", time.Since(start), err)
			f := fault.As(err)
			require.NotNil(t, f)
			require.Equal(t, c.code, f.Code)
			require.Equal(t, fault.ClassPlugin, f.Class, "it is nobody else's fault")
			require.Contains(t, f.Message, "test/tiny")
			require.Contains(t, f.Message, c.want)
			require.Equal(t, c.trap, g.modules[0].stats.traps.Load() > 0)
			if c.trap {
				_, err = x.OpenStream(t.Context(), PlanInput{Model: "m"})
				require.ErrorContains(t, err, c.want)
				_, last := g.modules[0].breaker.health(time.Now())
				require.Contains(t, f.Message, last.Why)
				require.Zero(t, g.modules[0].stats.instances.Load()+g.modules[0].stats.memory.Load(), "what it took is given back")
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
