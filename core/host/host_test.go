package host

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// cacheDir is shared by all test runs, so that guests compile once.
func cacheDir(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "omniroute-test", "wasm")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	return dir
}

// built are the test guests of this run: as the compiler made them, and packed.
var built struct{ raw, packed sync.Map }

func once(m *sync.Map, key string, make func() ([]byte, error)) ([]byte, error) {
	f, _ := m.LoadOrStore(key, sync.OnceValues(make))
	return f.(func() ([]byte, error))()
}

// guest builds a test guest, without a manifest.
func guest(t testing.TB, pkg string) []byte {
	t.Helper()
	wasm, err := once(&built.raw, pkg, func() ([]byte, error) {
		out := filepath.Join(cacheDir(t), filepath.Base(pkg)+".wasm")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Log(string(msg))
			return nil, err
		}
		return os.ReadFile(out)
	})
	require.NoError(t, err)
	return wasm
}

// packed is a test guest with its manifest.
func packed(t testing.TB, pkg string) []byte {
	t.Helper()
	raw := guest(t, pkg)
	wasm, err := once(&built.packed, pkg, func() ([]byte, error) { return Pack(context.Background(), raw) })
	require.NoError(t, err)
	return bytes.Clone(wasm)
}

// core is the module of the built-in plugins.
func core(t testing.TB) []byte {
	t.Helper()
	raw := guest(t, "github.com/omniroute/omniroute/plugins/bundle/core")
	return abi.AppendSection(bytes.Clone(raw), abi.SectionManifest, parts.Module().Manifest())
}

// open starts a host and waits for it.
func open(t testing.TB, opt Options) *Host {
	t.Helper()
	if opt.CacheDir == "" {
		opt.CacheDir = cacheDir(t)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	h, err := Open(context.Background(), opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	<-h.Ready()
	return h
}

// serve starts a host with one bundled module and pins its generation.
func serve(t testing.TB, wasm []byte, opt Options) *Generation {
	t.Helper()
	opt.Core = wasm
	h := open(t, opt)
	require.Empty(t, h.Problems())
	g := h.Current()
	t.Cleanup(g.Release)
	return g
}

const echoGuest = "./testdata/guests/echo"

func TestPlanThroughWasm(t *testing.T) {
	g := serve(t, packed(t, echoGuest), Options{})
	x, ok := g.Executor("echo")
	require.True(t, ok)
	out, err := x.Plan(t.Context(), PlanInput{Model: "plain", Endpoint: "chat", Body: []byte(`{"a":1}`)})
	require.NoError(t, err)
	require.Equal(t, []string{"https://echo.example/v1/chat/completions"}, out.Send.URLs)
	require.Equal(t, "bearer:api_key", out.Send.Auth)
	require.Equal(t, "eu", headerValue(out.Send.Header, "x-region"))
}

// syncBuffer is a log sink for concurrent writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
