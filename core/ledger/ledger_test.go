package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/sdk/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hand is a clock the test moves.
type hand struct {
	mu sync.Mutex
	t  time.Time
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

func (h *hand) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
}

// A Wednesday.
func newHand() *hand { return &hand{t: time.Date(2026, 2, 18, 21, 30, 0, 0, time.UTC)} }

func open(t testing.TB, s state.Store, h *hand, edit ...func(*Options)) *Ledger {
	t.Helper()
	opt := Options{Now: h.now, OnError: func(err error) {
		if !errors.Is(err, ErrClock) { // the hand leaps on purpose
			t.Error(err)
		}
	}}
	for _, e := range edit {
		e(&opt)
	}
	l, err := Open(t.Context(), s, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func fresh(t testing.TB) (*Ledger, *hand, state.Store) {
	s, h := state.NewMemory(nil), newHand()
	t.Cleanup(func() { s.Close() })
	return open(t, s, h), h, s
}

var n = catalog.NoRate

func price(in, out float64) catalog.Price {
	return catalog.Price{Known: true, Input: catalog.RateOf(in), Output: catalog.RateOf(out), Cached: n, CacheWrite: n, Reasoning: n, LongInput: n, LongOutput: n, LongCached: n}
}

func TestCost(t *testing.T) {
	sonnet := price(3, 15)
	sonnet.Cached, sonnet.CacheWrite = catalog.RateOf(0.3), catalog.RateOf(3.75)
	long := sonnet
	long.LongAbove, long.LongInput, long.LongOutput = 200_000, catalog.RateOf(6), catalog.RateOf(22.5)
	long.Reasoning = long.Output
	flat := price(0, 0)
	flat.Request, flat.Image = 5_000_000, 40_000_000
	dear := price(0.0375, 0.3)
	for _, c := range []struct {
		name  string
		usage hub.Usage
		price catalog.Price
		opt   CostOptions
		want  string
	}{
		{"plain", hub.Usage{Prompt: 1000, Completion: 100}, sonnet, CostOptions{}, "0.0045"},
		{"cached and written", hub.Usage{Prompt: 1000, CachedRead: 600, CacheWrite: 100, Completion: 100}, sonnet, CostOptions{}, "0.002955"},
		{"writes without a rate", hub.Usage{Prompt: 1000, CacheWrite: 100}, price(3, 15), CostOptions{WriteMilli: 1250}, "0.003075"},
		{"writes with a rate", hub.Usage{Prompt: 1000, CacheWrite: 100}, sonnet, CostOptions{WriteMilli: 2000}, "0.003075"},
		{"cached without a rate", hub.Usage{Prompt: 1000, CachedRead: 600, CacheWrite: 100}, price(3, 15), CostOptions{}, "0.003"},
		{"reasoning once", hub.Usage{Completion: 100, Reasoning: 80}, sonnet, CostOptions{}, "0.0015"},
		{"reasoning twice", hub.Usage{Completion: 100, Reasoning: 80}, sonnet, CostOptions{ReasoningTwice: true}, "0.0027"},
		{"long context", hub.Usage{Prompt: 200_001, Completion: 1000, Reasoning: 500}, long, CostOptions{}, "1.222506"},
		{"at the threshold", hub.Usage{Prompt: 200_000}, long, CostOptions{}, "0.60"},
		{"per request and image", hub.Usage{}, flat, CostOptions{Images: 3}, "0.125"},
		{"rounds half up", hub.Usage{Prompt: 1}, dear, CostOptions{}, "0.000000038"},
		{"free", hub.Usage{Prompt: 1 << 40}, price(0, 0), CostOptions{}, "0.00"},
		{"unknown", hub.Usage{Prompt: 1000}, catalog.Price{}, CostOptions{}, "unknown"},
		{"inconsistent usage", hub.Usage{Prompt: 10, CachedRead: 600, Completion: 5, Reasoning: 9}, sonnet, CostOptions{}, "0.000315"},
		{"absurd", hub.Usage{Prompt: 1 << 62, Completion: 1 << 62}, price(1e6, 1e6), CostOptions{}, "9223372036.854775807"},
	} {
		require.Equal(t, c.want, Cost(c.usage, c.price, c.opt).String(), c.name)
	}
	require.Equal(t, "0.0045", Estimate(1000, 100, sonnet).String())
	require.Equal(t, "0.0013", Estimate(1000, 100, catalog.Price{}).String())
	require.Equal(t, "-1.25", FromUSD(-1.25).String())
	require.Equal(t, 0.1, FromUSD(0.1).USD())
}

func TestWindows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	now := time.Date(2026, 2, 18, 21, 30, 40, 0, time.UTC) // Wednesday
	at := func(s string) time.Time {
		v, err := time.Parse(time.DateTime, s)
		require.NoError(t, err)
		return v
	}
	for _, c := range []struct {
		w          Window
		start, end string
	}{
		{Window{Period: "minute"}, "2026-02-18 21:30:00", "2026-02-18 21:31:00"},
		{Window{Period: "hour"}, "2026-02-18 21:00:00", "2026-02-18 22:00:00"},
		{Window{Period: "day"}, "2026-02-18 00:00:00", "2026-02-19 00:00:00"},
		{Window{Period: "week"}, "2026-02-16 00:00:00", "2026-02-23 00:00:00"},
		{Window{Period: "month"}, "2026-02-01 00:00:00", "2026-03-01 00:00:00"},
		{Window{Period: "day", ResetHour: 22}, "2026-02-17 22:00:00", "2026-02-18 22:00:00"},
		{Window{Period: "day", ResetHour: 21, ResetMinute: 30}, "2026-02-18 21:30:00", "2026-02-19 21:30:00"},
		{Window{Period: "day", Location: berlin}, "2026-02-17 23:00:00", "2026-02-18 23:00:00"},
		{Window{Period: "week", ResetHour: 23, Location: berlin}, "2026-02-16 22:00:00", "2026-02-23 22:00:00"},
	} {
		require.Equal(t, at(c.start), c.w.Start(now).UTC(), "%+v", c.w)
		require.Equal(t, at(c.end), c.w.End(now).UTC(), "%+v", c.w)
	}
	// Periods that begin after the moment within the day or the month.
	require.Equal(t, at("2026-01-01 12:00:00"), Window{Period: "month", ResetHour: 12}.Start(at("2026-02-01 11:00:00")))
	require.Equal(t, at("2026-02-09 12:00:00"), Window{Period: "week", ResetHour: 12}.Start(at("2026-02-16 11:00:00")))
	// The day on which clocks go forward has 23 hours.
	w := Window{Period: "day", Location: berlin}
	require.Equal(t, 23*time.Hour, w.End(at("2026-03-29 10:00:00")).Sub(w.Start(at("2026-03-29 10:00:00"))))
	require.True(t, Window{Period: "total"}.End(now).IsZero())
	for in, want := range map[string]Window{"day": {Period: "day"}, "once": {Period: "total"}, "": {Period: "total"}, "5h": {Rolling: 5 * time.Hour}, "7d": {Rolling: 168 * time.Hour}} {
		got, err := ParseWindow(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"daily", "-5h", "0s", "500d", "d", "1.5d", "99999h"} {
		_, err := ParseWindow(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("5h")
	f.Fuzz(func(t *testing.T, s string) {
		if w, err := ParseWindow(s); err == nil {
			require.False(t, w.Start(time.Unix(1e9, 0)).After(time.Unix(1e9, 0)))
		}
	})
}

func settle(t testing.TB, l *Ledger, e *Entry, r *Reservation) {
	t.Helper()
	require.NoError(t, l.Settle(e, r).Wait(t.Context()))
}

func spent(usd float64, scopes ...string) *Entry {
	return &Entry{ID: fmt.Sprint("r", rand.Uint64()), Billed: FromUSD(usd), Cost: FromUSD(usd), Usage: hub.Usage{Prompt: 10, Completion: 5}, Scopes: scopes}
}

func TestCounters(t *testing.T) {
	l, h, s := fresh(t)
	settle(t, l, spent(1, "key:a", "global"), nil)
	h.advance(40 * time.Minute) // 22:10
	settle(t, l, spent(2, "key:a", "global"), nil)
	h.advance(3 * time.Hour) // next day 01:10
	settle(t, l, spent(4, "key:a"), nil)
	check := func(l *Ledger) {
		t.Helper()
		for window, want := range map[string]float64{
			"minute": 4, "hour": 4, "day": 4, "week": 7, "month": 7, "total": 7, "3h": 4, "4h": 6, "30m": 4, "5h": 7, "7d": 7, "30d": 7, "nonsense": 0,
		} {
			require.Equal(t, want, l.Spend("key:a", window), window)
		}
		require.Equal(t, 3.0, l.Spend("global", "total"))
		require.Equal(t, 3, l.Requests("key:a", "total"))
		require.Equal(t, 1, l.Requests("key:a", "day"))
		require.Equal(t, 45, l.Tokens("key:a", "week"))
		require.Zero(t, l.Spend("key:nobody", "total"))
	}
	check(l)
	check(open(t, s, h)) // a restart forgets nothing
	h.advance(2 * time.Minute)
	require.Zero(t, l.Spend("key:a", "minute"))
	require.Equal(t, 4.0, l.Spend("key:a", "30m"))
	h.advance(30 * 24 * time.Hour)
	require.Zero(t, l.Spend("key:a", "month"))
	require.Equal(t, 7.0, l.Spend("key:a", "total"))
	settle(t, l, &Entry{ID: "u", Billed: Unknown, Cost: Unknown, Scopes: []string{"key:a"}}, nil)
	require.Equal(t, 7.0, l.Spend("key:a", "total"), "an unknown price adds nothing and takes nothing away")
	l.Add("counter:x", 0, 3, 0)
	require.Equal(t, 3, l.Requests("counter:x", "day"))
}

func TestOldBucketsGo(t *testing.T) {
	s := &series{}
	now := newHand().t
	for range 1000 {
		s.add(now, amount{requests: 1})
		now = now.Add(time.Minute)
	}
	require.LessOrEqual(t, len(s.buckets[minutes]), 121)
	require.EqualValues(t, 1000, s.since(total, 0).requests)
	s.add(now.Add(-time.Hour), amount{requests: 5}) // the clock went back
	for r := range tiers {
		for i := 1; i < len(s.buckets[r]); i++ {
			require.Less(t, s.buckets[r][i-1].index, s.buckets[r][i].index)
		}
	}
	require.EqualValues(t, 1005, s.since(total, 0).requests)
}

func TestCalendarWithZone(t *testing.T) {
	l, h, s := fresh(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	day := Window{Period: "day", Location: berlin, ResetHour: 6}
	settle(t, l, spent(1, "key:a"), nil)
	st := l.Standing("key:a", USD, day) // begins with what the buckets know
	require.EqualValues(t, 1e9, st.Spent)
	require.Equal(t, time.Date(2026, 2, 19, 5, 0, 0, 0, time.UTC), st.ResetAt.UTC())
	h.advance(5 * time.Hour) // 02:30 UTC on the next day: the same day in this window
	settle(t, l, spent(2, "key:a"), nil)
	require.EqualValues(t, 3e9, l.Standing("key:a", USD, day).Spent)
	require.EqualValues(t, 3e9, open(t, s, h).Standing("key:a", USD, day).Spent)
	require.EqualValues(t, 2e9, l.Standing("key:a", USD, Window{Period: "day"}).Spent)
	h.advance(3 * time.Hour)
	require.Zero(t, l.Standing("key:a", USD, day).Spent)
	month := Window{Period: "month", Location: berlin}
	h.advance(9 * 24 * time.Hour)
	require.EqualValues(t, 3e9, l.Standing("key:a", USD, month).Spent, "older than the hours: from the days")
	l.Configure(Bounds{Location: berlin})
	require.EqualValues(t, 3e9, l.Standing("key:a", USD, Window{Period: "month"}).Spent)
}

func claim(scope string, limit, est float64) Claim {
	return Claim{Scope: scope, Unit: USD, Window: Window{Period: "day"}, Limit: int64(FromUSD(limit)), Estimate: int64(FromUSD(est)), Rule: "r"}
}

func TestBudgets(t *testing.T) {
	l, h, s := fresh(t)
	r1, denied := l.Reserve("q1", []Claim{claim("key:a", 5, 3), claim("team:x", 100, 3)})
	require.Nil(t, denied)
	_, denied = l.Reserve("q2", []Claim{claim("team:x", 100, 2.5), claim("key:a", 5, 2.5)})
	require.NotNil(t, denied)
	require.Equal(t, "key:a", denied.Claim.Scope)
	require.EqualValues(t, 3e9, denied.Standing.Reserved)
	require.Equal(t, time.Date(2026, 2, 19, 0, 0, 0, 0, time.UTC), denied.Standing.ResetAt)
	require.EqualValues(t, 3e9, l.Standing("team:x", USD, Window{Period: "day"}).Reserved, "all or none")
	r2, denied := l.Reserve("q2", []Claim{claim("key:a", 5, 2)})
	require.Nil(t, denied, "exactly the limit")
	settle(t, l, spent(3.5, "key:a"), r1)
	r1.Release()
	st := l.Standing("key:a", USD, Window{Period: "day"})
	require.EqualValues(t, 3.5e9, st.Spent)
	require.EqualValues(t, 2e9, st.Reserved)
	r2.Release()
	r2.Release()
	require.Zero(t, l.Standing("key:a", USD, Window{Period: "day"}).Reserved)
	(*Reservation)(nil).Release()
	none, denied := l.Reserve("q3", nil)
	require.Nil(t, none)
	require.Nil(t, denied)
	_, denied = l.Reserve("q4", []Claim{claim("key:zero", 0, 0.01)})
	require.NotNil(t, denied, "a limit of 0 allows nothing")
	_, denied = l.Reserve("q5", []Claim{{Scope: "key:a", Unit: USD, Window: Window{Period: "day"}, Limit: -1, Estimate: 1e12}})
	require.Nil(t, denied)
	_, denied = l.Reserve("q6", []Claim{{Scope: "key:t", Unit: Tokens, Window: Window{Period: "hour"}, Limit: 10, Estimate: 11}})
	require.NotNil(t, denied)

	// What was in flight when the process died counts until its lease ends.
	_, denied = l.Reserve("q7", []Claim{claim("key:b", 5, 4)})
	require.Nil(t, denied)
	settle(t, l, spent(0, "x"), nil)
	l2 := open(t, s, h)
	require.EqualValues(t, 4e9, l2.Standing("key:b", USD, Window{Period: "day"}).Reserved)
	h.advance(leaseTime + time.Second)
	l2.expire(h.now())
	require.Zero(t, l2.Standing("key:b", USD, Window{Period: "day"}).Reserved)
	require.Zero(t, open(t, s, h).Standing("key:b", USD, Window{Period: "day"}).Reserved)
}

// However many requests race, what is spent and reserved never exceeds the
// limit, and the books balance.
func TestBudgetRace(t *testing.T) {
	l, _, s := fresh(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sum Money
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				r, denied := l.Reserve(fmt.Sprintf("q%d-%d", g, i), []Claim{claim("key:a", 2, 0.01), claim("global", 100, 0.01)})
				st := l.Standing("key:a", USD, Window{Period: "day"})
				if st.Spent+st.Reserved > 2e9 {
					t.Error("over budget")
				}
				if denied != nil {
					continue
				}
				if i%3 == 0 {
					r.Release()
					continue
				}
				e := spent(0.005, "key:a", "global")
				l.Settle(e, r)
				go r.Release() // late and needless
				mu.Lock()
				sum += e.Billed
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	settle(t, l, spent(0, "end"), nil)
	st := l.Standing("key:a", USD, Window{Period: "day"})
	require.EqualValues(t, sum, st.Spent)
	require.Zero(t, st.Reserved)
	require.Equal(t, sum.USD(), l.Spend("global", "total"))
	rows := Money(0)
	require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: state.Prefix(kindReservation)}, func(e state.Entry) error {
		t.Error("a reservation was left: ", e.Key)
		return nil
	}))
	for f := (Filter{Limit: 200}); ; {
		page, err := l.List(t.Context(), f)
		require.NoError(t, err)
		for _, e := range page.Entries {
			rows += e.Billed
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	require.Equal(t, sum, rows, "the rows and the counters agree")
}

func TestRequestLog(t *testing.T) {
	l, h, _ := fresh(t)
	ctx := t.Context()
	for i := range 25 {
		e := &Entry{
			ID: fmt.Sprint("req-", i), Time: h.now(), Model: "gpt-4o", Target: "openai/gpt-4o", Provider: "openai", Account: "acc_1", AccountName: "main",
			KeyID: "key_1", KeyName: "ci", Status: 200, Usage: hub.Usage{Prompt: 5, Completion: 7, Known: true}, Cost: 42, Billed: 42,
			Attempts: []Attempt{{Target: "openai/gpt-4o", Account: "main", Status: 429, Reason: "rate_limit_exceeded", MS: 12}},
			Degraded: []string{"logit_bias"}, Trace: []byte(`{"hook":"order"}`),
		}
		if i%5 == 0 {
			e.Status, e.Error, e.Combo, e.Provider = 503, "Overloaded", "daily", "claude"
			e.Trace = nil
		}
		settle(t, l, e, nil)
		h.advance(time.Minute)
	}
	list := func(f Filter) (ids []string, next string) {
		page, err := l.List(ctx, f)
		require.NoError(t, err)
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		return ids, page.Next
	}
	ids, next := list(Filter{Limit: 10})
	require.Equal(t, "req-24", ids[0])
	require.Equal(t, "req-15", ids[9])
	ids, next = list(Filter{Limit: 10, Cursor: next})
	require.Equal(t, "req-14", ids[0])
	ids, next = list(Filter{Limit: 10, Cursor: next})
	require.Len(t, ids, 5)
	require.Empty(t, next)
	ids, _ = list(Filter{Status: "error"})
	require.Equal(t, []string{"req-20", "req-15", "req-10", "req-5", "req-0"}, ids)
	for _, f := range []Filter{{Status: "503"}, {Combo: true}, {Provider: "CLAU"}, {Search: "overload"}} {
		ids, _ = list(f)
		require.Len(t, ids, 5, "%+v", f)
	}
	for _, f := range []Filter{{Status: "ok"}, {Provider: "openai"}} {
		ids, _ = list(f)
		require.Len(t, ids, 20, "%+v", f)
	}
	ids, _ = list(Filter{Model: "4O", Account: "main", Key: "ci"})
	require.Len(t, ids, 25)
	ids, _ = list(Filter{Key: "nobody"})
	require.Empty(t, ids)
	ids, _ = list(Filter{Since: h.now().Add(-150 * time.Second)})
	require.Equal(t, []string{"req-24", "req-23"}, ids)
	ids, _ = list(Filter{Until: newHand().t.Add(90 * time.Second)})
	require.Equal(t, []string{"req-1", "req-0"}, ids)
	_, err := l.List(ctx, Filter{Cursor: "no cursor"})
	require.Error(t, err)

	e, err := l.Get(ctx, "req-7")
	require.NoError(t, err)
	require.Equal(t, "main", e.Attempts[0].Account)
	require.Equal(t, Money(42), e.Cost)
	require.Equal(t, []string{"logit_bias"}, e.Degraded)
	trace, err := l.Trace(ctx, "req-7")
	require.NoError(t, err)
	require.JSONEq(t, `{"hook":"order"}`, string(trace))
	_, err = l.Trace(ctx, "req-5")
	require.ErrorIs(t, err, state.ErrNotFound)
	_, err = l.Get(ctx, "nobody")
	require.ErrorIs(t, err, state.ErrNotFound)
}

func TestRetention(t *testing.T) {
	l, h, s := fresh(t)
	for i := range 100 {
		settle(t, l, &Entry{ID: fmt.Sprint("req-", i), Request: make([]byte, 1000), Trace: make([]byte, 500)}, nil)
		h.advance(time.Hour)
	}
	require.Greater(t, l.size.Load(), int64(100*1500))
	l.Configure(Bounds{MaxBytes: 100_000})
	n, err := l.Prune(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 56, n, 8)
	require.LessOrEqual(t, l.size.Load(), int64(90_000))
	_, err = l.Get(t.Context(), "req-0")
	require.ErrorIs(t, err, state.ErrNotFound)
	_, err = l.Trace(t.Context(), "req-99")
	require.NoError(t, err)
	l.Configure(Bounds{Retention: 10 * time.Hour})
	_, err = l.Prune(t.Context())
	require.NoError(t, err)
	page, err := l.List(t.Context(), Filter{})
	require.NoError(t, err)
	require.Len(t, page.Entries, 10)
	left := 0
	for _, kind := range []string{kindRow, kindTrace, kindID} {
		require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: state.Prefix(kind), KeysOnly: true}, func(state.Entry) error { left++; return nil }))
	}
	require.Equal(t, 30, left, "rows, traces and index go together")
	require.Equal(t, l.size.Load(), open(t, s, h).size.Load())
}

// A log is bounded by the number of its rows, too; the oldest go, and what they
// were found by goes with them.
func TestMaxRows(t *testing.T) {
	l, h, s := fresh(t)
	for i := range 100 {
		l.Settle(request(i, h.now()), nil)
		h.advance(time.Minute)
	}
	settle(t, l, spent(0), nil)
	l.Configure(Bounds{MaxRows: 50})
	require.True(t, l.tooMuch())
	n, err := l.Prune(t.Context())
	require.NoError(t, err)
	require.Equal(t, 56, n, "a tenth is free again")
	require.EqualValues(t, 45, l.Stats().Rows)
	_, err = l.Get(t.Context(), "req-55")
	require.ErrorIs(t, err, state.ErrNotFound)
	_, err = l.Get(t.Context(), "req-56")
	require.NoError(t, err)
	r, err := Check(t.Context(), s)
	require.NoError(t, err)
	require.True(t, r.Sound(), "%+v", r)
	points, err := l.Usage(t.Context(), UsageQuery{From: newHand().t})
	require.NoError(t, err)
	require.EqualValues(t, 101, points[0].Requests, "roll-ups outlive the rows")
}

// broken fails while err is set.
type broken struct {
	state.Store
	mu  sync.Mutex
	err error
}

func (b *broken) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) Apply(ctx context.Context, batch *state.Batch) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Store.Apply(ctx, batch)
}

