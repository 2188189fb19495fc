package health

import (
	"hash/maphash"
	"sync"
)

// table is a sharded map from names to things with locks of their own. Reads
// of things that exist take a read lock only.
type table[T any] struct {
	seed   maphash.Seed
	make   func(name string) *T
	shards [32]struct {
		mu sync.RWMutex
		m  map[string]*T
	}
}

func newTable[T any](mk func(name string) *T) *table[T] {
	t := &table[T]{seed: maphash.MakeSeed(), make: mk}
	for i := range t.shards {
		t.shards[i].m = map[string]*T{}
	}
	return t
}

func (t *table[T]) shard(name string) *struct {
	mu sync.RWMutex
	m  map[string]*T
} {
	return &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
}

// find returns nil for a name nobody used.
func (t *table[T]) find(name string) *T {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[name]
}

func (t *table[T]) get(name string) *T {
	if v := t.find(name); v != nil {
		return v
	}
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.m[name]
	if v == nil {
		v = t.make(name)
		s.m[name] = v
	}
	return v
}

// each visits everything, in no order. fn must not use the table.
func (t *table[T]) each(fn func(name string, v *T)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for name, v := range s.m {
			fn(name, v)
		}
		s.mu.RUnlock()
	}
}
