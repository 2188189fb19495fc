package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// drop writes a plugin file the way an editor or cp does.
func drop(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
}

// reversion is a guest under another version of the same length, in manifest
// and code.
func reversion(t testing.TB, wasm []byte, from, to string) []byte {
	t.Helper()
	require.Equal(t, len(from), len(to))
	return bytes.ReplaceAll(wasm, []byte(from), []byte(to))
}

func state(h *Host, kind Kind, id string) State {
	for _, p := range h.Parts() {
		if p.Kind == kind && p.ID == id {
			return p.State
		}
	}
	return ""
}

func TestDropInAppearsChangesAndGoes(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	changes := make(chan struct{}, 100)
	h.OnChange(func() { changes <- struct{}{} })
	eventually := func(cond func() bool) {
		t.Helper()
		require.Eventually(t, cond, time.Minute, 20*time.Millisecond)
	}
	require.Empty(t, h.Parts())
	wasm := packed(t, echoGuest)

	drop(t, dir, "echo.wasm", wasm)
	eventually(func() bool { return state(h, KindExecutor, "echo") == StateActive })
	require.NotEmpty(t, changes)

	drop(t, dir, "echo.wasm", []byte("not wasm"))
	eventually(func() bool { return len(h.Problems()) == 1 })
	require.True(t, h.Problems()[0].Serving, "the last good version serves on")
	require.Equal(t, StateActive, state(h, KindExecutor, "echo"))

	drop(t, dir, "echo.wasm", reversion(t, wasm, "1.0.0", "2.0.0"))
	eventually(func() bool { return len(h.Parts()) > 0 && h.Parts()[0].Version == "2.0.0" })
	require.Empty(t, h.Problems())

	require.NoError(t, os.Remove(filepath.Join(dir, "echo.wasm")))
	eventually(func() bool { return len(h.Parts()) == 0 })
}

func TestSwapUnderLiveStreams(t *testing.T) {
	dir := t.TempDir()
	wasm := packed(t, echoGuest)
	drop(t, dir, "echo.wasm", wasm)
	h := open(t, Options{Dir: dir, Trust: Trust{Isolation: "shared"}})
	g := h.Current()
	x, ok := g.Executor("echo")
	require.True(t, ok)
	streams := make([]*Stream, 200)
	for k := range streams {
		streams[k] = openEcho(t, x)
	}
	old := g.modules[0]
	g.Release()

	var wg sync.WaitGroup
	swapped := make(chan struct{})
	for k, s := range streams {
		wg.Go(func() {
			for round := 0; ; round++ {
				got, err := feed(s, fmt.Sprintf("s%d", k))
				if err != nil || got != fmt.Sprintf("S%d", k) {
					t.Errorf("stream %d: %q %v", k, got, err)
					return
				}
				select {
				case <-swapped:
					if round > 3 {
						if err := s.End(context.Background(), abi.EndEOF, nothing); err != nil {
							t.Error(err)
						}
						return
					}
				default:
				}
			}
		})
	}
	drop(t, dir, "echo.wasm", reversion(t, wasm, "1.0.0", "3.0.0"))
	require.NoError(t, h.Rescan(t.Context()))
	require.Equal(t, "3.0.0", h.Parts()[0].Version)
	require.Positive(t, old.refs.Load(), "the old generation drains")
	close(swapped)
	wg.Wait()
	require.Zero(t, old.refs.Load(), "and is closed with its last stream")
	require.Zero(t, old.stats.instances.Load())
}

func TestRefusals(t *testing.T) {
	good := packed(t, echoGuest)
	raw := guest(t, echoGuest)
	manifest, _, err := abi.Section(good, abi.SectionManifest)
	require.NoError(t, err)
	with := func(old, new string) []byte {
		m := bytes.Replace(manifest, []byte(old), []byte(new), 1)
		require.NotEqual(t, string(manifest), string(m))
		return abi.AppendSection(bytes.Clone(raw), abi.SectionManifest, m)
	}
	cases := []struct {
		name, want string
		wasm       []byte
		trust      Trust
	}{
		{"text", "not a WebAssembly module", []byte("hello"), Trust{}},
		{"truncated", "not a WebAssembly module", good[:len(good)/2], Trust{}},
		{"raw", "no manifest", raw, Trust{}},
		{"unsigned", "not signed", good, Trust{Mode: TrustEnforce}},
		{"other version", "its manifest says", with("1.0.0", "9.9.9"), Trust{}},
		{"newer abi", "built for ABI 1.9", with(`"abi":"1.0"`, `"abi":"1.9"`), Trust{}},
		{"feature", `needs the feature "telepathy"`, with(`"skeleton"`, `"telepathy"`), Trust{}},
		{"reveal", "it asks for secrets.reveal api_key", with(`"use":["api_key"]`, `"reveal":["api_key"]`), Trust{}},
		{"name", "owner/name", with(`"name":"test/echo"`, `"name":"echo"`), Trust{}},
		{"kind", "kind \"gadget\"", with(`"kind":"executor"`, `"kind":"gadget"`), Trust{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			drop(t, dir, "x.wasm", c.wasm)
			h := open(t, Options{Dir: dir, Trust: c.trust})
			require.Len(t, h.Problems(), 1)
			require.Contains(t, h.Problems()[0].Message, c.want)
			require.Empty(t, h.Parts())
		})
	}
}

