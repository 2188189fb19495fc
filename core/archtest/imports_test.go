package archtest

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/omniroute/omniroute/"

// layers of core from the ground up. A package imports only layers below its own; what is open within a
// layer is in siblings.
var layers = [][]string{
	{"doc"},
	{"fault"},
	{"telemetry"},
	{"config", "state"},
	{"account", "audit", "backup", "catalog", "health", "ledger", "oauth", "policy", "guard", "host", "upstream"},
	{"flow", "admin", "plugindev", "evals", "cloudsync", "clitools"},
	{"boot"},
	{"cmd"},
}

// nouns and means share a layer without knowing each other; so does everything else in a layer unless a
// pair (importer, imported) is named here.
var siblings = [][2]string{
	{"ledger", "catalog"}, // costs come from prices
}

// tests are packages that exist for tests alone: nothing that ships imports them, and they may import anything.
// cases is the exception: the command `translate cases` runs the same matcher.
var tests = []string{"archtest", "fake", "e2e", "cases"}

// stages of the flow, which meet only in core/flow.
var stages = []string{"accept", "canonicalize", "decide", "execute", "render", "settle"}

// wraps are dialects that put an envelope around another one, and use its package for the inside.
var wraps = [][2]string{
	{"plugins/dialect/geminicli", "plugins/dialect/gemini"},
	{"plugins/dialect/antigravity", "plugins/dialect/gemini"},
	{"plugins/dialect/cursor", "plugins/dialect/openai"},
}

// shared are packages of providers that several executors are made with; no executor is among them.
var shared = []string{"plugins/provider/entry", "plugins/provider/codeassist"}

