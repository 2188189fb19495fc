package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// amount is what a bucket counts.
type amount struct{ usd, requests, tokens int64 }

func (a *amount) add(b amount) {
	a.usd += b.usd
	a.requests += b.requests
	a.tokens += b.tokens
}

// times scales by 1 or -1.
func (a amount) times(sign int64) amount {
	return amount{usd: a.usd * sign, requests: a.requests * sign, tokens: a.tokens * sign}
}

func (a amount) in(u Unit) int64 {
	switch u {
	case USD:
		return a.usd
	case Tokens:
		return a.tokens
	default:
		return a.requests
	}
}

// tier is one grain of buckets.
type tier uint8

const (
	minutes tier = iota
	hours
	days
	months
	total
	tiers
)

// tierName is the segment of stored keys.
var tierName = [tiers]string{"m", "h", "d", "M", "t"}

// keep is how many buckets of a tier are kept.
var keep = [tiers]int64{120, 8 * 24, 400, 60, 1}

// ttl of a stored bucket.
var bucketTTL = [tiers]time.Duration{2 * time.Hour, 8 * 24 * time.Hour, 400 * 24 * time.Hour, 5 * 366 * 24 * time.Hour, 0}

// index is the number of the bucket that holds t.
func (r tier) index(t time.Time) int64 {
	s := t.Unix()
	switch r {
	case minutes:
		return s / 60
	case hours:
		return s / 3600
	case days:
		return s / 86400
	case months:
		u := t.UTC()
		return int64(u.Year())*12 + int64(u.Month()) - 1
	default:
		return 0
	}
}

// bucket counts in memory at once; saved is the part of it that the store has.
type bucket struct {
	index int64
	amount
	saved amount
}

// series is the counters of one scope. Buckets without use take no room.
type series struct {
	scope string

	mu       sync.Mutex
	buckets  [tiers][]bucket // ascending
	periods  map[string]*period
	reserved map[string]int64 // by unit and window
}

// period is the present calendar window of a kind that UTC buckets do not fit.
type period struct {
	window Window
	start  time.Time
	amount
	saved amount
}

// slot is one stored counter: a bucket of a series or, if cal is set, the period
// of that key.
type slot struct {
	s     *series
	tier  tier
	index int64
	cal   string
}

// add counts at a moment; s.mu is held.
func (s *series) add(now time.Time, a amount) {
	for r := range tiers {
		s.bucket(r, r.index(now)).add(a)
	}
	for _, p := range s.periods {
		p.roll(now)
		p.add(a)
	}
}

