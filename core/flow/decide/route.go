package decide

import (
	"fmt"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/sdk/hub"
)

// maxRoutes is how often rules may send a request to another model.
const maxRoutes = 3

// expectedOutput is assumed where a client sets no output limit, in tokens.
const expectedOutput = 1000

// route turns the model name into targets and lets budget and rewrite rules
// replace it; a replaced name is resolved again.
func (s *Stage) route(c *call.Call) {
	for range maxRoutes + 1 {
		before := c.Route
		missing := s.resolve(c)
		if missing == nil {
			if s.budget(c); c.Err != nil {
				return
			}
		}
		if c.Route == before {
			s.rewrite(c)
		}
		if c.Route == before {
			c.Fail(missing)
			return
		}
	}
	c.Fail(fault.Newf(fault.ModelAmbiguous, "Rules keep replacing the model: %q leads back to another rewrite", c.Model))
}

// resolve looks the name up in the catalogue. A name that nobody knows is not yet
// the end: a rewrite rule may put another in its place.
func (s *Stage) resolve(c *call.Call) error {
	c.Phases.Start(telemetry.PhaseResolve, s.Now())
	defer func() { c.Phases.Start(telemetry.PhasePolicy, s.Now()) }()
	name := c.Route
	if c.Provider != "" && c.Route == c.Model && !strings.HasPrefix(name, c.Provider+"/") {
		name = c.Provider + "/" + name
	}
	res, err := c.Snapshot.Catalog.Resolve(s.query(c, name))
	c.Env.Cfg = c.Settings()
	c.Record.Cfg = c.Env.Cfg
	if err != nil {
		c.Record.Routes = append(c.Record.Routes, policy.Route{Model: c.Route, Missing: true})
		return err
	}
	if c.Media == nil {
		res = c.Snapshot.Catalog.WithChain(c.Route, res)
	}
	c.Record.Routes = append(c.Record.Routes, policy.Route{Model: c.Route, Tags: res.Tags, Chain: res.Chain})
	c.Resolution = res
	c.Req.Tags = appendNew(c.Req.Tags, res.Tags)
	*c.Env.Combo = policy.Combo{Size: len(res.Targets)}
	if combo := res.Combo; combo != nil {
		c.Env.Combo.Name, c.Env.Combo.Strategy = combo.Name, combo.Strategy
		c.Env.Combo.Counter = s.Health.Combos.Counter(combo.Name)
		cfg := *c.Env.Cfg
		cfg.MaxRetries, cfg.RetryDelayMS = combo.Config.MaxRetries, int(combo.Config.RetryDelay.Milliseconds())
		c.Env.Cfg, c.Record.Cfg = &cfg, &cfg
	}
	return nil
}

func (s *Stage) query(c *call.Call, name string) catalog.Query {
	q := catalog.Query{Model: name, Active: s.Pool.Active}
	if c.Media != nil {
		q.Kind = c.Media.Kind
	}
	return q
}

// rewrite applies the rewrite rules.
func (s *Stage) rewrite(c *call.Call) {
	v := c.Snapshot.Policy.Rewrite(&c.Env.GateEnv, c.Trace)
	c.Set = v.Set
	c.Req.Tags = appendNew(c.Req.Tags, v.Tags)
	if v.Model != "" && v.Model != c.Route {
		c.Route, c.Req.Model = v.Model, v.Model
	}
}

// budget asks the budget rules. The claims they mean are taken by reserve, when
// the route is settled.
func (s *Stage) budget(c *call.Call) {
	price := priceOf(c.Resolution)
	env := policy.BudgetEnv{GateEnv: c.Env.GateEnv}
	v := c.Snapshot.Policy.Budget(&env, c.Record.ObserveBudget(func(q policy.BudgetQuery) policy.BudgetState {
		return s.budgetState(c, q, price)
	}), c.Trace)
	c.Budget = v
	if v.Failed && v.Action != "deny" {
		c.Warnings = append(c.Warnings, policy.Note{Rule: "budget", Text: "a budget could not be checked and was passed over"})
	}
	switch v.Action {
	case "downgrade":
		if v.DowngradeTo == "" || v.DowngradeTo == c.Route {
			return
		}
		c.Route = v.DowngradeTo
		c.Warnings = append(c.Warnings, policy.Note{Rule: v.Rule, Text: "over budget, downgraded to " + v.DowngradeTo})
	case "deny":
		if v.Deciding != policy.Unset {
			check := v.Checks[v.Deciding]
			c.Fail(overBudget(check.Rule, check.Scope, check.Period, check.Unit, check.Limit, check.Spent, ms(check.ResetMS)))
			return
		}
		c.Fail(fault.New(fault.PolicyFailed, "A budget could not be checked (rule "+v.Rule+")"))
	}
}

