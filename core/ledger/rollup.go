package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// Roll-ups are sums per bucket of time and tuple of dimensions. They are written
// with the rows and outlive them, so that charts and reports read hundreds of
// entries where the log has millions.
const kindRoll = "ur"

// rollTTL is how long the buckets of a tier are kept; no roll-up has the tier
// of totals.
var rollTTL = [total]time.Duration{3 * time.Hour, 35 * 24 * time.Hour, 400 * 24 * time.Hour, 5 * 366 * 24 * time.Hour}

// Dimension is what usage can be broken down by.
type Dimension uint8

// The dimensions, in the order of stored tuples.
const (
	ByProvider Dimension = iota
	ByModel              // provider/model that served; as requested if none did
	ByKey                // id
	ByAccount            // id
	ByCombo
	dimensions
)

// dimensionName is how clients of the API call them.
var dimensionName = [dimensions]string{"provider", "model", "key", "account", "combo"}

// ParseDimension reads the name of a dimension.
func ParseDimension(name string) (Dimension, bool) {
	i := slices.Index(dimensionName[:], name)
	return Dimension(max(i, 0)), i >= 0
}

func (d Dimension) String() string { return dimensionName[d] }

// tuple is the value of every dimension.
type tuple [dimensions]string

// maxTuples bounds the tuples of one bucket; what comes after is summed under
// other.
const maxTuples = 4096

// other stands for names that came when a table was full.
const other = "~other"

func tupleOf(e *Entry) tuple {
	t := tuple{ByProvider: e.Provider, ByModel: e.Target, ByKey: e.KeyID, ByAccount: e.Account, ByCombo: e.Combo}
	if t[ByModel] == "" {
		t[ByModel] = e.Model
	}
	for i := range t {
		t[i] = scopeName(t[i])
	}
	return t
}

func (t tuple) crowd() tuple {
	for i := range t {
		if t[i] != "" {
			t[i] = other
		}
	}
	return t
}

// Totals are sums over requests.
type Totals struct {
	Requests   int64 `json:"requests"`
	Errors     int64 `json:"errors"` // status 400 and above
	Streams    int64 `json:"streams"`
	Cached     int64 `json:"cached"` // answered from the response cache
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	CachedRead int64 `json:"cached_tokens"`
	CacheWrite int64 `json:"cache_write_tokens"`
	Reasoning  int64 `json:"reasoning_tokens"`
	Estimated  int64 `json:"estimated"` // requests whose usage the gateway counted itself
	// Cost and Billed are sums over the requests whose price is known; Unpriced
	// is how many others there were.
	Cost      Money `json:"cost"`
	Billed    Money `json:"billed"`
	Unpriced  int64 `json:"unpriced"`
	LatencyMS int64 `json:"latency_ms_sum"`

	Latency Spread `json:"-"`
	TTFT    Spread `json:"-"` // of the requests that have one
}

// fields lists the sums in the order in which they are stored.
func (t *Totals) fields() [14]*int64 {
	return [14]*int64{&t.Requests, &t.Errors, &t.Streams, &t.Cached, &t.Prompt, &t.Completion, &t.CachedRead, &t.CacheWrite,
		&t.Reasoning, &t.Estimated, (*int64)(&t.Cost), (*int64)(&t.Billed), &t.Unpriced, &t.LatencyMS}
}

// Add adds other sums.
func (t *Totals) Add(o *Totals) {
	to, from := t.fields(), o.fields()
	for i := range to {
		*to[i] += *from[i]
	}
	t.Latency.merge(o.Latency)
	t.TTFT.merge(o.TTFT)
}

// count adds one request.
func (t *Totals) count(e *Entry) {
	t.Requests++
	if e.Status >= 400 {
		t.Errors++
	}
	for _, mark := range []struct {
		on bool
		to *int64
	}{{e.Stream, &t.Streams}, {e.Cached, &t.Cached}, {e.Usage.Estimated, &t.Estimated}, {e.Cost == Unknown, &t.Unpriced}} {
		if mark.on {
			*mark.to++
		}
	}
	t.Prompt += max(e.Usage.Prompt, 0)
	t.Completion += max(e.Usage.Completion, 0)
	t.CachedRead += max(e.Usage.CachedRead, 0)
	t.CacheWrite += max(e.Usage.CacheWrite, 0)
	t.Reasoning += max(e.Usage.Reasoning, 0)
	t.Cost += max(e.Cost, 0)
	t.Billed += max(e.Billed, 0)
	t.LatencyMS += max(e.LatencyMS, 0)
	t.Latency.count(e.LatencyMS)
	if e.TTFTMS > 0 {
		t.TTFT.count(e.TTFTMS)
	}
}

// Spread counts durations in classes that grow by an eighth of a doubling, so a
// percentile is right within 9 %.
type Spread []int64