// book notes that the store is about to have, or after all has not, what was
// counted at a moment, and tells which slots that concerns.
func (s *series) book(at time.Time, a amount, touch func(slot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range tiers {
		if b := s.have(r, r.index(at)); b != nil {
			b.saved.add(a)
			touch(slot{s: s, tier: r, index: b.index})
		}
	}
	for key, p := range s.periods {
		if !at.Before(p.start) {
			p.saved.add(a)
			touch(slot{s: s, cal: key})
		}
	}
}

// have finds a bucket, nil if it is gone.
func (s *series) have(r tier, index int64) *bucket {
	list := s.buckets[r]
	for i := len(list) - 1; i >= 0 && list[i].index >= index; i-- {
		if list[i].index == index {
			return &list[i]
		}
	}
	return nil
}

// bucket finds or makes a bucket; old ones go.
func (s *series) bucket(r tier, index int64) *bucket {
	list := s.buckets[r]
	at := len(list)
	for at > 0 && list[at-1].index > index { // only after a clock went back
		at--
	}
	if at > 0 && list[at-1].index == index {
		return &list[at-1]
	}
	list = append(list, bucket{})
	copy(list[at+1:], list[at:])
	list[at] = bucket{index: index}
	// By number, not by age: a clock that leaps ahead and comes back must not
	// take what was spent with it.
	if drop := min(len(list)-int(keep[r]), at); drop > 0 {
		list = append(list[:0], list[drop:]...)
		at -= drop
	}
	s.buckets[r] = list
	return &list[at]
}

func (p *period) roll(now time.Time) {
	if start := p.window.Start(now); !start.Equal(p.start) {
		p.start, p.amount, p.saved = start, amount{}, amount{}
	}
}

// since sums the buckets of a tier from an index on.
func (s *series) since(r tier, from int64) (a amount) {
	list := s.buckets[r]
	for i := len(list) - 1; i >= 0 && list[i].index >= from; i-- {
		a.add(list[i].amount)
	}
	return a
}

// between sums buckets with an index in [from, to), as they are in memory and as
// they are in the store.
func (s *series) between(r tier, from, to int64) (a, saved amount) {
	for _, b := range s.buckets[r] {
		if b.index >= from && b.index < to {
			a.add(b.amount)
			saved.add(b.saved)
		}
	}
	return a, saved
}

// used is what a window holds; s.mu is held.
func (s *series) used(w Window, now time.Time) amount {
	if !w.plain() {
		return s.calendar(w, now).amount
	}
	switch w.Period {
	case "minute":
		return s.since(minutes, minutes.index(now))
	case "hour":
		return s.since(hours, hours.index(now))
	case "day":
		return s.since(days, days.index(now))
	case "week":
		return s.since(days, days.index(w.Start(now)))
	case "month":
		return s.since(months, months.index(now))
	case "total":
		return s.since(total, 0)
	}
	from := now.Add(-w.Rolling)
	switch {
	case w.Rolling <= 2*time.Hour:
		return s.since(minutes, minutes.index(from)+1)
	case w.Rolling <= 8*24*time.Hour:
		return s.since(hours, hours.index(from)+1)
	default:
		return s.since(days, days.index(from)+1)
	}
}

// calendar finds or makes the accumulator of a window with a time zone or a
// reset time of its own. A new one starts with what the buckets know: exact to
// the hour for the last eight days, to the day before that.
func (s *series) calendar(w Window, now time.Time) *period {
	key := w.key()
	if p := s.periods[key]; p != nil {
		p.roll(now)
		return p
	}
	p := &period{window: w, start: w.Start(now)}
	hourly := now.Add(-8 * 24 * time.Hour)
	if p.start.After(hourly) {
		p.amount, p.saved = s.between(hours, hours.index(p.start), math.MaxInt64)
	} else {
		firstHourly := days.index(hourly) + 1
		p.amount, p.saved = s.between(days, days.index(p.start), firstHourly)
		a, saved := s.between(hours, firstHourly*24, math.MaxInt64)
		p.add(a)
		p.saved.add(saved)
	}
	if s.periods == nil {
		s.periods = map[string]*period{}
	}
	s.periods[key] = p
	return p
}

// counters is the table of series.
type counters struct {
	seed   maphash.Seed
	shards [64]shard
	size   atomic.Int64
}

type shard struct {
	mu sync.RWMutex
	m  map[string]*series
}

func newCounters() *counters {
	c := &counters{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].m = map[string]*series{}
	}
	return c
}

func (c *counters) shard(scope string) *shard {
	return &c.shards[maphash.String(c.seed, scope)%uint64(len(c.shards))]
}

// maxScope bounds the name of a scope, in bytes. Part of it may be what a client
// sent, and no name may be too long for the store: one row that cannot be written
// would hold up all that come after it.
const maxScope = 256

// scopeName shortens a name that is too long, so that different ones stay
// different.
func scopeName(scope string) string {
	if len(scope) <= maxScope {
		return scope
	}
	sum := sha256.Sum256([]byte(scope))
	return scope[:maxScope-2*len(sum)-1] + "#" + hex.EncodeToString(sum[:])
}

// maxScopes bounds the table: users and tags are names that clients choose.
const maxScopes = 100_000

// crowd is the scope that stands for those of its kind that came too late.
func crowd(scope string) string {
	kind, _, _ := strings.Cut(scope, ":")
	return kind + ":~other"
}

