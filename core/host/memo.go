package host

import "sync"

// planMemo remembers plans that follow from their input record alone. Guests
// are deterministic (equal input, equal output), so asking again would give
// the same plan: a request that passes through unchanged then costs no guest
// call at all. It belongs to one executor of one generation and goes with it.
type planMemo struct {
	mu    sync.RWMutex
	plans map[memoKey]*Planned
}

// memoKey holds the profile by identity: a changed profile is another one.
type memoKey struct {
	profile *Profile
	record  string
}

// maxMemo bounds the plans kept; a full memo starts anew.
const maxMemo = 1024

// maxMemoRecord keeps large records (many client headers) out.
const maxMemoRecord = 2 << 10

func (m *planMemo) find(p *Profile, record []byte) *Planned {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := m.plans[memoKey{p, string(record)}]
	if found == nil {
		return nil
	}
	plan := *found.Send // callers may set fields; what these point to is shared
	return &Planned{Send: &plan}
}

func (m *planMemo) keep(p *Profile, record []byte, out *Planned) {
	if len(record) > maxMemoRecord {
		return
	}
	kept := *out.Send
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plans == nil || len(m.plans) >= maxMemo {
		m.plans = make(map[memoKey]*Planned, 16)
	}
	m.plans[memoKey{p, string(record)}] = &Planned{Send: &kept}
}
