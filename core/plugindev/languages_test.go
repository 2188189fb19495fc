package plugindev_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/conform"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/stretchr/testify/require"
)

const examples = "../../examples/plugins"

// folder of a language's example.
var folders = map[plugindev.Language]string{
	plugindev.Go: "go", plugindev.Rust: "rust", plugindev.AssemblyScript: "assemblyscript", plugindev.C: "c",
}

// compile builds the plugin in a folder, or skips where the machine has no
// compiler for it, and only then.
func compile(t *testing.T, dir string) []byte {
	t.Helper()
	wasm, err := plugindev.Build(t.Context(), dir)
	var missing *plugindev.MissingError
	if errors.As(err, &missing) {
		t.Skipf("SKIPPED %s: %v", missing.Language, missing)
	}
	require.NoError(t, err)
	return wasm
}

func openLab(t *testing.T, wasm []byte) *host.Lab {
	t.Helper()
	lab, err := host.OpenLab(t.Context(), wasm, host.LabOptions{CacheDir: cacheDir(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lab.Close(context.Background())) })
	return lab
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/wasm")
	require.NoError(t, err)
	return dir
}

// Every example keeps to what is asked of every plugin.
func TestLanguagesConform(t *testing.T) {
	cases, err := fixture.Load(filepath.Join(examples, "testdata"))
	require.NoError(t, err)
	for _, lang := range plugindev.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			lab := openLab(t, example(t, lang))
			report, err := plugindev.Conform(t.Context(), lab, cases, 300)
			require.NoError(t, err)
			for _, f := range report.Findings {
				require.NotEqual(t, conform.Failed, f.Result, "%s: %s: %s", f.ID, f.Title, f.Problem)
			}
			t.Logf("%d passed, %d do not apply", report.Passed, report.Skipped)
		})
	}
}

// compiled examples, by language.
var compiled = map[plugindev.Language][]byte{}

func example(t *testing.T, lang plugindev.Language) []byte {
	t.Helper()
	if compiled[lang] == nil {
		compiled[lang] = compile(t, filepath.Join(examples, folders[lang]))
	}
	return compiled[lang]
}

// The same provider in four languages answers every shared case with the same
// bytes as the Go code that runs natively.
func TestLanguagesAgree(t *testing.T) {
	cases, err := fixture.Load(filepath.Join(examples, "testdata"))
	require.NoError(t, err)
	require.Greater(t, len(cases), 20)
	for _, lang := range plugindev.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			wasm := example(t, lang)
			start := time.Now()
			lab := openLab(t, wasm)
			t.Logf("%s: %d bytes, ready after %v", lang, len(wasm), time.Since(start).Round(time.Millisecond))
			var fuel uint64
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					o, problems, err := plugindev.Check(t.Context(), lab, &c)
					require.NoError(t, err)
					require.Empty(t, problems)
					fuel += o.Fuel
					for k, record := range o.Records {
						require.True(t, bytes.Equal(golden(t)[c.Name][k], record), "output of call %d", k)
					}
				})
			}
			t.Logf("%s: %d units of fuel for all cases", lang, fuel)
		})
	}
}

// What a plugin may be lent, answers of its own and requests before a plan are
// the same in every language, as what they fail of is.
func TestLanguagesLend(t *testing.T) {
	dir := filepath.Join("testdata", "lender")
	cases, err := fixture.Load(filepath.Join(dir, "cases"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	modules := filepath.Join(dir, folders[plugindev.AssemblyScript], "node_modules")
	if err := os.Symlink(filepath.Join("..", "..", "..", examples, "assemblyscript", "node_modules"), modules); err == nil {
		t.Cleanup(func() { require.NoError(t, os.Remove(modules)) })
	}
	for _, lang := range plugindev.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			lab := openLab(t, compile(t, filepath.Join(dir, folders[lang])))
			for _, c := range cases {
				_, problems, err := plugindev.Check(t.Context(), lab, &c)
				require.NoError(t, err, c.Name)
				require.Empty(t, problems, c.Name)
			}
		})
	}
}

var goldenRecords map[string][][]byte

// golden is what the Go example gives, by case: the records of each call.
func golden(t *testing.T) map[string][][]byte {
	t.Helper()
	if goldenRecords != nil {
		return goldenRecords
	}
	lab := openLab(t, example(t, plugindev.Go))
	cases, err := fixture.Load(filepath.Join(examples, "testdata"))
	require.NoError(t, err)
	goldenRecords = map[string][][]byte{}
	for _, c := range cases {
		r, err := plugindev.Start(t.Context(), lab)
		require.NoError(t, err)
		o, err := c.Play(r, c.Batches)
		require.NoError(t, err)
		goldenRecords[c.Name] = o.Records
		r.Close()
	}
	return goldenRecords
}

func TestMain(m *testing.M) {
	if _, err := os.Stat(filepath.Join(examples, "assemblyscript", "node_modules")); err != nil {
		if npm, err := exec.LookPath("npm"); err == nil { // what `make test` and .ci/run do first; here for `go test` alone
			cmd := exec.Command(npm, "ci", "--no-audit", "--no-fund", "--prefer-offline")
			cmd.Dir = filepath.Join(examples, "assemblyscript")
			cmd.Env = append(os.Environ(), "npm_config_update_notifier=false")
			_ = cmd.Run()
		}
	}
	os.Exit(m.Run())
}

// The Rust SDK's own tests run natively.
func TestRustNatively(t *testing.T) {
	if err := plugindev.Missing(t.Context(), plugindev.Rust, examples); err != nil {
		t.Skip("SKIPPED rust: ", err)
	}
	program := filepath.Join(t.TempDir(), "tests")
	for _, rustc := range []string{"/usr/bin/rustc", "rustc"} {
		if _, err := exec.LookPath(rustc); err != nil {
			continue
		}
		out, err := exec.Command(rustc, "--edition", "2021", "--test", "../../sdk/rust/src/lib.rs", "-o", program).CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.Command(program).CombinedOutput()
		require.NoError(t, err, string(out))
	}
}
