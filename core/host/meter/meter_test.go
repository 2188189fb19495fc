package meter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/omniroute/omniroute/core/host/meter"
)

// The tests assemble modules by hand: sections, vectors, names.

func section(id byte, content ...byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
}

func body(code ...byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(code)+2)), append(append([]byte{0}, code...), 0x0b)...)
}

// module has one type () -> (), the given function bodies, a page of memory,
// and exports the first function as "run".
func module(bodies ...[]byte) []byte {
	n := byte(len(bodies))
	return join(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 1, 0x60, 0, 0),
		section(3, append([]byte{n}, make([]byte, n)...)...),
		section(5, 1, 0, 1),
		section(7, 1, 3, 'r', 'u', 'n', 0, 0),
		section(10, append([]byte{n}, join(bodies...)...)...),
	)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var errEmpty = errors.New("no fuel left")

// burn runs a metered module with so much fuel and returns what it used.
func burn(t testing.TB, wasm []byte, fuel int64) (int64, error) {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	var global api.MutableGlobal
	asked := false
	yield := api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
		global = m.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
		if asked {
			panic(errEmpty)
		}
		asked = true
		stack[0] = uint64(fuel + int64(global.Get()))
	})
	_, err := rt.NewHostModuleBuilder(meter.Module).NewFunctionBuilder().
		WithGoModuleFunction(yield, nil, []api.ValueType{api.ValueTypeI64}).Export(meter.Yield).Instantiate(ctx)
	require.NoError(t, err)
	metered, err := meter.Rewrite(wasm)
	require.NoError(t, err)
	m, err := rt.InstantiateWithConfig(ctx, metered, wazero.NewModuleConfig())
	require.NoError(t, err)
	_, err = m.ExportedFunction("run").Call(ctx)
	if global == nil {
		return 0, err
	}
	return fuel - int64(global.Get()), err
}

func TestCharges(t *testing.T) {
	nops := func(n int, op ...byte) []byte { return bytes.Repeat(op, n) }
	load := []byte{0x41, 0, 0x28, 0, 0, 0x1a}   // weighs 1
	times := func(n byte, code []byte) []byte { // a loop of n turns over memory[0]
		return join([]byte{0x03, 0x40}, code,
			[]byte{0x41, 0, 0x41, 0, 0x28, 0, 0, 0x41, 1, 0x6a, 0x36, 0, 0, 0x41, 0, 0x28, 0, 0, 0x41, n, 0x48, 0x0d, 0, 0x0b})
	}
	cases := []struct {
		name string
		wasm []byte
		want int64
	}{
		{"nothing", module(body()), 0},
		{"short straight code", module(body(nops(10, load...)...)), 0},
		{"straight code", module(body(nops(200, load...)...)), 1},
		{"long straight code", module(body(nops(1000, load...)...)), 1 + 1000/meter.Span},
		{"a loop", module(body(times(10, nil)...)), 10},
		{"a loop that calls a short function", module(body(times(10, []byte{0x10, 1})...), body(nops(10, load...)...)), 11},
		{"a loop that calls a long function", module(body(times(10, []byte{0x10, 1})...), body(nops(30, load...)...)), 21},
		{"a call", module(body(0x10, 1), body()), 1},
		{"calls of calls", module(body(0x10, 1, 0x10, 1), body(0x10, 2), body()), 3},
		{"a fill of 64 KiB", module(body(0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 4, 0xfc, 11, 0)), 1024},
		{"a copy of an unknown length", module(body(0x41, 0, 0x41, 0, 0x41, 0, 0x28, 0, 0, 0xfc, 10, 0, 0)), 0},
		{"a short copy", module(body(0x41, 0, 0x41, 8, 0x41, 8, 0xfc, 10, 0, 0)), 0},
		{"growing", module(body(0x41, 1, 0x40, 0, 0x1a)), 1024},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			used, err := burn(t, c.wasm, 1<<40)
			require.NoError(t, err)
			require.Equal(t, c.want, used)
		})
	}
}

