package plugindev_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/conform"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/stretchr/testify/require"
)

// A new plugin of every kind, in every language, compiles, passes its own
// cases in WebAssembly and keeps to what is asked of every plugin.
func TestNewPluginsPassTheirTests(t *testing.T) {
	for _, lang := range plugindev.Languages() {
		for _, kind := range plugindev.Kinds() {
			t.Run(string(lang)+"-"+string(kind), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "zeta")
				files, err := plugindev.New(plugindev.Scaffold{Name: "me/zeta-llm", Language: lang, Kind: kind, Dir: dir})
				require.NoError(t, err)
				require.Contains(t, files, "testdata/"+map[plugindev.Kind]string{plugindev.Executor: "plan", plugindev.Translator: "request"}[kind]+"/op")
				if lang == plugindev.AssemblyScript { // what `npm install` fetches is there already
					modules, err := filepath.Abs(filepath.Join(examples, "assemblyscript", "node_modules"))
					require.NoError(t, err)
					require.NoError(t, os.Symlink(modules, filepath.Join(dir, "node_modules")))
				}
				lab := openLab(t, compile(t, dir))
				cases, err := fixture.Load(filepath.Join(dir, "testdata"))
				require.NoError(t, err)
				require.Len(t, cases, 4)
				if lang == plugindev.Go && os.Getenv("UPDATE_SCAFFOLDS") != "" {
					updateCases(t, kind, lab, cases)
					return
				}
				report, err := plugindev.Conform(t.Context(), lab, cases, 200)
				require.NoError(t, err)
				for _, f := range report.Findings {
					require.NotEqual(t, conform.Failed, f.Result, "%s: %s", f.ID, f.Problem)
				}
				if lang == plugindev.Go {
					runOwnTests(t, dir)
				}
			})
		}
	}
}

func runOwnTests(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "test", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestNewRefuses(t *testing.T) {
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	for want, s := range map[string]plugindev.Scaffold{
		"owner/name":   {Name: "acme", Language: plugindev.Go, Kind: plugindev.Executor, Dir: t.TempDir()},
		"no SDK":       {Name: "a/b", Language: "cobol", Kind: plugindev.Executor, Dir: t.TempDir()},
		"no kind":      {Name: "a/b", Language: plugindev.Go, Kind: "hook", Dir: t.TempDir()},
		"is not empty": {Name: "a/b", Language: plugindev.Go, Kind: plugindev.Executor, Dir: full},
	} {
		_, err := plugindev.New(s)
		require.ErrorContains(t, err, want)
	}
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	_, err := plugindev.Build(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "holds no plugin")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module x\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { oops }\n"), 0o600))
	_, err = plugindev.Build(t.Context(), dir)
	require.ErrorContains(t, err, "oops")
	var missing *plugindev.MissingError
	require.False(t, errors.As(err, &missing))
}