// reserve takes the estimates of all budgets at once, so that requests running
// side by side cannot overspend together.
func (s *Stage) reserve(c *call.Call) {
	checks := c.Budget.Checks
	if len(checks) == 0 {
		return
	}
	claims := make([]ledger.Claim, 0, len(checks))
	for _, b := range checks {
		window, err := budgetWindow(b.BudgetQuery)
		if err != nil {
			continue
		}
		claim := ledger.Claim{Scope: b.Scope, Unit: ledger.Unit(b.Unit), Window: window, Limit: -1,
			Estimate: amount(b.Unit, b.Est), Rule: b.Rule}
		if b.Hard {
			claim.Hard, claim.Ceiling = true, amount(b.Unit, b.Limit)
		}
		if b.Action == "deny" && b.Spent+b.Reserved+b.Est <= b.Limit { // else the rule allows more than its limit
			claim.Limit = amount(b.Unit, b.Limit)
		}
		claims = append(claims, claim)
	}
	reservation, no := s.Ledger.Reserve(c.ID, claims)
	if no != nil {
		st := no.Standing
		c.Fail(overBudget(no.Claim.Rule, no.Claim.Scope, no.Claim.Window.Period, string(no.Claim.Unit),
			inUnit(no.Claim.Unit, no.Claim.Limit), inUnit(no.Claim.Unit, st.Spent), untilReset(st, s.Now())))
		return
	}
	c.Reservation = reservation
}

// budgetState reads the counter a budget rule speaks of.
func (s *Stage) budgetState(c *call.Call, q policy.BudgetQuery, price catalog.Price) policy.BudgetState {
	window, err := budgetWindow(q)
	if err != nil {
		return policy.BudgetState{}
	}
	st := s.Ledger.Standing(q.Scope, ledger.Unit(q.Unit), window)
	unit := ledger.Unit(q.Unit)
	return policy.BudgetState{
		Spent: inUnit(unit, st.Spent), Reserved: inUnit(unit, st.Reserved),
		ResetMS: int(untilReset(st, s.Now()).Milliseconds()), Est: estimate(c, unit, price),
	}
}

// estimate guesses what the request will use of a budget.
func estimate(c *call.Call, unit ledger.Unit, price catalog.Price) float64 {
	req := c.Req
	out := expectedTokens(req)
	if c.Media != nil {
		out = 0 // nothing is written, or what is costs by the piece
	}
	switch unit {
	case ledger.Requests:
		return 1
	case ledger.Tokens:
		return float64(req.TokensIn + out)
	}
	if !price.Known {
		return 0
	}
	usage := hub.Usage{Prompt: int64(req.TokensIn), Completion: int64(out)}
	return ledger.Cost(usage, price, expectedPieces(c)).USD()
}

// expectedPieces is what will be made of a request that is not chat.
func expectedPieces(c *call.Call) ledger.CostOptions {
	var opt ledger.CostOptions
	if m := c.Media; m != nil {
		opt.Characters = m.Made.Characters
		if m.Kind == catalog.KindImage {
			opt.Images = int64(max(c.Req.N, 1))
		}
	}
	return opt
}

func expectedTokens(req *policy.Req) int {
	if req.MaxTokens > 0 {
		return min(req.MaxTokens, expectedOutput)
	}
	return expectedOutput
}

func priceOf(res *catalog.Resolution) catalog.Price {
	if len(res.Targets) == 0 {
		return catalog.Price{}
	}
	return res.Targets[0].Model.Price
}

// budgetWindow reads the window of a budget rule.
func budgetWindow(q policy.BudgetQuery) (ledger.Window, error) {
	w, err := ledger.ParseWindow(q.Period)
	if err != nil {
		return w, err
	}
	if q.TZ != "" {
		if w.Location, err = time.LoadLocation(q.TZ); err != nil {
			return w, err
		}
	}
	if q.ResetAt != "" {
		at, err := time.Parse("15:04", q.ResetAt)
		if err != nil {
			return w, err
		}
		w.ResetHour, w.ResetMinute = at.Hour(), at.Minute()
	}
	return w, nil
}

// amount converts a number of a rule into the ledger's unit.
func amount(unit string, v float64) int64 {
	if ledger.Unit(unit) == ledger.USD {
		return int64(ledger.FromUSD(v))
	}
	return int64(v)
}

// inUnit is the way back.
func inUnit(unit ledger.Unit, v int64) float64 {
	if unit == ledger.USD {
		return ledger.Money(v).USD()
	}
	return float64(v)
}

func untilReset(st ledger.Standing, now time.Time) time.Duration {
	if st.ResetAt.IsZero() {
		return 0
	}
	return max(st.ResetAt.Sub(now), 0)
}

// maxBudgetWait caps the Retry-After of a spent budget.
const maxBudgetWait = 24 * time.Hour

func overBudget(rule, scope, period, unit string, limit, spent float64, reset time.Duration) *fault.Error {
	text := fmt.Sprintf("Budget exceeded: %.4f of %.2f %s per %s used by %s (rule %s)", spent, limit, unit, period, scope, rule)
	e := fault.New(fault.BudgetExceeded, text)
	if reset > 0 {
		e.RetryAfter = min(reset, maxBudgetWait)
	}
	return e
}

// appendNew appends what is not there yet.
func appendNew(to, more []string) []string {
next:
	for _, m := range more {
		for _, have := range to {
			if have == m {
				continue next
			}
		}
		to = append(to, m)
	}
	return to
}
