package host

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkWarmStart opens a host whose built-in plugins were compiled before.
func BenchmarkWarmStart(b *testing.B) {
	wasm := core(b)
	opt := Options{CacheDir: cacheDir(b), Interim: true, Log: slog.New(slog.DiscardHandler)}
	start := func() {
		o := opt
		o.Core = wasm
		h, err := Open(context.Background(), o)
		require.NoError(b, err)
		<-h.Ready()
		g := h.Current()
		require.NotNil(b, g.Parts())
		g.Release()
		require.NoError(b, h.Close(context.Background()))
	}
	h := open(b, Options{Core: wasm}) // fills the cache
	require.Empty(b, h.Problems())
	b.ReportAllocs()
	for b.Loop() {
		start()
	}
}
