package account

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// ErrNoQuota says that a provider tells no quotas.
var ErrNoQuota = errors.New("account: the provider tells no quotas")

// LimitedError says that the quota endpoint itself is limited.
type LimitedError struct {
	RetryAfter time.Duration // 0 = unknown
	Err        error
}

// Error implements error.
func (e *LimitedError) Error() string { return e.Err.Error() }

// Unwrap gives what the provider said.
func (e *LimitedError) Unwrap() error { return e.Err }

// Times of quota look-ups.
const (
	quotaFresh   = 5 * time.Minute // how long an answer serves; exhausted accounts are asked again after it too
	quotaTick    = time.Minute
	quotaAtOnce  = 5
	quotaTimeout = 30 * time.Second
	quotaNever   = time.Hour       // before a provider that tells none is asked again
	quotaBackoff = 5 * time.Minute // first pause after a refusal; doubles
	quotaPause   = time.Hour       // longest
)

// QuotasOptions configure Quotas.
type QuotasOptions struct {
	// Fetch asks a provider what an account has left. ErrNoQuota: it tells none;
	// *LimitedError: it was asked too often.
	Fetch func(ctx context.Context, id string) (Quota, error)
	Now   func() time.Time                                 // nil = time.Now
	Sleep func(ctx context.Context, d time.Duration) error // nil = a timer
	Log   *slog.Logger                                     // nil = none
}

// Quotas asks providers for the quotas of accounts: on demand, and in the
// background for those that are in use and whose responses tell nothing. What
// comes goes into the pool.
type Quotas struct {
	pool *Pool
	opt  QuotasOptions

	mu   sync.Mutex
	next map[string]quotaWait
	runs map[string]*quotaRun
}

type quotaWait struct {
	at       time.Time
	refusals int
	err      error
}

type quotaRun struct {
	done chan struct{}
	err  error
}

// NewQuotas makes the look-up for the accounts of a pool.
func NewQuotas(p *Pool, opt QuotasOptions) *Quotas {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Quotas{pool: p, opt: opt, next: map[string]quotaWait{}, runs: map[string]*quotaRun{}}
}

// Get returns the quota of an account, asking the provider if what is known is
// older than five minutes. Askers of one account share one request. With an error
// the last known quota is returned beside it.
func (q *Quotas) Get(ctx context.Context, id string) (Quota, error) {
	known, ok := q.pool.Quota(id)
	now := q.opt.Now()
	if ok && now.Sub(known.FetchedAt) < quotaFresh {
		return known, nil
	}
	q.mu.Lock()
	if w := q.next[id]; now.Before(w.at) {
		q.mu.Unlock()
		return known, w.err
	}
	run := q.runs[id]
	if run == nil {
		run = &quotaRun{done: make(chan struct{})}
		q.runs[id] = run
		q.mu.Unlock()
		q.fetch(ctx, id, run)
	} else {
		q.mu.Unlock()
	}
	select {
	case <-run.done:
		known, _ = q.pool.Quota(id)
		return known, run.err
	case <-ctx.Done():
		return known, ctx.Err()
	}
}

// fetch asks the provider and notes when that makes sense again.
func (q *Quotas) fetch(ctx context.Context, id string, run *quotaRun) {
	ctx, cancel := context.WithTimeout(ctx, quotaTimeout)
	defer cancel()
	got, err := q.opt.Fetch(ctx, id)
	if err == nil {
		q.pool.SetQuota(id, got)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.runs, id)
	wait := quotaWait{err: err}
	var limited *LimitedError
	switch {
	case err == nil:
	case errors.Is(err, ErrNoQuota):
		wait.at = q.opt.Now().Add(quotaNever)
	case errors.As(err, &limited):
		wait.refusals = q.next[id].refusals + 1
		pause := min(quotaBackoff<<min(wait.refusals-1, 10), quotaPause)
		wait.at = q.opt.Now().Add(max(pause, limited.RetryAfter))
	case ctx.Err() == nil:
		wait.at = q.opt.Now().Add(quotaTick)
	}
	q.next[id] = wait
	if wait.at.IsZero() {
		delete(q.next, id)
	}
	run.err = err
	close(run.done)
	if err != nil && !errors.Is(err, ErrNoQuota) {
		q.opt.Log.LogAttrs(ctx, slog.LevelDebug, "a quota cannot be read", slog.String("account", id), slog.Any("error", err))
	}
}

// Run looks up quotas in the background until ctx ends.
func (q *Quotas) Run(ctx context.Context) {
	for q.opt.Sleep(ctx, quotaTick) == nil {
		q.Sweep(ctx)
	}
}

// Sweep asks once for the quotas of accounts in use that are not told otherwise,
// five at a time.
func (q *Quotas) Sweep(ctx context.Context) {
	places := make(chan struct{}, quotaAtOnce)
	var work sync.WaitGroup
	for _, id := range q.pool.polled(quotaFresh) {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			work.Wait()
			return
		}
		work.Go(func() {
			defer func() { <-places }()
			_, _ = q.Get(ctx, id) // logged
		})
	}
	work.Wait()
}
