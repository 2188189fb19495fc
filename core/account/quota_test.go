package account

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuotaWindows(t *testing.T) {
	h := newHand()
	now := h.now()
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for name, tc := range map[string]struct {
		windows map[string]Window
		policy  map[string]float64
		left    float64
		reset   time.Duration
		kept    bool
	}{
		"nothing known":           {left: -1},
		"the scarcest counts":     {windows: map[string]Window{"5h": {Left: 60, ResetAt: in(time.Hour)}, "7d": {Left: 30, ResetAt: in(50 * time.Hour)}}, left: 30, reset: 50 * time.Hour},
		"one resource is empty":   {windows: map[string]Window{"chat": {Left: 0, ResetAt: in(time.Hour)}, "completions": {Left: 30, ResetAt: in(2 * time.Hour)}}, left: 30, reset: 2 * time.Hour},
		"all resources are":       {windows: map[string]Window{"chat": {Left: 0, ResetAt: in(time.Hour)}, "completions": {Left: 0, ResetAt: in(time.Hour)}}, left: 0, reset: time.Hour},
		"a told window is empty":  {windows: map[string]Window{"5h": {Left: 0, Told: true, ResetAt: in(time.Hour)}, "7d": {Left: 30, Told: true, ResetAt: in(2 * time.Hour)}}, left: 0, reset: time.Hour},
		"its reset has passed":    {windows: map[string]Window{"5h": {Left: 0, Told: true, ResetAt: in(-time.Second)}}, left: -1},
		"unlimited says nothing":  {windows: map[string]Window{"chat": {Unlimited: true}}, left: -1},
		"kept back":               {windows: map[string]Window{"5h": {Left: 20, ResetAt: in(time.Hour)}}, policy: map[string]float64{"5h": 20}, left: 20, reset: time.Hour, kept: true},
		"more than is kept back":  {windows: map[string]Window{"5h": {Left: 21, ResetAt: in(time.Hour)}}, policy: map[string]float64{"5h": 20}, left: 21, reset: time.Hour},
		"kept back of any window": {windows: map[string]Window{"weekly": {Left: 5, ResetAt: in(time.Hour)}}, policy: map[string]float64{"*": 10, "5h": 1}, left: 5, reset: time.Hour, kept: true},
		"a named window wins":     {windows: map[string]Window{"5h": {Left: 5, ResetAt: in(time.Hour)}}, policy: map[string]float64{"*": 10, "5h": 1}, left: 5, reset: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			q := Quota{Windows: tc.windows}
			left, reset, kept, _ := q.standing(now, tc.policy)
			require.Equal(t, tc.left, left)
			require.Equal(t, tc.kept, kept)
			if tc.reset > 0 {
				require.Equal(t, in(tc.reset), reset)
			}
		})
	}
}

func TestQuotaOfAnAccount(t *testing.T) {
	p, h, s := pooled(t, 2)
	q := Query{Provider: "p"}
	a1, _ := p.Get("p/a1")
	p.NoteQuota(a1.ID, map[string]Window{"5h": {Left: 12.5, ResetAt: h.now().Add(time.Hour)}})
	p.NoteQuota("nobody", map[string]Window{"5h": {Left: 1}})
	require.Equal(t, 12.5, views(p, q)["a1"].QuotaLeft)
	require.Equal(t, 12.5, p.Summary("p", "m").QuotaLeft)
	p.SetQuota(a1.ID, Quota{Plan: "Pro", Windows: map[string]Window{"weekly": {Left: 40, ResetAt: h.now().Add(9 * time.Hour)}}})
	known, ok := p.Quota(a1.ID)
	require.True(t, ok)
	require.Equal(t, "Pro", known.Plan)
	require.Len(t, known.Windows, 2, "what responses told stays")

	again := openPool(t, s, h)
	require.Equal(t, 12.5, views(again, q)["a1"].QuotaLeft)
	require.EqualValues(t, 3_600_000, views(again, q)["a1"].QuotaResetMS)
	h.advance(time.Hour)
	require.Equal(t, 40.0, views(p, q)["a1"].QuotaLeft, "a window that has passed says nothing")
	h.advance(9 * time.Hour)
	require.Equal(t, -1.0, views(p, q)["a1"].QuotaLeft)

	p.NoteQuota(a1.ID, map[string]Window{"5h": {Left: 0}})
	require.Zero(t, views(p, q)["a1"].QuotaLeft)
	h.advance(11 * time.Minute)
	require.Equal(t, -1.0, views(p, q)["a1"].QuotaLeft, "a window without an end does not stop an account for ever")
}

