package health

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

const (
	maxSubjects  = 100_000
	lockMemory   = 24 * time.Hour // how long a lock counts for escalation
	keptAttempts = 1000
	maxLock      = 7 * 24 * time.Hour // how long a stored lock is kept at most
)

// Lock is the state of one subject, as policies see it.
type Lock struct {
	Subject     string
	Locked      bool
	RemainingMS int64
	Attempts    int
	Locks       int // in the last 24 h
}

// Lockouts counts failures of subjects and locks them out. The table is
// bounded; the subject that was quiet the longest gives way.
type Lockouts struct {
	clock clock
	keep  *keeper

	saving sync.Mutex // one durable write at a time; never taken while mu is held
	mu     sync.Mutex
	m      map[string]*subject
}

type subject struct {
	attempts []time.Time
	locks    []time.Time
	until    time.Time
	length   time.Duration // of the present lock
	last     time.Time
	window   time.Duration
}

func newLockouts(c clock, k *keeper) *Lockouts {
	return &Lockouts{clock: c, keep: k, m: map[string]*subject{}}
}

// lockRecord is the stored form of a subject.
type lockRecord struct {
	Attempts []time.Time   `json:"attempts,omitempty"`
	Locks    []time.Time   `json:"locks,omitempty"`
	Until    time.Time     `json:"until,omitzero"`
	Length   time.Duration `json:"length,omitempty"` // of the present lock
	Window   time.Duration `json:"window"`
	Last     time.Time     `json:"last"`
}

// save writes the present state of a subject. One that was locked or let go is
// on disk before save returns; single attempts are queued, so that nobody can
// keep the disk busy by failing.
func (l *Lockouts) save(name string, now bool) {
	if l.keep == nil {
		return
	}
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	var r any
	if s := l.m[name]; s != nil {
		r = &lockRecord{Attempts: slices.Clone(s.attempts), Locks: slices.Clone(s.locks), Until: s.until, Length: s.length, Window: s.window, Last: s.last}
	}
	l.mu.Unlock()
	key := state.Key(kindLockout, name)
	if now {
		l.keep.putNow(key, r, lockMemory+maxLock)
		return
	}
	l.keep.put(key, r, lockMemory+maxLock)
}

// restore takes a stored subject.
func (l *Lockouts) restore(name string, r *lockRecord) {
	now := l.clock.now()
	past := func(list []time.Time) []time.Time {
		for i := range list {
			if list[i].After(now) {
				list[i] = now
			}
		}
		return list
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.m) >= maxSubjects {
		return
	}
	s := &subject{attempts: past(r.Attempts), locks: past(r.Locks), length: r.Length, window: r.Window, last: r.Last}
	s.until = closer(r.Until, now, r.Length)
	if s.prune(now); !s.idle() {
		l.m[name] = s
	}
}

// prune forgets what is too old. A failure exactly as old as the window is out.
func (s *subject) prune(now time.Time) {
	if !s.until.IsZero() && !now.Before(s.until) {
		s.until, s.attempts = time.Time{}, nil
	}
	s.attempts = slices.DeleteFunc(s.attempts, func(t time.Time) bool { return now.Sub(t) >= s.window })
	s.locks = slices.DeleteFunc(s.locks, func(t time.Time) bool { return now.Sub(t) >= lockMemory })
}

func (s *subject) idle() bool { return len(s.attempts) == 0 && len(s.locks) == 0 && s.until.IsZero() }

func (s *subject) view(name string, now time.Time) Lock {
	l := Lock{Subject: name, Attempts: len(s.attempts), Locks: len(s.locks)}
	if now.Before(s.until) {
		l.Locked, l.RemainingMS = true, ceilMS(s.until.Sub(now))
	}
	return l
}

// View reads a subject.
func (l *Lockouts) View(name string) Lock {
	now := l.clock.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.m[name]
	if s == nil {
		return Lock{Subject: name}
	}
	s.prune(now)
	if s.idle() {
		delete(l.m, name)
	}
	return s.view(name, now)
}