// doors are libraries with one package (or a few) that may import them.
var doors = map[string][]string{
	"github.com/tetratelabs/wazero":    {"core/host"},
	"github.com/dgraph-io/badger/v4":   {"core/state"},
	"github.com/expr-lang/expr":        {"core/policy"},
	"github.com/gofiber/fiber/v2":      {"core/flow/accept", "core/admin", "core/boot"},
	"github.com/knadh/koanf/v2":        {"core/config"},
	"oras.land/oras-go/v2":             {"core/host/registry"},
	"aead.dev/minisign":                {"core/host/pack"},
	"github.com/spf13/cobra":           {"core/cmd/omniroute"},
	"github.com/tiktoken-go/tokenizer": {"core/flow", "core/host", "core/doc"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T, env []string, patterns ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports"}, patterns...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	require.NoError(t, err)
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		for i, imp := range p.Imports {
			p.Imports[i] = strings.TrimPrefix(imp, module)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

func TestImportDirection(t *testing.T) {
	pkgs := list(t, nil, "./...")
	pkgs = append(pkgs, list(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, "./sdk/...", "./plugins/...")...)
	require.NotEmpty(t, pkgs)
	for _, p := range pkgs {
		for _, imp := range p.Imports {
			if why := forbidden(p.ImportPath, imp); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
	}
}

// forbidden says why a package may not import another; "" when it may. Both are module-relative for our own.
func forbidden(from, imp string) string {
	for lib, allowed := range doors {
		if within(imp, lib) && !slices.ContainsFunc(allowed, func(door string) bool { return within(from, door) }) {
			return "only " + strings.Join(allowed, ", ") + " may"
		}
	}
	switch top, _, _ := strings.Cut(from, "/"); top {
	case "core":
		return forbiddenInCore(from, imp)
	case "sdk":
		return forbiddenInSDK(from, imp)
	case "plugins":
		return forbiddenInPlugins(from, imp)
	}
	return ""
}

func forbiddenInCore(from, imp string) string {
	own, ours := area(from), area(imp)
	if slices.Contains(tests, own) {
		return ""
	}
	switch {
	case imp == "encoding/json":
		return "core speaks JSON through github.com/goccy/go-json and core/doc"
	case within(imp, "sdk") && !slices.Contains([]string{"sdk/abi", "sdk/hub", "sdk/hub/caps", "sdk/fixture", "sdk/conform"}, imp):
		return "core shares only sdk/abi, sdk/hub and its model table with plugins, and runs their cases"
	case within(imp, "plugins") && imp != "plugins/bundle":
		return "core knows plugins only as WebAssembly"
	case within(imp, "core/host/registry") && own != "cmd" && from != imp:
		return "commands fetch plugins; the gateway downloads nothing"
	case ours == "":
		return ""
	case slices.Contains(tests, ours) && !(own == "cmd" && ours != "archtest" && ours != "e2e"):
		return "it exists for tests"
	case own == ours:
		a, b := stage(from), stage(imp)
		if a != "" && b != "" && a != b {
			return "stages do not know each other"
		}
		return ""
	case slices.Contains(tests, ours):
		return ""
	}
	low, high := layer(ours), layer(own)
	switch {
	case low < 0:
		return "core/" + ours + " has no layer here; add it"
	case high < 0:
		return "core/" + own + " has no layer here; add it"
	case low < high, slices.Contains(siblings, [2]string{own, ours}):
		return ""
	case low == high:
		return "they share a layer"
	}
	return "it points up"
}

func forbiddenInSDK(from, imp string) string {
	switch {
	case within(imp, "core"), within(imp, "plugins"):
		return "the sdk knows neither the gateway nor any plugin"
	case slices.Contains([]string{"sdk/fixture", "sdk/conform", "sdk/plugintest"}, from), strings.Contains(from, "/internal/gen"), within(from, "sdk/abi/gen"):
		return ""
	case imp == "encoding/json" || imp == "reflect" || imp == "regexp":
		return "guests stay small: sdk/jsn reads and writes JSON"
	}
	return ""
}

func forbiddenInPlugins(from, imp string) string {
	guest := within(from, "plugins/dialect") || within(from, "plugins/provider")
	switch {
	case within(imp, "core"):
		return "a plugin knows nothing but the sdk"
	case !guest:
		return ""
	case within(imp, "plugins") && !sameFamily(from, imp) && !slices.Contains(wraps, [2]string{from, imp}) &&
		!(within(from, "plugins/provider") && slices.Contains(shared, imp)):
		return "plugins do not know each other"
	case imp == "encoding/json" || imp == "reflect" || imp == "regexp":
		return "guests stay small: sdk/jsn reads and writes JSON"
	case strings.Contains(strings.Split(imp, "/")[0], "."):
		return "a plugin knows nothing but the sdk"
	}
	return ""
}

// sameFamily allows plugins/dialect/x/y to import plugins/dialect/x, and the shared parts of one folder
// (plugins/dialect/internal) to be used within it.
func sameFamily(from, imp string) bool {
	a, b := strings.Split(from, "/"), strings.Split(imp, "/")
	return len(a) > 2 && len(b) > 2 && a[1] == b[1] && (a[2] == b[2] || b[2] == "internal")
}

func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// area is the first folder below core ("" outside core).
func area(path string) string {
	rest, ok := strings.CutPrefix(path, "core/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// stage is the stage of flow a package belongs to ("" for none).
func stage(path string) string {
	rest, ok := strings.CutPrefix(path, "core/flow/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	if !slices.Contains(stages, name) {
		return ""
	}
	return name
}

func layer(area string) int {
	return slices.IndexFunc(layers, func(names []string) bool { return slices.Contains(names, area) })
}

// The rules themselves refuse and allow what they should.
func TestRules(t *testing.T) {
	for _, tc := range []struct {
		from, imp string
		ok        bool
	}{
		{"core/cmd/omniroute", "core/boot", true},
		{"core/cmd/omniroute", "core/cases", true},
		{"core/boot", "core/flow", true},
		{"core/boot", "core/cmd/omniroute", false},
		{"core/flow", "core/boot", false},
		{"core/flow", "core/flow/decide", true},
		{"core/flow/decide", "core/flow/execute", false},
		{"core/flow/decide", "core/policy", true},
		{"core/policy", "core/flow", false},
		{"core/policy", "core/host", false},
		{"core/host", "core/catalog", false},
		{"core/host", "core/doc", true},
		{"core/account", "core/fault", true},
		{"core/doc", "core/fault", false},
		{"core/host", "github.com/tetratelabs/wazero/api", true},
		{"core/flow/execute", "github.com/tetratelabs/wazero", false},
		{"core/flow", "encoding/json", false},
		{"core/flow", "core/fake", false},
		{"core/host", "sdk/abi", true},
		{"core/host", "sdk/jsn", false},
		{"sdk", "core/doc", false},
		{"sdk/jsn", "reflect", false},
		{"plugins/dialect/claude", "sdk/jsn", true},
		{"plugins/dialect/claude", "plugins/dialect/gemini", false},
		{"plugins/provider/demo", "github.com/goccy/go-json", false},
	} {
		require.Equal(t, tc.ok, forbidden(tc.from, tc.imp) == "", "%s imports %s", tc.from, tc.imp)
	}
}
