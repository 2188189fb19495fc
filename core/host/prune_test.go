package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCacheStaysWithinItsBound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, meteredDir), 0o700))
	old := time.Now().Add(-24 * time.Hour)
	put := func(name string, size int, age time.Duration) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
		require.NoError(t, os.Chtimes(path, old.Add(-age), old.Add(-age)))
	}
	put("engine/oldest", 1000, 3*time.Hour)
	put("engine/newer", 1000, time.Hour)
	put("metered/a.v1.wasm", 1000, 2*time.Hour)
	put("metered/a.v1.wasm.linux-amd64", 0, 0)

	n, err := pruneCache(dir, 3000, time.Now())
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = pruneCache(dir, 2500, time.Now())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoFileExists(t, filepath.Join(dir, "engine/oldest"))
	require.FileExists(t, filepath.Join(dir, "engine/newer"))
	require.NoFileExists(t, filepath.Join(dir, "metered/a.v1.wasm.linux-amd64"), "it may have to be compiled again")
	n, err = pruneCache(dir, 0, old.Add(-90*time.Minute))
	require.NoError(t, err)
	require.Equal(t, 1, n, "what was written since stays")
	require.FileExists(t, filepath.Join(dir, "engine/newer"))

	// A host does so when it has loaded its plugins.
	put("engine/stale", 10_000, 0)
	h := open(t, Options{Core: tiny{buf: 8}.build(), CacheDir: dir, CacheMax: 9000})
	require.Empty(t, h.Problems())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "engine/stale"))
		return os.IsNotExist(err)
	}, time.Minute, time.Millisecond)
}
