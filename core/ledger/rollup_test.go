package ledger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/sdk/hub"
)

// request is a plausible row.
func request(i int, at time.Time) *Entry {
	models := []string{"openai/gpt-4o", "claude/opus", "gemini/pro", "openai/mini"}
	m := models[i%len(models)]
	e := &Entry{
		ID: "req-" + strconv.Itoa(i), Time: at, Model: m, Target: m, Provider: m[:6], Account: "acc_" + strconv.Itoa(i%7), AccountName: "main",
		KeyID: "key_" + strconv.Itoa(i%11), KeyName: "ci", Status: 200, LatencyMS: int64(100 + i%1000), TTFTMS: int64(10 + i%50),
		Usage: hub.Usage{Prompt: 10, Completion: 5, CachedRead: 4, Reasoning: 2, Known: true}, Cost: 100, Billed: 60, Stream: i%2 == 0,
		Scopes: []string{"global", "key:" + strconv.Itoa(i%11)},
	}
	switch {
	case i%50 == 0:
		e.Status, e.Error = 429, "slow down"
	case i%33 == 0:
		e.Cost, e.Billed = Unknown, Unknown
	}
	return e
}

// The roll-ups are what the rows add up to, by every dimension and step, after a
// restart too.
func TestUsage(t *testing.T) {
	l, h, s := fresh(t)
	const n = 600
	var entries []*Entry
	begin := h.now()
	for i := range n {
		e := request(i, h.now())
		entries = append(entries, e)
		if i%10 == 0 {
			require.NoError(t, l.Settle(e, nil).Wait(t.Context()))
		} else {
			l.Settle(e, nil)
		}
		h.advance(time.Minute)
	}
	settle(t, l, &Entry{ID: "last", Unlisted: true, Status: 200}, nil)
	for _, l := range []*Ledger{l, open(t, s, h)} {
		all, err := l.Usage(t.Context(), UsageQuery{From: begin})
		require.NoError(t, err)
		require.Len(t, all, 1)
		sum := all[0].Totals
		want := Totals{Requests: 1, LatencyMS: 0}
		latencies := []int64{0}
		for _, e := range entries {
			want.count(e)
			latencies = append(latencies, e.LatencyMS)
		}
		require.Equal(t, want.Requests, sum.Requests)
		require.Equal(t, want.Cost, sum.Cost)
		require.Equal(t, want.Billed, sum.Billed)
		require.Equal(t, want.Unpriced, sum.Unpriced)
		require.Positive(t, sum.Unpriced)
		require.Equal(t, want.Errors, sum.Errors)
		require.Equal(t, want.Streams, sum.Streams)
		require.Equal(t, want.CachedRead, sum.CachedRead)
		slices.Sort(latencies)
		for _, p := range []float64{50, 95, 99} {
			exact := latencies[int(float64(len(latencies))*p/100)]
			require.InEpsilon(t, exact, sum.Latency.Percentile(p), 0.1, "p%v", p)
		}

		two, err := l.Usage(t.Context(), UsageQuery{From: begin, Step: StepHour, By: []Dimension{ByProvider, ByKey}})
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(two, func(a, b Point) int { return a.Start.Compare(b.Start) }))
		var back Totals
		for _, p := range two {
			require.Len(t, p.By, 2)
			back.Add(&p.Totals)
		}
		require.Equal(t, sum.Requests, back.Requests)
		require.Equal(t, sum.Latency, back.Latency)

		one, err := l.Usage(t.Context(), UsageQuery{From: begin, Step: StepDay, By: []Dimension{ByModel}, Where: map[Dimension]string{ByModel: "claude/opus"}})
		require.NoError(t, err)
		require.Len(t, one, 2, "two days")
		require.EqualValues(t, n/4, one[0].Requests+one[1].Requests)
		require.Equal(t, []string{"claude/opus"}, one[0].By)
	}
	_, err := l.Usage(t.Context(), UsageQuery{Step: "fortnight"})
	require.Error(t, err)
	month, err := l.Usage(t.Context(), UsageQuery{From: begin.AddDate(0, -1, 0), Step: StepMonth})
	require.NoError(t, err)
	require.Len(t, month, 1)
	require.Equal(t, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), month[0].Start)
}