// dispatcher is a loop around a branch table over a variable, as Go's compiler
// makes for a function with jumps; jump is what is behind the first block.
func dispatcher(jump ...byte) []byte {
	return join([]byte{0x03, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b}, jump, []byte{0x0b, 0x0b})
}

func oneVariable(code []byte) []byte {
	code = append(append([]byte{1, 1, 0x7f}, code...), 0x0b)
	return append(binary.AppendUvarint(nil, uint64(len(code))), code...)
}

func TestJumpsOfADispatcher(t *testing.T) {
	set := func(to byte, br ...byte) []byte { return append([]byte{0x41, to, 0x21, 0}, br...) }
	used, err := burn(t, module(oneVariable(dispatcher(set(1, 0x0c, 1)...))), 1000)
	require.NoError(t, err)
	require.Zero(t, used, "a jump forward is free")
	for name, code := range map[string][]byte{
		"back":              dispatcher(set(0, 0x0c, 1)...),
		"by another way":    dispatcher(0x41, 0, 0x22, 0, 0x1a, 0x0c, 1),
		"after a change":    dispatcher(join(set(1), set(0, 0x0c, 1))...),
		"to the last entry": join([]byte{0x03, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 1, 1, 0x0b}, set(7, 0x0c, 0), []byte{0x0b}),
		"to a closed block": join([]byte{0x03, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x0b, 0x02, 0x40}, set(1, 0x0c, 1), []byte{0x0b, 0x0b}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := burn(t, module(oneVariable(code)), 1000)
			require.ErrorIs(t, err, errEmpty)
		})
	}
}

func TestRefused(t *testing.T) {
	code := func(c ...byte) []byte { return module(body(c...)) }
	header := []byte("\x00asm\x01\x00\x00\x00")
	cases := []struct {
		want string
		wasm []byte
	}{
		{"not a WebAssembly module", []byte("hello")},
		{"not a WebAssembly module", []byte("\x00asm\x02\x00\x00\x00")},
		{"exception handling", code(0x06, 0x40, 0x0b)},
		{"exception handling", join(header, section(13, 0))},
		{"tail calls", code(0x12, 0)},
		{"typed function references", code(0x14, 0)},
		{"garbage collected types", code(0xfb, 0)},
		{"threads", code(0xfe, 0x10, 2, 0)},
		{"threads", join(header, section(5, 1, 3, 1, 1))},
		{"64-bit memory", join(header, section(5, 1, 4, 1))},
		{"more than one memory", join(header, section(5, 2, 0, 1, 0, 1))},
		{"more than one memory", code(0x41, 0, 0x28, 0x40, 0, 0, 0x1a)},
		{"more than one memory", code(0x41, 1, 0x40, 1, 0x1a)},
		{"tables of more than 1048576 elements", join(header, section(4, 2, 0x70, 0, 1, 0x70, 0, 0x80, 0x80, 0x40))},
		{"relaxed vector", code(0xfd, 0x80, 2)},
		{"extended constant", join(header, section(6, 1, 0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b))},
		{"values of type", join(header, section(1, 1, 0x60, 1, 0x64, 0))},
		{"unknown instruction", code(0xff)},
		{"omni_rt, which is the gateway's own", join(header, section(1, 1, 0x60, 0, 1, 0x7e), section(2, join([]byte{1, 7}, []byte("omni_rt"), []byte{5}, []byte("yield"), []byte{0, 0})...))},
		{"omni_rt.fuel, which is the gateway's own", join(header, section(6, 1, 0x7e, 1, 0x42, 0, 0x0b), section(7, join([]byte{1, 12}, []byte("omni_rt.fuel"), []byte{3, 0})...))},
		{"global 0 of 0", code(0x42, 0, 0x24, 0)},
		{"function 1 of 1", code(0x10, 1)},
		{"variable 0 of 0", code(0x20, 0, 0x1a)},
		{"branches to a block that is not there", code(0x0c, 9)},
		{"an else without an if", code(0x05)},
		{"ends in the middle", code()[:30]},
		{"out of order or there twice", join(header, section(3, 0), section(1, 0))},
		{"goes on behind its end", code(0x0b)},
		{"declares 1 functions and has code for 0", join(header, section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 0))},
		{"a number that is too large", join(header, section(1, 0xff, 0xff, 0xff, 0xff, 0x7f))},
		{"more than 50000 variables", join(header, section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 1, 8, 1, 0xff, 0xff, 0xff, 0x7f, 0x7f, 0x0b, 0x0b))},
		{"not UTF-8", join(header, section(0, 1, 0xff))},
	}
	for _, c := range cases {
		out, err := meter.Rewrite(c.wasm)
		var e *meter.Error
		require.ErrorAs(t, err, &e, c.want)
		require.ErrorContains(t, err, c.want)
		require.Nil(t, out)
	}
}

