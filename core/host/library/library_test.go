package library

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// provider is a pack in some version that wants some hosts.
func provider(version, host string) Source {
	return Source{Name: "acme.provider.yaml", From: "acme.provider.yaml", Data: fmt.Appendf(nil,
		"id: acme\nplugin: acme/llm\nversion: %s\nformat: openai\nbase_url: https://%s/v1\n", version, host)}
}

func newLibrary(t *testing.T) *Library {
	t.Helper()
	dir := t.TempDir()
	return &Library{Dir: filepath.Join(dir, "plugins"), Lock: filepath.Join(dir, "omniroute.plugins.lock"), Version: "dev"}
}

var all = manifest.Grants{HTTP: []string{"api.acme.example", "eu.acme.example"}, Use: []string{"api_key"}}

func (l *Library) must(t *testing.T, s Source, opt Options) *Outcome {
	t.Helper()
	out, err := l.Install(t.Context(), s, opt)
	require.NoError(t, err)
	return out
}

func (l *Library) serving(t *testing.T) string {
	t.Helper()
	i, err := l.Find("acme/llm")
	require.NoError(t, err)
	return i.Version + " " + i.State
}

func TestLifeOfAPlugin(t *testing.T) {
	l := newLibrary(t)
	_, err := l.Install(t.Context(), provider("1.0.0", "api.acme.example"), Options{})
	var need *Consent
	require.ErrorAs(t, err, &need)
	require.Equal(t, "http api.acme.example, secrets.use api_key", need.Missing.String())
	require.NoFileExists(t, l.Lock)
	require.NoDirExists(t, l.Dir, "nothing is written without consent")

	out := l.must(t, provider("1.0.0", "api.acme.example"), Options{Accept: need.Missing, Constraint: "^1"})
	require.Empty(t, out.Replaced)
	require.Equal(t, "1.0.0 enabled", l.serving(t))
	require.True(t, l.must(t, provider("1.0.0", "api.acme.example"), Options{}).Same)

	// The same rights: the update simply comes.
	out = l.must(t, provider("1.1.0", "api.acme.example"), Options{})
	require.Equal(t, "1.0.0", out.Replaced)
	require.Equal(t, "1.1.0 enabled", l.serving(t))
	require.Equal(t, "^1", out.Entry.Constraint)

	// More rights: the old version serves until they are approved.
	_, err = l.Install(t.Context(), provider("1.2.0", "eu.acme.example"), Options{})
	require.ErrorAs(t, err, &need)
	out = l.must(t, provider("1.2.0", "eu.acme.example"), Options{Stage: true})
	require.True(t, out.Pending)
	require.Equal(t, "http eu.acme.example", out.Added.String())
	require.Equal(t, "http api.acme.example", out.Dropped.String())
	require.Equal(t, "1.1.0 enabled", l.serving(t))
	out, err = l.Approve("acme/llm", manifest.Grants{})
	require.NoError(t, err)
	require.Equal(t, "1.1.0", out.Replaced)
	require.Equal(t, "1.2.0 enabled", l.serving(t))
	require.Equal(t, []string{"eu.acme.example"}, out.Entry.Grants.HTTP, "what it does not need any more is gone")
	_, err = l.Approve("acme/llm", manifest.Grants{})
	require.ErrorContains(t, err, "nothing that waits")

	// Back, and forth again.
	out, err = l.Rollback("acme/llm")
	require.NoError(t, err)
	require.Equal(t, "1.1.0 enabled", l.serving(t))
	require.Equal(t, []string{"api.acme.example"}, out.Entry.Grants.HTTP)
	_, err = l.Rollback("acme/llm")
	require.NoError(t, err)
	require.Equal(t, "1.2.0 enabled", l.serving(t))

	_, err = l.Install(t.Context(), provider("1.1.5", "eu.acme.example"), Options{})
	require.ErrorIs(t, err, ErrDowngrade)
	l.must(t, provider("1.1.5", "eu.acme.example"), Options{AllowDowngrade: true})
	require.Equal(t, "1.1.5 enabled", l.serving(t))

	require.NoError(t, l.Enable("acme/llm", false))
	require.Equal(t, "1.1.5 disabled", l.serving(t))
	l.must(t, provider("1.3.0", "eu.acme.example"), Options{})
	require.Equal(t, "1.3.0 disabled", l.serving(t), "an update switches nothing on")
	require.NoError(t, l.Enable("acme/llm", true))

	// The file was tampered with, then lost.
	path := filepath.Join(l.Dir, "acme--llm.provider.yaml")
	require.NoError(t, os.WriteFile(path, provider("1.3.0", "evil.example").Data, 0o600))
	i, err := l.Find("acme/llm")
	require.NoError(t, err)
	require.Equal(t, "refused", i.State)
	require.Contains(t, i.Reason, "not what the lock file says")
	require.NoError(t, os.Remove(path))
	require.Equal(t, "1.3.0 missing", l.serving(t))
	_, err = l.Rollback("acme/llm")
	require.NoError(t, err, "kept versions help")

	require.NoError(t, l.Remove("acme/llm"))
	require.NoFileExists(t, path)
	kept, err := os.ReadDir(filepath.Join(l.Dir, versionsDir))
	require.NoError(t, err)
	require.Empty(t, kept)
	require.ErrorIs(t, l.Remove("acme/llm"), ErrUnknown)
	_, err = l.Rollback("acme/llm")
	require.ErrorIs(t, err, ErrUnknown)
}

