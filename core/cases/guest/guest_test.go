package guest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/guest"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/plugins/bundle"
)

func open(t *testing.T) *host.Host {
	t.Helper()
	core := bundle.Core()
	if core == nil {
		t.Skip("built without core.wasm: make plugins")
	}
	cache, err := filepath.Abs("../../../.cache/e2e")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(cache, 0o700))
	h, err := host.Open(context.Background(), host.Options{Core: core, CacheDir: cache})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	select {
	case <-h.Ready():
	case <-time.After(2 * time.Minute):
		t.Fatal("the plugins were not compiled in time")
	}
	return h
}

// Every vector holds in WebAssembly: with the usual skeletons, with tokens for
// every text of some length, and for streams cut anywhere.
func TestVectors(t *testing.T) {
	list, err := cases.LoadFile("../testdata/translation-cases.jsonl")
	require.NoError(t, err)
	h := open(t)
	usual, tokens := guest.New(h), guest.New(h)
	tokens.ElideAt = 32
	for _, c := range list {
		t.Run(c.ID, func(t *testing.T) {
			check(t, cases.Run(context.Background(), c, usual))
			if c.Kind == cases.KindRequest {
				t.Run("tokens", func(t *testing.T) { check(t, cases.Run(context.Background(), c, tokens)) })
			}
			if c.Kind == cases.KindStream {
				for seed := range uint64(3) {
					t.Run(fmt.Sprintf("cut %d", seed), func(t *testing.T) {
						check(t, cases.RunWith(context.Background(), c, usual, cases.RunOptions{Rechunk: true, Seed: seed}))
					})
				}
			}
		})
	}
}

func check(t *testing.T, r cases.Result) {
	t.Helper()
	if !r.Passed() {
		t.Errorf("%s\n    [%s]", r, r.Case.Note)
	}
}

func TestBadInputIsAFailure(t *testing.T) {
	tr := guest.New(open(t))
	_, err := tr.Request(context.Background(), cases.Job{From: "claude", To: "openai", Body: []byte(`{"model":`)})
	var f *cases.Failure
	require.ErrorAs(t, err, &f)
	require.Equal(t, 400, f.Status)
	require.Contains(t, string(f.Body), `"type":"error"`)
}

func TestDegradedFieldsAreReported(t *testing.T) {
	tr := guest.New(open(t))
	var got []string
	tr.Degraded = func(fields []string) { got = append(got, fields...) }
	_, err := tr.Request(context.Background(), cases.Job{From: "openai", To: "claude", Body: []byte(`{"model":"m","seed":7,"messages":[{"role":"user","content":"hi"}]}`)})
	require.NoError(t, err)
	require.Contains(t, got, "seed")
}