func TestStoreFails(t *testing.T) {
	full := errors.New("no space left on device")
	s := &broken{Store: state.NewMemory(nil)}
	defer s.Close()
	h := newHand()
	told := make(chan error, 100)
	l := open(t, s, h, func(o *Options) { o.OnError = func(err error) { told <- err } })
	s.set(full)
	require.ErrorIs(t, l.Settle(spent(1, "key:a"), nil).Wait(t.Context()), full)
	require.ErrorIs(t, <-told, full)
	require.Equal(t, 1.0, l.Spend("key:a", "day"), "memory goes on")
	s.set(nil)
	require.Eventually(t, func() bool {
		page, err := l.List(t.Context(), Filter{})
		return err == nil && len(page.Entries) == 1
	}, time.Minute, 10*time.Millisecond, "written when the store is back")
	require.Equal(t, 1.0, open(t, s, h).Spend("key:a", "day"))
}

func TestSettleAfterClose(t *testing.T) {
	s := state.NewMemory(nil)
	defer s.Close()
	l, err := Open(t.Context(), s, Options{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Settle(spent(1), nil).Wait(t.Context()), state.ErrClosed)
}

func BenchmarkSettle(b *testing.B) {
	s, err := state.OpenBadger(b.TempDir(), make([]byte, 32), state.BadgerOptions{})
	require.NoError(b, err)
	defer s.Close()
	l, err := Open(b.Context(), s, Options{})
	require.NoError(b, err)
	defer l.Close()
	scopes := []string{"key:k", "team:t", "provider:openai", "account:a", "model:openai/gpt-4o", "global"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Settle(&Entry{ID: "r", Scopes: scopes, Billed: 5, Usage: hub.Usage{Prompt: 10}}, nil)
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	l, h, _ := fresh(b)
	for range 100 {
		l.Add("key:a", 5, 1, 10)
		h.advance(time.Minute)
	}
	for _, w := range []string{"day", "30m", "5h", "month"} {
		b.Run(w, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Spend("key:a", w)
			}
		})
	}
}

func BenchmarkReserve(b *testing.B) {
	l, _, _ := fresh(b)
	claims := []Claim{claim("key:a", 5, 0.01), claim("team:x", 100, 0.01)}
	b.ReportAllocs()
	for b.Loop() {
		r, _ := l.Reserve("q", claims)
		r.Release()
	}
}

// Names come from clients in part: none may be too long to be written, and keep
// the rows behind it from the store.
func TestLongScopes(t *testing.T) {
	l, h, s := fresh(t)
	long := "user:" + strings.Repeat("u", 64<<10)
	require.NoError(t, l.Settle(&Entry{ID: "one", Time: h.now(), Scopes: []string{long + "1", "global"}}, nil).Wait(t.Context()))
	require.NoError(t, l.Settle(&Entry{ID: "two", Time: h.now(), Scopes: []string{"global"}}, nil).Wait(t.Context()))
	require.NoError(t, l.Close())
	l = open(t, s, h)
	require.Equal(t, 1, l.Requests(long+"1", "day"))
	require.Zero(t, l.Requests(long+"2", "day"))
	require.Equal(t, 2, l.Requests("global", "day"))
}
