package telemetry

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// Phase is a part of a request's way through the gateway.
type Phase uint8

// The phases, in the order in which a request first comes to them.
const (
	PhaseParse     Phase = iota // who asks, and the body is read
	PhaseValidate               // the document and its facts
	PhasePolicy                 // rules decide
	PhaseResolve                // names become targets
	PhaseSelect                 // an account is chosen
	PhaseQueue                  // waiting for a place
	PhaseRefresh                // a credential is renewed
	PhaseTranslate              // the request is put into the target's dialect
	PhaseConnect                // until upstream's headers
	PhaseTTFT                   // from there to the first content
	PhaseStream                 // from there to the last byte
	PhaseFinalize               // booking
	phases
)

var phaseName = [phases]string{"parse", "validate", "policy", "resolve", "select", "queue", "refresh", "translate", "connect", "ttft", "stream", "finalize"}

func (p Phase) String() string { return phaseName[p] }

// Phases measures one request. The zero value is ready; it belongs to one
// goroutine at a time.
type Phases struct {
	began, since time.Time
	open         Phase
	running      bool
	seen         uint16
	took         [phases]time.Duration
}

// Start begins a phase and ends the one that is open. A phase may come again, with
// each further attempt; its times add up.
func (p *Phases) Start(phase Phase, now time.Time) {
	if p.began.IsZero() {
		p.began = now
	}
	p.close(now)
	p.open, p.since, p.running = phase, now, true
	p.seen |= 1 << phase
}

// End ends the phase that is open.
func (p *Phases) End(now time.Time) {
	p.close(now)
	p.running = false
}

func (p *Phases) close(now time.Time) {
	if p.running {
		p.took[p.open] += max(now.Sub(p.since), 0)
	}
}

// Open is the phase a request is in; false before the first and after the last.
func (p *Phases) Open() (Phase, bool) { return p.open, p.running }

// Each gives f every phase the request came to, with the time it took.
func (p *Phases) Each(f func(Phase, time.Duration)) {
	for i := range phases {
		if p.seen&(1<<i) != 0 {
			f(i, p.took[i])
		}
	}
}

// maxTimings is how many finished requests are remembered.
const maxTimings = 10_000

// timing is one finished request.
type timing struct {
	at    time.Time
	total time.Duration
	seen  uint16
	took  [phases]time.Duration
}

// Timings remembers how long the last requests took. It is safe for concurrent
// use; the zero value is ready.
type Timings struct {
	mu   sync.Mutex
	ring []timing
	next int
}

// Add takes a finished request.
func (t *Timings) Add(p *Phases, now time.Time) {
	one := timing{at: now, total: max(now.Sub(p.began), 0), seen: p.seen, took: p.took}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ring) < maxTimings {
		t.ring = append(t.ring, one)
		return
	}
	t.ring[t.next] = one
	t.next = (t.next + 1) % maxTimings
}

// Summary tells percentiles in milliseconds, by nearest rank.
type Summary struct {
	Count  int                     `json:"count"`
	P50    int64                   `json:"p50"`
	P95    int64                   `json:"p95"`
	P99    int64                   `json:"p99"`
	Phases map[string]PhaseSummary `json:"phaseBreakdown"`
}

// PhaseSummary is that of one phase.
type PhaseSummary struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50"`
	P95   int64 `json:"p95"`
	Avg   int64 `json:"avg"`
}

// DefaultWindow is the span of a summary when none is given.
const DefaultWindow = 5 * time.Minute

// Summary is over the requests that ended within window before now; 0 =
// DefaultWindow.
func (t *Timings) Summary(now time.Time, window time.Duration) Summary {
	if window <= 0 {
		window = DefaultWindow
	}
	var totals []time.Duration
	var parts [phases][]time.Duration
	t.mu.Lock()
	for i := range t.ring {
		one := &t.ring[i]
		if now.Sub(one.at) > window {
			continue
		}
		totals = append(totals, one.total)
		for p := range phases {
			if one.seen&(1<<p) != 0 {
				parts[p] = append(parts[p], one.took[p])
			}
		}
	}
	t.mu.Unlock()
	s := Summary{Count: len(totals), Phases: map[string]PhaseSummary{}}
	slices.SortFunc(totals, cmp.Compare[time.Duration])
	s.P50, s.P95, s.P99 = rank(totals, 50), rank(totals, 95), rank(totals, 99)
	for p, list := range parts {
		if len(list) == 0 {
			continue
		}
		slices.SortFunc(list, cmp.Compare[time.Duration])
		sum := time.Duration(0)
		for _, d := range list {
			sum += d
		}
		s.Phases[phaseName[p]] = PhaseSummary{Count: len(list), P50: rank(list, 50), P95: rank(list, 95), Avg: millis(sum / time.Duration(len(list)))}
	}
	return s
}

// rank is the nearest-rank percentile of a sorted list, 0 of an empty one.
func rank(sorted []time.Duration, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return millis(sorted[int(math.Ceil(p/100*float64(len(sorted))))-1])
}

func millis(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
