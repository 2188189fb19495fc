package ledger

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// crashDir names the data directory of the process that is killed.
const crashDir = "LEDGER_CRASH_DIR"

// TestCrashChild is the process that TestKill kills: it books requests from
// several goroutines and prints the id of each that was acknowledged.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	s, err := state.OpenBadger(dir, make([]byte, 32), state.BadgerOptions{})
	require.NoError(t, err)
	l, err := Open(t.Context(), s, Options{})
	require.NoError(t, err)
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				r, denied := l.Reserve(id, []Claim{{Scope: "key:a", Unit: USD, Window: Window{Period: "total"}, Limit: 1 << 60, Estimate: 1000}})
				if denied != nil {
					return
				}
				e := &Entry{ID: id, Billed: Money(rand.IntN(1000)), Scopes: []string{"key:a", "global"}}
				if l.Settle(e, r).Wait(t.Context()) == nil {
					fmt.Println("ack", id) // one write: whole lines or nothing
				}
			}
		}()
	}
	select {}
}

// A process killed at any moment loses no request it acknowledged, and after
// the restart the counters are the exact sum of the rows.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		want := 200 + rand.IntN(400)
		got := 0
		killed := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			id, ok := strings.CutPrefix(lines.Text(), "ack ")
			if !ok {
				continue
			}
			acked[id] = true
			if got++; got >= want && !killed {
				killed = true
				require.NoError(t, cmd.Process.Kill())
			}
		}
		cmd.Wait() // killed: an error is expected
		require.True(t, killed, "the child ended by itself after %d requests", got)
		audit(t, dir, acked)
	}
}

func audit(t *testing.T, dir string, acked map[string]bool) {
	t.Helper()
	s, err := state.OpenBadger(dir, make([]byte, 32), state.BadgerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	later := time.Now().Add(leaseTime + time.Minute)
	l, err := Open(t.Context(), s, Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	rows := map[string]Money{}
	sum := Money(0)
	for f := (Filter{Limit: 200}); ; {
		page, err := l.List(t.Context(), f)
		require.NoError(t, err)
		for _, e := range page.Entries {
			rows[e.ID] = e.Billed
			sum += e.Billed
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	for id := range acked {
		require.Contains(t, rows, id, "an acknowledged request was lost")
	}
	st := l.Standing("key:a", USD, Window{Period: "total"})
	require.EqualValues(t, sum, st.Spent)
	require.Equal(t, len(rows), l.Requests("global", "total"))
	require.LessOrEqual(t, st.Reserved, int64(8*1000), "no more than was in flight")
	l.expire(later)
	require.Zero(t, l.Standing("key:a", USD, Window{Period: "total"}).Reserved, "no reservation outlives its lease")
}
