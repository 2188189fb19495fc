package settle

import (
	"strconv"
	"time"

	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/telemetry"
)

// meters are the metrics of requests.
type meters struct {
	requests, tokens, cost, fallbacks, unpriced, budgets *telemetry.Counter
	duration, ttft, phase                                *telemetry.Histogram
}

func newMeters(m *telemetry.Metrics) meters {
	return meters{
		requests:  m.Counter("omniroute_requests_total", "Finished requests.", "endpoint", "provider", "status"),
		tokens:    m.Counter("omniroute_tokens_total", "Tokens used, by kind.", "provider", "kind"),
		cost:      m.Counter("omniroute_cost_usd_total", "Cost by list price.", "provider"),
		fallbacks: m.Counter("omniroute_fallbacks_total", "Attempts beyond the first.", "provider"),
		unpriced:  m.Counter("omniroute_unpriced_requests_total", "Requests whose price nobody knows: their cost is not counted.", "provider", "model"),
		budgets:   m.Counter("omniroute_budget_decisions_total", "Requests that a budget rule warned about or refused.", "rule", "action"),
		phase:     m.Histogram("omniroute_phase_seconds", "Time requests spend in a phase.", nil, "phase"),
		duration:  m.Histogram("omniroute_request_seconds", "Duration of requests.", nil, "endpoint", "provider"),
		ttft:      m.Histogram("omniroute_first_content_seconds", "Time to the first content.", nil, "endpoint", "provider"),
	}
}

func (m meters) observe(c *call.Call, e *ledger.Entry) {
	m.requests.Add(1, c.Endpoint, e.Provider, strconv.Itoa(e.Status))
	m.duration.Observe(float64(e.LatencyMS)/1000, c.Endpoint, e.Provider)
	if e.TTFTMS > 0 {
		m.ttft.Observe(float64(e.TTFTMS)/1000, c.Endpoint, e.Provider)
	}
	if e.Usage.Prompt > 0 {
		m.tokens.Add(float64(e.Usage.Prompt), e.Provider, "input")
	}
	if e.Usage.Completion > 0 {
		m.tokens.Add(float64(e.Usage.Completion), e.Provider, "output")
	}
	if e.Cost == ledger.Unknown {
		m.unpriced.Add(1, e.Provider, e.Target)
	}
	if e.Cost > 0 {
		m.cost.Add(e.Cost.USD(), e.Provider)
	}
	if n := len(e.Attempts); n > 1 {
		m.fallbacks.Add(float64(n-1), e.Provider)
	}
}

func (m meters) phases(p *telemetry.Phases) {
	p.Each(func(phase telemetry.Phase, took time.Duration) { m.phase.Observe(took.Seconds(), phase.String()) })
}
