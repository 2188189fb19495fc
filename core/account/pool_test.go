package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openPool(t testing.TB, s state.Store, h *hand) *Pool {
	t.Helper()
	p, err := OpenPool(t.Context(), s, PoolOptions{Now: h.now})
	require.NoError(t, err)
	return p
}

// pooled is a pool with accounts a1..an of provider p.
func pooled(t testing.TB, n int) (*Pool, *hand, state.Store) {
	t.Helper()
	s, h := state.NewMemory(nil), newHand()
	t.Cleanup(func() { s.Close() })
	p := openPool(t, s, h)
	for i := range n {
		_, err := p.Add(context.Background(), Account{Provider: "p", Auth: AuthKey, Name: fmt.Sprintf("a%d", i+1), Enabled: true}, Credential{APIKey: fmt.Sprintf("sk-secret-of-account-%d", i+1)})
		require.NoError(t, err)
	}
	return p, h, s
}

func reserve(t testing.TB, p *Pool, q Query) *Lease {
	t.Helper()
	l, err := p.Reserve(q, nil)
	require.NoError(t, err)
	return l
}

func fails(t testing.TB, p *Pool, q Query) *NoneError {
	t.Helper()
	_, err := p.Reserve(q, nil)
	var none *NoneError
	require.ErrorAs(t, err, &none)
	return none
}

func views(p *Pool, q Query) map[string]View {
	out := map[string]View{}
	for _, v := range p.Views(q, nil) {
		out[v.Name] = v
	}
	return out
}

func TestReserve(t *testing.T) {
	p, _, _ := pooled(t, 2)
	q := Query{Provider: "p", Model: "m"}
	l := reserve(t, p, q)
	require.Equal(t, "a1", l.Account().Name)
	v, ok := l.Secret("api_key")
	require.True(t, ok)
	require.Equal(t, "sk-secret-of-account-1", v)
	v, _ = l.Secret("token")
	require.Equal(t, "sk-secret-of-account-1", v)
	_, ok = l.Secret("refresh_token")
	require.False(t, ok)
	require.Equal(t, 1, views(p, q)["a1"].Inflight)
	l.Release()
	l.Release()
	require.Equal(t, 0, views(p, q)["a1"].Inflight)

	q.Tried = []string{l.Account().ID}
	require.Equal(t, "a2", reserve(t, p, q).Account().Name)
	_, err := p.Reserve(q, func(v []View) int {
		require.True(t, v[0].Tried)
		return 0
	})
	require.Error(t, err, "an account is tried once")
	_, err = p.Reserve(q, func([]View) int { return 9 })
	require.Error(t, err)

	require.Equal(t, "No credentials for provider: nobody", fails(t, p, Query{Provider: "nobody"}).Error())
	require.True(t, p.Active("p"))
	require.False(t, p.Active("nobody"))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", *l.held.Load().cred, l.held.Load().cred, *l.held.Load().cred), "sk-secret")
}

func TestModelLists(t *testing.T) {
	p, _, _ := pooled(t, 2)
	_, err := p.Update(t.Context(), "p/a1", func(a *Account) error { a.Exclude = []string{"*opus*"}; return nil }, nil)
	require.NoError(t, err)
	_, err = p.Update(t.Context(), "p/a2", func(a *Account) error { a.Models = []string{"claude-*"}; return nil }, nil)
	require.NoError(t, err)
	require.Len(t, views(p, Query{Provider: "p", Model: "claude-opus"}), 1)
	require.Contains(t, views(p, Query{Provider: "p", Model: "claude-opus"}), "a2")
	require.Contains(t, views(p, Query{Provider: "p", Model: "gpt"}), "a1")
	require.Equal(t, 2, p.Summary("p", "claude-haiku").Total)
	require.Equal(t, 1, p.Summary("p", "claude-opus").Total)
}

func TestCooldown(t *testing.T) {
	p, h, s := pooled(t, 1)
	q := Query{Provider: "p", Model: "m"}
	l1, l2 := reserve(t, p, q), reserve(t, p, q)
	left, applied := l1.Fail(Penalty{Scope: "account", Cooldown: 4 * time.Second, Level: 1, Reason: "rate_limit_exceeded", Status: 429, Text: strings.Repeat("é", 200)})
	require.True(t, applied)
	require.Equal(t, 4*time.Second, left)
	h.advance(time.Second)
	left, applied = l2.Fail(Penalty{Scope: "account", Cooldown: time.Hour, Level: 2, Status: 502})
	require.False(t, applied, "already cooling: the old penalty stays")
	require.Equal(t, 3*time.Second, left)

	v := views(p, q)["a1"]
	require.True(t, v.Cooling)
	require.EqualValues(t, 3000, v.CooldownMS)
	require.Equal(t, 1, v.Backoff)
	require.Equal(t, 429, v.ErrorCode)
	require.Equal(t, StatusUnavail, v.Status)
	require.Equal(t, 100-10-20-30, v.Health)
	none := fails(t, p, q)
	require.Equal(t, 1, none.Cooling)
	require.Equal(t, 429, none.Code)
	require.Equal(t, strings.Repeat("é", 100), none.LastError)
	require.Equal(t, h.t.Add(3*time.Second), none.Earliest)
	sum := p.Summary("p", "m")
	require.Equal(t, Summary{Total: 1, Cooling: true, CooldownMS: 3000, QuotaLeft: -1, QuotaResetMS: -1}, sum)

	p2 := openPool(t, s, h) // a restart forgets nothing
	require.EqualValues(t, 3000, views(p2, q)["a1"].CooldownMS)
	require.Equal(t, 1, views(p2, q)["a1"].Backoff)

	h.advance(3 * time.Second)
	l1.Succeed() // began before the failure: clears nothing
	require.Equal(t, 1, p.byIDForTest("p/a1").cond.Backoff)
	l := reserve(t, p, q)
	require.Equal(t, 1, l.View().Backoff, "a new failure counts on")
	l.Succeed()
	l.Release()
	a, _ := p.Get("p/a1")
	require.Equal(t, StatusActive, a.State.Status)
	require.Zero(t, a.State.Backoff)
	require.Empty(t, a.State.LastError)
	require.Zero(t, a.State.ErrorCode)
	require.Empty(t, a.State.ErrorType)
	require.False(t, views(p, q)["a1"].Cooling)
}

func (p *Pool) byIDForTest(id string) *member {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.find(id)
}

func TestBackoffIsForgotten(t *testing.T) {
	p, h, _ := pooled(t, 1)
	q := Query{Provider: "p"}
	l := reserve(t, p, q)
	l.Fail(Penalty{Cooldown: time.Minute, Level: 8})
	l.Release()
	h.advance(2 * time.Minute)
	require.Equal(t, 4, views(p, q)["a1"].Backoff, "halved for choosing")
	l = reserve(t, p, q)
	require.Equal(t, 8, l.View().Backoff, "full for the next penalty")
	l.Release()
	h.advance(9 * time.Minute)
	require.Zero(t, views(p, q)["a1"].Backoff)
}

// counting counts writes.
type counting struct {
	state.Store
	writes atomic.Int32
}

func (c *counting) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	c.writes.Add(1)
	return c.Store.Put(ctx, key, value, ttl)
}

func TestHerd(t *testing.T) {
	s := &counting{Store: state.NewMemory(nil)}
	defer s.Close()
	h := newHand()
	p := openPool(t, s, h)
	_, err := p.Add(t.Context(), Account{Provider: "p", Auth: AuthKey, Name: "a", Enabled: true}, Credential{APIKey: "k"})
	require.NoError(t, err)
	q := Query{Provider: "p", Model: "m"}
	var leases []*Lease
	for range 50 {
		leases = append(leases, reserve(t, p, q))
	}
	s.writes.Store(0)
	var wg sync.WaitGroup
	for _, l := range leases {
		wg.Go(func() {
			l.Fail(Penalty{Scope: "account", Cooldown: 3 * time.Second, Level: l.View().Backoff + 1, Status: 502})
			l.Release()
		})
	}
	wg.Wait()
	require.Equal(t, 1, views(p, q)["a"].Backoff, "one step")
	require.EqualValues(t, 1, s.writes.Load(), "one write")

	h.advance(3 * time.Second)
	var got atomic.Int32
	var probe atomic.Pointer[Lease]
	for range 50 {
		wg.Go(func() {
			if l, err := p.Reserve(q, nil); err == nil {
				got.Add(1)
				probe.Store(l)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, got.Load(), "one probe")
	require.True(t, views(p, q)["a"].Cooling, "the others wait")
	probe.Load().Release() // no verdict: the next one may try
	l := reserve(t, p, q)
	h.advance(probeTime)
	l2 := reserve(t, p, q) // a probe that hangs is not waited for
	l2.Succeed()
	require.False(t, views(p, q)["a"].Cooling)
	l.Release()
}

func TestModelLock(t *testing.T) {
	p, h, s := pooled(t, 1)
	q := Query{Provider: "p", Model: "x:free"}
	l := reserve(t, p, q)
	_, applied := l.Fail(Penalty{Scope: "model", Cooldown: time.Minute, Level: 2, Reason: "quota_exhausted"})
	require.True(t, applied)
	left, applied := l.Fail(Penalty{Scope: "model", Cooldown: time.Hour, Level: 3})
	require.False(t, applied)
	require.Equal(t, time.Minute, left)
	require.True(t, views(p, q)["a1"].ModelLocked)
	require.Equal(t, 2, views(p, q)["a1"].Backoff)
	require.False(t, views(p, Query{Provider: "p", Model: "other"})["a1"].ModelLocked)
	require.Equal(t, 1, p.Summary("p", "other").Ready)
	require.True(t, p.Summary("p", "x:free").Cooling)
	require.Equal(t, "x:free", p.Locks()[0].Model)
	require.Len(t, openPool(t, s, h).Locks(), 1)
	require.Equal(t, 1, p.ClearModel("p", "x:free"))
	require.Zero(t, p.ClearModel("", ""))
	require.Empty(t, openPool(t, s, h).Locks())

	l.Fail(Penalty{Scope: "model", Cooldown: time.Minute, Level: 1})
	h.advance(time.Minute)
	l = reserve(t, p, q)
	require.Equal(t, 1, l.View().Backoff)
	l.Succeed()
	require.Zero(t, views(p, q)["a1"].Backoff)
}

func TestProviderPenalty(t *testing.T) {
	p, h, _ := pooled(t, 2)
	q := Query{Provider: "p"}
	l := reserve(t, p, q)
	l.Fail(Penalty{Scope: "provider", Cooldown: time.Minute, Text: "down"})
	require.True(t, views(p, q)["a2"].Cooling)
	require.Equal(t, "down", fails(t, p, q).LastError)
	h.advance(time.Minute)
	require.False(t, views(p, q)["a2"].Cooling)
}

func TestTerminalStates(t *testing.T) {
	p, h, s := pooled(t, 2)
	q := Query{Provider: "p"}
	l := reserve(t, p, q)
	l.Fail(Penalty{Disable: true, Terminal: StatusBanned, Status: 403, Text: "suspended"})
	v := views(p, q)["a1"]
	require.False(t, v.Active)
	require.Equal(t, StatusBanned, v.Status)
	l2, err := p.Reserve(q, func([]View) int { return 0 })
	require.NoError(t, err)
	_, applied := l2.Fail(Penalty{Cooldown: time.Second, Level: 1})
	require.False(t, applied, "a cooldown does not overwrite a terminal state")
	require.Equal(t, StatusBanned, views(p, q)["a1"].Status)
	p2 := openPool(t, s, h)
	require.Equal(t, StatusBanned, views(p2, q)["a1"].Status, "on disk at once")
	require.NoError(t, p2.Clear(t.Context(), "p/a1"))
	require.True(t, views(p2, q)["a1"].Active)
	_, err = p.Update(t.Context(), "p/a1", nil, &Credential{APIKey: "new"})
	require.NoError(t, err)
	require.True(t, views(p, q)["a1"].Active, "a new credential starts afresh")

	l = reserve(t, p, q)
	l.Fail(Penalty{Cooldown: time.Hour, Reason: "credits_exhausted", Level: -1})
	require.Equal(t, StatusCredits, views(p, q)["a1"].Status)
	l.Release()
	h.advance(time.Hour)
	require.Equal(t, StatusActive, views(p, q)["a1"].Status, "due for a probe")
	require.Equal(t, "a1", reserve(t, p, q).Account().Name)

	for _, name := range []string{"a1", "a2"} {
		_, err = p.Update(t.Context(), "p/"+name, func(a *Account) error { a.Enabled = false; return nil }, nil)
		require.NoError(t, err)
	}
	require.False(t, p.Active("p"))
	require.Equal(t, "All accounts of provider p are switched off", fails(t, p, q).Error())
}

func TestNoCooling(t *testing.T) {
	p, _, _ := pooled(t, 1)
	require.Empty(t, p.Configure([]ProviderSettings{{ID: "p", Cooling: false}}, nil))
	l := reserve(t, p, Query{Provider: "p"})
	_, applied := l.Fail(Penalty{Cooldown: time.Hour, Reason: "server_error"})
	require.False(t, applied)
	_, applied = l.Fail(Penalty{Cooldown: time.Hour, Reason: "quota_exhausted"})
	require.True(t, applied, "a quota stop counts all the same")
}

func TestStickiness(t *testing.T) {
	p, h, s := pooled(t, 3)
	q := Query{Provider: "p"}
	sticky := func(limit int) func([]View) int { // round-robin as the preset rules say it
		return func(vs []View) int {
			best, key := -1, [3]int64{}
			for i, v := range vs {
				k := [3]int64{1, 1, -v.LastUsedMS}
				if v.Current && v.Uses < limit {
					k[0] = 0
				}
				if v.LastUsedMS < 0 {
					k[1], k[2] = 0, int64(v.Priority)
				}
				if best < 0 || k[0] < key[0] || k[0] == key[0] && (k[1] < key[1] || k[1] == key[1] && k[2] < key[2]) {
					best, key = i, k
				}
			}
			return best
		}
	}
	var got []string
	for range 12 {
		h.advance(time.Second)
		l, err := p.Reserve(q, sticky(3))
		require.NoError(t, err)
		got = append(got, l.Account().Name)
		l.Release()
	}
	require.Equal(t, "a1 a1 a1 a2 a2 a2 a3 a3 a3 a1 a1 a1", strings.Join(got, " "))
	v := views(openPool(t, s, h), q)["a1"]
	require.Equal(t, 3, v.Uses, "counters survive a restart")
	require.EqualValues(t, 0, v.LastUsedMS)
	require.Zero(t, views(p, Query{Provider: "p", Fallback: true})["a1"].Uses)
}

func TestAffinity(t *testing.T) {
	p, h, _ := pooled(t, 2)
	q := Query{Provider: "p", Session: "s1"}
	l, err := p.Reserve(q, func([]View) int { return 1 })
	require.NoError(t, err)
	require.True(t, views(p, q)["a2"].Bound)
	require.False(t, views(p, q)["a1"].Bound)
	require.False(t, views(p, Query{Provider: "p", Session: "s2"})["a2"].Bound)
	l.Release()
	h.advance(29 * time.Minute)
	_, err = p.Reserve(q, func([]View) int { return 1 })
	require.NoError(t, err)
	h.advance(29 * time.Minute)
	require.True(t, views(p, q)["a2"].Bound, "sliding")
	h.advance(time.Minute)
	require.False(t, views(p, q)["a2"].Bound)
}

func TestAddMatchesAccounts(t *testing.T) {
	p, _, s := pooled(t, 0)
	add := func(a Account) *Account {
		a.Provider, a.Auth, a.Enabled = "p", AuthOAuth, true
		got, err := p.Add(t.Context(), a, Credential{AccessToken: "t", RefreshToken: "r"})
		require.NoError(t, err)
		return got
	}
	first := add(Account{Email: "a@x"})
	require.Equal(t, "a@x", first.Name)
	require.Equal(t, first.ID, add(Account{Email: "a@x"}).ID)
	second := add(Account{Subject: "org1"})
	require.NotEqual(t, first.ID, second.ID, "an account without an e-mail replaces no other")
	require.Equal(t, second.ID, add(Account{Subject: "org1"}).ID)
	require.NotEqual(t, second.ID, add(Account{Subject: "org2"}).ID)
	require.Equal(t, []int{1, 2, 3}, []int{p.List("p")[0].Priority, p.List("p")[1].Priority, p.List("p")[2].Priority})
	_, err := p.Add(t.Context(), Account{Provider: "p", Auth: AuthKey}, Credential{})
	require.ErrorContains(t, err, "credential")
	_, err = p.Add(t.Context(), Account{}, Credential{APIKey: "x"})
	require.Error(t, err)

	require.NoError(t, p.Remove(t.Context(), first.ID))
	require.ErrorIs(t, p.Remove(t.Context(), first.ID), ErrNotFound)
	require.Len(t, openPool(t, s, newHand()).List(""), 2)
}

func TestFileAccounts(t *testing.T) {
	p, h, s := pooled(t, 1)
	settings := []ProviderSettings{{ID: "p", Billing: "free", Cooling: true}, {ID: "demo", Billing: "free", NoAuth: true, Cooling: true}}
	file := map[string]config.Provider{"p": {Accounts: []config.Account{
		{Name: "main", APIKey: "sk-main-key-0123456789", Priority: 1, Enabled: true, Billing: "subscription"},
		{Name: "local", APIKey: "none", Enabled: true},
		{Name: "unset", Enabled: false},
	}}}
	require.Empty(t, p.Configure(settings, file))
	vs := views(p, Query{Provider: "p"})
	require.Len(t, vs, 3)
	require.Equal(t, "p/main", vs["main"].ID)
	require.Equal(t, 0, vs["main"].CostRank)
	require.Equal(t, 1, vs["local"].CostRank)
	require.Equal(t, AuthNone, vs["local"].Auth)
	l := reserve(t, p, Query{Provider: "p", Allowed: []string{"p/local"}})
	_, has := l.Secret("api_key")
	require.False(t, has)

	require.True(t, p.Active("demo"))
	require.Equal(t, "none", reserve(t, p, Query{Provider: "demo"}).Account().Name)
	require.Len(t, p.List(""), 3, "standing accounts are not listed")

	l = reserve(t, p, Query{Provider: "p", Allowed: []string{"p/main"}})
	l.Fail(Penalty{Cooldown: time.Hour, Level: 1})
	require.Empty(t, p.Configure(settings, file))
	require.True(t, views(p, Query{Provider: "p"})["main"].Cooling, "a reload forgets nothing")
	p2 := openPool(t, s, h)
	require.Empty(t, p2.Configure(settings, file))
	require.True(t, views(p2, Query{Provider: "p"})["main"].Cooling, "nor does a restart")
	file["p"].Accounts[0].APIKey = "sk-other-key-0123456789"
	require.Empty(t, p.Configure(settings, file))
	require.False(t, views(p, Query{Provider: "p"})["main"].Cooling, "a new key starts afresh")

	_, err := p.Update(t.Context(), "p/main", nil, nil)
	require.ErrorIs(t, err, ErrFromFile)
	require.ErrorIs(t, p.Remove(t.Context(), "p/main"), ErrFromFile)
	_, err = p.Add(t.Context(), Account{Provider: "p", Auth: AuthKey, Name: "main"}, Credential{APIKey: "x"})
	require.ErrorIs(t, err, ErrFromFile)

	clash := map[string]config.Provider{"p": {Accounts: []config.Account{{Name: "a1", APIKey: "x", Enabled: true, Pos: config.Pos{File: "f.yaml", Line: 2, Column: 3}}}}}
	diags := p.Configure(settings, clash)
	require.Len(t, diags, 1)
	require.Contains(t, diags[0].String(), "f.yaml:2:3: account p/a1 is declared here and in the data directory (id acc_")
	require.Len(t, views(p, Query{Provider: "p"}), 3)

	require.Empty(t, p.Configure(nil, nil))
	require.Len(t, views(p, Query{Provider: "p"}), 1)
	require.False(t, p.Active("demo"))
}

func TestClockJump(t *testing.T) {
	p, h, s := pooled(t, 1)
	l := reserve(t, p, Query{Provider: "p"})
	l.Fail(Penalty{Cooldown: time.Minute, Level: 1})
	h.advance(-48 * time.Hour)
	v := views(openPool(t, s, h), Query{Provider: "p"})["a1"]
	require.EqualValues(t, 60_000, v.CooldownMS, "never longer than it was meant to be")
	require.EqualValues(t, 0, v.LastUsedMS)
}

func TestDamagedRecords(t *testing.T) {
	s := state.NewMemory(nil)
	defer s.Close()
	require.NoError(t, s.Put(t.Context(), state.Key("acct", "x"), []byte("{"), 0))
	_, err := OpenPool(t.Context(), s, PoolOptions{})
	require.ErrorContains(t, err, "cannot be read")
	require.NoError(t, s.Put(t.Context(), state.Key("key", "x"), []byte("{}"), 0))
	_, err = OpenKeys(t.Context(), s, KeysOptions{})
	require.ErrorContains(t, err, "has no hash")
}

func TestConcurrentUse(t *testing.T) {
	p, _, _ := pooled(t, 4)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				q := Query{Provider: "p", Model: fmt.Sprint("m", i%3), Session: fmt.Sprint("s", g)}
				l, err := p.Reserve(q, nil)
				if err != nil {
					var none *NoneError
					if !errors.As(err, &none) {
						t.Error(err)
					}
					p.ClearModel("", "")
					continue
				}
				switch i % 5 {
				case 0:
					l.Fail(Penalty{Scope: "model", Cooldown: time.Second, Level: 1})
				default:
					l.Succeed()
				}
				p.Summary("p", q.Model)
				p.List("p")
				l.Release()
			}
		})
	}
	wg.Wait()
	for _, v := range p.Views(Query{Provider: "p"}, nil) {
		require.Zero(t, v.Inflight)
	}
}

