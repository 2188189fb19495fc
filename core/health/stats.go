package health

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// TargetStats is a snapshot of one target over the last ten minutes; -1 =
// unknown. Percentiles come from a histogram whose steps are 19 % wide.
type TargetStats struct {
	Requests       int
	RequestsMinute int
	TokensMinute   int64
	Inflight       int
	Errors30s      int
	SuccessRate    float64
	P50MS, P95MS   float64
	TTFTMS         float64 // mean
	TPS            float64 // completion tokens per second of streaming
	LastOKMS       int64   // age
}

// Sample is one finished attempt.
type Sample struct {
	OK        bool
	Ignored   bool // aborted by the client: only ends the in-flight count
	Latency   time.Duration
	TTFT      time.Duration // 0 = unknown
	TokensIn  int64
	TokensOut int64
}

const (
	statSlots = 60 // of ten minutes
	statSlot  = 10 * time.Second
	histSize  = 80                 // 1 ms … 15 min in steps of 2^(1/4)
	viewFor   = int64(250_000_000) // ns a computed snapshot is good for
)

// Stats is a table of target statistics.
type Stats struct {
	clock clock
	table *table[targetStats]
}

type targetStats struct {
	inflight atomic.Int64
	lastOK   atomic.Int64 // unix ns, 0 = never

	mu     sync.Mutex
	slots  [statSlots]statSlotData
	minute [11]histogram // one per minute, by number modulo 11
	cached TargetStats
	at     int64 // unix ns of cached
}

type statSlotData struct {
	at                   int64
	requests, ok, failed int32
	tokens, out          int64
	ttft                 time.Duration
	ttfts                int32
	streaming            time.Duration
}

type histogram struct {
	at     int64
	counts [histSize]uint32
}

func newStats(c clock) *Stats {
	return &Stats{clock: c, table: newTable(func(string) *targetStats { return &targetStats{} })}
}

// Begin counts a start. end must be called with the outcome; further calls do
// nothing.
func (s *Stats) Begin(target string) (end func(Sample)) {
	t := s.table.get(target)
	t.inflight.Add(1)
	var over atomic.Bool
	return func(sample Sample) {
		if over.CompareAndSwap(false, true) {
			t.inflight.Add(-1)
			if !sample.Ignored {
				t.add(sample, s.clock.now())
			}
		}
	}
}

func (t *targetStats) add(x Sample, now time.Time) {
	if x.OK {
		t.lastOK.Store(now.UnixNano())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := now.UnixNano() / int64(statSlot)
	s := &t.slots[at%statSlots]
	if s.at != at {
		*s = statSlotData{at: at}
	}
	s.requests++
	s.tokens += x.TokensIn + x.TokensOut
	t.at = 0
	if !x.OK {
		s.failed++
		return
	}
	s.ok++
	if x.TTFT > 0 {
		s.ttft += x.TTFT
		s.ttfts++
		if stream := x.Latency - x.TTFT; stream > 0 && x.TokensOut > 0 {
			s.streaming += stream
			s.out += x.TokensOut
		}
	}
	m := now.Unix() / 60
	h := &t.minute[m%int64(len(t.minute))]
	if h.at != m {
		*h = histogram{at: m}
	}
	h.counts[histIndex(x.Latency)]++
}

// histIndex is the step of a latency.
func histIndex(d time.Duration) int {
	ms := float64(d) / 1e6
	if ms <= 1 {
		return 0
	}
	return min(int(math.Log2(ms)*4)+1, histSize-1)
}

// histValue is the middle of a step in ms.
func histValue(i int) float64 {
	if i == 0 {
		return 1
	}
	return math.Round(math.Exp2((float64(i) - 0.5) / 4))
}

// View reads a target.
func (s *Stats) View(target string) TargetStats {
	t := s.table.find(target)
	if t == nil {
		return TargetStats{SuccessRate: -1, P50MS: -1, P95MS: -1, TTFTMS: -1, TPS: -1, LastOKMS: -1}
	}
	now := s.clock.now()
	t.mu.Lock()
	if ns := now.UnixNano(); t.at == 0 || ns-t.at > viewFor || ns < t.at {
		t.cached, t.at = t.compute(now), ns
	}
	v := t.cached
	t.mu.Unlock()
	v.Inflight, v.LastOKMS = int(t.inflight.Load()), -1
	if ns := t.lastOK.Load(); ns > 0 {
		v.LastOKMS = max((now.UnixNano()-ns)/1e6, 0)
	}
	return v
}

// compute sums the window; t.mu is held.
func (t *targetStats) compute(now time.Time) TargetStats {
	v := TargetStats{SuccessRate: -1, P50MS: -1, P95MS: -1, TTFTMS: -1, TPS: -1}
	at := now.UnixNano() / int64(statSlot)
	var ok, failed, ttfts int32
	var ttft, streaming time.Duration
	var out int64
	for i := range t.slots {
		s := &t.slots[i]
		age := at - s.at
		if age < 0 || age >= statSlots || s.requests == 0 {
			continue
		}
		v.Requests += int(s.requests)
		ok, failed, ttfts = ok+s.ok, failed+s.failed, ttfts+s.ttfts
		ttft, streaming, out = ttft+s.ttft, streaming+s.streaming, out+s.out
		if age < 6 {
			v.RequestsMinute += int(s.requests)
			v.TokensMinute += s.tokens
		}
		if age < 3 {
			v.Errors30s += int(s.failed)
		}
	}
	if n := ok + failed; n > 0 {
		v.SuccessRate = float64(ok) / float64(n)
	}
	if ttfts > 0 {
		v.TTFTMS = float64(ttft.Milliseconds()) / float64(ttfts)
	}
	if streaming > 0 {
		v.TPS = float64(out) / streaming.Seconds()
	}
	var sum [histSize]uint32
	total := uint32(0)
	for i := range t.minute {
		if age := now.Unix()/60 - t.minute[i].at; age < 0 || age > 10 {
			continue
		}
		for j, n := range t.minute[i].counts {
			sum[j] += n
			total += n
		}
	}
	if total > 0 {
		v.P50MS, v.P95MS = percentile(&sum, total, 0.50), percentile(&sum, total, 0.95)
	}
	return v
}

// percentile is nearest-rank over the histogram.
func percentile(h *[histSize]uint32, total uint32, p float64) float64 {
	rank := uint32(math.Ceil(p * float64(total)))
	seen := uint32(0)
	for i, n := range h {
		if seen += n; seen >= rank && n > 0 {
			return histValue(i)
		}
	}
	return histValue(histSize - 1)
}
