package decide

import (
	"cmp"
	"slices"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

// scopeInference is what a key must be good for to call models.
const scopeInference = "inference"

// tagDebug on a key makes the Trace of its calls record every value.
const tagDebug = "debug"

// ip asks whether the address may talk to the gateway.
func (s *Stage) ip(c *call.Call) {
	if v := c.Snapshot.Policy.IP(&c.Env.IPEnv, c.Trace); !v.Allowed {
		c.Fail(denied(v, fault.AddressNotAllowed))
	}
}

// lockout refuses subjects that failed too often.
func (s *Stage) lockout(c *call.Call) {
	for _, r := range s.lockRules(c, policy.Event{Source: "api_key", Kind: "check"}) {
		if r.Exempt || !r.State.Locked || sharedAddress(c, r.Subject) {
			continue
		}
		e := fault.New(fault.AccountLocked, "Too many failed attempts, try again later")
		e.RetryAfter = time.Duration(r.State.RemainingMS) * time.Millisecond
		c.Fail(e)
		return
	}
}

// tell lets the lockout rules learn of an event.
func (s *Stage) tell(c *call.Call, ev policy.Event) {
	for _, r := range s.lockRules(c, ev) {
		switch {
		case r.Exempt || sharedAddress(c, r.Subject):
		case r.Clear:
			s.Health.Lockouts.Clear(r.Subject)
		case r.Count:
			s.Health.Lockouts.Fail(r.Subject, r.Max, ms(r.WindowMS), ms(r.LockMS))
		}
	}
}

// sharedAddress reports a subject that is the address of many clients: a lock of
// it would shut all of them out for the failures of one.
func sharedAddress(c *call.Call, subject string) bool {
	return c.Shared && subject == "ip:"+c.IP.String()
}

// lockRules asks the lockout rules about an event.
func (s *Stage) lockRules(c *call.Call, ev policy.Event) []policy.LockoutRule {
	env := policy.LockoutEnv{IPEnv: c.Env.IPEnv, Event: &ev}
	return c.Snapshot.Policy.Lockout(&env, func(subject string) policy.Lock {
		l := s.Health.Lockouts.View(subject)
		if l.Attempts > 0 || l.Locked || l.Locks > 0 {
			note(&c.Record.Locks, subject, lockFacts(l))
		}
		return lockFacts(l)
	}, c.Trace)
}

// note puts a fact into a table of the record.
func note[V any](table *map[string]V, name string, v V) {
	if *table == nil {
		*table = make(map[string]V)
	}
	(*table)[name] = v
}

func lockFacts(l health.Lock) policy.Lock {
	return policy.Lock{Subject: l.Subject, Locked: l.Locked, RemainingMS: int(l.RemainingMS), Attempts: l.Attempts, Locks: l.Locks}
}

// auth finds the client key. Where keys are not required, a request without a
// key, or with one that nobody knows, is anonymous: most SDKs insist on sending
// something.
func (s *Stage) auth(c *call.Call) {
	presented := c.Secret.Reveal()
	if presented == "" {
		if c.Snapshot.RequireKeys {
			c.Fail(fault.New(fault.AuthRequired))
		}
		return
	}
	key, err := s.Keys.Verify(presented)
	if err != nil {
		if !c.Snapshot.RequireKeys {
			return
		}
		s.tell(c, policy.Event{Source: "api_key", Kind: "failure", Status: 401, Reason: "invalid"})
		c.Fail(err)
		return
	}
	if len(key.Scopes) > 0 && !slices.Contains(key.Scopes, scopeInference) {
		c.Fail(fault.New(fault.Forbidden, "This key may not call models"))
		return
	}
	if err := key.Admit(c.IP, c.Began); err != nil {
		c.Fail(err)
		return
	}
	s.tell(c, policy.Event{Source: "api_key", Kind: "success"})
	s.Keys.Touch(key.ID)
	c.Key = key
	c.Env.Key = s.keyFacts(c, key)
	c.Record.Key = c.Env.Key
	c.Req.Tags = append(c.Req.Tags, key.Tags...)
	c.Trace.Detail = slices.Contains(key.Tags, tagDebug)
}

// keyFacts are the facts of a key; counters only if some rule reads them.
func (s *Stage) keyFacts(c *call.Call, k *account.Key) *policy.Key {
	f := policy.NewKey()
	f.ID, f.Name, f.Known, f.Team, f.Tags, f.Models, f.NoLog = k.ID, k.Name, true, k.Team, k.Tags, k.Models, k.NoLog
	if len(k.Meta) > 0 {
		f.Meta = make(map[string]any, len(k.Meta))
		for name, v := range k.Meta {
			f.Meta[name] = v
		}
	}
	now := s.Now()
	f.AgeDays = now.Sub(k.CreatedAt).Hours() / 24
	if !k.ExpiresAt.IsZero() {
		f.ExpiresInMS = int(k.ExpiresAt.Sub(now).Milliseconds())
	}
	l := k.Limits
	f.Limits = policy.KeyLimits{DailyUSD: l.DailyUSD, WeeklyUSD: l.WeeklyUSD, MonthlyUSD: l.MonthlyUSD, TotalUSD: l.TotalUSD,
		WarnAt: l.WarnAt, RPM: int(l.RPM), TPM: int(l.TPM), RPD: int(l.RPD)}
	if !c.Snapshot.Wants.KeyCounters {
		return f
	}
	scope := "key:" + k.ID
	f.SpendDay, f.SpendWeek = s.Ledger.Spend(scope, "day"), s.Ledger.Spend(scope, "week")
	f.SpendMonth, f.SpendTotal = s.Ledger.Spend(scope, "month"), s.Ledger.Spend(scope, "total")
	f.RequestsMinute, f.RequestsDay = s.Ledger.Requests(scope, "minute"), s.Ledger.Requests(scope, "day")
	f.TokensMinute, f.TokensDay = s.Ledger.Tokens(scope, "minute"), s.Ledger.Tokens(scope, "day")
	f.Inflight = s.Health.Limits.View(scope).Running
	for _, period := range [...]string{"day", "week", "month", "once"} {
		held := s.Ledger.Standing(scope, ledger.USD, ledger.Window{Period: period}).Reserved
		f.ReservedUSD = max(f.ReservedUSD, ledger.Money(held).USD())
	}
	return f
}

// gate asks whether the request is admitted and what shall be kept of it, then
// holds the key to its own limits.
func (s *Stage) gate(c *call.Call) {
	set, env := c.Snapshot.Policy, &c.Env.GateEnv
	if c.Guard != nil {
		env.Guard, c.Record.Guard = c.Guard, c.Guard
	}
	asked := *c.Req // rules change the one of the call
	asked.Tags = slices.Clone(asked.Tags)
	c.Record.Req = &asked
	v := set.Gate(env, c.Trace)
	c.Req.Tags = append(c.Req.Tags, v.Tags...)
	c.Warnings = append(c.Warnings, v.Warnings...)
	c.Log = logging(set.Log(env, c.Trace), &c.Snapshot.Config.File.Logging.Requests)
	c.Keep = c.Keep || c.Log.Bodies == "all"
	if !v.Allowed {
		e := denied(v, fault.Denied)
		s.tell(c, policy.Event{Source: "policy", Kind: "failure", Status: e.Status, Reason: v.Rule})
		c.Fail(e)
		return
	}
	s.keyLimits(c)
}

// logging fills in the configured wishes where no rule but the preset's own
// default spoke.
func logging(v policy.LogVerdict, configured *config.RequestLogging) policy.LogVerdict {
	if v.Rule != "" && v.Rule != "default" {
		return v
	}
	v.Bodies = cmp.Or(configured.Bodies, v.Bodies)
	v.Stages = cmp.Or(configured.Stages, v.Stages)
	return v
}

// keyLimits takes a place within the rate limits of the client key. It is given
// back when the call is settled.
func (s *Stage) keyLimits(c *call.Call) {
	if c.Key == nil {
		return
	}
	l := c.Key.Limits
	limit := health.Limit{RPM: bound(l.RPM), TPM: bound(l.TPM), RPD: bound(l.RPD), Concurrency: bound(l.Concurrency), MaxWait: time.Nanosecond}
	if l.RPM == 0 || l.TPM == 0 || l.RPD == 0 || l.Concurrency == 0 {
		c.Fail(fault.New(fault.RateLimited, "This key may not send requests: a limit of it is zero"))
		return
	}
	if limit.RPM+limit.TPM+limit.RPD+limit.Concurrency == 0 && !c.Snapshot.Wants.KeyCounters {
		return // nobody asks how many of its requests run
	}
	release, err := s.Health.Limits.Acquire(c.Ctx, "key:"+c.Key.ID, limit, int64(c.Req.TokensIn))
	if err != nil {
		c.Fail(limited(err, "Rate limit of this key exceeded"))
		return
	}
	c.Releases = append(c.Releases, release)
}

// bound turns the -1 of "unlimited" into the 0 of "no limit".
func bound(n int64) int { return int(max(n, 0)) }

// limited turns an error of a limiter into the client's.
func limited(err error, message string) *fault.Error {
	if e := fault.As(err); e != nil {
		return e
	}
	e := fault.Wrap(fault.RateLimited, err, message)
	if l, ok := err.(*health.LimitError); ok {
		e.RetryAfter = l.Wait
	}
	return e
}

// denied turns the verdict of a gate into the client's error.
func denied(v policy.GateVerdict, fallback fault.Code) *fault.Error {
	code := fault.Code(v.Code)
	switch {
	case v.Failed:
		code = fault.PolicyFailed
	case code == "":
		code = fallback
	}
	e := fault.New(code, v.Message)
	if v.Status != 0 {
		e.Status = v.Status
	}
	if v.RetryAfterMS >= 0 {
		e.RetryAfter = ms(v.RetryAfterMS)
		e.Retryable = true
	}
	return e
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }
