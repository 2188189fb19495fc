package decide

import (
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

// candidates makes the facts of all targets, drops those that the rules do not
// want, and puts the rest in order.
func (s *Stage) candidates(c *call.Call) {
	all := s.targets(c)
	if c.Err != nil {
		return
	}
	list := make([]*policy.Target, len(all))
	for i, t := range all {
		list[i] = t.Facts
	}
	c.Record.Targets = list
	env := &c.Env.TargetEnv
	env.Targets = list
	if len(all) > 0 {
		env.Target, env.Profile = all[0].Facts, all[0].Profile
	}
	kept := c.Snapshot.Policy.Filter(env, list, c.Trace)
	if len(kept) == 0 {
		c.Fail(s.nothingLeft(c, all))
		return
	}
	rest, facts := make([]*call.Target, len(kept)), make([]*policy.Target, len(kept))
	for i, k := range kept {
		rest[i], facts[i] = all[k], list[k]
	}
	env.Targets, env.Target, env.Profile = facts, facts[0], rest[0].Profile
	order := c.Snapshot.Policy.Order(env, facts, c.Trace)
	c.Targets = make([]*call.Target, 0, len(order))
	env.Targets = make([]*policy.Target, 0, len(order))
	for _, i := range order {
		c.Targets = append(c.Targets, rest[i])
		env.Targets = append(env.Targets, facts[i])
	}
	c.Env.Attempt.TargetsLeft = len(c.Targets) - 1
}

// targets returns the resolved targets that the key may use, with their facts.
func (s *Stage) targets(c *call.Call) []*call.Target {
	out := make([]*call.Target, 0, len(c.Resolution.Targets))
	for _, t := range c.Resolution.Targets {
		if c.Key != nil && len(c.Key.Providers) > 0 && !policy.GlobAny(c.Key.Providers, t.Provider.ID) {
			continue
		}
		out = append(out, &call.Target{Target: t, Facts: s.targetFacts(c, t), Profile: Profile(t.Provider)})
	}
	if len(out) == 0 {
		c.Fail(fault.New(fault.ModelNotAllowed, "This key may not use the providers of "+c.Model))
	}
	return out
}

// TargetFacts are the facts of a target that the catalogue knows, with the price of
// a request.
func TargetFacts(t catalog.Target, req *policy.Req) *policy.Target {
	f := policy.NewTarget()
	p, m := t.Provider, t.Model
	f.ID, f.Provider, f.Model, f.Position, f.Weight = t.ID, p.ID, m.ID, t.Position, t.Weight
	f.Auth, f.Region, f.DataPolicy, f.Meta = p.Kind, p.Region, p.DataPolicy, p.Meta
	if p.Kind == "local" {
		f.Auth = "none"
	}
	f.Tags = appendNew(appendNew(appendNew(nil, p.Tags), m.Tags), t.Tags)
	f.Tier, f.Quant = firstOf(m.Tier, p.Tier), m.Quant
	f.Context, f.MaxOutput = int(max(m.Context, 0)), int(max(m.MaxOutput, 0))
	f.Caps = policy.Caps(m.Caps)
	f.RPM, f.TPM = int(m.RPM), int(m.TPM)
	if m.Price.Known {
		f.Price = policy.Price{Known: true, Input: m.Price.Input.USD(), Output: m.Price.Output.USD(), Cached: cachedPrice(m.Price)}
		f.EstCost = ledger.Estimate(int64(req.TokensIn), int64(expectedTokens(req)), m.Price).USD()
	}
	return f
}

// targetFacts adds what is known of a target at this moment. Measurements are
// looked up only if some rule reads them.
func (s *Stage) targetFacts(c *call.Call, t catalog.Target) *policy.Target {
	f := TargetFacts(t, c.Req)
	p, m := t.Provider, t.Model
	f.Breaker = string(s.Health.Breakers.View(p.ID).State)
	sum := s.Pool.Summary(p.ID, m.ID)
	f.AccountsReady, f.AccountsTotal, f.Cooling, f.CooldownMS = sum.Ready, sum.Total, sum.Cooling, int(sum.CooldownMS)
	f.QuotaLeft, f.QuotaResetMS = sum.QuotaLeft, int(sum.QuotaResetMS)
	if combo := c.Env.Combo; combo.Name != "" {
		f.LastGood = s.Health.Combos.LastGood(combo.Name) == t.ID
	}
	if c.Snapshot.Wants.Stats {
		st := s.Health.Stats.View(t.ID)
		f.Stats = policy.Stats{Requests: st.Requests, RequestsMinute: st.RequestsMinute, TokensMinute: int(st.TokensMinute),
			Inflight: st.Inflight, Errors30s: st.Errors30s, SuccessRate: st.SuccessRate, P50MS: st.P50MS, P95MS: st.P95MS,
			TTFTMS: st.TTFTMS, TPS: st.TPS, LastOKMS: int(st.LastOKMS)}
	}
	if c.Snapshot.Wants.Spend {
		scope := "model:" + t.ID
		f.SpendDay, f.SpendMonth = s.Ledger.Spend(scope, "day"), s.Ledger.Spend(scope, "month")
	}
	return f
}

func cachedPrice(p catalog.Price) float64 {
	if p.Cached < 0 {
		return p.Input.USD()
	}
	return p.Cached.USD()
}

// Profile is the failure profile of a provider.
func Profile(p *catalog.Provider) *policy.Profile {
	f := policy.NewProfile(p.Kind)
	if p.QuotaScope != "" {
		f.QuotaScope = p.QuotaScope
	}
	return f
}

// nothingLeft explains an empty candidate list by the most useful of the
// reasons: no account at all, all accounts cooling, or what the rules said.
func (s *Stage) nothingLeft(c *call.Call, all []*call.Target) *fault.Error {
	cooling, total := 0, 0
	wait := time.Duration(-1)
	for _, t := range all {
		total += t.Facts.AccountsTotal
		if t.Facts.Cooling {
			cooling++
			if w := ms(t.Facts.CooldownMS); wait < 0 || w < wait {
				wait = w
			}
		}
	}
	switch {
	case total == 0:
		return fault.New(fault.NoCredentials, "No credentials for provider: "+providers(all))
	case cooling == len(all):
		e := fault.New(fault.AccountsExhausted, "All accounts for "+c.Model+" are cooling down"+call.ResetAfter(wait))
		e.RetryAfter = wait
		return e
	}
	return fault.New(fault.ModelUnavailable, "No target for "+c.Model+" is available: "+s.dropReasons(c))
}

// dropReasons collects what the filter rules said.
func (s *Stage) dropReasons(c *call.Call) string {
	var reasons []string
	for _, e := range c.Trace.Entries {
		if e.Hook == "filter" && e.Dropped && !e.Shadow {
			reason := e.Rule
			if text, ok := e.Value.(string); ok && text != "" {
				reason = text
			}
			reasons = appendNew(reasons, []string{reason})
		}
	}
	if len(reasons) == 0 {
		return "policy"
	}
	return strings.Join(reasons, ", ")
}

func providers(all []*call.Target) string {
	var ids []string
	for _, t := range all {
		ids = appendNew(ids, []string{t.Provider.ID})
	}
	return strings.Join(ids, ", ")
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