func TestTrustAllows(t *testing.T) {
	for name, opt := range map[string]Options{
		"raw.wasm":  {Trust: Trust{Mode: TrustDev}},
		"good.wasm": {Trust: Trust{Mode: TrustEnforce, Allow: []string{"good*"}}},
	} {
		dir := t.TempDir()
		if opt.Trust.Mode == TrustDev {
			drop(t, dir, name, guest(t, echoGuest))
		} else {
			drop(t, dir, name, packed(t, echoGuest))
		}
		opt.Dir = dir
		h := open(t, opt)
		require.Empty(t, h.Problems())
		require.Equal(t, StateActive, state(h, KindExecutor, "echo"))
	}
}

func TestDropInMayNotReplaceABuiltInPart(t *testing.T) {
	wasm := packed(t, echoGuest)
	dir := t.TempDir()
	drop(t, dir, "mine.wasm", reversion(t, wasm, "1.0.0", "4.0.0"))
	h := open(t, Options{Core: wasm, Dir: dir})
	require.Equal(t, []State{StateActive, StateRefused}, states(h))
	require.Contains(t, h.Parts()[1].Reason, "plugins.items")

	h = open(t, Options{Core: wasm, Dir: dir, Items: map[string]Item{"test/echo": {}}})
	require.Equal(t, []State{StateShadowed, StateActive}, states(h))
}

func states(h *Host) []State {
	var out []State
	for _, p := range h.Parts() {
		out = append(out, p.State)
	}
	return out
}

func TestProviderPack(t *testing.T) {
	dir := t.TempDir()
	drop(t, dir, "acme.provider.yaml", []byte("id: acme\nformat: openai\nexecutor: echo\nbase_url: https://acme.example/v1\nalias: ac\nmodels:\n- {id: m1, context: 10}\n"))
	drop(t, dir, "bad.provider.yaml", []byte("id: bad\nformat: telex\nbase_urls: [https://x]\n"))
	drop(t, dir, "lost.provider.yaml", []byte("id: lost\nformat: openai\nexecutor: nobody\nbase_urls: [https://x.example]\n"))
	drop(t, dir, ".hidden.wasm", []byte("x"))
	h := open(t, Options{Core: packed(t, echoGuest), Dir: dir})
	require.Equal(t, StateActive, state(h, KindProvider, "acme"))
	require.Equal(t, StateRefused, state(h, KindProvider, "lost"))
	require.Len(t, h.Problems(), 1)
	require.Contains(t, h.Problems()[0].Message, "telex")
	for _, p := range h.Parts() {
		if p.ID == "acme" {
			require.JSONEq(t, `{"id":"acme","format":"openai","executor":"echo","base_urls":["https://acme.example/v1"],"alias":"ac","models":[{"id":"m1","context":10}]}`, string(p.Profile))
			require.Equal(t, []string{"ac"}, p.Alias)
			require.JSONEq(t, `[{"id":"m1","context":10}]`, string(p.Models))
		}
	}
}

func TestExecutorBringsItsProvider(t *testing.T) {
	h := open(t, Options{Core: packed(t, echoGuest)})
	require.JSONEq(t, `{"id":"echo","format":"openai","executor":"echo","base_urls":["https://echo.example/v1"],"auth":[{"type":"api_key","apply":"bearer"}]}`, string(h.Parts()[0].Profile))
}

func TestCloseStopsEverything(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	h, err := Open(context.Background(), Options{Core: packed(t, echoGuest), Dir: t.TempDir(), CacheDir: cacheDir(t)})
	require.NoError(t, err)
	<-h.Ready()
	require.NoError(t, h.Close(context.Background()))
	require.ErrorIs(t, h.Rescan(context.Background()), ErrClosed)
}

func TestCacheFolderMustBePrivate(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err := Open(context.Background(), Options{CacheDir: dir})
	require.ErrorContains(t, err, "chmod 700")
}
