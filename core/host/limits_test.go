package host

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// said is an error as text, or "ok".
func said(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

// A manifest may ask for less of everything, and for more memory and streams
// within bounds; the operator has the last word.
func TestManifestAsksForLimits(t *testing.T) {
	all := DefaultLimits()
	all.Instances = 4
	var wish declared.Limits
	v := reflect.ValueOf(&wish).Elem()
	for k := range v.NumField() {
		if f := v.Field(k); f.CanUint() {
			f.SetUint(1)
		} else {
			f.SetInt(1)
		}
	}
	got, was := reflect.ValueOf(all.asked(wish)), reflect.ValueOf(all)
	same := 0
	for k := range got.NumField() {
		if got.Field(k).Equal(was.Field(k)) {
			require.Contains(t, []string{"Module", "Rest"}, got.Type().Field(k).Name)
			same++
		}
	}
	require.Equal(t, v.NumField(), got.NumField()-same)

	for k := range v.NumField() {
		if f := v.Field(k); f.CanUint() {
			f.SetUint(1 << 30)
		} else {
			f.SetInt(1 << 30)
		}
	}
	more := all.asked(wish)
	require.EqualValues(t, mostAskedPages, more.MemoryPages)
	require.Equal(t, mostAskedHandles, more.Handles)
	more.MemoryPages, more.Handles = all.MemoryPages, all.Handles
	require.Equal(t, all, more, "nothing else grows")
	require.Equal(t, 5*time.Second, all.asked(declared.Limits{WallMS: 5}).or(Limits{Wall: 5 * time.Second}).Wall)
}

// Each limit makes a difference: the same scenario is played with the defaults
// and with one of them set.
func TestEachLimitHasAnEffect(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many hosts")
	}
	executor := func(t *testing.T, l Limits) (*module, *Executor) {
		g, x := echoExecutor(t, Options{Limits: l})
		return g.modules[0], x
	}
	planning := func(model, body string) func(*testing.T, Limits) string {
		return func(t *testing.T, l Limits) string {
			_, x := executor(t, l)
			effects := func(context.Context, *Plan) (*Reply, error) { return &Reply{Status: 200}, nil }
			_, err := x.Plan(t.Context(), PlanInput{Model: model, Endpoint: "chat", Body: []byte(body), Effects: effects})
			return said(err)
		}
	}
	frames := func(texts ...string) func(*testing.T, Limits) string {
		return func(t *testing.T, l Limits) string {
			_, x := executor(t, l)
			s := openEcho(t, x)
			defer func() { _ = s.End(context.Background(), abi.EndClientGone, nothing) }()
			var err error
			for _, text := range texts {
				_, err = feed(s, text)
			}
			return said(err)
		}
	}
	loading := func(guest tiny) func(*testing.T, Limits) string {
		return func(t *testing.T, l Limits) string {
			for _, p := range open(t, Options{Core: guest.build(), Limits: l}).Problems() {
				return p.Message
			}
			return "ok"
		}
	}
	instances := func(streams int) func(*testing.T, Limits) string {
		return func(t *testing.T, l Limits) string {
			m, x := executor(t, l)
			var open []*Stream
			for range streams {
				open = append(open, openEcho(t, x))
			}
			n := m.stats.instances.Load()
			for _, s := range open {
				require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing))
			}
			return string('0' + rune(n))
		}
	}
	recycled := func(t *testing.T, l Limits) string {
		l.Instances = 1
		m, x := executor(t, l)
		first := m.pool.slots[0].inst.Load()
		for range 5 {
			_, err := plan(t, x, "plain")
			require.NoError(t, err)
		}
		if m.pool.slots[0].inst.Load() == first {
			return "kept"
		}
		return "replaced"
	}
	replayed := func(t *testing.T, l Limits) string { // a stream whose instance another one brought down
		l.Instances = 1
		_, x := executor(t, l)
		good, bad := openEcho(t, x), openEcho(t, x)
		_, err := feed(good, strings.Repeat("x", 2000))
		require.NoError(t, err)
		_, err = feed(bad, "trap")
		require.Error(t, err)
		_, err = feed(good, "after")
		_ = good.End(t.Context(), abi.EndClientGone, nothing)
		_ = bad.End(t.Context(), abi.EndClientGone, nothing)
		return said(err)
	}
	logged := func(t *testing.T, l Limits) string {
		var log syncBuffer
		_, x := echoExecutor(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: l,
			Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
		for range 5 {
			_, err := plan(t, x, "log")
			require.NoError(t, err)
		}
		return string('0' + rune(strings.Count(log.String(), "hello from the guest")))
	}
	resting := func(t *testing.T, l Limits) string { // instances left after ten quiet minutes
		var now atomic.Int64
		l.Instances = 2
		opt := Options{Core: packed(t, echoGuest), Limits: l, Now: func() time.Time { return time.Unix(1_700_000_000+now.Load(), 0) }}
		h := open(t, opt)
		g := h.Current()
		defer g.Release()
		p := g.modules[0].pool
		a, err := p.lock(t.Context())
		require.NoError(t, err)
		b, err := p.lock(t.Context())
		require.NoError(t, err)
		a.settle()
		b.settle()
		a.mu.Unlock()
		b.mu.Unlock()
		now.Store(600)
		h.rest()
		return string('0' + rune(g.modules[0].stats.instances.Load()))
	}
	crashing := func(t *testing.T, l Limits) string {
		var now atomic.Int64
		_, _, x := dropped(t, Options{Limits: l, Now: func() time.Time { return time.Unix(1_700_000_000+now.Load(), 0) }})
		for range 3 {
			_, err := plan(t, x, "trap")
			require.Error(t, err)
		}
		now.Store(40)
		_, err := plan(t, x, "plain")
		return said(err)
	}
	starting := func(t *testing.T, l Limits) string {
		for _, p := range open(t, Options{Core: packed(t, echoGuest), Limits: l}).Problems() {
			return p.Message
		}
		return "ok"
	}
	long := strings.Repeat("x", 100_000)
	cases := []struct {
		field      string
		play       func(*testing.T, Limits) string
		set        Limits
		without    string
		with       string
		everywhere Limits // holds for both
	}{
		{field: "MemoryPages", play: loading(tiny{buf: 8, pages: 9}), set: Limits{MemoryPages: 4}, without: "ok", with: "needs 9 pages"},
		{field: "Module", play: loading(tiny{buf: 8}), set: Limits{Module: 100}, without: "ok", with: "plugins may have 100"},
		{field: "Instances", play: instances(3), set: Limits{Instances: 3}, without: "1", with: "3", everywhere: Limits{Instances: 1}},
		{field: "Handles", play: instances(3), set: Limits{Handles: 1}, without: "1", with: "3", everywhere: Limits{Instances: 1}},
		{field: "Input", play: planning("plain", long), set: Limits{Input: 1000}, without: "ok", with: "too large"},
		{field: "Output", play: planning("plain", "{}"), set: Limits{Output: 20}, without: "ok", with: "larger than it may be"},
		{field: "RecycleCalls", play: recycled, set: Limits{RecycleCalls: 3}, without: "kept", with: "replaced"},
		{field: "RecycleBytes", play: recycled, set: Limits{RecycleBytes: 1}, without: "kept", with: "replaced"},
		{field: "Replay", play: replayed, set: Limits{Replay: 1000}, without: "ok", with: "failed while the answer was under way"},
		{field: "ReplayTotal", play: replayed, set: Limits{ReplayTotal: 1000}, without: "ok", with: "failed while the answer was under way"},
		{field: "LogPerSecond", play: logged, set: Limits{LogPerSecond: 2}, without: "5", with: "2"},
		{field: "IdleTTL", play: resting, set: Limits{IdleTTL: time.Hour}, without: "1", with: "2"},
		{field: "ColdTTL", play: resting, set: Limits{ColdTTL: 9 * time.Minute}, without: "1", with: "0"},
		{field: "Fuel", play: planning("plain", "{}"), set: Limits{Fuel: 10, FuelPerByte: 1}, without: "ok", with: "used up its fuel of"},
		{field: "FuelPerByte", play: planning("plain", "{}"), set: Limits{FuelPerByte: 1000}, without: "used up its fuel of", with: "ok", everywhere: Limits{Fuel: 10, FuelPerByte: 1}},
		{field: "DataFuel", play: frames("spin"), set: Limits{DataFuel: 1000}, without: "used up its fuel of 2004000 units", with: "used up its fuel of 5000 units"},
		{field: "DataFuelPerByte", play: frames("spin"), set: Limits{DataFuelPerByte: 1000}, without: "used up its fuel of 2004000 units", with: "used up its fuel of 2020000 units"},
		{field: "SetupFuel", play: starting, set: Limits{SetupFuel: 1000}, without: "ok", with: "used up its fuel of 1000 units"},
		{field: "Wall", play: planning("spin", "{}"), set: Limits{Wall: time.Millisecond}, without: "used up its fuel", with: "ran longer than 1ms"},
		{field: "DataWall", play: frames("spin"), set: Limits{DataWall: time.Millisecond}, without: "used up its fuel", with: "ran longer than 1ms", everywhere: Limits{DataFuel: 10_000_000, DataWall: time.Hour}},
		{field: "Rounds", play: planning("ask", "{}"), set: Limits{Rounds: 2}, without: "more than 4 rounds", with: "more than 2 rounds"},
		{field: "RoundPlans", play: planning("two", "{}"), set: Limits{RoundPlans: 1}, without: "ok", with: "too many HTTP requests"},
		{field: "Continuation", play: planning("need", "{}"), set: Limits{Continuation: 2}, without: "ok", with: "continuation is too large"},
		{field: "Crashes", play: crashing, set: Limits{Crashes: 10}, without: "rests", with: "ok", everywhere: Limits{Rest: time.Minute}},
		{field: "Rest", play: crashing, set: Limits{Rest: 50 * time.Second}, without: "ok", with: "rests"},
	}
	covered := map[string]bool{"Value": true, "Values": true} // TestStore
	for _, c := range cases {
		covered[c.field] = true
		t.Run(c.field, func(t *testing.T) {
			require.Contains(t, c.play(t, c.everywhere), c.without)
			require.Contains(t, c.play(t, c.everywhere.or(c.set)), c.with)
		})
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Limits]()) {
		require.True(t, covered[f.Name], "no scenario for %s", f.Name)
	}
}
