package lock

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/manifest"
)

var digest = "sha256:" + strings.Repeat("a", 64)

func TestReadAndWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "omniroute.plugins.lock")
	f, err := Read(path)
	require.NoError(t, err)
	require.Empty(t, f.Plugins)

	want := Entry{
		Name: "acme/acme-llm", Version: "1.2.0", ABI: "1.0", File: "acme--acme-llm.wasm", Source: "oci://registry.example/acme/llm:1.2.0",
		ManifestDigest: digest, FileDigest: digest, ContentDigest: digest, SignedBy: []string{"RWTabc"},
		Grants:   manifest.Grants{HTTP: []string{"api.acme.example"}, Use: []string{"api_key"}},
		Fixtures: &Fixtures{Passed: 42, FuelMax: 118230}, Previous: &Version{Version: "1.1.0", ContentDigest: digest},
	}
	require.NoError(t, Update(path, func(f *File) error {
		f.Put(Entry{Name: "b/b"})
		f.Put(want)
		return nil
	}))
	f, err = Read(path)
	require.NoError(t, err)
	require.Equal(t, want, *f.Find("acme/acme-llm"))
	require.Equal(t, "b/b", f.Plugins[1].Name)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "grants:\n      http: [api.acme.example]\n      secrets.use: [api_key]\n")

	require.NoError(t, Update(path, func(f *File) error { require.True(t, f.Remove("b/b")); return nil }))
	require.Error(t, Update(path, func(f *File) error { f.Remove("acme/acme-llm"); return os.ErrInvalid }))
	f, err = Read(path)
	require.NoError(t, err)
	require.Len(t, f.Plugins, 1, "a failed change changes nothing")
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"schema: 2\n":                                   "schema 2",
		"plugins: [{name: x}]":                          "owner/name",
		"plugins: [{name: a/b}, {name: a/b}]":           "twice",
		"plugins: [{name: a/b, file: ../x}]":            "not in the plugin folder",
		"plugins: [{name: a/b, content_digest: x}]":     "not a sha256 digest",
		"plugins: [{name: a/b, granted: {}}]":           "granted",
		"plugins: [{name: a/b, grants: {http: ['*']}}]": "grants",
		"plugins: 1": "line 1",
	} {
		require.ErrorContains(t, Parse([]byte(text), &File{}), want, text)
	}
}

func TestUpdatesAreOneAfterTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	var wg sync.WaitGroup
	for k := range 20 {
		wg.Go(func() {
			if err := Update(path, func(f *File) error { f.Put(Entry{Name: fmt.Sprintf("a/p%d", k)}); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := Read(path)
	require.NoError(t, err)
	require.Len(t, f.Plugins, 20)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("schema: 1\nplugins:\n- {name: a/b, grants: {http: [a.example], kv: true}}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var l File
		if Parse(raw, &l) == nil {
			text, err := l.Format()
			require.NoError(t, err)
			require.NoError(t, Parse(text, &File{}))
		}
	})
}
