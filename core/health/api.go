package health

import (
	"context"
	"time"
)

// Options configure the tables.
type Options struct {
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// CacheBytes, CacheEntries and CacheEntry bound the response cache; 0 = defaults
	// (32 MiB, 10,000, 1 MiB).
	CacheBytes   int64
	CacheEntries int
	CacheEntry   int64
}

// Health is the set of tables.
type Health struct {
	Breakers *Breakers
	Limits   *Limiters
	Gates    *Gates
	Lockouts *Lockouts
	Bans     *Bans
	Stats    *Stats
	Combos   *Combos
	Cache    *Cache
	Idem     *Idempotency
}

// New makes empty tables.
func New(opt Options) *Health { panic("api") }

// BreakerState is closed, half_open or open.
type BreakerState string

// The states.
const (
	Closed   BreakerState = "closed"
	HalfOpen BreakerState = "half_open"
	Open     BreakerState = "open"
)

// Breaker is a snapshot of one breaker, as policies see it.
type Breaker struct {
	Name         string
	State        BreakerState
	Failures     int // consecutive
	WindowTotal  int // of the last 60 s
	WindowFailed int
	Reopens      int   // failed probes since it was last closed
	SinceMS      int64 // time in this state
	RetryAfterMS int64 // until the next probe when open, else 0
}

// Outcome of an attempt, as the breaker rules judged it.
type Outcome struct {
	Success bool
	// Ignored outcomes (aborts, client errors) count as nothing.
	Ignored bool
	// Trip decides about a counted failure, with the counts that include it;
	// nil = five consecutive failures for 30 s.
	Trip func(Breaker) (open bool, reset time.Duration)
}

// Breakers is a table of circuit breakers by name.
type Breakers struct{}

// Allow asks to pass. done must be called exactly once when ok; further calls
// do nothing. A half-open breaker admits one probe at a time.
func (b *Breakers) Allow(name string) (done func(Outcome), ok bool) { panic("api") }

// Force passes an open breaker, for the last resort when every target is open.
func (b *Breakers) Force(name string) (done func(Outcome)) { panic("api") }

// View reads a breaker without changing it.
func (b *Breakers) View(name string) Breaker { panic("api") }

// List reads all breakers by name.
func (b *Breakers) List() []Breaker { panic("api") }

// Reset closes a breaker; "" closes all.
func (b *Breakers) Reset(name string) { panic("api") }

// Limit of one scope; 0 = none.
type Limit struct {
	RPM, TPM, RPD int
	Concurrency   int
	Gap           time.Duration // between starts
	MaxWait       time.Duration // longest wait; 0 = 10 s
}

// LimitError says that the wait would be longer than allowed.
type LimitError struct {
	Scope string
	Kind  string        // rpm, tpm, rpd, gap, concurrency, paused
	Wait  time.Duration // projected
}

func (e *LimitError) Error() string { panic("api") }

// Learned is what response headers taught about a scope.
type Learned struct {
	Gap       time.Duration // -1 = unchanged
	Reservoir int           // starts left, -1 = unchanged
	Refill    int
	Every     time.Duration
	Open      bool // forget reservoir and gap
}

// Limiters is a table of rate limiters by scope.
type Limiters struct{}

// Acquire waits for its turn in all scopes, or fails at once with *LimitError
// when the projected wait is too long. tokens is the estimate. release must be
// called at the end of the request with the tokens really used (-1 = estimate).
func (l *Limiters) Acquire(ctx context.Context, scope string, limit Limit, tokens int64) (release func(used int64), err error) {
	panic("api")
}

// Learn applies what a response said.
func (l *Limiters) Learn(scope string, v Learned) { panic("api") }

// Pause stops starts for d and fails waiters whose wait becomes too long.
func (l *Limiters) Pause(scope string, d time.Duration) { panic("api") }

// LimiterView is a snapshot of one limiter.
type LimiterView struct {
	Scope                 string
	Queued, Running, Done int
	Reservoir             int // -1 = off
	PausedMS              int64
}

// List reads all limiters by scope.
func (l *Limiters) List() []LimiterView { panic("api") }

// Gates are FIFO semaphores by name.
type Gates struct{}

// Enter waits at most wait for one of n places. leave is idempotent.
func (g *Gates) Enter(ctx context.Context, name string, n int, wait time.Duration) (leave func(), err error) {
	panic("api")
}