// "Leave me a fifth": an account whose policy is reached serves no requests until
// the window begins anew, and the client hears when that is.
func TestQuotaPolicy(t *testing.T) {
	p, h, _ := pooled(t, 1)
	q := Query{Provider: "p", Model: "m"}
	id := p.List("p")[0].ID
	_, err := p.Update(t.Context(), id, func(a *Account) error { a.QuotaPolicy = map[string]float64{"5h": 20}; return nil }, nil)
	require.NoError(t, err)
	p.NoteQuota(id, map[string]Window{"5h": {Left: 21, ResetAt: h.now().Add(2 * time.Hour)}})
	reserve(t, p, q).Release()
	p.NoteQuota(id, map[string]Window{"5h": {Left: 19.5, ResetAt: h.now().Add(2 * time.Hour)}})
	none := fails(t, p, q)
	require.Equal(t, h.now().Add(2*time.Hour), none.Earliest)
	require.Contains(t, none.LastError, "quota policy")
	sum := p.Summary("p", "m")
	require.True(t, sum.Cooling)
	h.advance(2 * time.Hour)
	reserve(t, p, q).Release()
}

// fetcher is a provider that is asked for quotas.
type fetcher struct {
	mu    sync.Mutex
	calls map[string]int
	err   error
	gate  chan struct{}
	most  int
	now   int
}

func (f *fetcher) fetch(_ context.Context, id string) (Quota, error) {
	f.mu.Lock()
	f.calls[id]++
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	return Quota{Windows: map[string]Window{"weekly": {Left: 50, ResetAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}}}, f.err
}

func (f *fetcher) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		n += c
	}
	return n
}

func quotas(t *testing.T, n int) (*Pool, *Quotas, *fetcher, *hand) {
	p, h, _ := pooled(t, 0)
	for i := range n {
		_, err := p.Add(t.Context(), Account{Provider: "p", Auth: AuthOAuth, Name: string(rune('a' + i)), Enabled: true}, Credential{AccessToken: "t"})
		require.NoError(t, err)
	}
	f := &fetcher{calls: map[string]int{}}
	return p, NewQuotas(p, QuotasOptions{Fetch: f.fetch, Now: h.now}), f, h
}

func TestQuotasAreAskedFor(t *testing.T) {
	p, q, f, h := quotas(t, 1)
	id := p.List("p")[0].ID
	got, err := q.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 50.0, got.Windows["weekly"].Left)
	_, _ = q.Get(t.Context(), id)
	require.Equal(t, 1, f.total(), "five minutes old at most")
	h.advance(5 * time.Minute)
	_, _ = q.Get(t.Context(), id)
	require.Equal(t, 2, f.total())

	// The endpoint is limited itself: pauses grow, what is known stays.
	f.err = &LimitedError{Err: errors.New("429")}
	for _, pause := range []time.Duration{5, 5, 10, 20, 40, 60, 60} {
		h.advance(pause * time.Minute)
		before := f.total()
		known, err := q.Get(t.Context(), id)
		require.Error(t, err)
		require.Equal(t, 50.0, known.Windows["weekly"].Left)
		require.Equal(t, before+1, f.total(), "after %d minutes", pause)
		_, err = q.Get(t.Context(), id)
		require.Error(t, err)
		require.Equal(t, before+1, f.total())
	}
	f.err = ErrNoQuota
	h.advance(time.Hour)
	_, err = q.Get(t.Context(), id)
	require.ErrorIs(t, err, ErrNoQuota)
	h.advance(59 * time.Minute)
	_, err = q.Get(t.Context(), id)
	require.ErrorIs(t, err, ErrNoQuota)
	require.Equal(t, 10, f.total())
}

func TestQuotaAskersShare(t *testing.T) {
	p, q, f, _ := quotas(t, 1)
	f.gate = make(chan struct{})
	id := p.List("p")[0].ID
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = q.Get(context.Background(), id) })
	}
	require.Eventually(t, func() bool { return f.total() == 1 }, time.Minute, time.Millisecond)
	close(f.gate)
	wg.Wait()
	require.LessOrEqual(t, f.total(), 2, "those who came late find an answer")
}

func TestQuotasInTheBackground(t *testing.T) {
	p, q, f, h := quotas(t, 12)
	q.Sweep(t.Context())
	require.Zero(t, f.total(), "nobody uses them")
	for _, a := range p.List("p") {
		l, err := p.Reserve(Query{Provider: "p", Allowed: []string{a.ID}}, nil)
		require.NoError(t, err)
		l.Release()
	}
	f.gate = make(chan struct{})
	done := make(chan struct{})
	go func() { q.Sweep(context.Background()); close(done) }()
	require.Eventually(t, func() bool { return f.total() == 5 }, time.Minute, time.Millisecond)
	close(f.gate)
	<-done
	require.Equal(t, []int{12, 5}, []int{f.total(), f.most}, "five at once")
	h.advance(6 * time.Minute)
	for _, a := range p.List("p") { // responses tell it: no need to ask
		p.NoteQuota(a.ID, map[string]Window{"5h": {Left: 10, ResetAt: h.now().Add(time.Hour)}})
	}
	q.Sweep(t.Context())
	require.Equal(t, 12, f.total())
	h.advance(6 * time.Minute)
	q.Sweep(t.Context())
	require.Equal(t, 24, f.total())
}
