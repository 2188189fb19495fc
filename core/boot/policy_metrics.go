package boot

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/omniroute/omniroute/core/policy"
)

// policyMetrics reports what the rules in force did. It reads their counters when it is asked.
type policyMetrics struct {
	set func() *policy.Set // nil before the first

	info, seconds, hits, errors, would *prometheus.Desc
}

func newPolicyMetrics(set func() *policy.Set) *policyMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &policyMetrics{
		set:     set,
		info:    desc("policy_set_info", "1; the label identifies the rules in force.", "hash"),
		seconds: desc("policy_eval_seconds", "Time the rules of a hook took to answer.", "hook"),
		hits:    desc("policy_rule_hits_total", "Answers of a rule.", "hook", "rule"),
		errors:  desc("policy_rule_errors_total", "Evaluations of a rule that failed.", "hook", "rule"),
		would:   desc("policy_shadow_would_total", "Answers a shadow rule would have given.", "hook", "rule"),
	}
}

// Describe implements prometheus.Collector.
func (m *policyMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.info, m.seconds, m.hits, m.errors, m.would} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *policyMetrics) Collect(ch chan<- prometheus.Metric) {
	set := m.set()
	if set == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(m.info, prometheus.GaugeValue, 1, set.Hash())
	for _, t := range set.Times() {
		ch <- prometheus.MustNewConstHistogram(m.seconds, t.Count, t.Sum, t.Buckets, t.Hook)
	}
	type key struct{ hook, rule string }
	sums := map[key]policy.RuleInfo{} // rules of accounts, combos and providers may share an id
	for _, r := range set.Rules() {
		k := key{r.Hook, r.ID}
		s := sums[k]
		s.Hits, s.Errors, s.ShadowHits, s.Shadow = s.Hits+r.Hits, s.Errors+r.Errors, s.ShadowHits+r.ShadowHits, s.Shadow || r.Shadow
		sums[k] = s
	}
	for k, s := range sums {
		ch <- prometheus.MustNewConstMetric(m.hits, prometheus.CounterValue, float64(s.Hits), k.hook, k.rule)
		ch <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(s.Errors), k.hook, k.rule)
		if s.Shadow {
			ch <- prometheus.MustNewConstMetric(m.would, prometheus.CounterValue, float64(s.ShadowHits), k.hook, k.rule)
		}
	}
}
