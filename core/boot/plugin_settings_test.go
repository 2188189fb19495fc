package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/telemetry"
)

// What the host does with its options is tested where it is done.
func TestPluginSettingsReachTheHost(t *testing.T) {
	dir := t.TempDir()
	opt := Options{Config: filepath.Join(dir, "omniroute.yaml"), Env: []string{"HOME=" + dir}}
	load := func(text string) host.Options {
		require.NoError(t, os.WriteFile(opt.Config, []byte(text), 0o600))
		conf, problems := opt.load()
		require.Empty(t, problems)
		return pluginOptions(nil, conf, telemetry.Discard())
	}
	plain := load("")
	require.Equal(t, filepath.Join(dir, "plugins"), plain.Dir)
	require.Equal(t, filepath.Join(dir, ".omniroute", "wasm-cache"), plain.CacheDir)
	require.Equal(t, host.TrustWarn, plain.Trust.Mode)
	require.Empty(t, plain.Items)

	set := load(`plugins:
  dir: ~/mine
  cache: {dir: ~/compiled}
  trust: {mode: enforce}
  items:
    off: {enabled: false}
    acme/llm: {priority: 7, config: {region: eu}}
`)
	require.Equal(t, filepath.Join(dir, "mine"), set.Dir)
	require.Equal(t, filepath.Join(dir, "compiled"), set.CacheDir)
	require.Equal(t, host.TrustEnforce, set.Trust.Mode)
	require.Equal(t, map[string]host.Item{
		"off":      {Disabled: true},
		"acme/llm": {Priority: 7, Config: []byte(`{"region":"eu"}`)},
	}, set.Items)
}