func TestNamesMoveWithTheirFunctions(t *testing.T) {
	names := section(0, join([]byte{4}, []byte("name"), []byte{1, 7, 1, 0, 4}, []byte("boom"))...)
	boom := join(module(body(0x00)), section(0, 1, 'x', 1, 2, 3), names)
	out, err := meter.Rewrite(boom)
	require.NoError(t, err)
	require.NotContains(t, string(out), "x\x01\x02\x03")
	_, err = burn(t, boom, 10)
	require.ErrorContains(t, err, "boom(", "traces show the names of functions")
}

// A module whose whole state a host can reach is one that it can set back.
func TestWhatCanBeSetBack(t *testing.T) {
	variable := section(6, 1, 0x7f, 1, 0x41, 0, 0x0b)
	base := module(body())
	at := bytes.Index(base, section(7, 1, 3, 'r', 'u', 'n', 0, 0))
	with := join(base[:at], variable, base[at:])
	out, err := meter.Rewrite(with)
	require.NoError(t, err)
	require.Contains(t, string(out), meter.Pages)
	require.Contains(t, string(out), meter.Variable(0))
	require.NotContains(t, string(out), meter.Variable(1))

	table := section(4, 1, 0x70, 0, 1)
	at = bytes.Index(base, section(5, 1, 0, 1))
	sets := module(body(0x41, 0, 0xd0, 0x70, 0x26, 0)) // table.set
	sets = join(sets[:at], table, sets[at:])
	out, err = meter.Rewrite(sets)
	require.NoError(t, err)
	require.NotContains(t, string(out), meter.Pages)
	require.Contains(t, string(out), meter.Fuel)
}

// FuzzRewrite feeds damaged modules. Nothing may panic, and what was metered
// compiles exactly if the original does.
func FuzzRewrite(f *testing.F) {
	f.Add(module(body(0x03, 0x40, 0x0c, 0, 0x0b)))
	f.Add(module(body(0x10, 1), body(0x41, 1, 0x40, 0, 0x1a)))
	f.Add(module(oneVariable(dispatcher(0x41, 1, 0x21, 0, 0x0c, 1))))
	f.Add(join(module(body()), section(0, join([]byte{4}, []byte("name"), []byte{1, 7, 1, 0, 4}, []byte("boom"))...)))
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = rt.Close(ctx) })
	compiles := func(wasm []byte) bool {
		m, err := rt.CompileModule(ctx, wasm)
		if err == nil {
			_ = m.Close(ctx)
		}
		return err == nil
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		before := bytes.Clone(wasm)
		out, err := meter.Rewrite(wasm)
		require.Equal(t, before, wasm, "the input is not changed")
		if err != nil {
			return
		}
		require.Equal(t, compiles(plain(wasm)), compiles(out))
	})
}

// plain leaves the custom sections out, as metering does: engines object to
// some that mean nothing to them.
func plain(wasm []byte) []byte {
	out := bytes.Clone(wasm[:8])
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		end := 1 + n + int(size)
		if rest[0] != 0 {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out
}

func BenchmarkRewrite(b *testing.B) {
	code := bytes.Repeat([]byte{0x03, 0x40, 0x41, 0, 0x28, 0, 0, 0x1a, 0x0b}, 10_000)
	wasm := module(body(code...), body(code...))
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := meter.Rewrite(wasm); err != nil {
			b.Fatal(err)
		}
	}
}
