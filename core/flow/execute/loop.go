package execute

import (
	"slices"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
)

// Hard caps of one request, whatever the rules say.
const (
	maxAttempts      = 30
	maxSameAccount   = 3
	maxTargetRetries = 2
	maxWaiting       = 60 * time.Second
)

// loop is the attempt loop of one call.
type loop struct {
	s *Stage
	c *call.Call

	attempts int
	waited   time.Duration
	failures []*fault.Error
	shut     []*call.Target // skipped because their breaker is open
	request  *request       // made for the current target, shared by its accounts
}

// run tries the targets in order until there is an answer or an error.
func (l *loop) run() {
	for i, t := range l.c.Targets {
		l.c.Env.Attempt.TargetsLeft = len(l.c.Targets) - 1 - i
		if i > 0 && !l.wanted(t) {
			continue
		}
		if l.target(t, false); l.over() {
			return
		}
	}
	if len(l.failures) == 0 && len(l.shut) > 0 && l.c.Snapshot.Config.File.Routing.PanicMode {
		if l.target(l.longestShut(), true); l.over() {
			return
		}
	}
	l.c.Fail(l.verdict())
}

func (l *loop) over() bool { return l.c.Answer != nil || l.c.Err != nil }

// wanted asks the filter rules again about one target: what they look at may
// have changed since the request came in.
func (l *loop) wanted(t *call.Target) bool {
	sum := l.s.Pool.Summary(t.Provider.ID, t.Model.ID)
	now := *t.Facts // the record keeps those of the decision
	t.Facts = &now
	f := t.Facts
	f.AccountsReady, f.Cooling, f.CooldownMS = sum.Ready, sum.Cooling, int(sum.CooldownMS)
	f.Breaker = string(l.s.Health.Breakers.View(t.Provider.ID).State)
	keep, _ := l.c.Snapshot.Policy.Keep(l.env(t), l.c.Trace)
	return keep
}

// env points the environment of the call at a target.
func (l *loop) env(t *call.Target) *policy.TargetEnv {
	env := &l.c.Env.TargetEnv
	env.Target, env.Profile = t.Facts, t.Profile
	env.Attempt.ElapsedMS = int(l.s.Now().Sub(l.c.Began).Milliseconds())
	return env
}

// longestShut is the target whose breaker has been open for longest: the last
// resort when all are.
func (l *loop) longestShut() *call.Target {
	return slices.MaxFunc(l.shut, func(a, b *call.Target) int {
		x, y := l.s.Health.Breakers.View(a.Provider.ID), l.s.Health.Breakers.View(b.Provider.ID)
		return int(x.SinceMS - y.SinceMS)
	})
}

// target tries the accounts of one target.
func (l *loop) target(t *call.Target, force bool) {
	if !force && t.Facts.Breaker == string(health.Open) {
		l.shut = append(l.shut, t)
		return
	}
	leave, err := l.gate(t)
	if err != nil {
		l.failures = append(l.failures, err)
		return
	}
	v := visit{l: l, t: t, force: force, leave: leave}
	v.run()
	l.c.Env.Attempt.Tried = append(l.c.Env.Attempt.Tried, t.ID)
}

// gate takes a place at the target where its combo bounds how many run at once.
func (l *loop) gate(t *call.Target) (func(), *fault.Error) {
	combo := l.c.Resolution.Combo
	if combo == nil || combo.Config.ConcurrencyPerModel <= 0 {
		return nil, nil
	}
	leave, err := l.s.Health.Gates.Enter(l.c.Ctx, l.gateName(t), combo.Config.ConcurrencyPerModel, combo.Config.QueueTimeout)
	if err == nil {
		return leave, nil
	}
	if l.c.Ctx.Err() != nil {
		l.c.Fail(l.cancelled())
		return nil, l.c.Err
	}
	return nil, fault.Wrap(fault.RateLimited, err, "Too many requests are running on "+t.ID)
}

// visit is the time spent on one target.
type visit struct {
	l     *loop
	t     *call.Target
	force bool
	leave func() // of the combo's gate; nil = none

	tried []string
	same  int
	last  *fault.Error
}

func (v *visit) run() {
	l := v.l
	l.request = nil
	l.c.Env.Attempt.Same = 0
	defer func() {
		if v.leave != nil && !v.streaming() {
			v.leave()
		}
	}()
	for {
		l.env(v.t)
		l.c.Phases.Start(telemetry.PhaseSelect, l.s.Now())
		lease, none := v.pick()
		if none != nil {
			if !v.exhausted(none) {
				return
			}
			continue
		}
		if v.account(lease) {
			v.tried = append(v.tried, lease.Account().ID)
			continue
		}
		return
	}
}

