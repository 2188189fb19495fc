package account

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/fault"
)

// ErrNotRenewable says that an account has no credential that can be renewed.
var ErrNotRenewable = errors.New("account: the credential cannot be renewed")

// RefusedError says that a provider refuses to renew a credential for good: it
// was revoked, or used already.
type RefusedError struct{ Err error }

// Error implements error.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap gives what the provider said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Times of renewals.
const (
	renewLead    = 5 * time.Minute
	renewTimeout = 30 * time.Second // of one try
	renewFirst   = 10 * time.Second // after the start
	renewTick    = time.Minute
	renewQuiet   = 30 * time.Second // after a passing failure, for who need not renew yet
	renewAtOnce  = 4
	renewUsed    = 0.75 // part of its life after which a token may be renewed ahead
)

// renewPauses are the waits before each try.
var renewPauses = [...]time.Duration{0, time.Second, 2 * time.Second}

// RenewerOptions configure a Renewer.
type RenewerOptions struct {
	// Renew asks the provider for a new credential: one try. A *RefusedError means
	// that trying again is useless.
	Renew func(ctx context.Context, id string) (Tokens, error)
	// Lead is how long before its end a provider's token is renewed; nil or 0 = 5
	// minutes, negative = never ahead.
	Lead func(provider string) time.Duration
	// Now is the clock; nil = time.Now. Sleep waits; nil = a timer.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger // nil = none
}

// Renewer keeps credentials fresh. Renewals of one account never run side by
// side, whoever asks for them: refresh tokens often serve once. A renewal goes on
// when those who wait for it leave, as its result must not be lost.
type Renewer struct {
	pool *Pool
	opt  RenewerOptions
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	runs   map[string]*renewal
	quiet  map[string]time.Time // until when an account is left alone
	closed bool
}

// renewal is one that runs.
type renewal struct {
	done chan struct{}
	err  error
}

