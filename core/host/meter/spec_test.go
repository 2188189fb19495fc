package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/omniroute/omniroute/core/host/meter"
)

// The tests of the WebAssembly specification come inside the module of wazero,
// as scripts in JSON and binaries. Each script is run with the modules as they
// are and with metered ones; both must come to the same, command by command.

const specDir = "internal/integration_test/spectest"

func wazeroDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), specDir)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the module cache has no tests of the specification: ", err)
	}
	return dir
}

type (
	script struct {
		Commands []command `json:"commands"`
	}
	command struct {
		Type       string  `json:"type"`
		Line       int     `json:"line"`
		Name       string  `json:"name"`
		File       string  `json:"filename"`
		As         string  `json:"as"`
		Action     action  `json:"action"`
		Expected   []value `json:"expected"`
		ModuleType string  `json:"module_type"`
	}
	action struct {
		Type   string  `json:"type"`
		Args   []value `json:"args"`
		Field  string  `json:"field"`
		Module string  `json:"module"`
	}
	value struct {
		Type  string `json:"type"`
		Lane  string `json:"lane_type"`
		Value any    `json:"value"`
	}
)

var laneBits = map[string]int{"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}

// words are the value as an engine takes it.
func (v value) words() []uint64 {
	if lanes, ok := v.Value.([]any); ok {
		out := make([]uint64, 2)
		bits := laneBits[v.Lane]
		for k, lane := range lanes {
			out[k*bits/64] |= number(lane.(string), bits) << (k * bits % 64)
		}
		return out
	}
	s, _ := v.Value.(string)
	switch {
	case v.Type == "externref" && s != "" && s != "null":
		return []uint64{number(s, 64) + 1} // zero is null
	case s == "" || s == "null":
		return []uint64{0}
	case strings.HasSuffix(v.Type, "32"):
		return []uint64{number(s, 32)}
	}
	return []uint64{number(s, 64)}
}

func number(s string, bits int) uint64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n) & (math.MaxUint64 >> (64 - bits))
	}
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// show writes results so that all NaNs look alike: their bits may differ from
// one compilation to the next.
func show(results []uint64, types []api.ValueType, expected []value) string {
	var b strings.Builder
	for k := 0; len(types) > 0 && k < len(results); types = types[1:] {
		lane := ""
		if len(expected) > 0 {
			lane, expected = expected[0].Lane, expected[1:]
		}
		switch types[0] {
		case api.ValueTypeF32:
			lane = "f32"
		case api.ValueTypeF64:
			lane = "f64"
		case api.ValueTypeExternref, 0x70: // addresses are nobody's business
			fmt.Fprintf(&b, " null=%t", results[k] == 0)
			k++
			continue
		}
		n := 1
		if types[0] == 0x7b {
			n = 2
		}
		for range n {
			fmt.Fprintf(&b, " %s", word(results[k], lane))
			k++
		}
	}
	return b.String()
}

func word(w uint64, lane string) string {
	half := func(v uint32) string {
		if f := math.Float32frombits(v); f != f {
			return "nan"
		}
		return strconv.FormatUint(uint64(v), 16)
	}
	switch lane {
	case "f32":
		return half(uint32(w)) + ":" + half(uint32(w>>32))
	case "f64":
		if f := math.Float64frombits(w); f != f {
			return "nan"
		}
	}
	return strconv.FormatUint(w, 16)
}

// stage is where one script runs.
type stage struct {
	t       *testing.T
	dir     string
	metered bool
	rt      wazero.Runtime
	named   map[string]api.Module
	last    api.Module
	yields  int
}

func (s *stage) load(file, name string) (api.Module, error) {
	wasm, err := os.ReadFile(filepath.Join(s.dir, file))
	require.NoError(s.t, err)
	if s.metered {
		if wasm, err = meter.Rewrite(wasm); err != nil {
			return nil, err
		}
	}
	return s.rt.InstantiateWithConfig(context.Background(), wasm, wazero.NewModuleConfig().WithName(name))
}