// pick lets the accounts rules choose among the accounts not tried yet.
func (v *visit) pick() (*account.Lease, *account.NoneError) {
	l := v.l
	q := account.Query{Provider: v.t.Provider.ID, Model: v.t.Model.ID, Session: l.c.Req.Session,
		Tried: v.tried, Fallback: len(v.tried) > 0}
	if l.c.Key != nil {
		q.Allowed = l.c.Key.Accounts
	}
	lease, err := l.s.Pool.Reserve(q, v.choose)
	if err == nil {
		return lease, nil
	}
	none, ok := err.(*account.NoneError)
	if !ok {
		none = &account.NoneError{Provider: q.Provider, LastError: err.Error()}
	}
	return nil, none
}

// choose runs the accounts hook. It is called within the pool's critical
// section.
func (v *visit) choose(views []account.View) int {
	env := &v.l.c.Env.AccountEnv
	list := make([]*policy.Account, len(views))
	left := 0
	for i := range views {
		list[i] = v.l.s.accountFacts(v.l.c, &views[i])
		if a := list[i]; a.Active && !a.Tried && !a.Cooling && !a.ModelLocked {
			left++
		}
	}
	env.Attempt.AccountsLeft = max(left-1, 0)
	env.Accounts = list
	if len(list) > 0 {
		env.Account = list[0]
	}
	v.record(list)
	i, ok := v.l.c.Snapshot.Policy.Accounts(env, list, v.l.c.Trace)
	if !ok {
		return -1
	}
	env.Account = list[i]
	return i
}

// record keeps the facts of the first selection on a target.
func (v *visit) record(accounts []*policy.Account) {
	rec := v.l.c.Record
	if rec == nil || rec.Accounts[v.t.ID] != nil {
		return
	}
	if rec.Accounts == nil {
		rec.Accounts, rec.Profiles = make(map[string][]*policy.Account, 1), make(map[string]*policy.Profile, 1)
	}
	rec.Accounts[v.t.ID], rec.Profiles[v.t.ID] = accounts, v.t.Profile
}

// exhausted asks what follows when no account is left; true = try them again.
func (v *visit) exhausted(none *account.NoneError) bool {
	l := v.l
	if v.last == nil {
		v.last = noAccount(none, v.t, l.s.Now())
		l.failures = append(l.failures, v.last)
	}
	env := &l.c.Env
	env.Err = errFacts(v.last)
	if env.Account == nil {
		env.Account = &policy.Account{}
	}
	d := l.c.Snapshot.Policy.OnExhausted(env, l.c.Trace)
	switch {
	case d.To == "client":
		l.c.Fail(v.last)
	case d.To == "same" && v.same < maxTargetRetries:
		if l.wait(d.WaitMS) {
			v.same++
			env.Attempt.Same++
			v.tried = nil
			return true
		}
	}
	return false
}

// account makes attempts with one account; true = try the next one. What they
// took is given back here, also by a panic, unless a stream still needs it.
func (v *visit) account(lease *account.Lease) (next bool) {
	l := v.l
	var a *attempt
	defer func() {
		if v.streaming() {
			return
		}
		if a != nil {
			a.abort(fault.New(fault.Internal)) // only a panic leaves it open
		}
		lease.Release()
	}()
	for repeats := 0; ; repeats++ {
		if l.attempts >= maxAttempts {
			l.c.Fail(l.verdict())
			return false
		}
		breaker, ok := v.admit()
		if !ok {
			l.shut = append(l.shut, v.t)
			return false
		}
		l.attempts++
		l.c.Env.Attempt.N = l.attempts
		a = &attempt{l: l, c: l.c, t: v.t, lease: lease, began: l.s.Now(), breaker: breaker, leave: v.leave,
			stats: l.s.Health.Stats.Begin(v.t.ID)}
		failure := a.run()
		if failure == nil {
			return false
		}
		d := a.fail(failure, false)
		v.shut(failure, d)
		v.last = failure
		l.failures = append(l.failures, failure)
		switch {
		case l.c.Err != nil:
		case l.c.Ctx.Err() != nil:
			l.c.Fail(l.cancelled())
		case d.To == "client":
			l.c.Fail(failure)
		case d.To == "same" && repeats < maxSameAccount && l.wait(d.WaitMS):
			l.c.Env.Attempt.Same++
			continue
		default:
			return d.To != "target" && l.c.Err == nil
		}
		return false
	}
}

