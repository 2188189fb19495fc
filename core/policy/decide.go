package policy

import "time"

// Verdicts is everything the policies say about one request.
type Verdicts struct {
	// Allowed, Phase, Rule, Code, Status and Reason sum up the admission: the
	// phase is lockout, admit, budget, route or passed.
	Allowed bool   `json:"allowed"`
	Phase   string `json:"phase"`
	Rule    string `json:"rule,omitempty"`
	Code    string `json:"code,omitempty"`
	Status  int    `json:"status,omitempty"`
	Reason  string `json:"reason,omitempty"`

	// Model is the model after bypass routes, downgrades and rewrites.
	Model    string     `json:"model,omitempty"`
	Set      []SetField `json:"set,omitempty"`
	Tags     []string   `json:"tags,omitempty"`
	Warnings []Note     `json:"warnings,omitempty"`
	// Unresolved tells that the record knows no targets of Model, so that what
	// follows from them is not decided.
	Unresolved bool `json:"unresolved,omitempty"`
	// Looked tells that the facts about Model are those of today, not recorded.
	Looked bool `json:"looked_up,omitempty"`
	// Targets are the ids in the order they are tried, Account the first choice.
	Targets []string `json:"targets,omitempty"`
	Account string   `json:"account,omitempty"`

	Lockout  []LockoutRule  `json:"lockout,omitempty"`
	Bypass   BypassVerdict  `json:"bypass"`
	Budget   BudgetVerdict  `json:"budget"`
	Cache    CacheVerdict   `json:"cache"`
	Log      LogVerdict     `json:"log"`
	System   []SystemText   `json:"system,omitempty"`
	Thinking ThinkOp        `json:"thinking"`
	Context  ContextVerdict `json:"context"`
	Timeouts Timeouts       `json:"timeouts"`
	Limits   []Limit        `json:"limits,omitempty"`
	// Failures holds what follows each failed attempt of the record.
	Failures []FailureVerdict `json:"failures,omitempty"`
	Meter    *MeterVerdict    `json:"meter,omitempty"`
}

// FailureVerdict is what follows a failed attempt.
type FailureVerdict struct {
	Target      string         `json:"target"`
	Account     string         `json:"account,omitempty"`
	OnError     Decision       `json:"on_error"`
	OnExhausted Decision       `json:"on_exhausted"`
	Breaker     BreakerVerdict `json:"breaker"`
}

// Spend, Requests, Tokens and Banned answer from the recorded tables.
type recordFacts struct{ r *Record }

func (f recordFacts) Spend(scope, window string) float64 { return f.r.Spend[scope+"/"+window] }
func (f recordFacts) Requests(scope, window string) int  { return int(f.r.Requests[scope+"/"+window]) }
func (f recordFacts) Tokens(scope, window string) int    { return int(f.r.Tokens[scope+"/"+window]) }
func (f recordFacts) Banned(ip string) bool              { return hasTag(f.r.Banned, ip) }

// Decide asks every hook about a record in the order of a request's life, as
// the flow does, and stops where the flow would. It has no side effects, and
// gives the same answer each time. The record is not changed.
func (s *Set) Decide(r *Record, tr *Trace) Verdicts {
	v, _ := s.judge(r, tr)
	return v
}

// judge is Decide that also tells whose targets and accounts were meant.
func (s *Set) judge(r *Record, tr *Trace) (Verdicts, *Record) {
	d := &decider{set: s, rec: r, from: r, tr: tr}
	d.v.Allowed = true
	d.bind()
	if !d.admitted() || !d.affordable() || !d.routed() {
		return d.v, d.candidates()
	}
	d.prepared()
	if d.v.Looked { // what happened then happened to other targets
		return d.v, d.candidates()
	}
	d.failures()
	if r.Usage != nil {
		m := s.Meter(&MeterEnv{AccountEnv: d.env, Usage: r.Usage}, tr)
		d.v.Meter = &m
	}
	return d.v, d.candidates()
}

// candidates is whose targets and accounts were meant.
func (d *decider) candidates() *Record {
	if d.from == nil {
		return d.rec
	}
	return d.from
}

type decider struct {
	set *Set
	rec *Record
	tr  *Trace
	env AccountEnv
	v   Verdicts

	from   *Record            // whose targets and accounts are meant
	looked map[string]*Record // models the record does not hold
}

// lookup asks for what is known today of a model; nil = nothing.
func (d *decider) lookup(model string) *Record {
	if d.rec.Lookup == nil {
		return nil
	}
	found, known := d.looked[model]
	if !known {
		found = d.rec.Lookup(model)
		if d.looked == nil {
			d.looked = map[string]*Record{}
		}
		d.looked[model] = found
	}
	return found
}

