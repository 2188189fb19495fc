package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"github.com/omniroute/omniroute/core/host/pack"
)

const manifestJSON = `{"schema":1,"name":"acme/llm","version":"1.2.0","abi":"1.0","license":"MIT","provides":[{"kind":"executor","id":"acme","base_url":"https://api.acme.example"}]}`

func module(t *testing.T) []byte {
	t.Helper()
	wasm, err := pack.Build([]byte{0, 'a', 's', 'm', 1, 0, 0, 0}, pack.Parts{Manifest: []byte(manifestJSON)})
	require.NoError(t, err)
	return wasm
}

func signature(t *testing.T, name string, data []byte) (pack.Signer, []byte) {
	t.Helper()
	s, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	f, err := pack.Open(name, data, nil)
	require.NoError(t, err)
	text, err := f.Sign(s)
	require.NoError(t, err)
	return s, text
}

// registry is one on loopback.
func registry(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(ociserver.New(ocimem.New(), nil))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestPushAndPull(t *testing.T) {
	host := registry(t)
	for _, name := range []string{"llm.wasm", "llm.provider.yaml"} {
		data := module(t)
		if strings.HasSuffix(name, pack.PackSuffix) {
			data = []byte("id: acme\nplugin: acme/llm\nversion: 1.2.0\nformat: openai\nbase_url: https://api.acme.example\n")
		}
		signer, text := signature(t, name, data)
		a := &Artifact{Name: name, Data: data, Signature: text}
		ref := Scheme + host + "/acme/" + strings.ReplaceAll(name, ".", "-") + ":1.2.0"
		digest, err := Push(t.Context(), ref, a, Options{})
		require.NoError(t, err)
		again, err := Push(t.Context(), WithTag(ref, "1.2"), a, Options{})
		require.NoError(t, err)
		require.Equal(t, digest, again, "equal files are equal artifacts")

		for _, from := range []string{ref, strings.TrimSuffix(ref, ":1.2.0") + "@" + digest} {
			b, err := Pull(t.Context(), from, Options{})
			require.NoError(t, err)
			require.Equal(t, data, b.Data)
			require.Equal(t, digest, b.ManifestDigest)
			f, err := pack.Open(b.Name, b.Data, b.Signature)
			require.NoError(t, err)
			by, err := f.SignedBy([]pack.Key{signer.Key})
			require.NoError(t, err)
			require.Len(t, by, 1)
		}
		tags, err := Tags(t.Context(), ref, Options{})
		require.NoError(t, err)
		require.Subset(t, tags, []string{"1.2", "1.2.0"})
	}
	_, err := Pull(t.Context(), Scheme+host+"/acme/none:1", Options{})
	require.Error(t, err)
	_, err = Pull(t.Context(), "oci://nonsense", Options{})
	require.ErrorContains(t, err, "is not a reference")
}

func TestArchive(t *testing.T) {
	data := module(t)
	_, text := signature(t, "llm.wasm", data)
	dir := t.TempDir()
	path := filepath.Join(dir, "acme.tar")
	a := &Artifact{Name: "llm.wasm", Data: data, Signature: text}
	require.NoError(t, Save(t.Context(), path, "1.2.0", a))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, Save(t.Context(), path, "1.2.0", a))
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, first, second)
	for _, tag := range []string{"", "1.2.0"} {
		b, err := Load(t.Context(), path, tag)
		require.NoError(t, err)
		require.Equal(t, data, b.Data)
		require.Equal(t, "acme--llm.wasm", b.Name)
		require.Equal(t, text, b.Signature)
		require.Equal(t, a.ManifestDigest, b.ManifestDigest)
	}
	_, err = Load(t.Context(), path, "9.9.9")
	require.Error(t, err)
	require.NoError(t, os.WriteFile(path, []byte("no tar"), 0o600))
	_, err = Load(t.Context(), path, "")
	require.ErrorContains(t, err, "not an OCI layout")
}

// Images that other tools made.
func TestOlderLayouts(t *testing.T) {
	wasm := module(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "./plugin.wasm", Mode: 0o644, Size: int64(len(wasm))}))
	_, err := w.Write(wasm)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	for mediaType, data := range map[string][]byte{
		"application/vnd.module.wasm.content.layer.v1+wasm": wasm,
		"application/vnd.wasm.content.layer.v1+wasm":        wasm,
		"application/vnd.oci.image.layer.v1.tar+gzip":       packed.Bytes(),
	} {
		s := memory.New()
		layer, err := push(t.Context(), s, mediaType, data, nil)
		require.NoError(t, err)
		root, err := oras.PackManifest(t.Context(), s, oras.PackManifestVersion1_1, "application/x", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
		require.NoError(t, err)
		require.NoError(t, s.Tag(t.Context(), root, "1"))
		a, err := read(t.Context(), s, "1")
		require.NoError(t, err, mediaType)
		require.Equal(t, wasm, a.Data)
		require.Equal(t, "plugin.wasm", a.Name)
	}
}

func TestFetch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte("here"), 0o600))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/x":
			_, _ = w.Write([]byte("there"))
		case "/away":
			http.Redirect(w, r, "http://plain.example/", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	for from, want := range map[string]string{path: "here", "file://" + path: "here", srv.URL + "/x": "there"} {
		got, err := Fetch(t.Context(), from)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	_, err := Fetch(t.Context(), srv.URL+"/none")
	require.ErrorIs(t, err, ErrMissing)
	_, err = Fetch(t.Context(), path+"none")
	require.ErrorIs(t, err, ErrMissing)
	_, err = Fetch(t.Context(), "http://plain.example/x")
	require.ErrorContains(t, err, "without TLS")
	_, err = Fetch(t.Context(), srv.URL+"/away")
	require.ErrorContains(t, err, "where there is no TLS")
	require.Equal(t, "oci://h:5000/a/b:2", WithTag("oci://h:5000/a/b:1", "2"))
	require.Equal(t, "oci://h:5000/a/b:2", WithTag("h:5000/a/b@sha256:00", "2"))
}
