package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// issuer is a token endpoint that rotates refresh tokens: each serves once.
type issuer struct {
	t       testing.TB
	pool    *Pool
	mu      sync.Mutex
	refresh string // the one that serves
	calls   int
	misused int // refresh tokens that came a second time
	fail    error
	life    time.Duration
	now     func() time.Time
	gate    chan struct{} // nil = answer at once
}

func (i *issuer) renew(ctx context.Context, id string) (Tokens, error) {
	_, secret, _, err := i.pool.Secrets(id)
	require.NoError(i.t, err)
	if i.gate != nil {
		select {
		case <-i.gate:
		case <-ctx.Done():
			return Tokens{}, ctx.Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if i.fail != nil {
		return Tokens{}, i.fail
	}
	got, _ := secret("refresh_token")
	if got != i.refresh {
		i.misused++
		return Tokens{}, &RefusedError{errors.New("refresh_token_reused")}
	}
	i.refresh = fmt.Sprintf("refresh-%d", i.calls+1)
	return Tokens{Access: fmt.Sprintf("access-%d", i.calls+1), Refresh: i.refresh, ExpiresAt: i.now().Add(i.life), Data: map[string]string{"n": fmt.Sprint(i.calls)}}, nil
}

// oauth is a pool with one OAuth account whose token ends in an hour, and its
// renewer; pauses take no time.
func oauth(t *testing.T) (*Pool, *Renewer, *issuer, *hand, state.Store) {
	s, h := state.NewMemory(nil), newHand()
	t.Cleanup(func() { s.Close() })
	p := openPool(t, s, h)
	_, err := p.Add(t.Context(), Account{Provider: "p", Auth: AuthOAuth, Name: "a", Enabled: true, IssuedAt: h.now(), ExpiresAt: h.now().Add(time.Hour), Data: map[string]string{"kept": "yes"}},
		Credential{AccessToken: "access-1", RefreshToken: "refresh-1", Extra: map[string]string{"client": "x"}})
	require.NoError(t, err)
	i := &issuer{t: t, pool: p, refresh: "refresh-1", life: time.Hour, now: h.now}
	r := NewRenewer(p, RenewerOptions{Renew: i.renew, Now: h.now, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	t.Cleanup(func() { require.NoError(t, r.Close(context.Background())) })
	return p, r, i, h, s
}

func access(l *Lease) string { s, _ := l.Secret("access_token"); return s }

func TestRenewAheadOfTheEnd(t *testing.T) {
	p, r, i, h, s := oauth(t)
	l := reserve(t, p, Query{Provider: "p"})
	defer l.Release()
	require.False(t, r.Due(l))
	h.advance(54 * time.Minute)
	require.False(t, r.Due(l))
	h.advance(2 * time.Minute)
	require.True(t, r.Due(l), "less than the lead is left")
	require.NoError(t, r.Renew(t.Context(), l, false))
	require.Equal(t, "access-2", access(l), "the lease has the new one")
	require.False(t, r.Due(l))

	var stored accountRecord
	raw, err := s.Get(t.Context(), state.Key(kindAccount, l.Account().ID))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &stored))
	require.Equal(t, "refresh-2", stored.Credential.RefreshToken)
	require.Equal(t, map[string]string{"kept": "yes", "n": "1"}, stored.Data, "merged, nothing is lost")
	require.Equal(t, "x", stored.Credential.Extra["client"])
	require.Equal(t, 1, i.calls)

	again := openPool(t, s, h)
	require.Equal(t, "access-2", access(reserve(t, again, Query{Provider: "p"})))
}

func TestLeadIsTheProviders(t *testing.T) {
	p, _, i, h, _ := oauth(t)
	r := NewRenewer(p, RenewerOptions{Renew: i.renew, Now: h.now, Lead: func(id string) time.Duration {
		require.Equal(t, "p", id)
		return 30 * time.Minute
	}})
	l := reserve(t, p, Query{Provider: "p"})
	defer l.Release()
	h.advance(29 * time.Minute)
	require.False(t, r.Due(l))
	h.advance(time.Minute)
	require.True(t, r.Due(l))
}

// Whoever asks at the same time shares one renewal; whoever comes later with the
// old token gets the new one without asking.
func TestRenewalsAreSingle(t *testing.T) {
	p, r, i, _, _ := oauth(t)
	i.gate = make(chan struct{})
	var leases []*Lease
	for range 50 {
		leases = append(leases, reserve(t, p, Query{Provider: "p"}))
	}
	late := reserve(t, p, Query{Provider: "p"})
	var wg sync.WaitGroup
	var bad atomic.Int32
	for k, l := range leases {
		wg.Go(func() {
			if r.Renew(context.Background(), l, k%2 == 0) != nil || access(l) != "access-2" {
				bad.Add(1)
			}
		})
	}
	close(i.gate)
	wg.Wait()
	require.Zero(t, bad.Load())
	require.NoError(t, r.Renew(t.Context(), late, true), "a newer one is there already")
	require.Equal(t, "access-2", access(late))
	require.Equal(t, []int{1, 0}, []int{i.calls, i.misused})
}

// A caller that leaves does not take the new refresh token with it.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	p, r, i, _, _ := oauth(t)
	i.gate = make(chan struct{})
	l := reserve(t, p, Query{Provider: "p"})
	defer l.Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Renew(ctx, l, false), context.Canceled)
	close(i.gate)
	require.NoError(t, r.Close(t.Context()), "closing waits for it")
	l.Reload()
	require.Equal(t, "access-2", access(l))
}

// Another gateway over the same store renewed first: its token is taken over,
// ours is not burnt.
func TestStoredTokenIsReadFirst(t *testing.T) {
	p, r, i, h, s := oauth(t)
	l := reserve(t, p, Query{Provider: "p"})
	defer l.Release()
	other := openPool(t, s, h)
	require.NoError(t, other.Renewed(t.Context(), l.Account().ID, Tokens{Access: "theirs", Refresh: "refresh-9", ExpiresAt: h.now().Add(time.Hour)}))
	require.NoError(t, r.Renew(t.Context(), l, true))
	require.Equal(t, "theirs", access(l))
	require.Zero(t, i.calls)
}

// A refresh token that was revoked leaves the access token to its end, is tried
// again three times, and then waits for a person. Nothing is deleted.
func TestRevokedRefreshToken(t *testing.T) {
	p, r, i, h, s := oauth(t)
	i.fail = &RefusedError{errors.New("invalid_grant: revoked")}
	q := Query{Provider: "p"}
	h.advance(56 * time.Minute)
	l := reserve(t, p, q)
	require.Error(t, r.Renew(t.Context(), l, false))
	require.Equal(t, 1, i.calls, "refused for good: not tried three times")
	require.Equal(t, "access-1", access(l))
	require.False(t, r.Due(l), "left alone for five minutes")
	require.Equal(t, StatusActive, views(p, q)["a"].Status, "the access token still serves")
	l.Succeed()
	l.Release()
	for _, pause := range []time.Duration{5, 10, 20} {
		r.Sweep(t.Context())
		calls := i.calls
		h.advance(pause*time.Minute - time.Second)
		r.Sweep(t.Context())
		require.Equal(t, calls, i.calls)
		h.advance(time.Second)
		r.Sweep(t.Context())
		require.Equal(t, calls+1, i.calls, "after %d minutes", pause)
	}
	h.advance(24 * time.Hour)
	r.Sweep(t.Context())
	require.Equal(t, 4, i.calls, "now a person has to help")
	require.Equal(t, StatusExpired, views(p, q)["a"].Status)
	fails(t, p, q)

	p = openPool(t, s, h) // the state survives, and so does the token
	require.Equal(t, StatusExpired, views(p, q)["a"].Status)
	id := p.List("p")[0].ID
	_, secret, _, err := p.Secrets(id)
	require.NoError(t, err)
	token, _ := secret("refresh_token")
	require.Equal(t, "refresh-1", token)
	require.NoError(t, p.Renewed(t.Context(), id, Tokens{Access: "access-9", ExpiresAt: h.now().Add(time.Hour)}))
	require.Equal(t, StatusActive, views(p, q)["a"].Status, "any success restores it")
}