// route tells how a model name was looked up, then or now.
func (d *decider) route(model string) Route {
	route, recorded := d.rec.route(model)
	if recorded || d.rec.resolved(model) {
		return route
	}
	if today := d.lookup(model); today != nil {
		route, _ = today.route(model)
	}
	return route
}

func (d *decider) bind() {
	r := d.rec
	at := r.At
	if at.IsZero() {
		at = time.UnixMilli(0)
	}
	req := NewReq()
	if r.Req != nil {
		copied := *r.Req
		req = &copied
	}
	d.env.IPEnv = IPEnv{Req: req, Clock: d.set.Clock(at), Sys: r.Sys, Cfg: r.Cfg, Facts: recordFacts{r}}
	d.env.Key, d.env.Guard, d.env.Combo = r.Key, r.Guard, r.Combo
	attempt := Attempt{N: 1}
	if r.Attempt != nil {
		attempt = *r.Attempt
	}
	d.env.Attempt = &attempt
	d.v.Model = req.Model
}

// refuse ends the decision.
func (d *decider) refuse(phase string, v GateVerdict) bool {
	d.v.Allowed, d.v.Phase, d.v.Rule = false, phase, v.Rule
	d.v.Code, d.v.Status, d.v.Reason = v.Code, v.Status, v.Message
	return false
}

func (d *decider) admitted() bool {
	s, gate := d.set, &d.env.GateEnv
	if v := s.IP(&gate.IPEnv, d.tr); !v.Allowed {
		return d.refuse("lockout", v)
	}
	lock := LockoutEnv{IPEnv: gate.IPEnv, Event: &Event{Source: "api_key", Kind: "check"}}
	d.v.Lockout = s.Lockout(&lock, func(subject string) Lock { return d.rec.Locks[subject] }, d.tr)
	for _, l := range d.v.Lockout {
		if l.State.Locked && !l.Exempt {
			return d.refuse("lockout", GateVerdict{Rule: l.Rule, Code: "AUTH_005", Status: 423, Message: "locked: " + l.Subject})
		}
	}
	g := s.Gate(gate, d.tr)
	d.v.Warnings, d.v.Tags = g.Warnings, g.Tags
	gate.Req.Tags = append(append([]string(nil), gate.Req.Tags...), g.Tags...)
	d.v.Log = s.Log(gate, d.tr)
	if !g.Allowed {
		return d.refuse("admit", g)
	}
	d.v.Bypass = s.Bypass(gate, d.tr)
	if d.v.Bypass.Hit && d.v.Bypass.Route == "" {
		d.v.Phase, d.v.Rule = "admit", d.v.Bypass.Rule
		return false
	}
	if d.v.Bypass.Route != "" {
		d.v.Model = d.v.Bypass.Route
	}
	return true
}

// maxRoutes is how often rules may put another model in place of one.
const maxRoutes = 3

// affordable asks budget and rewrite rules until they leave the model alone.
func (d *decider) affordable() bool {
	for range maxRoutes + 1 {
		model := d.v.Model
		if !d.priced() {
			return false
		}
		if d.v.Model == model {
			d.v.Cache = d.set.Cache(&d.env.GateEnv, d.tr)
			return true
		}
	}
	return d.refuse("budget", GateVerdict{Code: "MODEL_002", Status: 400, Message: "rules keep replacing the model"})
}

// priced asks the budget rules about the model and, if they let it be, the
// rewrite rules.
func (d *decider) priced() bool {
	s, gate, model := d.set, &d.env.GateEnv, d.v.Model
	route := d.route(model)
	gate.Req.Tags = addTags(gate.Req.Tags, route.Tags)
	if !route.Missing {
		budget := BudgetEnv{GateEnv: *gate}
		d.v.Budget = s.Budget(&budget, func(q BudgetQuery) BudgetState { return d.rec.budget(q, model) }, d.tr)
	}
	switch b := d.v.Budget; {
	case b.Action == "deny" && b.Deciding == Unset: // a rule could not be evaluated, and budgets fail closed
		return d.refuse("budget", GateVerdict{Rule: b.Rule, Code: "POLICY_001", Status: 500, Message: "a budget could not be checked"})
	case b.Action == "deny":
		return d.refuse("budget", GateVerdict{Rule: b.Rule, Code: "RATE_002", Status: 429, Message: "budget exceeded"})
	case b.Action == "downgrade" && b.DowngradeTo != "" && b.DowngradeTo != model:
		d.v.Model = b.DowngradeTo
		return true
	}
	re := s.Rewrite(gate, d.tr)
	gate.Req.Tags = addTags(gate.Req.Tags, re.Tags)
	d.v.Tags, d.v.Set = addTags(d.v.Tags, re.Tags), re.Set
	if re.Model != "" && re.Model != model {
		gate.Req.Model, d.v.Model = re.Model, re.Model
	}
	return true
}

