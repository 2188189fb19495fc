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
	d := &decider{set: s, rec: r, tr: tr}
	d.v.Targets, d.v.Allowed = nil, true
	d.bind()
	if !d.admitted() || !d.affordable() || !d.routed() {
		return d.v
	}
	d.prepared()
	d.failures()
	if r.Usage != nil {
		m := s.Meter(&MeterEnv{AccountEnv: d.env, Usage: r.Usage}, tr)
		d.v.Meter = &m
	}
	return d.v
}

type decider struct {
	set *Set
	rec *Record
	tr  *Trace
	env AccountEnv
	v   Verdicts
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
	d.env.Key, d.env.Guard, d.env.Combo, d.env.Attempt = r.Key, r.Guard, r.Combo, r.Attempt
	if len(r.Targets) > 0 {
		d.env.Target = r.Targets[0]
	}
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
	if !g.Allowed {
		return d.refuse("admit", g)
	}
	gate.Req.Tags = append(append([]string(nil), gate.Req.Tags...), g.Tags...)
	d.v.Log = s.Log(gate, d.tr)
	d.v.Bypass = s.Bypass(gate, d.tr)
	if d.v.Bypass.Hit && d.v.Bypass.Route == "" {
		d.v.Phase, d.v.Rule = "admit", d.v.Bypass.Rule
		return false
	}
	if d.v.Bypass.Route != "" {
		gate.Req.Model, d.v.Model = d.v.Bypass.Route, d.v.Bypass.Route
	}
	return true
}

func (d *decider) affordable() bool {
	s, gate := d.set, &d.env.GateEnv
	budget := BudgetEnv{GateEnv: *gate}
	d.v.Budget = s.Budget(&budget, func(q BudgetQuery) BudgetState { return d.rec.Budgets[q.key()] }, d.tr)
	switch d.v.Budget.Action {
	case "deny":
		return d.refuse("budget", GateVerdict{Rule: d.v.Budget.Rule, Code: "RATE_002", Status: 429, Message: "budget exceeded"})
	case "downgrade":
		gate.Req.Model, d.v.Model = d.v.Budget.DowngradeTo, d.v.Budget.DowngradeTo
	}
	re := s.Rewrite(gate, d.tr)
	if re.Model != "" {
		gate.Req.Model, d.v.Model = re.Model, re.Model
	}
	gate.Req.Tags = append(gate.Req.Tags, re.Tags...)
	d.v.Tags, d.v.Set = append(d.v.Tags, re.Tags...), re.Set
	d.v.Cache = s.Cache(gate, d.tr)
	return true
}

func (d *decider) routed() bool {
	s, target := d.set, &d.env.TargetEnv
	var kept []*Target
	for _, i := range s.Filter(target, d.rec.Targets, d.tr) {
		kept = append(kept, d.rec.Targets[i])
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
	d.point(ordered[0].ID)
	d.v.Phase = "passed"
	return true
}

// point makes a target, and what belongs to it, the current one.
func (d *decider) point(id string) {
	for _, t := range d.rec.Targets {
		if t.ID == id {
			d.env.Target = t
		}
	}
	d.env.Profile = d.rec.Profiles[id]
	d.env.Accounts = nil
	for _, a := range d.rec.Accounts[id] {
		copied := *a
		d.env.Accounts = append(d.env.Accounts, &copied)
	}
}

func (d *decider) prepared() {
	s, target := d.set, &d.env.TargetEnv
	d.v.System = s.System(target, d.tr)
	d.v.Thinking = s.Thinking(target, d.tr)
	d.v.Context = s.Context(target, d.tr)
	d.v.Timeouts = s.Timeouts(target, d.tr)
	accounts := d.env.Accounts
	if i, ok := s.Accounts(&d.env, accounts, d.tr); ok {
		d.env.Account, d.v.Account = accounts[i], accounts[i].ID
		d.v.Limits = s.Limits(&d.env, d.tr)
	}
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
