// Package health holds the guards of the request path: circuit breakers, rate
// limiters and concurrency gates, lockouts and bans, statistics of targets,
// counters of combos, the response cache, the idempotency table and flights that
// identical requests share. Everything lives in memory, each table under its own
// locks, with a clock that tests can replace; reading a snapshot is cheap because
// policies ask once per target. With a store, what a restart must not forget is
// written through: breakers, learnt limits and cached answers a moment later,
// lockouts and bans before the call returns.
//
//	h := health.New(health.Options{Store: store, Writer: writer})
//	err := h.Restore(ctx)
//	probe, ok := h.Breakers.Allow("openai")
//	release, err := h.Limits.Acquire(ctx, "account:a1", limit, tokens)
//
// The package holds mechanism only: whether a failure counts, when a breaker
// trips and how long a client is locked out are decisions of policies and come
// in as arguments.
package health
