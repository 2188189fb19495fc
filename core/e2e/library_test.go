package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/sdk/abi"
)

// wanting is a version of the drop-in that asks for one more host.
func wanting(t *testing.T, version, host string) []byte {
	t.Helper()
	wasm := dropIn(t, version)
	raw, ok, err := abi.Section(wasm, abi.SectionManifest)
	require.NoError(t, err)
	require.True(t, ok)
	more := bytes.Replace(raw, []byte(`"hosts":["drop.example"]`), []byte(`"hosts":["drop.example","`+host+`"]`), 1)
	require.NotEqual(t, string(raw), string(more))
	out, err := pack.Build(wasm, pack.Parts{Manifest: more})
	require.NoError(t, err)
	return out
}

// file writes a file beside the gateway's configuration and returns its path.
func (g *gateway) file(name string, data []byte) string {
	g.t.Helper()
	require.NoError(g.t, os.WriteFile(g.path(name), data, 0o644))
	return g.path(name)
}

// no runs a command whose answer is no, and returns both outputs.
func (g *gateway) no(args ...string) string {
	g.t.Helper()
	out, errs, err := g.run(args...)
	require.Error(g.t, err, "%v: %s%s", args, out, errs)
	return out + errs
}

// serving waits until the drop-in answers as that version, "" = not at all.
func (g *gateway) serving(version string) {
	g.t.Helper()
	g.eventually(func() bool {
		a := g.chat("drop/local")
		if version == "" {
			return a.Status != http.StatusOK
		}
		return a.text() == "version "+version
	}, "version %q does not serve: %s", version, lazy(func() string { return g.chat("drop/local").Body }))
}

func (g *gateway) withDropKey() {
	g.t.Helper()
	g.env = append(g.env, "DROP_KEY=sk-drop")
	g.must("provider", "add", "drop", "--name", "a", "--key-env", "DROP_KEY")
}

// From a file, with a gateway that runs: install, update, capability diff, approval, rollback. No network is used.
func TestPluginLife(t *testing.T) {
	t.Parallel()
	g := serve(t, freely)
	file := g.file("drop.wasm", dropIn(t, "1"))
	require.Contains(t, g.no("plugin", "install", file), "--yes agrees")
	require.NoFileExists(t, g.path("omniroute.plugins.lock"))
	require.Contains(t, g.must("plugin", "inspect", file), "test/drop 1.0.1")
	require.Contains(t, g.must("plugin", "install", file, "--yes"), "test/drop 1.0.1")
	g.withDropKey()
	g.serving("1")

	require.Contains(t, g.must("plugin", "update", "--check"), "up to date")
	g.file("drop.wasm", dropIn(t, "2"))
	require.Contains(t, g.no("plugin", "update", "--check"), "1.0.2")
	g.serving("1")
	require.Contains(t, g.must("plugin", "update"), "updated")
	g.serving("2")

	// A version that asks for more waits for approval; the old one serves on.
	g.file("drop.wasm", wanting(t, "3", "more.example"))
	require.Contains(t, g.must("plugin", "update", "--json"), `"http more.example"`)
	g.serving("2")
	require.Contains(t, g.must("plugin", "info", "test/drop"), "1.0.3 asks for http more.example")
	approved := g.must("plugin", "approve", "test/drop")
	require.Contains(t, approved, "1.0.2 -> 1.0.3")
	require.Contains(t, approved, "+ http more.example")
	g.serving("3")
	back := g.must("plugin", "rollback", "test/drop")
	require.Contains(t, back, "1.0.3 -> 1.0.2")
	require.Contains(t, back, "- http more.example")
	g.serving("2")
	require.Contains(t, g.no("plugin", "install", g.file("old.wasm", dropIn(t, "1"))), "--allow-downgrade")

	g.must("plugin", "disable", "test/drop")
	g.serving("")
	g.must("plugin", "enable", "test/drop")
	g.serving("2")

	// Tampered with: it stops serving, and a look says why.
	g.install("test--drop.wasm", dropIn(t, "1"))
	g.eventually(func() bool {
		out, errs, _ := g.run("plugin", "list")
		return strings.Contains(out+errs, "not what the lock file says")
	}, "the changed file is not noticed")
	g.must("plugin", "install", g.file("drop.wasm", dropIn(t, "2")), "--yes")
	g.serving("2")

	// The same without a gateway, on a machine that gets an archive.
	archive := g.path("drop.tar")
	g.must("plugin", "save", "test/drop", archive)
	g.must("plugin", "remove", "test/drop")
	g.serving("")
	g.stop()
	g.must("plugin", "install", archive, "--yes")
	require.Contains(t, g.must("plugin", "list"), "1.0.2")
	g.start()
	g.serving("2")
	require.Contains(t, g.must("plugin", "doctor"), "generation")
}

