package health

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// ErrBodyMismatch says that an idempotency key was used with another body.
var ErrBodyMismatch = errors.New("health: the idempotency key was used with another body")

// ErrWait says that the first request with this key did not end in time.
var ErrWait = errors.New("health: the first request with this idempotency key is still running")

const (
	idemTTL     = 10 * time.Minute
	idemWait    = 60 * time.Second
	idemEntries = 10_000
	idemBytes   = 32 << 20
)

// Idempotency is a bounded table of answers by idempotency key.
type Idempotency struct {
	clock clock

	mu    sync.Mutex
	m     map[string]*idemEntry
	order *list.List // of finished entries, oldest first
	bytes int64
}

type idemEntry struct {
	key    string
	body   [32]byte
	done   chan struct{}
	answer *CachedResponse
	until  time.Time
	at     *list.Element
	size   int64
}

func newIdempotency(c clock) *Idempotency {
	return &Idempotency{clock: c, m: map[string]*idemEntry{}, order: list.New()}
}

// Begin claims a key. With finish not nil the caller is the first: it runs the
// request and calls finish once with the answer, or with nil when the answer
// must not be kept (then the next caller is the first). Otherwise answer is the
// stored one, waited for if the first request is still running: 60 s at most,
// then ErrWait. ErrBodyMismatch: the key was used with another body.
func (t *Idempotency) Begin(ctx context.Context, key string, bodyHash [32]byte) (answer *CachedResponse, finish func(*CachedResponse), err error) {
	for {
		now := t.clock.now()
		t.mu.Lock()
		t.sweep(now)
		e := t.m[key]
		if e == nil {
			e = &idemEntry{key: key, body: bodyHash, done: make(chan struct{})}
			t.m[key] = e
			t.mu.Unlock()
			var once sync.Once
			return nil, func(r *CachedResponse) { once.Do(func() { t.finish(e, r) }) }, nil
		}
		stored := e.answer
		t.mu.Unlock()
		if e.body != bodyHash {
			return nil, nil, ErrBodyMismatch
		}
		if stored != nil {
			return stored, nil, nil
		}
		timer, stop := t.clock.after(idemWait)
		select {
		case <-e.done:
			stop()
			t.mu.Lock()
			stored = e.answer
			t.mu.Unlock()
			if stored != nil {
				return stored, nil, nil
			}
		case <-timer:
			return nil, nil, ErrWait
		case <-ctx.Done():
			stop()
			return nil, nil, ctx.Err()
		}
	}
}

func (t *Idempotency) finish(e *idemEntry, r *CachedResponse) {
	now := t.clock.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if r == nil {
		delete(t.m, e.key)
	} else {
		if r.Stored.IsZero() {
			r.Stored = now
		}
		e.answer, e.until, e.size = r, now.Add(idemTTL), r.size(e.key)
		e.at = t.order.PushBack(e)
		t.bytes += e.size
	}
	close(e.done)
	t.sweep(now)
}

// sweep drops what has expired or is too much; t.mu is held.
func (t *Idempotency) sweep(now time.Time) {
	for f := t.order.Front(); f != nil; f = t.order.Front() {
		e := f.Value.(*idemEntry)
		if now.Before(e.until) && t.order.Len() <= idemEntries && t.bytes <= idemBytes {
			return
		}
		t.order.Remove(f)
		t.bytes -= e.size
		delete(t.m, e.key)
	}
}
