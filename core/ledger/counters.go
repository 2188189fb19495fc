package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"sync"
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

type bucket struct {
	index int64
	amount
}

// series is the counters of one scope. Buckets without use take no room.
type series struct {
	scope string

	mu       sync.Mutex
	buckets  [tiers][]bucket // ascending
	periods  map[string]*period
	reserved map[string]int64 // by unit and window
	dirty    []dirtyBucket
}

// period is the present calendar window of a kind that UTC buckets do not fit.
type period struct {
	window Window
	start  time.Time
	amount
}

type dirtyBucket struct {
	tier  tier
	index int64
	cal   string // key of a period instead of a bucket
}

// add counts at a moment; s.mu is held.
func (s *series) add(now time.Time, a amount) {
	for r := range tiers {
		i := r.index(now)
		b := s.bucket(r, i)
		b.add(a)
		s.touch(dirtyBucket{tier: r, index: i})
	}
	for key, p := range s.periods {
		p.roll(now)
		p.add(a)
		s.touch(dirtyBucket{cal: key})
	}
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
	newest := list[len(list)-1].index
	drop := 0
	for list[drop].index <= newest-keep[r] && drop < at {
		drop++
	}
	if drop > 0 {
		list = append(list[:0], list[drop:]...)
		at -= drop
	}
	s.buckets[r] = list
	return &list[at]
}

func (s *series) touch(d dirtyBucket) {
	for i := range s.dirty {
		if s.dirty[i] == d {
			return
		}
	}
	s.dirty = append(s.dirty, d)
}

func (p *period) roll(now time.Time) {
	if start := p.window.Start(now); !start.Equal(p.start) {
		p.start, p.amount = start, amount{}
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
		p.amount = s.since(hours, hours.index(p.start))
	} else {
		firstHourly := days.index(hourly) + 1
		for _, b := range s.buckets[days] {
			if b.index >= days.index(p.start) && b.index < firstHourly {
				p.add(b.amount)
			}
		}
		p.add(s.since(hours, firstHourly*24))
	}
	if s.periods == nil {
		s.periods = map[string]*period{}
	}
	s.periods[key] = p
	s.touch(dirtyBucket{cal: key})
	return p
}

// counters is the table of series.
type counters struct {
	seed   maphash.Seed
	shards [64]shard
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

// find returns nil for a scope nobody used.
func (c *counters) find(scope string) *series {
	scope = scopeName(scope)
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
	sh := c.shard(scope)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.m[scope]
	if s == nil {
		s = &series{scope: scope}
		sh.m[scope] = s
	}
	return s
}

const kindCounter = "d/ctr"

// write appends the changed buckets to a batch; s.mu is held. The marks are
// taken off; put them back if the batch fails.
func (s *series) write(b *state.Batch) []dirtyBucket {
	marks := s.dirty
	s.dirty = nil
	for _, d := range marks {
		if d.cal != "" {
			if p := s.periods[d.cal]; p != nil {
				raw := binary.BigEndian.AppendUint64(nil, uint64(p.start.Unix()))
				b.Put(state.Key(kindCounter, s.scope, "c", d.cal), p.append(raw), 60*24*time.Hour)
			}
			continue
		}
		for i := len(s.buckets[d.tier]) - 1; i >= 0; i-- {
			if k := s.buckets[d.tier][i]; k.index == d.index {
				b.Put(state.Key(kindCounter, s.scope, tierName[d.tier], indexText(d.index)), k.append(nil), bucketTTL[d.tier])
				break
			}
		}
	}
	return marks
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
		s.periods[key] = &period{window: w, start: time.Unix(int64(binary.BigEndian.Uint64(value)), 0), amount: a}
		return
	}
	a, ok := readAmount(value)
	if !ok {
		return
	}
	var index int64
	for i := range len(key) {
		if key[i] < '0' || key[i] > '9' {
			return
		}
		index = index*10 + int64(key[i]-'0')
	}
	for r, name := range tierName {
		if name == kind {
			c.get(scope).bucket(tier(r), index).amount = a
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
