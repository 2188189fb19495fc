package bundle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/plugins/bundle"
	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk/abi"
)

// The embedded module says of itself what the sources say.
func TestCore(t *testing.T) {
	wasm := bundle.Core()
	if wasm == nil {
		t.Skip("core.wasm is not built: make plugins")
	}
	manifest, ok, err := abi.Section(wasm, abi.SectionManifest)
	require.NoError(t, err)
	require.True(t, ok)
	require.JSONEq(t, string(parts.Module().Manifest()), string(manifest), "stale: make plugins")
}

func BenchmarkCore(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if bundle.Core() == nil {
			b.Skip("core.wasm is not built: make plugins")
		}
	}
}