// addTags returns tags with those of more that are new. The list of a record is
// never written to.
func addTags(tags, more []string) []string {
	for _, t := range more {
		if !hasTag(tags, t) {
			tags = append(tags[:len(tags):len(tags)], t)
		}
	}
	return tags
}

func (d *decider) routed() bool {
	s, target := d.set, &d.env.TargetEnv
	if !d.rec.resolved(d.v.Model) {
		if d.from = d.lookup(d.v.Model); d.from == nil {
			d.v.Phase, d.v.Unresolved = "passed", true
			return false
		}
		d.v.Looked = true
		if d.from.Combo != nil {
			target.Combo = d.from.Combo
		}
		if d.from.Cfg != nil {
			target.Cfg = d.from.Cfg
		}
	}
	if len(d.from.Targets) == 0 {
		return d.refuse("route", GateVerdict{Code: "MODEL_001", Status: 404, Message: "model not found: " + d.v.Model})
	}
	target.Targets, target.Target = d.from.Targets, d.from.Targets[0]
	target.Profile = d.from.Profiles[target.Target.ID]
	var kept []*Target
	for _, i := range s.Filter(target, d.from.Targets, d.tr) {
		kept = append(kept, d.from.Targets[i])
	}
	if len(kept) == 0 {
		return d.refuse("route", GateVerdict{Code: "MODEL_003", Status: 503, Message: "no target is left"})
	}
	ordered := make([]*Target, 0, len(kept))
	for _, i := range s.Order(target, kept, d.tr) {
		ordered = append(ordered, kept[i])
		d.v.Targets = append(d.v.Targets, kept[i].ID)
	}
	d.env.Targets = ordered
	d.env.Attempt.TargetsLeft = len(ordered) - 1
	d.point(ordered[0].ID)
	d.v.Phase = "passed"
	return true
}

// point makes a target, and what belongs to it, the current one.
func (d *decider) point(id string) {
	for _, t := range d.from.Targets {
		if t.ID == id {
			d.env.Target = t
		}
	}
	d.env.Profile = d.from.Profiles[id]
	d.env.Accounts = nil
	for _, a := range d.from.Accounts[id] {
		copied := *a
		d.env.Accounts = append(d.env.Accounts, &copied)
	}
}

func (d *decider) prepared() {
	s, target := d.set, &d.env.TargetEnv
	accounts := d.env.Accounts
	d.env.Attempt.AccountsLeft = AccountsLeft(accounts)
	if i, ok := s.Accounts(&d.env, accounts, d.tr); ok {
		d.env.Account, d.v.Account = accounts[i], accounts[i].ID
		d.v.Limits = s.Limits(&d.env, d.tr)
	}
	d.v.Thinking = s.Thinking(target, d.tr)
	d.v.System = s.System(target, d.tr)
	d.v.Context = s.Context(target, d.tr)
	d.v.Timeouts = s.Timeouts(target, d.tr)
}

// AccountsLeft is how many accounts could be tried after the next one.
func AccountsLeft(accounts []*Account) int {
	n := 0
	for _, a := range accounts {
		if a.Active && !a.Tried && !a.Cooling && !a.ModelLocked {
			n++
		}
	}
	return max(n-1, 0)
}

func (d *decider) failures() {
	for _, f := range d.rec.Failures {
		d.point(f.Target)
		d.env.Account = nil
		for _, a := range d.env.Accounts {
			if a.ID == f.Account {
				d.env.Account = a
			}
		}
		d.env.Attempt = f.Attempt
		env := ErrorEnv{AccountEnv: d.env, Breaker: f.Breaker, Err: f.Err}
		v := FailureVerdict{Target: f.Target, Account: f.Account}
		v.OnError = d.set.OnError(&env, d.tr)
		v.Breaker = d.set.Breaker(&BreakerEnv{TargetEnv: d.env.TargetEnv, Breaker: f.Breaker, Err: f.Err}, d.tr)
		v.OnExhausted = d.set.OnExhausted(&env, d.tr)
		d.v.Failures = append(d.v.Failures, v)
	}
}