// Fail counts a failure; at limit failures within window the subject is locked
// for d.
func (l *Lockouts) Fail(name string, limit int, window, d time.Duration) Lock {
	view, locked := l.fail(name, limit, window, min(d, maxLock))
	l.save(name, locked)
	return view
}

// fail counts in memory; locked says that this failure was the one too many.
func (l *Lockouts) fail(name string, limit int, window, d time.Duration) (view Lock, locked bool) {
	now := l.clock.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.m[name]
	if s == nil {
		if len(l.m) >= maxSubjects {
			l.evict(now)
		}
		s = &subject{}
		l.m[name] = s
	}
	s.window, s.last = window, now
	s.prune(now)
	if len(s.attempts) < keptAttempts {
		s.attempts = append(s.attempts, now)
	}
	if s.until.IsZero() && limit > 0 && len(s.attempts) >= limit {
		s.until, s.length, locked = now.Add(d), d, true
		s.locks = append(s.locks, now)
	}
	return s.view(name, now), locked
}

// evict makes room; l.mu is held.
func (l *Lockouts) evict(now time.Time) {
	oldest, at := "", now
	for name, s := range l.m {
		if s.prune(now); s.idle() {
			delete(l.m, name)
		} else if !s.last.After(at) && !now.Before(s.until) {
			oldest, at = name, s.last
		}
	}
	if len(l.m) >= maxSubjects && oldest != "" {
		delete(l.m, oldest)
	}
}

// Clear forgets a subject; it reports whether it was known.
func (l *Lockouts) Clear(name string) bool {
	l.mu.Lock()
	_, known := l.m[name]
	delete(l.m, name)
	l.mu.Unlock()
	if known {
		l.save(name, true)
	}
	return known
}

// List reads the subjects that are locked now.
func (l *Lockouts) List() []Lock {
	now := l.clock.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Lock
	for name, s := range l.m {
		if now.Before(s.until) {
			out = append(out, s.view(name, now))
		}
	}
	slices.SortFunc(out, func(a, b Lock) int { return cmp.Compare(a.Subject, b.Subject) })
	return out
}

// Bans is the table of temporary address bans.
type Bans struct {
	clock clock
	keep  *keeper

	mu sync.RWMutex
	m  map[string]Ban
}

// Ban is one banned address.
type Ban struct {
	IP     string
	Until  time.Time
	Reason string
}

func newBans(c clock, k *keeper) *Bans { return &Bans{clock: c, keep: k, m: map[string]Ban{}} }

// banRecord is the stored form of a ban.
type banRecord struct {
	Until  time.Time     `json:"until"`
	Length time.Duration `json:"length"`
	Reason string        `json:"reason,omitempty"`
}

func (b *Bans) restore(ip string, r *banRecord) {
	now := b.clock.now()
	until := closer(r.Until, now, r.Length)
	if !now.Before(until) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[ip] = Ban{IP: ip, Until: until, Reason: r.Reason}
}

// Add bans an address for d.
func (b *Bans) Add(ip string, d time.Duration, reason string) {
	now := b.clock.now()
	defer b.keep.putNow(state.Key(kindBan, ip), &banRecord{Until: now.Add(d), Length: d, Reason: reason}, d)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.m) >= maxSubjects {
		for k, x := range b.m {
			if !now.Before(x.Until) {
				delete(b.m, k)
			}
		}
	}
	b.m[ip] = Ban{IP: ip, Until: now.Add(d), Reason: reason}
}

// Remove lifts a ban.
func (b *Bans) Remove(ip string) bool {
	defer b.keep.putNow(state.Key(kindBan, ip), nil, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.m[ip]
	delete(b.m, ip)
	return known
}

// Banned reports whether an address is banned now.
func (b *Bans) Banned(ip string) bool {
	b.mu.RLock()
	x, ok := b.m[ip]
	b.mu.RUnlock()
	if !ok {
		return false
	}
	if b.clock.now().Before(x.Until) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m[ip] == x {
		delete(b.m, ip)
	}
	return false
}

// List reads the bans in force.
func (b *Bans) List() []Ban {
	now := b.clock.now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []Ban
	for _, x := range b.m {
		if now.Before(x.Until) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b Ban) int { return cmp.Compare(a.IP, b.IP) })
	return out
}
