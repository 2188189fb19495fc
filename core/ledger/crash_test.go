package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// crashDir names the data directory of the process that is killed; soak is how
// long TestKill goes on when it shall be longer than a few seconds.
const (
	crashDir = "LEDGER_CRASH_DIR"
	soak     = "OMNIROUTE_SOAK"
)

// The budgets of the test: of one, estimates are never too low; of the other,
// requests may cost twice what was estimated.
const (
	inFlight = 300
	estimate = 1000
	tightTo  = 2_000_000
	looseTo  = 3_000_000
)

func claims() []Claim {
	return []Claim{
		{Scope: "key:tight", Unit: USD, Window: Window{Period: "total"}, Limit: tightTo, Estimate: estimate},
		{Scope: "key:tight", Unit: Requests, Window: Window{Period: "total"}, Limit: -1, Estimate: 1},
	}
}

func looseClaims() []Claim {
	return []Claim{{Scope: "key:loose", Unit: USD, Window: Window{Period: "total"}, Limit: looseTo, Estimate: estimate}}
}

// flaky fails now and then, as a full disk does.
type flaky struct {
	state.Store
	on *atomic.Bool
}

func (f flaky) Apply(ctx context.Context, b *state.Batch) error {
	if f.on.Load() && rand.IntN(8) == 0 {
		return fmt.Errorf("injected: %w", state.ErrDiskFull)
	}
	return f.Store.Apply(ctx, b)
}

// TestCrashChild is the process that TestKill kills: hundreds of requests at once
// are reserved, settled, given up or forgotten, and it prints what was
// acknowledged.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	s, err := state.OpenBadger(dir, make([]byte, 32), state.BadgerOptions{})
	require.NoError(t, err)
	store := flaky{s, new(atomic.Bool)}
	l, err := Open(t.Context(), store, Options{RetryAfter: 5 * time.Millisecond})
	require.NoError(t, err)
	store.on.Store(true) // a ledger that cannot be opened does nothing that could be lost
	for g := range inFlight {
		go func() {
			for i := 0; ; i++ {
				childRequest(t, l, fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i), g%2 == 0)
			}
		}()
	}
	select {}
}

func childRequest(t *testing.T, l *Ledger, id string, tight bool) {
	want, scope, most := claims(), "key:tight", estimate
	if !tight {
		want, scope, most = looseClaims(), "key:loose", 2*estimate
	}
	r, denied := l.Reserve(id, want)
	if denied != nil {
		fmt.Println("denied", scope)
		want, scope, r = nil, "key:free", nil
	}
	switch rand.IntN(20) {
	case 0:
		r.Release()
		return
	case 1:
		return // forgotten: the lease ends it
	}
	e := &Entry{ID: id, Model: "m", Target: "p/m", Provider: "p", Status: 200, Cost: Money(rand.IntN(most + 1)), Scopes: []string{scope, "global"}}
	if e.Billed = e.Cost; rand.IntN(10) == 0 {
		e.Cost, e.Billed = Unknown, Unknown
	}
	receipt := l.Settle(e, r)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for receipt.Wait(t.Context()) != nil { // not yet: the ledger goes on trying
		if e, err := l.Get(t.Context(), id); err == nil && e != nil {
			break
		}
		<-poll.C
	}
	fmt.Println("ack", id, int64(e.Billed)) // one write: whole lines or nothing
}

// A process with hundreds of requests in flight and a store that fails now and
// then, killed at any moment again and again, loses nothing it acknowledged; the
// counters are the exact sum of the rows; no reservation outlives its lease; and
// no budget is exceeded by more than was in flight.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	long, _ := time.ParseDuration(os.Getenv(soak))
	until := time.Now().Add(max(long, 6*time.Second))
	dir := t.TempDir()
	acked := map[string]Money{}
	kills, denied := 0, 0
	for rounds := 0; rounds < 3 || time.Now().Before(until); rounds++ {
		denied += crash(t, dir, acked)
		kills++
		audit(t, dir, acked)
	}
	t.Logf("%d kills, %d acknowledged, %d denied", kills, len(acked), denied)
}

// crash runs a child until a random moment.
func crash(t *testing.T, dir string, acked map[string]Money) (denied int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	life := time.Duration(rand.IntN(900)+100) * time.Millisecond
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 3 && fields[0] == "ack":
			cost, err := strconv.ParseInt(fields[2], 10, 64)
			require.NoError(t, err)
			acked[fields[1]] = Money(cost)
		case len(fields) == 2 && fields[0] == "denied":
			denied++
		}
		if kill == nil && len(fields) > 0 && (fields[0] == "ack" || fields[0] == "denied") {
			kill = time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		}
	}
	require.Error(t, cmd.Wait(), "killed")
	require.NotNil(t, kill, "the child ended before it did anything")
	return denied
}

func audit(t *testing.T, dir string, acked map[string]Money) {
	t.Helper()
	s, err := state.OpenBadger(dir, make([]byte, 32), state.BadgerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	l, err := Open(t.Context(), s, Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	rows := map[string]Money{}
	sums := map[string]int64{}
	require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: state.Prefix(kindRow)}, func(raw state.Entry) error {
		var e Entry
		require.NoError(t, jsonUnmarshal(raw.Value, &e))
		rows[e.ID] = e.Billed
		sums["global"] += max(int64(e.Billed), 0)
		return nil
	}))
	for id, cost := range acked {
		have, ok := rows[id]
		require.True(t, ok, "%s was acknowledged and is lost", id)
		require.Equal(t, cost, have)
	}
	total := Window{Period: "total"}
	require.EqualValues(t, sums["global"], l.Standing("global", USD, total).Spent, "spend is the sum of what was settled")
	require.Equal(t, len(rows), l.Requests("global", "total"))
	parts := int64(0)
	for _, scope := range []string{"key:tight", "key:loose", "key:free"} {
		parts += l.Standing(scope, USD, total).Spent
	}
	require.EqualValues(t, sums["global"], parts)
	points, err := l.Usage(t.Context(), UsageQuery{From: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Len(t, points, 1)
	require.EqualValues(t, sums["global"], points[0].Billed, "and so are the roll-ups")
	require.EqualValues(t, len(rows), points[0].Requests)
	r, err := Check(t.Context(), s)
	require.NoError(t, err)
	require.True(t, r.Sound(), "%+v", r)

	tight, loose := l.Standing("key:tight", USD, total), l.Standing("key:loose", USD, total)
	require.LessOrEqual(t, tight.Spent+tight.Reserved, int64(tightTo), "estimates that hold keep a budget exactly")
	require.LessOrEqual(t, loose.Spent, int64(looseTo+inFlight*estimate), "others by what was in flight")
	l.expire(time.Now().Add(leaseTime + time.Minute))
	for _, scope := range []string{"key:tight", "key:loose"} {
		require.Zero(t, l.Standing(scope, USD, total).Reserved, "no reservation outlives its lease")
	}
	settle(t, l, &Entry{ID: "audit-" + strconv.Itoa(len(rows)), Status: 200, Scopes: []string{"global"}}, nil)
	require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: state.Prefix(kindReservation)}, func(e state.Entry) error {
		t.Error("left in the store:", e.Key)
		return nil
	}))
}