// streaming reports whether the answer is a stream: it owns its attempt, with the
// account and the place in the combo, until its end.
func (v *visit) streaming() bool { return v.l.c.Answer != nil && v.l.c.Answer.Events != nil }

// admit asks the provider's breaker. The last resort passes one that is open, but
// not one that another request is trying out: its answer is worth waiting for.
func (v *visit) admit() (done func(health.Outcome), ok bool) {
	breakers, name := v.l.s.Health.Breakers, v.t.Provider.ID
	if done, ok = breakers.Allow(name); !ok && v.force && breakers.View(name).State == health.Open {
		return breakers.Force(name), true
	}
	return done, ok
}

// gateName is the gate of a target within its combo.
func (l *loop) gateName(t *call.Target) string {
	return "combo:" + l.c.Resolution.Combo.Name + ":" + t.ID
}

// shut lets nobody else into the combo's gate while the target recovers from a
// passing failure.
func (v *visit) shut(e *fault.Error, d policy.Decision) {
	if v.leave == nil || d.CooldownMS <= 0 {
		return
	}
	switch e.Status {
	case 408, 429, 500, 502, 503, 504:
		if v.l.s.Pool.Summary(v.t.Provider.ID, v.t.Model.ID).Ready > 0 {
			return // another account of it may serve
		}
		v.l.s.Health.Gates.Shut(v.l.gateName(v.t), millis(d.CooldownMS))
	}
}

// wait pauses the loop; false when the client left or waiting has been enough.
func (l *loop) wait(ms int) bool {
	d := time.Duration(ms) * time.Millisecond
	if l.waited+d > maxWaiting {
		return false
	}
	l.waited += d
	if d <= 0 {
		return l.c.Ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.c.Ctx.Done():
		l.c.Fail(l.cancelled())
		return false
	}
}

// cancelled is the error of a call whose context ended.
func (l *loop) cancelled() *fault.Error { return cancelled(l.c) }

func cancelled(c *call.Call) *fault.Error {
	if c.Gone() {
		return call.ErrClientGone
	}
	return fault.From(contextCause(c.Ctx))
}

// verdict is the final answer when nothing worked: a rate limit if everything
// was one, 503 if anything was the providers' fault, else the last refusal. It
// says when to come back if anybody knows.
func (l *loop) verdict() *fault.Error {
	if len(l.failures) == 0 {
		if len(l.shut) > 0 {
			return l.allShut()
		}
		return fault.New(fault.ModelUnavailable, "No target is available for "+l.c.Model)
	}
	last := l.failures[len(l.failures)-1]
	if len(l.failures) == 1 {
		return last
	}
	limited, broken := true, false
	wait := fault.Unknown
	for _, f := range l.failures {
		limited = limited && f.Status == 429
		broken = broken || f.Status >= 500
		if f.RetryAfter >= 0 && (wait < 0 || f.RetryAfter < wait) {
			wait = f.RetryAfter
		}
	}
	e := *last
	switch {
	case limited:
		e.Status = 429
	case broken && last.Status != 504 && last.Status != 502:
		e.Status, e.Retryable = 503, true
	}
	e.RetryAfter = wait
	return &e
}

// allShut is the failure of a call whose every target has an open breaker.
func (l *loop) allShut() *fault.Error {
	e := fault.New(fault.CircuitOpen, "All providers are temporarily unavailable (circuit breakers open)")
	for _, t := range l.shut {
		if ms := l.s.Health.Breakers.View(t.Provider.ID).RetryAfterMS; e.RetryAfter < 0 || millis(int(ms)) < e.RetryAfter {
			e.RetryAfter = max(millis(int(ms)), time.Second)
		}
	}
	return e
}

// noAccount is the failure of a target that has no account to offer.
func noAccount(none *account.NoneError, t *call.Target, now time.Time) *fault.Error {
	if none.Total == 0 {
		return fault.New(fault.NoCredentials, "No credentials for provider: "+t.Provider.ID)
	}
	e := fault.New(fault.AccountsExhausted, "All accounts for "+t.ID+" are unavailable")
	if none.LastError != "" {
		e.Message += ": " + none.LastError
	}
	if none.Code >= 400 && none.Cooling > 0 {
		e.Status = none.Code
	}
	if !none.Earliest.IsZero() {
		e.RetryAfter = max(none.Earliest.Sub(now), 0)
		e.Message += call.ResetAfter(e.RetryAfter)
	}
	e.Provider = t.Provider.ID
	return e
}
