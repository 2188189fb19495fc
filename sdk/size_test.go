package sdk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// heavy are packages that a provider plugin must not carry: each costs the
// guest a tenth of a megabyte and more, and time at the first start.
var heavy = []string{
	"crypto", "encoding", "fmt", "io/fs", "net", "os", "reflect", "regexp", "sort", "text", "time",
	"github.com/omniroute/omniroute/sdk/hub",
}

const example = "github.com/omniroute/omniroute/examples/plugin"

func guestGo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}

func TestProviderPluginCarriesLittle(t *testing.T) {
	deps := strings.Fields(guestGo(t, "list", "-deps", example))
	require.Contains(t, deps, "github.com/omniroute/omniroute/sdk")
	for _, dep := range deps {
		for _, h := range heavy {
			require.False(t, dep == h || strings.HasPrefix(dep, h+"/"), "a provider plugin would carry %s", dep)
		}
	}
}

func TestProviderPluginIsSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "acme.wasm")
	guestGo(t, "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, example)
	info, err := os.Stat(file)
	require.NoError(t, err)
	t.Logf("a provider plugin has %d bytes", info.Size())
	require.LessOrEqual(t, info.Size(), int64(2_500_000))
}
