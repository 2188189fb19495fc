package host_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/guest"
	"github.com/omniroute/omniroute/core/host"
	"github.com/stretchr/testify/require"
)

// The built-in plugins keep to every translation vector as they are and metered,
// compiled and interpreted.
func TestMeteredBuiltInsAgree(t *testing.T) {
	list, err := cases.LoadFile("../cases/testdata/translation-cases.jsonl")
	require.NoError(t, err)
	for _, run := range []struct {
		name                 string
		metered, interpreted bool
	}{
		{"metered", true, false},
		{"as it is", false, false},
		{"metered, interpreted", true, true},
		{"as it is, interpreted", false, true},
	} {
		if run.interpreted && testing.Short() {
			continue
		}
		t.Run(run.name, func(t *testing.T) {
			opt := host.Options{
				Core: host.Core(t), CacheDir: host.CacheDir(t), Log: slog.New(slog.DiscardHandler),
				Items: map[string]host.Item{"omniroute/core": {Unmetered: !run.metered}},
			}
			if run.interpreted {
				opt = opt.Interpreted()
			}
			h, err := host.Open(context.Background(), opt)
			require.NoError(t, err)
			defer func() { require.NoError(t, h.Close(context.Background())) }()
			<-h.Ready()
			require.Empty(t, h.Problems())
			tr := guest.New(h)
			for _, c := range list {
				if r := cases.Run(context.Background(), c, tr); !r.Passed() {
					t.Errorf("%s", r)
				}
			}
			s := h.Stats()[0]
			require.Equal(t, run.metered, s.FuelMax > 0)
			t.Logf("%d vectors; fuel of a call: half below %d, at most %d", len(list), s.FuelP50, s.FuelMax)
		})
	}
}
