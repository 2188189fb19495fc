package boot

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
)

func TestPluginTrustReachesTheHost(t *testing.T) {
	dir := t.TempDir()
	signer, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	opt := Options{Config: filepath.Join(dir, "omniroute.yaml"), Env: []string{"HOME=" + dir}}
	require.NoError(t, os.WriteFile(opt.Config, []byte(`plugins:
  trust:
    mode: enforce
    keys: [{id: "`+signer.Key.Text+`", name: acme, scope: ["acme/*"], isolation: stream}]
    unsigned: {allow: ["./plugins/dev/*"], isolation: call, grants: {http: [lan.example], secrets.use: [k], secrets.reveal: [r], kv: true}}
    deny: {capabilities: [secrets.reveal], hosts: ["*.internal"]}
  items:
    acme/llm: {required: true, grants: {http: [api.acme.example], secrets.use: [api_key], secrets.reveal: [token], kv: true}}
`), 0o600))
	conf, problems := opt.load()
	require.Empty(t, problems)
	got := pluginOptions(nil, conf, telemetry.Discard())
	require.Equal(t, filepath.Join(dir, "omniroute.plugins.lock"), got.Lock)
	require.Contains(t, got.Reserved, "openai")
	require.Equal(t, trust.Enforce, got.Trust.Mode)
	require.Equal(t, "acme", got.Trust.Keys[0].Name)
	require.Equal(t, signer.Key.Text, got.Trust.Keys[0].Text)
	require.Equal(t, []string{"acme/*"}, got.Trust.Keys[0].Scope)
	require.Equal(t, "stream", got.Trust.Keys[0].Isolation)
	require.Equal(t, []string{"./plugins/dev/*", filepath.Join(dir, "plugins/dev/*")}, got.Trust.Allow)
	require.Equal(t, "call", got.Trust.Isolation)
	require.Equal(t, manifest.Grants{HTTP: []string{"lan.example"}, Use: []string{"k"}, Reveal: []string{"r"}, KV: true}, got.Trust.Grants)
	require.Equal(t, trust.Deny{Capabilities: []string{"secrets.reveal"}, Hosts: []string{"*.internal"}}, got.Trust.Deny)
	require.Equal(t, manifest.Grants{HTTP: []string{"api.acme.example"}, Use: []string{"api_key"}, Reveal: []string{"token"}, KV: true}, got.Items["acme/llm"].Grants)
	require.True(t, got.Items["acme/llm"].Required)

	for bad, want := range map[string]string{
		"keys: [{id: RWshort}]":                   "minisign public key",
		"keys: [{id: x, isolation: none}]":        "unknown value",
		"unsigned: {allow: ['[']}":                "not a pattern",
		"unsigned: {grants: {http: ['*']}}":       "want a host",
		"unsigned: {grants: {secrets.use: ['']}}": "not the name of a secret",
		"deny: {capabilities: [fs]}":              "unknown value",
		"deny: {hosts: ['https://x']}":            "host name",
	} {
		require.NoError(t, os.WriteFile(opt.Config, []byte("plugins: {trust: {"+bad+"}}\n"), 0o600))
		_, problems := opt.load()
		require.NotEmpty(t, problems, bad)
		text := ""
		for _, p := range problems {
			require.NotZero(t, p.Line)
			text += p.String() + "\n"
		}
		require.Contains(t, text, want)
	}
}

func TestRequiredPlugin(t *testing.T) {
	dir := t.TempDir()
	opt := Options{Config: filepath.Join(dir, "omniroute.yaml"), Env: []string{"HOME=" + dir}}
	require.NoError(t, os.WriteFile(opt.Config, []byte("plugins:\n  items:\n    acme/llm: {required: true}\n"), 0o600))
	conf, problems := opt.load()
	require.Empty(t, problems)
	h, err := host.Open(t.Context(), pluginOptions(nil, conf, telemetry.Discard()))
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close(context.Background())) }()
	<-h.Ready()
	err = requiredPlugins(h, conf)
	var bad *ConfigError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, 3, bad.Problems[0].Line)
	require.Contains(t, bad.Problems[0].Message, "acme/llm is required")
}

func TestValuesOfPlugins(t *testing.T) {
	var kv pluginKV
	_, err := kv.Get(t.Context(), "a/b/k")
	require.ErrorContains(t, err, "not open")
	kv.open(state.NewMemory(nil))
	v, err := kv.Get(t.Context(), "a/b/k")
	require.NoError(t, err)
	require.Nil(t, v)
	require.NoError(t, kv.Put(t.Context(), "a/b/k", []byte("v"), time.Hour))
	require.NoError(t, kv.Put(t.Context(), "a/b/empty", nil, 0))
	v, err = kv.Get(t.Context(), "a/b/k")
	require.NoError(t, err)
	require.Equal(t, "v", string(v))
	v, err = kv.Get(t.Context(), "a/b/empty")
	require.NoError(t, err)
	require.NotNil(t, v)
	sizes := map[string]int{}
	require.NoError(t, kv.Each(t.Context(), "a/b/", func(key string, size int) { sizes[key] = size }))
	require.Equal(t, map[string]int{"a/b/k": 1, "a/b/empty": 0}, sizes)
	require.NoError(t, kv.Delete(t.Context(), "a/b/k"))
}
