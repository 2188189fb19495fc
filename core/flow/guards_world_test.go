package flow_test

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/state"
)

// coolWrites notes the backoff level whenever a failing account is written.
type coolWrites struct {
	state.Store
	mu   sync.Mutex
	seen []int
}

func (s *coolWrites) note(key string, value []byte) {
	var c account.Condition
	if !strings.Contains(key, "d/cool/") || json.Unmarshal(value, &c) != nil || c.CoolUntil.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, c.Backoff)
}

func (s *coolWrites) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.note(key, value)
	return s.Store.Put(ctx, key, value, ttl)
}

func (s *coolWrites) backoffs() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.seen...)
}
