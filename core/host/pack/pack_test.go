package pack

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/abi"
)

const acme = `{"schema":1,"name":"acme/llm","version":"1.2.0","abi":"1.0","provides":[{"kind":"executor","id":"acme","base_url":"https://api.acme.example"}]}`

// tiny is a module that imports one function, exports its memory and does
// nothing.
func tiny() []byte {
	section := func(id byte, content ...byte) []byte { return append([]byte{id, byte(len(content))}, content...) }
	m := append([]byte{}, wasmHead...)
	m = append(m, section(1, 1, 0x60, 2, 0x7f, 0x7f, 0)...) // (i32 i32) -> ()
	m = append(m, section(2, append([]byte("\x01\x07omni_v1\x03log"), 0, 0)...)...)
	m = append(m, section(5, 1, 0, 1)...) // memory
	return append(m, section(7, append([]byte("\x01\x06memory"), 2, 0)...)...)
}

func built(t *testing.T) []byte {
	t.Helper()
	wasm, err := Build(tiny(), Parts{
		Manifest: []byte(acme), Readme: "# Acme",
		Fixtures: zipped(t, map[string]string{"plan/in.json": `{"a":1}`, "plan/op": "EX_PLAN"}),
	})
	require.NoError(t, err)
	return wasm
}

func TestBuildAndOpen(t *testing.T) {
	wasm := built(t)
	f, err := Open("acme.wasm", wasm, nil)
	require.NoError(t, err)
	require.Equal(t, "acme/llm", f.Manifest.Name)
	require.Equal(t, "# Acme", f.Readme)
	require.Equal(t, []Import{{"omni_v1", "log"}}, f.Imports)
	require.Equal(t, []string{"memory"}, f.Exports)
	sum := sha256.Sum256(wasm)
	require.Equal(t, "sha256:"+hex.EncodeToString(sum[:]), f.FileDigest)
	require.Equal(t, f.FileDigest, f.ContentDigest, "nothing is signed")
	cases, err := f.Cases()
	require.NoError(t, err)
	require.Equal(t, []string{"plan"}, cases)

	again, err := Build(wasm, Parts{Manifest: []byte(acme), Readme: "# Acme", Fixtures: f.Fixtures})
	require.NoError(t, err)
	require.Equal(t, wasm, again, "packing twice changes nothing")
	require.Equal(t, "acme--llm.wasm", FileName("acme/llm", false))
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func newSigner(t *testing.T) Signer {
	t.Helper()
	s, secret, public, err := NewSigner(rand.Reader, "")
	require.NoError(t, err)
	again, err := ParseSigner(secret, "")
	require.NoError(t, err)
	require.Equal(t, s.Key.Text, again.Key.Text)
	k, err := ParseKey(string(public))
	require.NoError(t, err)
	require.Equal(t, s.Key.Text, k.Text)
	return s
}

func TestSignatures(t *testing.T) {
	wasm := built(t)
	author, reviewer, stranger := newSigner(t), newSigner(t), newSigner(t)
	f, err := Open("acme.wasm", wasm, nil)
	require.NoError(t, err)
	text, err := f.Sign(author)
	require.NoError(t, err)

	signed, err := f.Embed(text)
	require.NoError(t, err)
	g, err := Open("acme.wasm", signed, nil)
	require.NoError(t, err)
	require.Equal(t, f.ContentDigest, g.ContentDigest, "signing does not change the content")
	require.NotEqual(t, f.FileDigest, g.FileDigest)
	more, err := g.Sign(reviewer)
	require.NoError(t, err)
	both, err := g.Embed(more)
	require.NoError(t, err)
	g, err = Open("acme.wasm", both, nil)
	require.NoError(t, err)
	by, err := g.SignedBy([]Key{author.Key, reviewer.Key, stranger.Key})
	require.NoError(t, err)
	require.Len(t, by, 2)
	require.Equal(t, "name=acme/llm version=1.2.0 abi=1.0", g.ListSignatures()[0].Comment)
	require.Len(t, g.SignatureText(), len(text)+len(more))

	// The side-car carries the same bytes.
	s, err := Open("acme.wasm", wasm, text)
	require.NoError(t, err)
	by, err = s.SignedBy([]Key{author.Key})
	require.NoError(t, err)
	require.Len(t, by, 1)
	by, err = s.SignedBy([]Key{stranger.Key})
	require.NoError(t, err)
	require.Empty(t, by)

	// A changed file, and a signature moved to another version.
	changed := bytes.Replace(both, []byte("# Acme"), []byte("# ACME"), 1)
	g, err = Open("acme.wasm", changed, nil)
	require.NoError(t, err)
	_, err = g.SignedBy([]Key{author.Key})
	require.ErrorIs(t, err, ErrBadSignature)
	forged, err := author.SignBytes(wasm, "name=acme/llm version=1.1.0 abi=1.0")
	require.NoError(t, err)
	g, err = Open("acme.wasm", wasm, forged)
	require.NoError(t, err)
	_, err = g.SignedBy([]Key{author.Key})
	require.ErrorContains(t, err, "version=1.1.0")

	_, err = Open("acme.wasm", abi.AppendSection(bytes.Clone(both), "more", nil), nil)
	require.ErrorContains(t, err, "behind its signature")
	_, err = Open("acme.wasm", wasm, []byte("nonsense"))
	require.ErrorContains(t, err, "not a minisign signature")
}

// Unlocking a key takes seconds and a gigabyte on purpose, so one is enough.
func TestProtectedKey(t *testing.T) {
	secret, err := os.ReadFile("testdata/protected.key")
	require.NoError(t, err)
	public, err := os.ReadFile("testdata/protected.pub")
	require.NoError(t, err)
	key, err := ParseKey(string(public))
	require.NoError(t, err)
	_, err = ParseSigner(secret, "")
	require.ErrorIs(t, err, ErrPassword)
	if testing.Short() {
		t.Skip("unlocking a key is slow")
	}
	s, err := ParseSigner(secret, "correct horse")
	require.NoError(t, err)
	require.Equal(t, key.Text, s.Key.Text)
}

func TestSignedBytes(t *testing.T) {
	s := newSigner(t)
	text, err := s.SignBytes([]byte("x"), "c")
	require.NoError(t, err)
	by, err := VerifyBytes([]byte("x"), text, []Key{s.Key})
	require.NoError(t, err)
	require.Len(t, by, 1)
	_, err = VerifyBytes([]byte("y"), text, []Key{s.Key})
	require.ErrorIs(t, err, ErrBadSignature)
	_, err = ParseKey("RWxyz")
	require.Error(t, err)
}

func TestPackFile(t *testing.T) {
	f, err := Open("a.provider.yaml", []byte("id: a\nformat: openai\nbase_url: https://a.example\nversion: 1.0.0\nplugin: acme/a\n"), nil)
	require.NoError(t, err)
	require.True(t, f.IsPack())
	s := newSigner(t)
	text, err := f.Sign(s)
	require.NoError(t, err)
	g, err := Open("a.provider.yaml", f.Data, text)
	require.NoError(t, err)
	by, err := g.SignedBy([]Key{s.Key})
	require.NoError(t, err)
	require.Len(t, by, 1)
	_, err = f.Embed(text)
	require.ErrorContains(t, err, "side-car")
}

func FuzzOpen(f *testing.F) {
	f.Add(tiny(), []byte(nil))
	f.Add(abi.AppendSection(tiny(), abi.SectionManifest, []byte(acme)), []byte("untrusted comment: x\n"))
	f.Fuzz(func(t *testing.T, data, sidecar []byte) {
		if p, err := Open("x.wasm", data, sidecar); err == nil {
			_, _ = p.Cases()
			_, _ = p.SignedBy(nil)
			_, _ = Build(data, Parts{Readme: "x"})
		}
	})
}