// The provider rejected the access token and refuses a new one: expired at once.
func TestRejectedAndRefused(t *testing.T) {
	p, r, i, _, s := oauth(t)
	i.fail = &RefusedError{errors.New("invalid_grant")}
	q := Query{Provider: "p"}
	l := reserve(t, p, q)
	require.Error(t, r.Renew(t.Context(), l, true))
	require.Equal(t, StatusExpired, views(p, q)["a"].Status)
	l.Fail(Penalty{Scope: "account", Cooldown: time.Minute, Level: -1, Status: 401})
	require.Equal(t, StatusExpired, views(p, q)["a"].Status, "no cooldown overwrites it")
	l.Release()
	p = openPool(t, s, newHand())
	require.Equal(t, StatusExpired, views(p, q)["a"].Status)
}

func TestPassingFailures(t *testing.T) {
	p, r, i, h, _ := oauth(t)
	i.fail = errors.New("connection refused")
	q := Query{Provider: "p"}
	h.advance(56 * time.Minute)
	l := reserve(t, p, q)
	defer l.Release()
	require.Error(t, r.Renew(t.Context(), l, false))
	require.Equal(t, 3, i.calls)
	require.False(t, r.Due(l), "others need not wait for the same")
	require.Equal(t, StatusActive, views(p, q)["a"].Status)
	i.fail = nil
	require.NoError(t, r.Renew(t.Context(), l, true), "who was rejected asks all the same")
	require.Equal(t, "access-5", access(l))
	h.advance(56 * time.Minute)
	require.True(t, r.Due(l))
}

func TestBackground(t *testing.T) {
	p, r, i, h, _ := oauth(t)
	i.life = 10 * time.Hour
	r.Sweep(t.Context())
	require.Zero(t, i.calls, "fresh")
	h.advance(56 * time.Minute)
	r.Sweep(t.Context())
	require.Equal(t, 1, i.calls, "close to the end")
	for range 6 {
		h.advance(67 * time.Minute)
		r.Sweep(t.Context())
	}
	require.Equal(t, 1, i.calls, "valid for hours: left alone")
	h.advance(67 * time.Minute)
	r.Sweep(t.Context())
	require.Equal(t, 2, i.calls, "three quarters of its life are over")
	off := time.Duration(0)
	id := p.List("p")[0].ID
	_, err := p.Update(t.Context(), id, func(a *Account) error { a.CheckEvery = &off; return nil }, nil)
	require.NoError(t, err)
	h.advance(24 * time.Hour)
	r.Sweep(t.Context())
	require.Equal(t, 2, i.calls, "switched off")
}

// A store that fails when the new token has come: it serves, and is written when
// the store works again.
func TestStoreFailsWhileRenewing(t *testing.T) {
	s := &stubborn{Store: state.NewMemory(nil)}
	defer s.Close()
	h := newHand()
	w := state.NewWriter(s, state.WriterOptions{Every: time.Hour})
	p, err := OpenPool(t.Context(), s, PoolOptions{Now: h.now, Writer: w})
	require.NoError(t, err)
	_, err = p.Add(t.Context(), Account{Provider: "p", Auth: AuthOAuth, Name: "a", Enabled: true, ExpiresAt: h.now()}, Credential{AccessToken: "access-1", RefreshToken: "refresh-1"})
	require.NoError(t, err)
	i := &issuer{t: t, pool: p, refresh: "refresh-1", life: time.Hour, now: h.now}
	r := NewRenewer(p, RenewerOptions{Renew: i.renew, Now: h.now})
	l := reserve(t, p, Query{Provider: "p"})
	s.broken.Store(true)
	require.NoError(t, r.Renew(t.Context(), l, false))
	require.Equal(t, "access-2", access(l))
	s.broken.Store(false)
	require.NoError(t, w.Close())
	require.NoError(t, r.Close(t.Context()))
	again := openPool(t, s, h)
	require.Equal(t, "access-2", access(reserve(t, again, Query{Provider: "p"})))
}

// stubborn is a store whose writes can fail.
type stubborn struct {
	state.Store
	broken atomic.Bool
}

func (s *stubborn) Apply(ctx context.Context, b *state.Batch) error {
	if s.broken.Load() {
		return errors.New("no space left on device")
	}
	return s.Store.Apply(ctx, b)
}

func TestNotRenewable(t *testing.T) {
	p, _, _ := pooled(t, 1)
	r := NewRenewer(p, RenewerOptions{})
	l := reserve(t, p, Query{Provider: "p"})
	require.False(t, r.Due(l))
	require.ErrorIs(t, r.Renew(t.Context(), l, true), ErrNotRenewable)
}
