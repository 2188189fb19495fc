package host

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// KV keeps what plugins store. Keys begin with the plugin's name. Get returns
// nil for a key that is not there; Delete of one is no error. A ttl of 0 is for
// ever.
type KV interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Delete(ctx context.Context, key string) error
	// Each calls f for every live key with that prefix.
	Each(ctx context.Context, prefix string, f func(key string, size int)) error
}

const (
	maxKVKey = 256                    // bytes
	maxTTL   = 400 * 86_400_000       // milliseconds
	kvWait   = 500 * time.Millisecond // longest wait for the store: a guest holds its instance meanwhile
)

// kvStore gives every plugin a part of the store of its own, whatever versions
// of it run.
type kvStore struct {
	mu     sync.Mutex
	spaces map[string]*kvSpace
	memory *memoryKV
}

// kvSpace is the store of one plugin.
type kvSpace struct {
	kv     KV
	prefix string

	mu    sync.Mutex
	sizes map[string]int // by key; nil = not counted yet
	total int
}

func (m *module) values() *kvSpace {
	s := &m.host.kv
	s.mu.Lock()
	defer s.mu.Unlock()
	name := m.manifest.Name
	if space := s.spaces[name]; space != nil {
		return space
	}
	kv := m.host.opt.KV
	if kv == nil {
		if s.memory == nil {
			s.memory = &memoryKV{now: m.host.now, have: map[string]memoryValue{}}
		}
		kv = s.memory
	}
	if s.spaces == nil {
		s.spaces = map[string]*kvSpace{}
	}
	space := &kvSpace{kv: kv, prefix: name + "/"}
	s.spaces[name] = space
	return space
}

func (s *kvSpace) get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kvWait)
	defer cancel()
	return s.kv.Get(ctx, s.prefix+key)
}

// put stores a value within the plugin's quota and returns a code of the ABI.
func (s *kvSpace) put(ctx context.Context, m *module, key string, value []byte, ttl time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, kvWait)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(key) + len(value)
	if s.sizes == nil || s.total-s.sizes[key]+size > m.limits.Values {
		if err := s.count(ctx); err != nil { // values run out by themselves
			m.log.Warn("the values of the plugin cannot be counted", "error", err)
			return abi.Denied
		}
	}
	if s.total-s.sizes[key]+size > m.limits.Values {
		return abi.TooLarge
	}
	if err := s.kv.Put(ctx, s.prefix+key, value, ttl); err != nil {
		m.log.Warn("a value of the plugin cannot be stored", "error", err)
		return abi.Denied
	}
	s.total += size - s.sizes[key]
	s.sizes[key] = size
	return 0
}

func (s *kvSpace) count(ctx context.Context) error {
	sizes, total := map[string]int{}, 0
	err := s.kv.Each(ctx, s.prefix, func(key string, size int) {
		key = strings.TrimPrefix(key, s.prefix)
		sizes[key] = len(key) + size
		total += len(key) + size
	})
	if err == nil {
		s.sizes, s.total = sizes, total
	}
	return err
}

func (s *kvSpace) remove(ctx context.Context, m *module, key string) int {
	ctx, cancel := context.WithTimeout(ctx, kvWait)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kv.Delete(ctx, s.prefix+key); err != nil {
		m.log.Warn("a value of the plugin cannot be removed", "error", err)
		return abi.Denied
	}
	if s.sizes != nil {
		s.total -= s.sizes[key]
		delete(s.sizes, key)
	}
	return 0
}

// memoryKV is the store of a host that was given none.
type memoryKV struct {
	now  func() time.Time
	mu   sync.Mutex
	have map[string]memoryValue
}

type memoryValue struct {
	bytes []byte
	until time.Time // zero = for ever
}

func (s *memoryKV) live(key string) ([]byte, bool) {
	v, ok := s.have[key]
	if ok && !v.until.IsZero() && !s.now().Before(v.until) {
		delete(s.have, key)
		return nil, false
	}
	return v.bytes, ok
}

// Get implements KV.
func (s *memoryKV) Get(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _ := s.live(key)
	return v, nil
}

// Put implements KV.
func (s *memoryKV) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := memoryValue{bytes: value}
	if v.bytes == nil {
		v.bytes = []byte{}
	}
	if ttl > 0 {
		v.until = s.now().Add(ttl)
	}
	s.have[key] = v
	return nil
}

// Delete implements KV.
func (s *memoryKV) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.have, key)
	return nil
}

// Each implements KV.
func (s *memoryKV) Each(_ context.Context, prefix string, f func(string, int)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.have {
		if v, ok := s.live(key); ok && strings.HasPrefix(key, prefix) {
			f(key, len(v))
		}
	}
	return nil
}
