package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
)

const canary = "sk-canary-0123456789abcdefghijklmn"

// stocked is a shell with a key and an account.
func stocked(t *testing.T) *shell {
	s := newShell(t, "")
	s.yes("provider", "add", "openai", "--key", canary)
	s.yes("key", "create", "--name", "ci")
	return s
}

// A backup restores on the same machine, and with a passphrase on another one.
func TestBackupAndRestore(t *testing.T) {
	s := stocked(t)
	file := filepath.Join(s.dir, "all.bak")
	require.Contains(t, s.yes("backup", file), "entries")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(raw), canary)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	s.yes("key", "revoke", "ci")
	s.yes("key", "create", "--name", "later")
	require.Contains(t, s.yes("restore", "--dry-run", file), "whole")
	require.Contains(t, s.yes("key", "list"), "later", "a dry run changes nothing")
	var r control.RestoreReport
	require.NoError(t, json.Unmarshal([]byte(s.yes("restore", "--json", file)), &r))
	require.DirExists(t, r.Before)
	require.FileExists(t, filepath.Join(r.FilesDir, "omniroute.yaml"))
	keys := s.yes("key", "list")
	require.Contains(t, keys, "ci")
	require.NotContains(t, keys, "later")
	require.Contains(t, s.yes("doctor", "verify"), "chain is whole")

	words := s.write("words", "correct horse battery staple\n")
	sealed := filepath.Join(s.dir, "portable.bak")
	s.yes("backup", "--passphrase-file", words, "--no-logs", sealed)
	other := newShell(t, "")
	code, _, text := other.run("", "restore", file)
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "the key does not open this backup")
	code, _, text = other.run("", "restore", sealed)
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "passphrase")
	other.yes("restore", "--passphrase-file", words, sealed)
	require.Contains(t, other.yes("key", "list"), "ci")
	export := other.yes("export", "--secrets")
	require.Contains(t, export, canary, "the account came with its credential")

	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	code, _, text = s.run("", "restore", file)
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "damaged")
	require.Contains(t, s.yes("key", "list"), "ci", "nothing changed")
	left, err := filepath.Glob(filepath.Join(s.dir, "data", "badger.restore-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Everything works beside a running gateway too, but for what needs it stopped.
func TestMaintenanceBesideAServer(t *testing.T) {
	needsPlugins(t)
	s := stocked(t)
	s.write("omniroute.yaml", "server: {listen: \"127.0.0.1:0\", data_dir: "+filepath.Join(s.dir, "data")+"}\nplugins: {dir: "+filepath.Join(s.dir, "plugins")+"}\n")
	gw, err := boot.Start(t.Context(), boot.Options{Config: filepath.Join(s.dir, "omniroute.yaml"), Env: s.env, Core: (&app{}).core, Err: new(bytes.Buffer)})
	require.NoError(t, err)
	defer func() { require.NoError(t, gw.Shutdown(context.Background())) }()
	var b control.BackupReport
	require.NoError(t, json.Unmarshal([]byte(s.yes("backup", "--json")), &b))
	require.Equal(t, filepath.Join(s.dir, "data", "backups"), filepath.Dir(b.Path))
	require.Positive(t, b.Manifest.Entries)
	var d control.Diagnosis
	require.NoError(t, json.Unmarshal([]byte(s.yes("doctor", "verify", "--json")), &d))
	require.True(t, d.Running)
	require.True(t, d.Healthy())
	s.yes("doctor", "compact")
	export := s.yes("export")
	require.NotContains(t, export, canary)
	code, _, text := s.run("", "restore", b.Path)
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "stop the gateway first")
	code, _, text = s.run("", "doctor", "repair")
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "stop the gateway first")
	file := s.write("export.json", export)
	require.Contains(t, s.yes("import", file), "skip")
	code, _, text = s.run("", "import", "--apply", file)
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "stop the gateway")
}

// What is exported can be imported where it is not, and tells no secrets unless
// asked to.
func TestExportAndImport(t *testing.T) {
	s := stocked(t)
	plain := s.yes("export")
	require.NotContains(t, plain, canary)
	require.NotContains(t, plain, `"hash"`)
	full := s.yes("export", "--secrets")
	require.Contains(t, full, canary)

	other := newShell(t, "")
	file := other.write("export.json", full)
	var r control.ImportReport
	require.NoError(t, json.Unmarshal([]byte(other.yes("import", "--json", file)), &r))
	require.Len(t, r.Create, 2)
	require.False(t, r.Applied)
	require.NotContains(t, other.yes("key", "list"), "ci", "only told")
	other.yes("import", "--apply", file)
	require.Contains(t, other.yes("key", "list"), "ci")
	require.NoError(t, json.Unmarshal([]byte(other.yes("import", "--json", "--apply", file)), &r))
	require.Len(t, r.Same, 2)
	changed := other.write("changed.json", strings.Replace(full, `"name": "ci"`, `"name": "cd"`, 1))
	require.NoError(t, json.Unmarshal([]byte(other.yes("import", "--json", "--apply", changed)), &r))
	require.Len(t, r.Conflicts, 1)
	require.Contains(t, other.yes("key", "list"), "ci")
	other.yes("import", "--apply", "--overwrite", changed)
	require.Contains(t, other.yes("key", "list"), "cd")

	for _, bad := range []string{"{}", "[]", "not json", strings.Replace(full, `"hash": "`, `"hash": "xyz`, 1)} {
		code, _, text := other.run(bad, "import", "--apply", "-")
		require.Equal(t, exitNo, code, bad)
		require.NotEmpty(t, text)
	}
}

// The doctor tells what is wrong in words, whatever it is, and repair mends what
// can be mended.
func TestDoctor(t *testing.T) {
	s := stocked(t)
	require.Contains(t, s.yes("doctor"), "1 client keys, 1 accounts")
	s.yes("backup")
	require.NotContains(t, s.yes("doctor"), "there is none in")

	secrets := filepath.Join(s.dir, "data", "secrets.json")
	raw, err := os.ReadFile(secrets)
	require.NoError(t, err)
	require.NoError(t, os.Remove(secrets))
	code, out, _ := s.run("", "doctor")
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "bring back")
	s.env = append(s.env, "OMNIROUTE_STORAGE_KEY="+strings.Repeat("ab", 32))
	code, out, _ = s.run("", "doctor")
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "does not match")
	s.env = s.env[:len(s.env)-1]
	require.NoError(t, os.WriteFile(secrets, raw, 0o600))
	s.yes("doctor")

	for range 3 { // closing writes tables
		s.yes("key", "create", "--name", "k"+time.Now().Format("150405.000000"))
	}
	tables, err := filepath.Glob(filepath.Join(s.dir, "data", "badger", "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	table, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(tables[0], table[:len(table)/2], 0o600))
	code, out, _ = s.run("", "doctor")
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "damaged")
	require.Contains(t, out, "omniroute restore")
	code, _, text := s.run("", "serve")
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "damaged")
	require.Contains(t, s.yes("doctor", "repair"), "taken out: "+filepath.Base(tables[0]))
	_, out, _ = s.run("", "doctor", "verify")
	require.Contains(t, out, "entries of 0 MiB are sound")
	require.NotContains(t, out, "damaged", "only the audit log may miss records, which it then says")
}
