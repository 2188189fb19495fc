package policy

import (
	"math"
	"slices"
)

// Replayed sums up how decisions on recorded requests would change under
// another set.
type Replayed struct {
	Requests int `json:"requests"`
	Changed  int `json:"changed"`
	// NewlyDenied and NewlyAllowed count changes of the admission.
	NewlyDenied  int `json:"newly_denied"`
	NewlyAllowed int `json:"newly_allowed"`
	// TargetChanged counts requests whose first target differs.
	TargetChanged int `json:"target_changed"`
	// CostBefore and CostAfter add up the estimates of the first targets (the
	// recorded cost where the first target is the one that served).
	CostBefore float64 `json:"cost_before_usd"`
	CostAfter  float64 `json:"cost_after_usd"`
	// ByRule counts changed requests by the rule that made the difference.
	ByRule  map[string]int `json:"by_rule,omitempty"`
	Changes []Change       `json:"changes,omitempty"`
}

// Change is one request that would be decided differently.
type Change struct {
	ID     string   `json:"id"`
	What   []string `json:"what"` // allowed, model, targets, account, budget, cache, failures …
	Rule   string   `json:"rule,omitempty"`
	Before Verdicts `json:"before"`
	After  Verdicts `json:"after"`
}

// maxChanges bounds the list of changes; the counts are complete.
const maxChanges = 1000

// Replay decides records under two sets and reports what differs.
func Replay(records []*Record, before, after *Set) Replayed {
	out := Replayed{ByRule: map[string]int{}}
	for _, r := range records {
		var trBefore, trAfter Trace
		a, fromBefore := before.judge(r, &trBefore)
		b, fromAfter := after.judge(r, &trAfter)
		out.Requests++
		out.CostBefore += cost(r, fromBefore, a)
		out.CostAfter += cost(r, fromAfter, b)
		what := differences(a, b)
		if len(what) == 0 {
			continue
		}
		out.Changed++
		switch {
		case a.Allowed && !b.Allowed:
			out.NewlyDenied++
		case !a.Allowed && b.Allowed:
			out.NewlyAllowed++
		}
		if slices.Contains(what, "target") {
			out.TargetChanged++
		}
		c := Change{What: what, Rule: culprit(&trBefore, &trAfter), Before: a, After: b}
		if r.Req != nil {
			c.ID = r.Req.ID
		}
		out.ByRule[c.Rule]++
		if len(out.Changes) < maxChanges {
			out.Changes = append(out.Changes, c)
		}
	}
	return out
}

// cost is the price of a decision by its first target, whose facts are in from.
func cost(r, from *Record, v Verdicts) float64 {
	if !v.Allowed || len(v.Targets) == 0 {
		return 0
	}
	if v.Targets[0] == r.Served {
		return r.CostUSD
	}
	for _, t := range from.Targets {
		if t.ID == v.Targets[0] {
			return math.Max(t.EstCost, 0)
		}
	}
	return 0
}

// differences names the parts of two decisions that differ.
func differences(a, b Verdicts) []string {
	var out []string
	add := func(name string, differ bool) {
		if differ {
			out = append(out, name)
		}
	}
	add("allowed", a.Allowed != b.Allowed || a.Phase != b.Phase)
	add("denial", !a.Allowed && !b.Allowed && (a.Code != b.Code || a.Status != b.Status || a.Reason != b.Reason))
	add("model", a.Model != b.Model)
	add("set", differs("", settings(a.Set), settings(b.Set)) != "" || len(a.Set) != len(b.Set))
	add("tags", !slices.Equal(a.Tags, b.Tags))
	add("warnings", !slices.Equal(a.Warnings, b.Warnings))
	add("bypass", a.Bypass.Reply != b.Bypass.Reply || a.Bypass.Route != b.Bypass.Route)
	add("budget", a.Budget.Action != b.Budget.Action)
	add("cache", a.Cache.Read != b.Cache.Read || a.Cache.Write != b.Cache.Write || a.Cache.Scope != b.Cache.Scope || a.Cache.TTLMS != b.Cache.TTLMS)
	add("log", a.Log.Bodies != b.Log.Bodies || a.Log.Stages != b.Log.Stages || a.Log.CallLog != b.Log.CallLog)
	add("target", first(a.Targets) != first(b.Targets))
	add("targets", first(a.Targets) == first(b.Targets) && !slices.Equal(a.Targets, b.Targets))
	add("account", a.Account != b.Account)
	add("system", !slices.EqualFunc(a.System, b.System, func(x, y SystemText) bool { return x.Text == y.Text && x.Position == y.Position }))
	add("thinking", a.Thinking.Op != b.Thinking.Op || a.Thinking.Budget != b.Thinking.Budget || a.Thinking.Effort != b.Thinking.Effort)
	add("context", a.Context.Mode != b.Context.Mode || a.Context.Reserve != b.Context.Reserve)
	add("timeouts", a.Timeouts != b.Timeouts)
	add("limits", !slices.EqualFunc(a.Limits, b.Limits, func(x, y Limit) bool {
		x.Rules, y.Rules = nil, nil
		return x.Scope == y.Scope && x.RPM == y.RPM && x.TPM == y.TPM && x.RPD == y.RPD && x.Concurrency == y.Concurrency && x.GapMS == y.GapMS && x.MaxWaitMS == y.MaxWaitMS
	}))
	add("failures", !slices.EqualFunc(a.Failures, b.Failures, sameFailure))
	add("meter", differentMeter(a.Meter, b.Meter))
	return out
}

func sameFailure(x, y FailureVerdict) bool {
	x.OnError.Rule, y.OnError.Rule, x.OnExhausted.Rule, y.OnExhausted.Rule = "", "", "", ""
	x.Breaker.Rule, y.Breaker.Rule = "", ""
	return x == y
}

func differentMeter(a, b *MeterVerdict) bool {
	if a == nil || b == nil {
		return a != b
	}
	return a.HasCost != b.HasCost || a.Cost != b.Cost || !slices.EqualFunc(a.Counters, b.Counters, func(x, y Metered) bool {
		return x.Counter == y.Counter && x.Add == y.Add
	})
}

func settings(list []SetField) map[string]any {
	out := map[string]any{}
	for _, s := range list {
		out[s.Path] = s.Value
	}
	return out
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// culprit names the first rule that answered in one decision but not in the
// other.
func culprit(before, after *Trace) string {
	type key struct{ hook, rule, candidate string }
	said := func(tr *Trace) map[key]bool {
		out := map[key]bool{}
		for _, e := range tr.Entries {
			if e.Matched && !e.Shadow {
				out[key{e.Hook, e.Rule, e.Candidate}] = true
			}
		}
		return out
	}
	a, b := said(before), said(after)
	for _, pair := range []struct {
		tr    *Trace
		other map[key]bool
	}{{after, a}, {before, b}} {
		for _, e := range pair.tr.Entries {
			if e.Matched && !e.Shadow && !pair.other[key{e.Hook, e.Rule, e.Candidate}] {
				return e.Hook + "." + e.Rule
			}
		}
	}
	return "values"
}