// Keys, signatures and modes: what is not signed by a listed key stops serving when the operator says so.
func TestPluginSignatures(t *testing.T) {
	t.Parallel()
	g := serve(t, freely)
	key := strings.TrimSpace(g.must("plugin", "sign", "--new-key", g.path("acme.key")))
	require.True(t, strings.HasPrefix(key, "RW"), key)
	unsigned := g.file("drop.wasm", dropIn(t, "1"))
	g.must("plugin", "install", unsigned, "--yes")
	g.withDropKey()
	g.serving("1")

	g.configure(freely + fmt.Sprintf("plugins:\n  trust:\n    mode: enforce\n    keys: [{id: %q, name: acme, scope: [\"test/*\"]}]\n", key))
	g.serving("")
	require.Contains(t, g.no("plugin", "verify", unsigned), "not signed by a listed key")
	g.must("plugin", "sign", unsigned, "--key", g.path("acme.key"))
	require.Contains(t, g.must("plugin", "verify", unsigned), "good "+key)
	g.must("plugin", "install", unsigned, "--yes")
	g.serving("1")
	require.Contains(t, g.must("plugin", "info", "test/drop"), "valid acme")

	data, err := os.ReadFile(unsigned)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.Contains(t, g.no("plugin", "verify", g.file("drop.wasm", data)), "the file was changed")
}

func TestPluginIndex(t *testing.T) {
	t.Parallel()
	g := prepare(t, freely)
	g.must("plugin", "sign", "--new-key", g.path("index.key"))
	public, err := os.ReadFile(g.path("index.key.pub"))
	require.NoError(t, err)
	key, err := pack.ParseKey(string(public))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(g.path("shop"), 0o755))
	build := func(version string) {
		file := g.file(filepath.Join("shop", "drop-"+version+".wasm"), dropIn(t, version))
		g.must("plugin", "index", "build", file, "--key", g.path("index.key"), "-o", g.path("shop/index.json"))
	}
	build("1")
	build("2")
	g.configure(freely + fmt.Sprintf("plugins:\n  indexes: [{name: shop, url: ./shop/index.json, keys: [%q]}]\n", key.Text))
	found := g.must("plugin", "search", "drop")
	require.Contains(t, found, "test/drop")
	require.Contains(t, found, "1.0.2")
	require.Contains(t, g.must("plugin", "install", "test/drop@1.0.1", "--yes"), "1.0.1")
	require.Contains(t, g.must("plugin", "update"), "up to date", "it was installed at one version")
	require.Contains(t, g.must("plugin", "install", "test/drop@~1.0", "--yes"), "1.0.1 -> 1.0.2")
	old, err := os.ReadFile(g.path("shop/index.json"))
	require.NoError(t, err)
	oldSig, err := os.ReadFile(g.path("shop/index.json.minisig"))
	require.NoError(t, err)
	build("3")
	require.Contains(t, g.must("plugin", "update"), "1.0.3")

	// Over HTTP on this machine; then someone shows the old list, and a changed one.
	srv := httptest.NewServer(http.FileServer(http.Dir(g.path("shop"))))
	defer srv.Close()
	g.configure(freely + fmt.Sprintf("plugins:\n  indexes: [{name: shop, url: %q, keys: [%q]}]\n", srv.URL+"/index.json", key.Text))
	require.Contains(t, g.no("plugin", "search"), "https://", "an index comes over TLS or from a file")
	g.configure(freely + fmt.Sprintf("plugins:\n  indexes: [{name: shop, url: ./shop/index.json, keys: [%q]}]\n", key.Text))
	g.file("shop/index.json", old)
	g.file("shop/index.json.minisig", oldSig)
	require.Contains(t, g.no("plugin", "search", "drop"), "someone shows an old one")
	g.file("shop/index.json", append(old, ' '))
	require.Contains(t, g.no("plugin", "search", "drop"), "does not hold")
}

func TestPluginRegistry(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(ociserver.New(ocimem.New(), nil))
	defer srv.Close()
	repo := "oci://" + strings.TrimPrefix(srv.URL, "http://") + "/acme/drop"
	g := prepare(t, freely)
	push := func(version string) string {
		file := g.file("drop-"+version+".wasm", dropIn(t, version))
		return strings.TrimSpace(g.must("plugin", "push", file, repo+":1.0."+version))
	}
	pushed := push("1")
	require.Contains(t, pushed, repo+":1.0.1@sha256:")
	require.Contains(t, g.must("plugin", "install", repo+":1.0.1", "--yes"), "test/drop 1.0.1")
	lockText, err := os.ReadFile(g.path("omniroute.plugins.lock"))
	require.NoError(t, err)
	_, digest, _ := strings.Cut(pushed, "@")
	require.Contains(t, string(lockText), "manifest_digest: "+digest)
	push("2")
	require.Contains(t, g.no("plugin", "update", "--check"), "1.0.2")
	require.Contains(t, g.must("plugin", "update", "--yes"), "updated")
	g.start()
	g.withDropKey()
	g.serving("2")
	require.Contains(t, g.must("plugin", "pull", repo+":1.0.1", "-o", g.path("pulled.wasm")), "pulled.wasm")
	require.FileExists(t, g.path("pulled.wasm"))
	require.Contains(t, g.must("plugin", "warm"), "plugins ready")
}