// NewRenewer makes a renewer for the accounts of a pool.
func NewRenewer(p *Pool, opt RenewerOptions) *Renewer {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	r := &Renewer{pool: p, opt: opt, runs: map[string]*renewal{}, quiet: map[string]time.Time{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Due reports whether the credential of a lease should be renewed before use.
func (r *Renewer) Due(l *Lease) bool {
	h := l.held.Load()
	if h.cred.RefreshToken == "" || h.info.ExpiresAt.IsZero() || h.info.FromFile {
		return false
	}
	now := r.opt.Now()
	if now.Before(h.info.ExpiresAt.Add(-r.lead(h.info.Provider))) {
		return false
	}
	t, ok := r.pool.Token(h.info.ID)
	return ok && !r.resting(&t, now)
}

func (r *Renewer) lead(provider string) time.Duration {
	if r.opt.Lead != nil {
		if d := r.opt.Lead(provider); d != 0 {
			return max(d, 0)
		}
	}
	return renewLead
}

// resting reports an account that was tried lately, or is not tried any more.
func (r *Renewer) resting(t *Token, now time.Time) bool {
	if t.RenewFails > 0 {
		return t.RenewAt.IsZero() || now.Before(t.RenewAt)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.quiet[t.ID])
}

// Renew makes sure that a lease has a newer credential than the one it holds:
// another's, if it has been renewed since, or a new one. rejected says that the
// provider did not take the one it holds. Afterwards the lease gives what is
// stored, also with an error.
func (r *Renewer) Renew(ctx context.Context, l *Lease, rejected bool) error {
	h := l.held.Load()
	err := r.renew(ctx, h.info.ID, h.token, rejected)
	l.Reload()
	return err
}

func (r *Renewer) renew(ctx context.Context, id string, seen uint64, rejected bool) error {
	t, ok := r.pool.Token(id)
	switch {
	case !ok || !t.Refresh:
		return ErrNotRenewable
	case t.Version != seen:
		return nil
	case rejected && t.RenewFails > 0 && r.resting(&t, r.opt.Now()):
		r.pool.Rejected(id)
		return &RefusedError{fault.New(fault.InvalidKey, "The account has to be connected again")}
	}
	run, err := r.join(id, seen, rejected)
	if err != nil {
		return err
	}
	select {
	case <-run.done:
		return run.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join finds the renewal of an account that runs, or starts one.
func (r *Renewer) join(id string, seen uint64, rejected bool) (*renewal, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if run := r.runs[id]; run != nil {
		return run, nil
	}
	if r.closed {
		return nil, context.Canceled
	}
	run := &renewal{done: make(chan struct{})}
	r.runs[id] = run
	r.work.Go(func() {
		run.err = r.run(id, seen, rejected)
		r.mu.Lock()
		delete(r.runs, id)
		r.mu.Unlock()
		close(run.done)
	})
	return run, nil
}

// run renews one credential. What is stored is read again first: whoever asked
// may have seen an older one.
func (r *Renewer) run(id string, seen uint64, rejected bool) error {
	ctx := r.ctx
	if t, ok := r.pool.Token(id); !ok || t.Version != seen || r.pool.reread(ctx, id) {
		return nil
	}
	tokens, err := r.try(ctx, id)
	if err == nil {
		if err := r.pool.Renewed(context.WithoutCancel(ctx), id, tokens); err != nil {
			r.opt.Log.LogAttrs(ctx, slog.LevelError, "a renewed credential is not on disk yet", slog.String("account", id), slog.Any("error", err))
		}
		r.rest(id, 0)
		return nil
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		r.pool.RenewFailed(id, refused.Error(), rejected)
	} else {
		r.rest(id, renewQuiet)
	}
	r.opt.Log.LogAttrs(ctx, slog.LevelWarn, "a credential cannot be renewed", slog.String("account", id),
		slog.Bool("for_good", refused != nil), slog.String("error", err.Error()))
	return err
}

// try asks the provider, up to three times where the failure may pass.
func (r *Renewer) try(ctx context.Context, id string) (t Tokens, err error) {
	for _, pause := range renewPauses {
		if r.opt.Sleep(ctx, pause) != nil {
			break
		}
		one, cancel := context.WithTimeout(ctx, renewTimeout)
		t, err = r.opt.Renew(one, id)
		cancel()
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) || errors.Is(err, ErrNotRenewable) {
			return t, err
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return t, err
}

// rest leaves an account alone for a while; 0 ends that.
func (r *Renewer) rest(id string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d <= 0 {
		delete(r.quiet, id)
		return
	}
	r.quiet[id] = r.opt.Now().Add(d)
}

// Run looks after all credentials until ctx ends: those whose end is near, and at
// each account's own interval those that have lived most of their life.
func (r *Renewer) Run(ctx context.Context) {
	for pause := renewFirst; r.opt.Sleep(ctx, pause) == nil; pause = renewTick {
		r.Sweep(ctx)
	}
}

// Sweep looks after all credentials once.
func (r *Renewer) Sweep(ctx context.Context) {
	places := make(chan struct{}, renewAtOnce)
	var work sync.WaitGroup
	for _, t := range r.pool.Tokens() {
		if !t.Refresh || t.Every == 0 {
			continue
		}
		look, renew := r.wants(&t)
		if !look {
			continue
		}
		if !renew {
			r.pool.Checked(t.ID)
			continue
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			work.Wait()
			return
		}
		work.Go(func() {
			defer func() { <-places }()
			_ = r.renew(ctx, t.ID, t.Version, false) // logged, and noted in the account
		})
	}
	work.Wait()
}

// wants tells whether the background looks at a credential now, and whether it
// renews it.
func (r *Renewer) wants(t *Token) (look, renew bool) {
	now := r.opt.Now()
	if r.resting(t, now) {
		return false, false
	}
	if t.RenewFails > 0 {
		return true, true
	}
	if !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt.Add(-r.lead(t.Provider))) {
		return true, true
	}
	every := time.Duration(float64(t.Every) * (0.9 + 0.2*rand.Float64())) // so that accounts added together part
	if now.Sub(t.CheckedAt) < every {
		return false, false
	}
	life := t.ExpiresAt.Sub(t.IssuedAt)
	if t.ExpiresAt.IsZero() || t.IssuedAt.IsZero() || life <= 0 {
		return true, t.ExpiresAt.IsZero() // nobody knows when it ends
	}
	return true, now.After(t.IssuedAt.Add(time.Duration(float64(life) * renewUsed)))
}

// Close waits for renewals that run, until ctx ends: a new refresh token that
// gets lost cannot be had again.
func (r *Renewer) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.work.Wait(); close(done) }()
	select {
	case <-done:
		r.stop()
		return nil
	case <-ctx.Done():
	}
	r.stop()
	<-done
	return ctx.Err()
}

// Ensure is Renew for who holds no lease: version is that of the [Token] that the
// provider rejected.
func (r *Renewer) Ensure(ctx context.Context, id string, version uint64) error {
	return r.renew(ctx, id, version, true)
}
