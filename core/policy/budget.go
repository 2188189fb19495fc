package policy

import (
	"fmt"
	"math"
)

// Defaults of lockout rules.
const (
	lockoutMax    = 5
	lockoutWindow = 5 * 60_000
	lockoutLock   = 15 * 60_000
)

// Lockout asks all lockout rules about an event; look returns the state of a
// subject. Any subject that is locked and not exempt refuses the request.
func (s *Set) Lockout(env *LockoutEnv, look func(subject string) Lock, tr *Trace) []LockoutRule {
	f := s.acquire(env, hookLockout)
	f.bindRoot(&env.IPEnv)
	defer s.release(f)
	if env.Event == nil {
		env.Event = s.unknown.event
	}
	given := env.Lock
	if given == nil {
		given = s.unknown.lock
	}
	defer func() { env.Lock = given }()
	f.slots[slotEvent] = structOf(env.Event)
	answer := func(f *frame, r *rule) (LockoutRule, error) { return lockoutRule(f, r, env, look) }
	var out []LockoutRule
	for _, r := range s.global.rules[hookLockout] {
		env.Lock = given
		f.slots[slotLock] = structOf(env.Lock)
		if v, ok, _ := ask(s, f, r, tr, answer); ok {
			out = append(out, v)
		}
	}
	return out
}

func lockoutRule(f *frame, r *rule, env *LockoutEnv, look func(string) Lock) (v LockoutRule, err error) {
	v.Rule = r.id
	if v.Subject, err = r.text(f, "subject"); err != nil {
		return v, err
	}
	state := *env.Lock
	if look != nil {
		state = look(v.Subject)
	}
	state.Subject = v.Subject
	v.State = state
	env.Lock = &state
	f.slots[slotLock] = structOf(env.Lock)
	if v.Exempt, err = r.condition(f, "exempt"); err != nil {
		return v, err
	}
	if v.Count, err = r.condition(f, "count"); err != nil {
		return v, err
	}
	if v.Clear, err = r.condition(f, "clear"); err != nil {
		return v, err
	}
	if v.Max, err = r.integer(f, "max"); err != nil {
		return v, err
	}
	if v.WindowMS, err = r.duration(f, "window"); err != nil {
		return v, err
	}
	if v.LockMS, err = r.duration(f, "lock"); err != nil {
		return v, err
	}
	v.Max = orDefault(v.Max, lockoutMax)
	v.WindowMS = orDefault(v.WindowMS, lockoutWindow)
	v.LockMS = orDefault(v.LockMS, lockoutLock)
	return v, nil
}

func orDefault(n, def int) int {
	if n == Unset {
		return def
	}
	return n
}

// strictness ranks budget actions.
func strictness(action string) int {
	switch action {
	case "deny":
		return 3
	case "downgrade":
		return 2
	case "warn":
		return 1
	}
	return 0
}

// Budget asks all budget rules; look returns the state of the counter a rule
// speaks of. env.Budget may be nil; its WarnAt, if set, is the default.
func (s *Set) Budget(env *BudgetEnv, look func(BudgetQuery) BudgetState, tr *Trace) BudgetVerdict {
	f := s.acquire(env, hookBudget)
	f.bindGate(&env.GateEnv)
	defer s.release(f)
	given := env.Budget
	defer func() { env.Budget = given }()
	warnAt := 0.8
	switch {
	case given != nil && given.WarnAt > 0:
		warnAt = given.WarnAt
	case env.Key.Limits.WarnAt > 0:
		warnAt = env.Key.Limits.WarnAt
	}
	var scratch Budget
	env.Budget = &scratch
	f.slots[slotBudget] = structOf(env.Budget)
	answer := func(f *frame, r *rule) (BudgetCheck, error) { return budgetRule(f, r, env.Budget, look) }
	v := BudgetVerdict{Deciding: Unset}
	for _, r := range s.global.rules[hookBudget] {
		scratch = Budget{WarnAt: warnAt}
		c, ok, err := ask(s, f, r, tr, answer)
		if err != nil {
			v.Failed = true
			if s.failClosed {
				v.Action, v.Rule, v.Deciding, v.DowngradeTo = "deny", r.id, Unset, ""
			}
			continue
		}
		if !ok {
			continue
		}
		v.Checks = append(v.Checks, c)
		action := ""
		switch {
		case c.Deny:
			action = c.Action
		case c.Warn:
			action = "warn"
		}
		if strictness(action) > strictness(v.Action) {
			v.Action, v.Rule, v.DowngradeTo, v.Deciding = action, r.id, "", len(v.Checks)-1
			if action == "downgrade" {
				v.DowngradeTo = c.DowngradeTo
			}
		}
	}
	return v
}

func budgetRule(f *frame, r *rule, b *Budget, look func(BudgetQuery) BudgetState) (c BudgetCheck, err error) {
	c.Rule, c.Action = r.id, r.word("action", "deny")
	c.Unit, c.Period = r.word("unit", "usd"), r.word("period", "day")
	c.Hard = r.flag("hard")
	c.TZ, c.ResetAt = r.word("tz", ""), r.word("reset_at", "")
	if c.Scope, err = r.text(f, "scope"); err != nil {
		return c, err
	}
	state := look(c.BudgetQuery)
	b.Scope, b.Period = c.Scope, c.Period
	b.Spent, b.Reserved, b.ResetMS, b.Est = state.Spent, state.Reserved, state.ResetMS, state.Est
	if shares := r.values["warn_at"]; shares != nil {
		b.WarnAt = shares.shares[0]
	}
	if b.Est, err = r.number(f, "est", b.Est); err != nil {
		return c, err
	}
	if b.Limit, err = r.number(f, "limit", 0); err != nil {
		return c, err
	}
	if math.IsNaN(b.Limit) || math.IsInf(b.Limit, 0) || math.IsNaN(b.Est) || math.IsInf(b.Est, 0) {
		return c, fmt.Errorf("limit %v with an estimate of %v makes no sense", b.Limit, b.Est)
	}
	c.Limit, c.Spent, c.Reserved, c.Est, c.ResetMS = b.Limit, b.Spent, b.Reserved, b.Est, b.ResetMS
	if c.Deny, err = r.condition(f, "deny"); err != nil {
		return c, err
	}
	if c.Warn, err = r.condition(f, "warn"); err != nil {
		return c, err
	}
	c.DowngradeTo, err = r.text(f, "downgrade_to")
	return c, err
}