// run plays a script and says what came of each command.
func (s *stage) run(commands []command) []string {
	var out []string
	for k := 0; k < len(commands); k++ {
		c := commands[k]
		got := ""
		switch c.Type {
		case "module":
			name := ""
			if k+1 < len(commands) && commands[k+1].Type == "register" {
				name = commands[k+1].As
			}
			m, err := s.load(c.File, name)
			got = firstLine(err)
			if err == nil {
				s.last = m
				if c.Name != "" {
					s.named[c.Name] = m
				}
			}
		case "assert_return", "action", "assert_trap", "assert_exhaustion":
			got = s.act(c)
		case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType == "text" {
				continue
			}
			_, err := s.load(c.File, "")
			got = fmt.Sprint("refused: ", err != nil)
		}
		out = append(out, fmt.Sprintf("%d %s:%s", c.Line, c.Type, got))
	}
	return out
}

func (s *stage) act(c command) string {
	m := s.last
	if c.Action.Module != "" {
		m = s.named[c.Action.Module]
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		return show([]uint64{g.Get()}, []api.ValueType{g.Type()}, c.Expected)
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	f := m.ExportedFunction(c.Action.Field)
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		return firstLine(err)
	}
	return show(results, f.Definition().ResultTypes(), c.Expected)
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if strings.Contains(line, "invalid") || strings.Contains(line, "could not") {
		return "refused" // the sentence counts positions
	}
	return line
}

func (s *stage) open(config wazero.RuntimeConfig) {
	ctx := context.Background()
	s.rt = wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(api.CoreFeaturesV2))
	s.t.Cleanup(func() { _ = s.rt.Close(ctx) })
	s.named = map[string]api.Module{}
	yield := api.GoFunc(func(_ context.Context, stack []uint64) {
		s.yields++
		stack[0] = 1000
	})
	_, err := s.rt.NewHostModuleBuilder(meter.Module).NewFunctionBuilder().
		WithGoFunction(yield, nil, []api.ValueType{api.ValueTypeI64}).Export(meter.Yield).Instantiate(ctx)
	require.NoError(s.t, err)
	spectest, err := os.ReadFile(filepath.Join(s.dir, "../../testdata/spectest.wasm"))
	require.NoError(s.t, err)
	_, err = s.rt.InstantiateWithConfig(ctx, spectest, wazero.NewModuleConfig())
	require.NoError(s.t, err)
}

// few are the scripts of a short run: control flow, calls, memory, tables,
// globals, linking and the instructions the meter itself looks into.
var few = []string{
	"block", "br_table", "bulk", "call_indirect", "elem", "fac", "global", "if", "linking", "loop", "memory_fill",
	"memory_grow", "nop", "ref_func", "select", "simd_lane", "start", "switch", "table_copy", "unreachable",
}

func TestMeteredModulesAgreeWithTheSpecification(t *testing.T) {
	dir := filepath.Join(wazeroDir(t), "v2/testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	if testing.Short() {
		files = files[:0]
		for _, name := range few {
			files = append(files, filepath.Join(dir, name+".json"))
		}
	}
	commands, yields := 0, 0
	for engine, config := range map[string]func() wazero.RuntimeConfig{
		"compiler": wazero.NewRuntimeConfigCompiler, "interpreter": wazero.NewRuntimeConfigInterpreter,
	} {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			t.Run(engine+"/"+name, func(t *testing.T) {
				raw, err := os.ReadFile(file)
				require.NoError(t, err)
				var sc script
				require.NoError(t, json.Unmarshal(raw, &sc))
				plain, metered := &stage{t: t, dir: dir}, &stage{t: t, dir: dir, metered: true}
				plain.open(config())
				metered.open(config())
				want, got := plain.run(sc.Commands), metered.run(sc.Commands)
				require.Equal(t, want, got)
				commands += len(got)
				yields += metered.yields
			})
		}
	}
	t.Logf("%d commands agree; the guests asked for fuel %d times", commands, yields)
	require.Positive(t, yields)
}
