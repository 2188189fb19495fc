package boot

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
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
  cache: {dir: ~/compiled, max: 64MiB}
  trust: {mode: enforce}
  items:
    off: {enabled: false}
    acme/llm: {priority: 7, config: {region: eu}}
`)
	require.Equal(t, filepath.Join(dir, "mine"), set.Dir)
	require.Equal(t, filepath.Join(dir, "compiled"), set.CacheDir)
	require.EqualValues(t, 64<<20, set.CacheMax)
	require.Equal(t, host.TrustEnforce, set.Trust.Mode)
	require.Equal(t, map[string]host.Item{
		"off":      {Disabled: true},
		"acme/llm": {Priority: 7, Config: []byte(`{"region":"eu"}`)},
	}, set.Items)
}

// Each limit of the file is a limit of the host, for all plugins and for one.
func TestPluginLimitsReachTheHost(t *testing.T) {
	var file config.PluginLimits
	v := reflect.ValueOf(&file).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(1001 + i))
	}
	got := reflect.ValueOf(pluginLimits(file))
	seen := map[int64]string{}
	for i := range got.NumField() {
		name, n := got.Type().Field(i).Name, int64(0)
		if f := got.Field(i); f.CanUint() {
			n = int64(f.Uint())
		} else {
			n = f.Int()
		}
		if name == "Module" { // a key of its own: it is about the file
			require.Zero(t, n)
			continue
		}
		require.NotZero(t, n, name)
		require.Empty(t, seen[n], name)
		seen[n] = name
	}
	require.Len(t, seen, v.NumField())

	all := hostLimits(config.Plugins{Limits: file, ModuleSize: 5})
	require.Equal(t, 5, all.Module)
	all.Module = 0
	require.Equal(t, pluginLimits(file), all)
	one := items(map[string]config.PluginItem{"a/b": {Limits: file, Enabled: true, Metered: true, Isolation: "call"}})["a/b"]
	require.Equal(t, all, one.Limits)
	require.Equal(t, "call", one.Isolation)
	require.False(t, one.Unmetered)
}