const perDoubling = 8

// classes covers 2^40 ms, longer ones count in the last.
const classes = 40*perDoubling + 2

func class(ms int64) int {
	if ms <= 0 {
		return 0
	}
	whole := bits.Len64(uint64(ms)) - 1
	part := math.Log2(float64(ms)/float64(uint64(1)<<whole)) * perDoubling
	return min(whole*perDoubling+int(part)+1, classes-1)
}

// upper is the largest duration of a class.
func upper(c int) int64 {
	if c == 0 {
		return 0
	}
	return int64(math.Ceil(math.Exp2(float64(c)/perDoubling))) - 1
}

func (s *Spread) add(c int, n int64) {
	if c < 0 || c >= classes {
		return
	}
	if c >= len(*s) {
		*s = append(*s, make([]int64, c+1-len(*s))...)
	}
	(*s)[c] += n
}

func (s *Spread) count(ms int64) { s.add(class(ms), 1) }

func (s *Spread) merge(o Spread) {
	for c, n := range o {
		if n != 0 {
			s.add(c, n)
		}
	}
}

// Percentile is the duration in milliseconds that p percent of the requests did
// not exceed (nearest rank); 0 without requests.
func (s Spread) Percentile(p float64) int64 {
	total := int64(0)
	for _, n := range s {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := max(int64(math.Ceil(p/100*float64(total))), 1)
	for c, n := range s {
		if rank -= n; rank <= 0 {
			return upper(c)
		}
	}
	return upper(len(s) - 1)
}

// rollVersion begins every stored roll-up.
const rollVersion = 1

// roll is a stored roll-up in the making.
type roll struct {
	Totals
	ttl time.Duration
}

func (t *Totals) append(dst []byte) []byte {
	dst = append(dst, rollVersion)
	for _, v := range t.fields() {
		dst = binary.AppendUvarint(dst, uint64(max(*v, 0)))
	}
	for _, s := range [...]Spread{t.Latency, t.TTFT} {
		used := 0
		for _, n := range s {
			if n != 0 {
				used++
			}
		}
		dst = binary.AppendUvarint(dst, uint64(used))
		last := 0
		for c, n := range s {
			if n != 0 {
				dst = binary.AppendUvarint(dst, uint64(c-last))
				dst = binary.AppendUvarint(dst, uint64(n))
				last = c
			}
		}
	}
	return dst
}

// readTotals reads what append wrote; false for anything else.
func readTotals(raw []byte) (t Totals, ok bool) {
	ok = t.addStored(raw)
	return t, ok
}

// addStored adds what append wrote; false, and sums of no use, for anything else.
func (t *Totals) addStored(raw []byte) bool {
	if len(raw) == 0 || raw[0] != rollVersion {
		return false
	}
	raw = raw[1:]
	ok := true
	next := func() uint64 {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			raw, ok = nil, false
			return 0
		}
		raw = raw[n:]
		return v
	}
	for _, v := range t.fields() {
		*v += int64(next())
	}
	for _, s := range [...]*Spread{&t.Latency, &t.TTFT} {
		last := 0
		for n := next(); n > 0 && ok; n-- {
			last += int(min(next(), classes))
			s.add(last, int64(next()))
		}
	}
	return ok && len(raw) == 0
}

func rollKey(r tier, index int64, t tuple) string {
	return state.Key(kindRoll, append([]string{tierName[r], indexText(index)}, t[:]...)...)
}

// roll adds a request to its buckets.
func (d *draft) roll(it item) {
	for r := minutes; r < total; r++ {
		d.rollAt(r, r.index(it.at), tupleOf(it.entry)).count(it.entry)
	}
}

// rollAt is the roll-up of a tuple, read from the store the first time a batch
// needs it: the writer is the only one who changes it.
func (d *draft) rollAt(r tier, index int64, t tuple) *roll {
	key := rollKey(r, index, t)
	if have := d.rolls[key]; have != nil {
		return have
	}
	made := &roll{ttl: rollTTL[r]}
	raw, err := d.l.store.Get(context.Background(), key)
	known := false
	switch {
	case err == nil:
		made.Totals, known = readTotals(raw)
	case !errors.Is(err, state.ErrNotFound):
		d.err = err
	}
	if !known && !d.l.tuples.room(r, index) {
		if crowded := t.crowd(); crowded != t {
			return d.rollAt(r, index, crowded)
		}
	}
	d.rolls[key] = made
	return made
}

// crowdCheck counts the tuples of the present bucket of each tier.
type crowdCheck [total]struct {
	index int64
	n     int
}

// room takes a place for a new tuple.
func (c *crowdCheck) room(r tier, index int64) bool {
	if c[r].index != index {
		c[r].index, c[r].n = index, 0
	}
	if c[r].n >= maxTuples {
		return false
	}
	c[r].n++
	return true
}
