package state

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// memory is an engine without a disk, for tests and for gateways that shall
// leave no trace.
type memory struct {
	feed feed
	ids  *IDSource
	now  func() time.Time

	mu     sync.RWMutex
	data   map[string]memValue
	keys   []string // sorted
	closed bool
}

type memValue struct {
	value   []byte
	expires time.Time
}

// NewMemory makes an empty engine without a disk. now is its clock; nil =
// time.Now.
func NewMemory(now func() time.Time) Store {
	if now == nil {
		now = time.Now
	}
	return &memory{ids: NewIDSource(now), now: now, data: map[string]memValue{}}
}

func (m *memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// live returns the value of a key that has not expired, nil if there is none.
func (m *memory) live(key string) []byte {
	v, ok := m.data[key]
	if !ok || !v.expires.IsZero() && !m.now().Before(v.expires) {
		return nil
	}
	return v.value
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	v := m.live(key)
	if v == nil {
		return nil, ErrNotFound
	}
	return nonNil(bytes.Clone(v)), nil
}

func (m *memory) Scan(ctx context.Context, q Query, fn func(Entry) error) error {
	m.mu.RLock()
	if err := m.usable(ctx); err != nil {
		m.mu.RUnlock()
		return err
	}
	lo := sort.SearchStrings(m.keys, q.Prefix)
	hi := lo + sort.Search(len(m.keys)-lo, func(i int) bool { return !strings.HasPrefix(m.keys[lo+i], q.Prefix) })
	keys := slices.Clone(m.keys[lo:hi])
	if q.Reverse {
		slices.Reverse(keys)
	}
	var out []Entry
	for _, k := range keys {
		if q.After != "" && (!q.Reverse && k <= q.After || q.Reverse && k >= q.After) {
			continue
		}
		v := m.live(k)
		if v == nil {
			continue
		}
		e := Entry{Key: k, Expires: m.data[k].expires}
		if !q.KeysOnly {
			e.Value = nonNil(bytes.Clone(v))
		}
		if out = append(out, e); q.Limit > 0 && len(out) == q.Limit {
			break
		}
	}
	m.mu.RUnlock()
	for _, e := range out {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(e); errors.Is(err, ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) set(key string, value []byte, ttl time.Duration) {
	v := memValue{value: nonNil(bytes.Clone(value))}
	if ttl > 0 {
		v.expires = m.now().Add(ttl)
	}
	if _, known := m.data[key]; !known {
		i := sort.SearchStrings(m.keys, key)
		m.keys = slices.Insert(m.keys, i, key)
	}
	m.data[key] = v
}

func (m *memory) remove(key string) {
	if _, known := m.data[key]; known {
		delete(m.data, key)
		i := sort.SearchStrings(m.keys, key)
		m.keys = slices.Delete(m.keys, i, i+1)
	}
}

func (m *memory) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	var b Batch
	b.Put(key, value, ttl)
	return m.Apply(ctx, &b)
}

func (m *memory) Delete(ctx context.Context, key string) error {
	var b Batch
	b.Delete(key)
	return m.Apply(ctx, &b)
}

func (m *memory) Apply(ctx context.Context, b *Batch) error {
	if err := checkOps(b.ops); err != nil {
		return err
	}
	var changes []Change
	return m.feed.commit(func() []Change { return changes }, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := m.usable(ctx); err != nil {
			return err
		}
		sums, err := m.sums(b.ops)
		if err != nil {
			return err
		}
		for i, o := range b.ops {
			switch o.kind {
			case opDelete:
				m.remove(o.key)
				changes = append(changes, Change{Key: o.key, Deleted: true})
				continue
			case opAdd:
				o.value = counterValue(sums[i])
			}
			m.set(o.key, o.value, o.ttl)
			changes = append(changes, Change{Key: o.key, Value: o.value})
		}
		return nil
	})
}

// sums computes all counters of a batch first, so that a bad one changes
// nothing.
func (m *memory) sums(ops []op) ([]int64, error) {
	sums := make([]int64, len(ops))
	seen := map[string][]byte{} // values written earlier in this batch
	for i, o := range ops {
		switch o.kind {
		case opPut:
			seen[o.key] = nonNil(o.value)
		case opDelete:
			seen[o.key] = nil
		case opAdd:
			old, written := seen[o.key]
			if !written {
				old = m.live(o.key)
			}
			if old != nil {
				n, err := Counter(old)
				if err != nil {
					return nil, err
				}
				sums[i] = n
			}
			sums[i] += o.delta
			seen[o.key] = counterValue(sums[i])
		}
	}
	return sums, nil
}

func (m *memory) CompareAndSwap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	if err := checkOps([]op{{key: key, value: value}}); err != nil {
		return false, err
	}
	swapped := false
	var changes []Change
	err := m.feed.commit(func() []Change { return changes }, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := m.usable(ctx); err != nil {
			return err
		}
		if !sameValue(m.live(key), old) {
			return nil
		}
		swapped = true
		if value == nil {
			m.remove(key)
			changes = []Change{{Key: key, Deleted: true}}
			return nil
		}
		m.set(key, value, ttl)
		changes = []Change{{Key: key, Value: bytes.Clone(value)}}
		return nil
	})
	return swapped, err
}

func (m *memory) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (sum int64, err error) {
	if err := checkOps([]op{{key: key}}); err != nil {
		return 0, err
	}
	var change Change
	err = m.feed.commit(func() []Change { return []Change{change} }, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := m.usable(ctx); err != nil {
			return err
		}
		sums, err := m.sums([]op{{kind: opAdd, key: key, delta: delta}})
		if err != nil {
			return err
		}
		sum = sums[0]
		change = Change{Key: key, Value: counterValue(sum)}
		m.set(key, change.Value, ttl)
		return nil
	})
	return sum, err
}

func (m *memory) Append(ctx context.Context, log string, value []byte, ttl time.Duration) (string, error) {
	id := m.ids.Next()
	return id, m.Put(ctx, log+"/"+id, value, ttl)
}

func (m *memory) Changes(ctx context.Context, prefix string) (<-chan Change, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	return m.feed.subscribe(ctx, prefix)
}

func (m *memory) Sync(ctx context.Context) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.usable(ctx)
}

func (m *memory) Size() int64 { return 0 }

func (m *memory) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.feed.close()
	return nil
}