// Shut closes a gate for d; waiters wait on.
func (g *Gates) Shut(name string, d time.Duration) { panic("api") }

// Lock is the state of one subject, as policies see it.
type Lock struct {
	Subject     string
	Locked      bool
	RemainingMS int64
	Attempts    int
	Locks       int // in the last 24 h
}

// Lockouts counts failures of subjects and locks them out.
type Lockouts struct{}

// View reads a subject without changing it.
func (l *Lockouts) View(subject string) Lock { panic("api") }

// Fail counts a failure; at max failures within window the subject is locked
// for d.
func (l *Lockouts) Fail(subject string, max int, window, d time.Duration) Lock { panic("api") }

// Clear forgets a subject; it reports whether it was known.
func (l *Lockouts) Clear(subject string) bool { panic("api") }

// List reads the locked subjects.
func (l *Lockouts) List() []Lock { panic("api") }

// Bans is the table of temporary address bans.
type Bans struct{}

// Ban is one banned address.
type Ban struct {
	IP     string
	Until  time.Time
	Reason string
}

// Add bans an address for d.
func (b *Bans) Add(ip string, d time.Duration, reason string) { panic("api") }

// Remove lifts a ban.
func (b *Bans) Remove(ip string) bool { panic("api") }

// Banned reports whether an address is banned.
func (b *Bans) Banned(ip string) bool { panic("api") }

// List reads the bans.
func (b *Bans) List() []Ban { panic("api") }

// TargetStats is a snapshot of one target over the last ten minutes; -1 =
// unknown.
type TargetStats struct {
	Requests       int
	RequestsMinute int
	TokensMinute   int64
	Inflight       int
	Errors30s      int
	SuccessRate    float64
	P50MS, P95MS   float64
	TTFTMS         float64 // mean
	TPS            float64 // completion tokens per second
	LastOKMS       int64   // age
}

// Sample is one finished attempt.
type Sample struct {
	OK        bool
	Ignored   bool // aborted by the client: only ends the in-flight count
	Latency   time.Duration
	TTFT      time.Duration // 0 = unknown
	TokensIn  int64
	TokensOut int64
}

// Stats is a table of target statistics.
type Stats struct{}

// Begin counts a start; end must be called once.
func (s *Stats) Begin(target string) (end func(Sample)) { panic("api") }

// View reads a target.
func (s *Stats) View(target string) TargetStats { panic("api") }

// Combos is a table of combo counters.
type Combos struct{}

// Counter is the next round-robin index of a combo (never reduced modulo its size).
func (c *Combos) Counter(name string) int { panic("api") }

// Served notes which member served: the counter continues behind it.
func (c *Combos) Served(name string, index int, target string) { panic("api") }

// LastGood is the target that served last; "" if none did.
func (c *Combos) LastGood(name string) string { panic("api") }

// CachedResponse is a stored answer.
type CachedResponse struct {
	Status  int
	Headers [][2]string
	Body    []byte
	Model   string
	Target  string
	Tokens  int64
	Stored  time.Time
}

// Cache is a bounded LRU of answers.
type Cache struct{}

// Get finds an answer that has not expired.
func (c *Cache) Get(key string) (*CachedResponse, bool) { panic("api") }

// Put stores an answer; it reports whether it fits.
func (c *Cache) Put(key string, r *CachedResponse, ttl time.Duration) bool { panic("api") }

// Purge drops entries that match; nil = all.
func (c *Cache) Purge(match func(key string, r *CachedResponse) bool) int { panic("api") }

// CacheStats are the cache's numbers.
type CacheStats struct {
	Entries                 int
	Bytes, MaxBytes         int64
	Hits, Misses, Evictions int64
	TokensSaved             int64
}

// Stats reads the numbers.
func (c *Cache) Stats() CacheStats { panic("api") }

// Idempotency is a table of answers by idempotency key.
type Idempotency struct{}

// Begin claims a key. first: run the request and call finish once (nil answer =
// do not store). Otherwise the stored or awaited answer is returned.
// ErrBodyMismatch: the key was used with another body.
func (i *Idempotency) Begin(ctx context.Context, key string, bodyHash [32]byte) (answer *CachedResponse, finish func(*CachedResponse), err error) {
	panic("api")
}
