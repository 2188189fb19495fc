package health

import (
	"context"
	"sync"
)

// Flights lets identical requests share one upstream call: the first of them
// runs, the others wait for its answer.
type Flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

type flight struct {
	landed chan struct{}
	answer *CachedResponse // nil = nothing to share
}

func newFlights() *Flights { return &Flights{m: map[string]*flight{}} }

// Join claims a key. With land not nil the caller is the first: it runs the
// request and calls land once, with the answer if it may be shared, else nil.
// Otherwise Join waits for the one that runs; answer is nil when that had nothing
// to share, and the caller goes its own way then: a failure is not multiplied by
// a queue of retries. The error is that of ctx.
func (f *Flights) Join(ctx context.Context, key string) (answer *CachedResponse, land func(*CachedResponse), err error) {
	f.mu.Lock()
	x := f.m[key]
	if x == nil {
		x = &flight{landed: make(chan struct{})}
		f.m[key] = x
		f.mu.Unlock()
		var once sync.Once
		return nil, func(r *CachedResponse) {
			once.Do(func() {
				f.mu.Lock()
				delete(f.m, key)
				f.mu.Unlock()
				x.answer = r
				close(x.landed)
			})
		}, nil
	}
	f.mu.Unlock()
	select {
	case <-x.landed:
		return x.answer, nil, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}