// Names that clients choose cannot grow a bucket without end.
func TestUsageIsBounded(t *testing.T) {
	l, h, _ := fresh(t)
	begin := h.now()
	for i := range maxTuples + 500 {
		l.Settle(&Entry{ID: strconv.Itoa(i), Model: "made-up-" + strconv.Itoa(i), Status: 404}, nil)
	}
	settle(t, l, spent(0, "end"), nil)
	points, err := l.Usage(t.Context(), UsageQuery{From: begin, By: []Dimension{ByModel}})
	require.NoError(t, err)
	require.LessOrEqual(t, len(points), maxTuples+2)
	sum := int64(0)
	for _, p := range points {
		sum += p.Requests
	}
	require.EqualValues(t, maxTuples+501, sum, "nothing is lost, only lumped together")
}

// However a span is cut into buckets, each request counts once.
func TestUsageSpans(t *testing.T) {
	l, h, _ := fresh(t)
	begin := h.now()
	var at []time.Time
	for i := range 500 {
		at = append(at, h.now())
		l.Settle(request(i, h.now()), nil)
		h.advance(5*time.Hour + 17*time.Minute)
	}
	settle(t, l, spent(0), nil) // counts too, at the end
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		from := begin.Add(time.Duration(rng.Int64N(int64(h.now().Sub(begin)))))
		to := from.Add(time.Duration(rng.Int64N(int64(h.now().Sub(from)) + 1)))
		spans, err := (&UsageQuery{From: from, To: to}).spans(h.now())
		require.NoError(t, err)
		points, err := l.Usage(t.Context(), UsageQuery{From: from, To: to})
		require.NoError(t, err)
		got, want := int64(0), int64(0)
		for _, p := range points {
			got += p.Requests
		}
		for _, moment := range at {
			for _, s := range spans {
				if x := s.tier.index(moment); x >= s.from && x < s.to {
					want++
				}
			}
		}
		exact := int64(0)
		for _, moment := range at {
			if !moment.Before(from) && moment.Before(to) {
				exact++
			}
		}
		require.Equal(t, want, got)
		require.GreaterOrEqual(t, got, exact, "%v - %v", from, to)
		for i, s := range spans {
			if i > 0 {
				require.Equal(t, spans[i-1].tier.start(spans[i-1].to), s.tier.start(s.from), "no gap and no overlap")
			}
		}
	}
}

func TestSpread(t *testing.T) {
	var s Spread
	require.Zero(t, s.Percentile(95))
	for _, ms := range []int64{-5, 0, 1, 2, 3, 7, 8, 9, 1000, 59_999, 3_600_000, 1 << 40} {
		one := Spread{}
		one.count(ms)
		got := one.Percentile(50)
		require.GreaterOrEqual(t, got, ms)
		require.LessOrEqual(t, float64(got), max(float64(ms)*1.1, 0)+1, "%d", ms)
	}
}

func FuzzReadTotals(f *testing.F) {
	var t Totals
	t.count(request(1, time.Now()))
	f.Add(t.append(nil))
	f.Add([]byte{1, 255, 255})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v, ok := readTotals(raw); ok {
			again, ok := readTotals(v.append(nil))
			require.True(t, ok)
			require.Equal(t, v.Requests, again.Requests)
		}
	})
}

