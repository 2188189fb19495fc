package health

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	maxSubjects  = 100_000
	lockMemory   = 24 * time.Hour // how long a lock counts for escalation
	keptAttempts = 1000
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

	mu sync.Mutex
	m  map[string]*subject
}

type subject struct {
	attempts []time.Time
	locks    []time.Time
	until    time.Time
	last     time.Time
	window   time.Duration
}

func newLockouts(c clock) *Lockouts { return &Lockouts{clock: c, m: map[string]*subject{}} }

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
		s.until = now.Add(d)
		s.locks = append(s.locks, now)
	}
	return s.view(name, now)
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
	defer l.mu.Unlock()
	_, known := l.m[name]
	delete(l.m, name)
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

	mu sync.RWMutex
	m  map[string]Ban
}

// Ban is one banned address.
type Ban struct {
	IP     string
	Until  time.Time
	Reason string
}

func newBans(c clock) *Bans { return &Bans{clock: c, m: map[string]Ban{}} }

// Add bans an address for d.
func (b *Bans) Add(ip string, d time.Duration, reason string) {
	now := b.clock.now()
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
