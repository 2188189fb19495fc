package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A host that never compiled its plugins serves at once all the same, and goes
// over to compiled code without anybody noticing.
func TestColdStartServesFromTheInterpreter(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	drop(t, dir, "echo.wasm", packed(t, echoGuest))
	opt := Options{Core: core(t), Dir: dir, CacheDir: cache, Trust: Trust{Isolation: "shared"}, Interim: true}
	h := open(t, opt)
	require.Empty(t, h.Problems())
	g := h.Current()
	require.NotNil(t, g.modules[0].interim, "the built-in plugins are not compiled yet")
	require.NotNil(t, g.modules[1].interim)
	demo, ok := g.Executor("demo")
	require.True(t, ok)
	out, err := demo.Plan(t.Context(), PlanInput{Model: "demo/echo", Endpoint: "chat", Body: []byte(`{"messages":[{"role":"user","content":"hello"}]}`)})
	require.NoError(t, err)
	require.NotNil(t, out.Local)
	x, _ := g.Executor("echo")
	s := openEcho(t, x)

	require.Eventually(t, func() bool {
		g := h.Current()
		defer g.Release()
		return g.modules[0].interim == nil && g.modules[1].interim == nil
	}, 5*time.Minute, 20*time.Millisecond)
	got, err := feed(s, "still here")
	require.NoError(t, err)
	require.Equal(t, "STILL HERE", got)
	require.NoError(t, s.End(t.Context(), 0, nothing))
	old := g.modules[0]
	g.Release()
	require.Zero(t, old.refs.Load(), "the interpreted module went with its last stream")
	require.FileExists(t, h.metered.mark(old.digest))

	again := open(t, Options{Core: core(t), CacheDir: cache, Interim: true})
	g = again.Current()
	defer g.Release()
	require.Nil(t, g.modules[0].interim, "a second start finds it compiled")
}

func TestMeteredModulesAreKept(t *testing.T) {
	s, err := newMeteredStore(filepath.Join(t.TempDir(), "cache"), nil)
	require.NoError(t, err)
	wasm := tiny{buf: 8}.build()
	sum := digest{1}
	first, err := s.rewrite(wasm, sum)
	require.NoError(t, err)
	kept, err := os.ReadFile(s.file(sum))
	require.NoError(t, err)

	again, err := s.rewrite([]byte("not needed"), sum)
	require.NoError(t, err)
	require.Equal(t, first, again)

	require.NoError(t, os.WriteFile(s.file(sum), kept[:len(kept)-1], 0o600)) // cut short
	_, err = s.rewrite([]byte("not needed"), sum)
	require.Error(t, err)
	repaired, err := s.rewrite(wasm, sum)
	require.NoError(t, err)
	require.Equal(t, first, repaired)
}
