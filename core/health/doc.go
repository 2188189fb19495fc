// Package health holds the guards of the request path: circuit breakers, rate
// limiters and concurrency gates, lockouts and bans, statistics of targets,
// counters of combos, the response cache and the idempotency table. Everything
// lives in memory, each table under its own locks, with a clock that tests can
// replace; reading a snapshot is cheap because policies ask once per target.
//
//	h := health.New(health.Options{})
//	probe, ok := h.Breakers.Allow("openai")
//	release, err := h.Limits.Acquire(ctx, "account:a1", limit, tokens)
//
// The package holds mechanism only: whether a failure counts, when a breaker
// trips and how long a client is locked out are decisions of policies and come
// in as arguments.
package health
