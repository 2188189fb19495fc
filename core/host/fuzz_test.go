package host

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzLoad feeds damaged plugin files to the loader. Each is refused with a
// sentence or loads; nothing panics, and nothing runs for long.
func FuzzLoad(f *testing.F) {
	f.Add(tiny{buf: 8}.build())
	f.Add(tiny{buf: 8, code: forever()}.build())
	f.Add(tiny{buf: 8, importAs: "log", of: typeLog}.build())
	f.Add(tiny{buf: -16}.build())
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	opt := Options{
		Log: slog.New(slog.DiscardHandler), Trust: Trust{Mode: TrustDev},
		Limits: Limits{Wall: 20 * time.Millisecond, SetupFuel: 100_000, MemoryPages: 16},
	}
	h, err := Open(context.Background(), opt.Interpreted())
	require.NoError(f, err)
	f.Cleanup(func() { _ = h.Close(context.Background()) })
	<-h.Ready()
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := h.loadOwn(context.Background(), "fuzz", wasm)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		m.close(context.Background())
		require.Zero(t, m.stats.instances.Load())
	})
}