// Whatever filters are combined, the indexes give what reading every row gives.
func TestListFromIndexes(t *testing.T) {
	l, h, _ := fresh(t)
	for i := range 900 {
		e := request(i, h.now())
		if i%13 == 0 {
			e.Combo = "daily"
		}
		l.Settle(e, nil)
		h.advance(time.Second)
	}
	settle(t, l, spent(0, "end"), nil)
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(v ...string) string { return v[rng.IntN(len(v))] }
	for i := range 80 {
		l.seeks = []int{maxSeek, 2000}[i%2] // pages that stop early lose nothing
		f := Filter{
			Status: pick("", "", "error", "ok", "429", "500"), Model: pick("", "gpt", "OPUS", "mini", "nothing"), Provider: pick("", "", "openai", "claude"),
			Account: pick("", "acc_3", "main"), Key: pick("", "", "key_1", "ci"), Combo: rng.IntN(4) == 0, Limit: 200,
		}
		var got []string
		for {
			page, err := l.List(t.Context(), f)
			require.NoError(t, err)
			for _, e := range page.Entries {
				got = append(got, e.ID)
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		var want []string
		m := f.matcher()
		require.NoError(t, l.store.Scan(t.Context(), state.Query{Prefix: state.Prefix(kindRow), Reverse: true}, func(raw state.Entry) error {
			var e Entry
			require.NoError(t, jsonUnmarshal(raw.Value, &e))
			if m.match(&e) {
				want = append(want, e.ID)
			}
			return nil
		}))
		require.Equal(t, want, got, "%+v", f)
	}
}

// Data that was written before there were indexes gets them when it is opened.
func TestUpgrade(t *testing.T) {
	s := state.NewMemory(nil)
	defer s.Close()
	restore(t, s, "testdata/v1.jsonl")
	h := newHand()
	h.advance(24 * time.Hour)
	l := open(t, s, h)
	page, err := l.List(t.Context(), Filter{Status: "error", Provider: "claude"})
	require.NoError(t, err)
	require.Len(t, page.Entries, 8)
	require.EqualValues(t, 41, l.Stats().Rows)
	points, err := l.Usage(t.Context(), UsageQuery{From: newHand().t.Add(-time.Hour), Step: StepHour, By: []Dimension{ByProvider}})
	require.NoError(t, err)
	sum := int64(0)
	for _, p := range points {
		sum += p.Requests
	}
	require.EqualValues(t, 41, sum)
	require.EqualValues(t, 32*42, l.counters.get("global").used(Window{Period: "total"}, time.Now()).usd, "what was spent stays as it was")
	r, err := Check(t.Context(), s)
	require.NoError(t, err)
	require.True(t, r.Sound(), "%+v", r)
	require.Equal(t, 41, r.Rows)
}

// What is damaged is found, and mended by deriving it anew.
func TestRebuild(t *testing.T) {
	l, h, s := fresh(t)
	for i := range 300 {
		e := request(i, h.now())
		e.Trace = []byte("{}")
		l.Settle(e, nil)
	}
	settle(t, l, spent(0, "end"), nil)
	require.NoError(t, l.Close())
	before := contents(t, s)
	ctx := t.Context()
	var b state.Batch
	b.Put(state.Key(kindRow, state.NewIDSource(nil).Next()), []byte("{broken"), 0)
	b.Put(state.Key(kindTrace, state.NewIDSource(nil).Next()), []byte("{}"), 0)
	b.Delete(state.Key(kindIndex, "status", "429", mustFind(t, l, "req-50")))
	require.NoError(t, s.Apply(ctx, &b))
	r, err := Check(ctx, s)
	require.NoError(t, err)
	require.False(t, r.Sound())
	require.Equal(t, 1, r.Damaged)
	require.Equal(t, 1, r.Orphans)
	require.Equal(t, 1, r.Missing)
	r, err = Rebuild(ctx, s, true)
	require.NoError(t, err)
	require.Equal(t, 301, r.Rows)
	r, err = Check(ctx, s)
	require.NoError(t, err)
	require.True(t, r.Sound(), "%+v", r)
	require.Equal(t, before, contents(t, s), "all of it as it was")
}

// A store that was away for long gets everything in as many batches as it takes.
func TestCatchUp(t *testing.T) {
	s := &broken{Store: state.NewMemory(nil)}
	defer s.Close()
	h := newHand()
	l := open(t, s, h, func(o *Options) { o.OnError = func(error) {} })
	s.set(fmt.Errorf("disk: %w", state.ErrDiskFull))
	const n = 3000
	for i := range n {
		r, no := l.Reserve(strconv.Itoa(i), []Claim{claim("key:a", -1, 0.1)})
		require.Nil(t, no)
		e := request(i, h.now())
		e.Scopes = []string{"global", "user:" + strconv.Itoa(i)}
		l.Settle(e, r)
	}
	require.Eventually(t, func() bool { return l.Settle(spent(0), nil).Wait(t.Context()) != nil }, 10*time.Second, time.Millisecond)
	s.set(nil)
	require.Eventually(t, func() bool { return l.Stats().Queued == 0 }, time.Minute, 5*time.Millisecond)
	settle(t, l, spent(0), nil)
	again := open(t, s, h)
	require.Equal(t, l.Requests("global", "total"), again.Requests("global", "total"))
	require.Equal(t, 1, again.Requests("user:2999", "day"))
	require.Zero(t, again.Standing("key:a", USD, Window{Period: "day"}).Reserved)
	require.EqualValues(t, l.Stats().Rows, again.Stats().Rows)
	require.GreaterOrEqual(t, again.Stats().Rows, int64(n))
}

// A clock that leaps years ahead and comes back takes no spend with it, and is told.
func TestClockLeaps(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	t.Cleanup(func() { s.Close() })
	told := make(chan error, 10)
	l := open(t, s, h, func(o *Options) { o.OnError = func(err error) { told <- err } })
	settle(t, l, spent(3, "key:a"), nil)
	watch := clockWatch{wall: h.now(), run: time.Now()}
	h.advance(10 * 365 * 24 * time.Hour)
	l.tidy(&watch)
	require.ErrorContains(t, <-told, "clock leapt by 876")
	settle(t, l, spent(1, "key:a"), nil)
	h.advance(-10 * 365 * 24 * time.Hour)
	l.tidy(&watch)
	require.ErrorContains(t, <-told, "clock leapt by -876")
	require.GreaterOrEqual(t, l.Spend("key:a", "day"), 3.0)
	require.GreaterOrEqual(t, l.Spend("key:a", "month"), 3.0)
	require.Equal(t, 4.0, open(t, s, h).Spend("key:a", "total"))
	require.GreaterOrEqual(t, open(t, s, h).Spend("key:a", "day"), 3.0)
	// A reservation made in the future ends with its lease, counted from now.
	r, no := l.Reserve("q", []Claim{claim("key:a", 100, 1)})
	require.Nil(t, no)
	h.advance(-48 * time.Hour)
	settle(t, l, spent(0), nil)
	again := open(t, s, h)
	require.EqualValues(t, 1e9, again.Standing("key:a", USD, Window{Period: "day"}).Reserved)
	h.advance(leaseTime + time.Minute)
	again.expire(h.now())
	require.Zero(t, again.Standing("key:a", USD, Window{Period: "day"}).Reserved)
	r.Release()
}

// TestManyRows is the bar of lists and reports over a million rows; set
// OMNIROUTE_ROWS to that number to run it at full size.
func TestManyRows(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("OMNIROUTE_ROWS"))
	if n == 0 {
		n = 5_000
	}
	s, err := state.OpenBadger(t.TempDir(), make([]byte, 32), state.BadgerOptions{})
	require.NoError(t, err)
	defer s.Close()
	h := newHand()
	l := open(t, s, h)
	step := 30 * 24 * time.Hour / time.Duration(n)
	for i := range n {
		l.Settle(request(i, h.now()), nil)
		h.advance(step)
		if i%5000 == 4999 {
			settle(t, l, spent(0), nil)
		}
	}
	settle(t, l, spent(0), nil)
	timed := func(name string, f func() error) {
		var took []time.Duration
		for range 40 {
			at := time.Now()
			require.NoError(t, f())
			took = append(took, time.Since(at))
		}
		slices.Sort(took)
		t.Logf("%-40s p50 %8s p95 %8s", name, took[20].Round(10*time.Microsecond), took[38].Round(10*time.Microsecond))
	}
	deep := Filter{Limit: 200, Until: h.now().Add(-20 * 24 * time.Hour)}
	for name, f := range map[string]Filter{
		"newest": {}, "deep": deep, "errors": {Status: "error"}, "errors of a model": {Status: "error", Model: "opus"},
		"account and key": {Account: "acc_3", Key: "key_5"}, "nothing": {Status: "500"}, "ok, provider, model": {Status: "ok", Provider: "openai", Model: "mini", Limit: 200},
		"text": {Search: "no such text"}, "id": {Search: "req-77"}, "disjoint": {Status: "429", Model: "opus", Key: "key_2", Account: "acc_1"},
	} {
		timed("list "+name, func() error { _, err := l.List(t.Context(), f); return err })
	}
	for name, q := range map[string]UsageQuery{
		"30 days by day and model":          {From: h.now().AddDate(0, 0, -30), Step: StepDay, By: []Dimension{ByModel}},
		"30 days by provider and key":       {From: h.now().AddDate(0, 0, -30), By: []Dimension{ByProvider, ByKey}},
		"7 days by hour":                    {From: h.now().AddDate(0, 0, -7), Step: StepHour},
		"a day by hour, provider and model": {From: h.now().AddDate(0, 0, -1), Step: StepHour, By: []Dimension{ByProvider, ByModel}},
	} {
		timed("usage "+name, func() error { _, err := l.Usage(t.Context(), q); return err })
	}
}