func BenchmarkReserve(b *testing.B) {
	for _, n := range []int{1, 5, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, _, _ := pooled(b, n)
			b.ReportAllocs()
			for b.Loop() {
				l, err := p.Reserve(Query{Provider: "p", Model: "m", Session: "s"}, nil)
				if err != nil {
					b.Fatal(err)
				}
				l.Succeed()
				l.Release()
			}
		})
	}
}

func BenchmarkSummary(b *testing.B) {
	p, _, _ := pooled(b, 5)
	b.ReportAllocs()
	for b.Loop() {
		p.Summary("p", "m")
	}
}

// Accounts used within one millisecond are still told apart by who rested longer.
func TestAgesDiffer(t *testing.T) {
	p, _, _ := pooled(t, 4)
	q := Query{Provider: "p"}
	for _, pick := range []int{2, 0, 3, 1} {
		l, err := p.Reserve(q, func([]View) int { return pick })
		require.NoError(t, err)
		l.Release()
		p.providers["p"].members[pick].cond.LastUsed = p.opt.Now().Add(time.Duration(pick-9) * time.Nanosecond)
	}
	ages := map[string]int64{}
	for name, v := range views(p, q) {
		ages[name] = v.LastUsedMS
	}
	require.Equal(t, map[string]int64{"a4": 0, "a3": 1, "a2": 2, "a1": 3}, ages)
	require.True(t, views(p, q)["a4"].Current)
}
