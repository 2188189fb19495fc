package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// From nothing to a tested, measured file, by commands alone.
func TestPluginAuthorsVerbs(t *testing.T) {
	s := newShell(t, "")
	dir := filepath.Join(t.TempDir(), "acme-llm")
	require.Contains(t, s.yes("plugin", "new", "acme/acme-llm", "--dir", dir), "main.go")
	code, _, stderr := s.run("", "plugin", "new", "acme/acme-llm", "--dir", dir)
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "is not empty")

	file := filepath.Join(t.TempDir(), "acme.wasm")
	require.Contains(t, s.yes("plugin", "build", dir, "-o", file), file)
	require.Contains(t, s.yes("plugin", "test", file), "4 passed, 0 failed") // the file carries its cases
	require.Contains(t, s.yes("plugin", "test", file, "--fuzz", "100ms"), "all answered")
	require.Contains(t, s.yes("plugin", "test", file, "--json"), `"passed": 4`)
	require.Contains(t, s.yes("plugin", "bench", file, "--time", "1ms"), "plan-settings")
	require.Contains(t, s.yes("plugin", "bench", file, "--time", "1ms", "--json"), `"fuel"`)
	require.Contains(t, s.yes("plugin", "conform", file), " 0 failed")

	// A case that expects something else fails, and --update makes it right.
	want := filepath.Join(dir, "testdata", "plan", "want.json")
	require.NoError(t, os.WriteFile(want, []byte("{}\n"), 0o600))
	code, out, _ := s.run("", "plugin", "test", file, "--cases", filepath.Join(dir, "testdata"))
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "FAILED plan: want.json differs")
	require.Contains(t, s.yes("plugin", "test", file, "--cases", filepath.Join(dir, "testdata"), "--update"), "4 passed")
	require.Contains(t, s.yes("plugin", "test", file, "--cases", filepath.Join(dir, "testdata")), "4 passed")

	code, _, stderr = s.run("", "plugin", "record", "-o", filepath.Join(t.TempDir(), "t.omr"))
	require.Equal(t, exitNo, code)
	require.Contains(t, stderr, "no gateway is running")
}
