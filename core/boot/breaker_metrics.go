package boot

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/omniroute/omniroute/core/health"
)

// breakerMetrics reports how the circuit breakers stand when it is asked.
type breakerMetrics struct {
	list  func() []health.Breaker
	state *prometheus.Desc
}

func newBreakerMetrics(list func() []health.Breaker) *breakerMetrics {
	return &breakerMetrics{list: list, state: prometheus.NewDesc("omniroute_breaker_state",
		"0 closed, 1 closed after many failures, 2 half open, 3 open.", []string{"name"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *breakerMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.state }

// Collect implements prometheus.Collector.
func (m *breakerMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, b := range m.list() {
		level := 0.0
		switch {
		case b.State == health.Open:
			level = 3
		case b.State == health.HalfOpen:
			level = 2
		case b.Degraded:
			level = 1
		}
		ch <- prometheus.MustNewConstMetric(m.state, prometheus.GaugeValue, level, b.Name)
	}
}
