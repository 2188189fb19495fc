package telemetry

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics owns the metrics of one gateway.
type Metrics struct {
	registry *prometheus.Registry
	mu       sync.Mutex
	byName   map[string]registered
}

type registered struct {
	metric any
	labels []string
}

// MaxSeries bounds the combinations of label values that one metric keeps.
// What comes after is counted under the value "other".
const MaxSeries = 2000

// overflow is the label value of combinations over MaxSeries.
const overflow = "other"

// NewMetrics returns metrics with a registry of their own, which also reports
// on the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), byName: map[string]registered{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Registry returns the registry, for collectors of other packages.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Counter returns the counter of the given name, registering it on first use.
// labels are the label names. Asking again with other labels or another kind of
// metric is a programming error and panics.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter {
	return register(m, name, labels, func() *Counter {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return &Counter{v, newBound(len(labels))}
	})
}

// Gauge is Counter for a value that goes up and down.
func (m *Metrics) Gauge(name, help string, labels ...string) *Gauge {
	return register(m, name, labels, func() *Gauge {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return &Gauge{v, newBound(len(labels))}
	})
}

// Histogram is Counter for a distribution; nil buckets are [LatencyBuckets].
func (m *Metrics) Histogram(name, help string, buckets []float64, labels ...string) *Histogram {
	return register(m, name, labels, func() *Histogram {
		if buckets == nil {
			buckets = LatencyBuckets()
		}
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return &Histogram{v, newBound(len(labels))}
	})
}

func register[T any](m *Metrics, name string, labels []string, make func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.byName[name]; ok {
		metric, same := old.metric.(T)
		if !same || !slices.Equal(old.labels, labels) {
			panic("telemetry: metric " + name + " is registered differently")
		}
		return metric
	}
	metric := make()
	m.byName[name] = registered{metric, slices.Clone(labels)}
	return metric
}

// LatencyBuckets are bounds in seconds from the gateway's own microseconds to
// the minutes of a model that thinks.
func LatencyBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
}

// bound limits the series of one metric.
type bound struct {
	mu    sync.RWMutex
	seen  map[string]struct{}
	other []string
}

func newBound(labels int) *bound {
	b := &bound{seen: map[string]struct{}{}, other: make([]string, labels)}
	for i := range b.other {
		b.other[i] = overflow
	}
	return b
}

// values returns the label values to use: those given while there is room.
// Missing ones are empty, superfluous ones dropped, so that a mistake in a call
// cannot take the process down.
func (b *bound) values(v []string) []string {
	if len(v) != len(b.other) {
		fixed := make([]string, len(b.other))
		copy(fixed, v)
		v = fixed
	}
	if len(v) == 0 {
		return v
	}
	for i := range v {
		if !utf8.ValidString(v[i]) {
			v = slices.Clone(v)
			v[i] = strings.ToValidUTF8(v[i], "\ufffd")
		}
	}
	key := v[0]
	if len(v) > 1 {
		key = strings.Join(v, "\x00")
	}
	b.mu.RLock()
	_, known := b.seen[key]
	full := len(b.seen) >= MaxSeries
	b.mu.RUnlock()
	if known {
		return v
	}
	if full {
		return b.other
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) >= MaxSeries {
		return b.other
	}
	b.seen[strings.Clone(key)] = struct{}{}
	kept := make([]string, len(v))
	for i := range v { // kept for good: not as parts of a request's buffer
		kept[i] = strings.Clone(v[i])
	}
	return kept
}

// Counter counts events by label values.
type Counter struct {
	vec   *prometheus.CounterVec
	bound *bound
}

// Add adds v (0 or more) for the given label values, in the order of the label names.
func (c *Counter) Add(v float64, values ...string) {
	if v >= 0 {
		c.vec.WithLabelValues(c.bound.values(values)...).Add(v)
	}
}

// Gauge is a value by label values.
type Gauge struct {
	vec   *prometheus.GaugeVec
	bound *bound
}

// Set sets the value.
func (g *Gauge) Set(v float64, values ...string) {
	g.vec.WithLabelValues(g.bound.values(values)...).Set(v)
}

// Add changes the value.
func (g *Gauge) Add(v float64, values ...string) {
	g.vec.WithLabelValues(g.bound.values(values)...).Add(v)
}

// Histogram is a distribution by label values.
type Histogram struct {
	vec   *prometheus.HistogramVec
	bound *bound
}

// Observe records v.
func (h *Histogram) Observe(v float64, values ...string) {
	h.vec.WithLabelValues(h.bound.values(values)...).Observe(v)
}