func TestDroppedInFiles(t *testing.T) {
	l := newLibrary(t)
	require.NoError(t, os.MkdirAll(filepath.Join(l.Dir, "mine"), 0o755))
	drop := func(s Source) {
		require.NoError(t, os.WriteFile(filepath.Join(l.Dir, "mine", "x.provider.yaml"), s.Data, 0o600))
	}
	drop(provider("1.0.0", "api.acme.example"))
	require.Equal(t, "1.0.0 enabled", l.serving(t))
	require.NoError(t, l.Enable("acme/llm", false))
	require.Equal(t, "1.0.0 disabled", l.serving(t))
	require.NoError(t, l.Enable("acme/llm", true))
	drop(provider("1.0.1", "eu.acme.example"))
	i, err := l.Find("acme/llm")
	require.NoError(t, err)
	require.Equal(t, "http eu.acme.example", i.Missing.String())
	_, err = l.Approve("acme/llm", manifest.Grants{})
	require.NoError(t, err)
	require.Equal(t, "1.0.1 enabled", l.serving(t))

	// What is installed takes the place of what was dropped in.
	l.must(t, provider("2.0.0", "eu.acme.example"), Options{Accept: all})
	require.Equal(t, "2.0.0 enabled", l.serving(t))
	require.NoFileExists(t, filepath.Join(l.Dir, "mine", "x.provider.yaml"))
}

func TestSpecialGrantsAreNamed(t *testing.T) {
	l := newLibrary(t)
	lan := provider("1.0.0", "10.0.0.7")
	_, err := l.Install(t.Context(), lan, Options{Accept: all})
	var need *Consent
	require.ErrorAs(t, err, &need)
	require.Equal(t, "http 10.0.0.7", need.Special.String())
	l.must(t, lan, Options{Accept: all.And(manifest.Grants{HTTP: []string{"10.0.0.7"}})})
	require.Equal(t, "1.0.0 enabled", l.serving(t))
	l.must(t, provider("1.1.0", "192.168.1.1"), Options{Stage: true})
	_, err = l.Approve("acme/llm", manifest.Grants{})
	require.ErrorAs(t, err, &need)
	_, err = l.Approve("acme/llm", manifest.Grants{HTTP: []string{"192.168.1.1"}})
	require.NoError(t, err)
}

func TestSignedInstallation(t *testing.T) {
	l := newLibrary(t)
	signer, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	l.Trust = trust.Policy{Mode: trust.Enforce, Keys: []trust.Key{{Key: signer.Key, Name: "acme", Scope: []string{"acme/*"}}}}
	s := provider("1.0.0", "api.acme.example")
	_, err = l.Install(t.Context(), s, Options{Accept: all})
	require.ErrorContains(t, err, "not signed by a listed key")
	f, err := pack.Open(s.Name, s.Data, nil)
	require.NoError(t, err)
	s.Signature, err = f.Sign(signer)
	require.NoError(t, err)
	out := l.must(t, s, Options{Accept: all})
	require.Equal(t, []string{signer.Key.Text}, out.Entry.SignedBy)
	require.FileExists(t, filepath.Join(l.Dir, "acme--llm.provider.yaml.minisig"))
	i, err := l.Find("acme/llm")
	require.NoError(t, err)
	require.Equal(t, SignatureValid, i.Signature)
	require.Equal(t, []string{"acme"}, i.SignedBy)

	l.Trust.Deny.Hosts = []string{"*.acme.example"}
	_, err = l.Install(t.Context(), s, Options{Accept: all})
	require.ErrorContains(t, err, "deny forbids")
}

func TestFixturesMustPass(t *testing.T) {
	l := newLibrary(t)
	require.Nil(t, l.Fixtures)
	l.Version = "1.0.0"
	_, err := l.Install(t.Context(), Source{Name: "x.wasm", Data: []byte("no module")}, Options{})
	require.ErrorContains(t, err, "not a WebAssembly module")
	l.MaxSize = 4
	_, err = l.Install(t.Context(), provider("1.0.0", "a.example"), Options{})
	require.ErrorContains(t, err, "plugins may have 4")
	_, err = lock.Read(l.Lock)
	require.NoError(t, err)
	require.False(t, errors.Is(err, ErrUnknown))
}
