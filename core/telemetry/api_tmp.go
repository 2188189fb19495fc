package telemetry

import (
	"io"
	"log/slog"
	"net/http"
)

// LogOptions configures NewLogger.
type LogOptions struct {
	Level  string // debug, info, warn, error; "" = info
	Format string // text, json; "" = text
}

// NewLogger returns a logger that writes redacted records to w, and the level
// variable by which its level can be changed while it runs.
func NewLogger(w io.Writer, opt LogOptions) (*slog.Logger, *slog.LevelVar, error) { panic("api") }

// Discard returns a logger that writes nothing.
func Discard() *slog.Logger { panic("api") }

// Secret is a string that never prints: not by fmt, slog or JSON. Reveal gives it back.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Redact returns text with everything that looks like a credential replaced.
func Redact(text string) string { panic("api") }

// SensitiveName reports whether a header, field or attribute of that name carries a secret.
func SensitiveName(name string) bool { panic("api") }

// NewRequestID returns a new UUIDv7.
func NewRequestID() string { panic("api") }

// RequestID returns incoming if it is acceptable as a request id
// ([A-Za-z0-9._:-]{1,128}), a new one otherwise.
func RequestID(incoming string) string { panic("api") }

// Metrics owns the metrics of one gateway.
type Metrics struct{}

// NewMetrics returns metrics with a registry of their own.
func NewMetrics() *Metrics { panic("api") }

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler { panic("api") }

// Counter returns the counter of the given name, registering it on first use;
// names are documented in names.go. labels are the label names.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter { panic("api") }

// Gauge is Counter for a value that goes up and down.
func (m *Metrics) Gauge(name, help string, labels ...string) *Gauge { panic("api") }

// Histogram is Counter for a distribution; nil buckets = latency in seconds.
func (m *Metrics) Histogram(name, help string, buckets []float64, labels ...string) *Histogram {
	panic("api")
}

// Counter counts events by label values.
type Counter struct{}

// Add adds v (≥ 0) for the given label values, in the order of the label names.
func (c *Counter) Add(v float64, values ...string) { panic("api") }

// Gauge is a value by label values.
type Gauge struct{}

// Set sets the value.
func (g *Gauge) Set(v float64, values ...string) { panic("api") }

// Add changes the value.
func (g *Gauge) Add(v float64, values ...string) { panic("api") }

// Histogram is a distribution by label values.
type Histogram struct{}

// Observe records v.
func (h *Histogram) Observe(v float64, values ...string) { panic("api") }
