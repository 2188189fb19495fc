package telemetry

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 2, 18, 12, 0, 0, 0, time.UTC)

func TestPhases(t *testing.T) {
	var p Phases
	at := noon
	step := func(phase Phase, ms int) {
		p.Start(phase, at)
		at = at.Add(time.Duration(ms) * time.Millisecond)
	}
	step(PhaseParse, 1)
	step(PhaseConnect, 10)
	step(PhaseSelect, 2)
	step(PhaseConnect, 20) // a second attempt
	step(PhaseStream, 100)
	open, running := p.Open()
	require.True(t, running)
	require.Equal(t, PhaseStream, open)
	p.End(at)
	p.End(at.Add(time.Hour))
	got := map[string]time.Duration{}
	p.Each(func(ph Phase, d time.Duration) { got[ph.String()] = d })
	require.Equal(t, map[string]time.Duration{"parse": 1e6, "connect": 30e6, "select": 2e6, "stream": 100e6}, got)

	var ts Timings
	require.Equal(t, Summary{Phases: map[string]PhaseSummary{}}, ts.Summary(at, 0))
	ts.Add(&p, at)
	s := ts.Summary(at, 0)
	require.EqualValues(t, 133, s.P95, "to the last byte, not to the headers")
	require.Equal(t, PhaseSummary{Count: 1, P50: 30, P95: 30, Avg: 30}, s.Phases["connect"])
}

// Percentiles are those of the nearest rank, over the window only, and the ring is
// bounded.
func TestTimings(t *testing.T) {
	var ts Timings
	for i := range maxTimings + 500 {
		var p Phases
		p.Start(PhaseParse, noon)
		p.End(noon.Add(time.Duration(i) * time.Millisecond))
		ts.Add(&p, noon.Add(time.Duration(i)*time.Millisecond))
	}
	require.Len(t, ts.ring, maxTimings)
	now := noon.Add(time.Duration(maxTimings+499) * time.Millisecond)
	s := ts.Summary(now, 99*time.Millisecond) // the last hundred: 10400 to 10499 ms
	require.Equal(t, 100, s.Count)
	require.EqualValues(t, 10449, s.P50)
	require.EqualValues(t, 10494, s.P95)
	require.EqualValues(t, 10498, s.P99)
}

// However requests end, none stays pending.
func TestPending(t *testing.T) {
	tr := NewTraffic(func() time.Time { return noon })
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a := tr.Begin(Running{ID: strconv.Itoa(i), Began: noon})
			defer a.End()
			if i%2 == 0 {
				a.At("gpt-4o", "openai", "main")
			}
			tr.Running()
			a.End()
		})
	}
	wg.Wait()
	require.Empty(t, tr.Running())
	a := tr.Begin(Running{ID: "x", Model: "fast"})
	models, accounts := tr.Pending()
	require.Empty(t, models, "nobody serves it yet")
	require.Empty(t, accounts)
	a.At("gpt-4o", "openai", "main")
	models, accounts = tr.Pending()
	require.Equal(t, map[string]int{"gpt-4o (openai)": 1}, models)
	require.Equal(t, map[string]int{"main": 1}, accounts)
	a.End()
	models, accounts = tr.Pending()
	require.Empty(t, models)
	require.Empty(t, accounts)
	(*Active)(nil).At("", "", "")
	(*Active)(nil).End()
}

func TestLines(t *testing.T) {
	tr := NewTraffic(nil)
	require.Empty(t, tr.Lines(0))
	l := Line{Time: noon, Model: "gpt|4o\nx", Provider: "openai", Account: "", In: 5, Out: 7, Status: Outcome(200)}
	require.Equal(t, "18-02-2026 12:00:00 | gpt 4o x | OPENAI | - | 5 | 7 | 200 OK", l.String())
	require.Equal(t, "FAILED 503", Outcome(503))
	l.Status = "PENDING"
	require.True(t, strings.HasSuffix(l.String(), "| - | - | PENDING"))
	path := filepath.Join(t.TempDir(), "log.txt")
	tr.File(path, 20_000, func(err error) { t.Error(err) })
	for i := range maxLines + 500 {
		tr.Line(Line{Time: noon, Model: strconv.Itoa(i), Status: "200 OK"})
	}
	lines := tr.Lines(0)
	require.Len(t, lines, maxLines)
	require.Contains(t, lines[0], "| 1499 |")
	require.Contains(t, lines[maxLines-1], "| 500 |")
	require.Len(t, tr.Lines(200), 200)
	tr.File("", 0, nil)
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.LessOrEqual(t, len(files), 1+keptFiles)
	require.Greater(t, len(files), 1, "rotated")
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(21_000))
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	var told []error
	tr.File(filepath.Join(path, "no", "folder"), 1, func(err error) { told = append(told, err) })
	tr.Line(l)
	tr.Line(l)
	require.Len(t, told, 1, "once")
	require.False(t, errors.Is(told[0], os.ErrExist))
	tr.File("", 0, nil)
}

func TestSessions(t *testing.T) {
	now := noon
	tr := NewTraffic(func() time.Time { return now })
	tr.Session("", "a")
	tr.Session("s1", "acc_1")
	now = now.Add(10 * time.Minute)
	tr.Session("s2", "")
	tr.Session("s1", "acc_2")
	list := tr.Sessions()
	require.Len(t, list, 2)
	require.Equal(t, Session{ID: "s1", CreatedAt: noon, LastActive: now, Requests: 2, Account: "acc_2"}, list[0])
	now = now.Add(31 * time.Minute)
	require.Empty(t, tr.Sessions())
	tr.Session("s1", "acc_3")
	list = tr.Sessions()
	require.Len(t, list, 1)
	require.EqualValues(t, 1, list[0].Requests, "a new one")
	require.Len(t, tr.sessions, 1, "old ones are swept")
}
