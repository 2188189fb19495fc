package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStart is a start with a warm compile cache, from exec to the first
// "ready" on /readyz, and what an idle gateway keeps in memory afterwards.
func BenchmarkStart(b *testing.B) {
	g := serve(b, freely) // fills the cache, makes the data directory
	g.stop()
	var took []time.Duration
	var resident []float64
	for b.Loop() {
		g.out = &output{}
		cmd := exec.Command(binary, "serve", "--config", g.path("omniroute.yaml"))
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, g.env, g.out, g.out
		g.cmd, g.done = cmd, make(chan struct{})
		begin := time.Now()
		require.NoError(b, cmd.Start())
		for poll := time.Tick(time.Millisecond); !g.ready(); <-poll {
			require.Less(b, time.Since(begin), startLimit)
		}
		took = append(took, time.Since(begin))
		b.StopTimer()
		<-time.After(time.Second) // what starting needed is given back
		resident = append(resident, rss(b, cmd.Process.Pid))
		require.NoError(b, cmd.Process.Signal(os.Interrupt))
		require.NoError(b, cmd.Wait())
		b.StartTimer()
	}
	slices.Sort(took)
	slices.Sort(resident)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(resident[len(resident)/2], "idle-MB")
}

// rss is the resident memory of a process in MB.
func rss(b *testing.B, pid int) float64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	require.NoError(b, err)
	_, rest, found := bytes.Cut(status, []byte("VmRSS:"))
	require.True(b, found)
	kb, err := strconv.ParseFloat(strings.Fields(string(rest))[0], 64)
	require.NoError(b, err)
	return kb / 1024
}