// find returns nil for a scope nobody used.
func (c *counters) find(scope string) *series {
	scope = scopeName(scope)
	s := c.look(scope)
	if s == nil && c.size.Load() >= maxScopes {
		return c.look(crowd(scope))
	}
	return s
}

func (c *counters) look(scope string) *series {
	sh := c.shard(scope)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.m[scope]
}

func (c *counters) get(scope string) *series {
	scope = scopeName(scope)
	if s := c.find(scope); s != nil {
		return s
	}
	if c.size.Load() >= maxScopes {
		scope = crowd(scope)
	}
	sh := c.shard(scope)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.m[scope]
	if s == nil {
		c.size.Add(1)
		s = &series{scope: scope}
		sh.m[scope] = s
	}
	return s
}

const kindCounter = "d/ctr"

// put appends what the store shall have of a slot to a batch.
func (c slot) put(b *state.Batch) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.cal != "" {
		if p := s.periods[c.cal]; p != nil {
			raw := binary.BigEndian.AppendUint64(nil, uint64(p.start.Unix()))
			b.Put(state.Key(kindCounter, s.scope, "c", c.cal), p.saved.append(raw), 60*24*time.Hour)
		}
		return
	}
	if k := s.have(c.tier, c.index); k != nil {
		b.Put(state.Key(kindCounter, s.scope, tierName[c.tier], indexText(c.index)), k.saved.append(nil), bucketTTL[c.tier])
	}
}

// indexText keeps the order of numbers.
func indexText(i int64) string {
	const width = 12
	out := make([]byte, width)
	for n := width - 1; n >= 0; n-- {
		out[n] = byte('0' + i%10)
		i /= 10
	}
	return string(out)
}

// parseIndex reads what indexText wrote.
func parseIndex(text string) (index int64, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		index = index*10 + int64(text[i]-'0')
	}
	return index, text != ""
}

func (a amount) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.usd))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.requests))
	return binary.BigEndian.AppendUint64(dst, uint64(a.tokens))
}

func readAmount(b []byte) (amount, bool) {
	if len(b) != 24 {
		return amount{}, false
	}
	return amount{
		usd: int64(binary.BigEndian.Uint64(b)), requests: int64(binary.BigEndian.Uint64(b[8:])), tokens: int64(binary.BigEndian.Uint64(b[16:])),
	}, true
}

// restore puts a stored bucket back. Damaged ones are left out.
func (c *counters) restore(segments []string, value []byte) {
	if len(segments) != 3 {
		return
	}
	scope, kind, key := segments[0], segments[1], segments[2]
	if kind == "c" {
		w, ok := parseKey(key)
		if len(value) != 32 || !ok {
			return
		}
		a, _ := readAmount(value[8:])
		s := c.get(scope)
		if s.periods == nil {
			s.periods = map[string]*period{}
		}
		s.periods[key] = &period{window: w, start: time.Unix(int64(binary.BigEndian.Uint64(value)), 0), amount: a, saved: a}
		return
	}
	a, ok := readAmount(value)
	if !ok {
		return
	}
	index, ok := parseIndex(key)
	if !ok {
		return
	}
	for r, name := range tierName {
		if name == kind {
			b := c.get(scope).bucket(tier(r), index)
			b.amount, b.saved = a, a
		}
	}
}

// parseKey reads what Window.key wrote for a calendar window.
func parseKey(key string) (Window, bool) {
	for i := range len(key) {
		if key[i] != ' ' {
			continue
		}
		w := Window{Period: key[:i]}
		rest := key[i+1:]
		if len(rest) < 7 || rest[2] != ':' || rest[5] != ' ' {
			return w, false
		}
		t, err := time.Parse("15:04", rest[:5])
		if err != nil {
			return w, false
		}
		loc, err := time.LoadLocation(rest[6:])
		if err != nil {
			return w, false
		}
		w.ResetHour, w.ResetMinute, w.Location = t.Hour(), t.Minute(), loc
		return w, true
	}
	return Window{}, false
}
