package policy

import (
	"fmt"
	"math"
)

// Limits returns the tightest limits by scope, in the order scopes were named.
func (s *Set) Limits(env *AccountEnv, tr *Trace) []Limit {
	f := s.acquire(env, hookLimits)
	f.bindAccount(env)
	defer s.release(f)
	var out []Limit
	for _, list := range s.rulesFor(hookLimits, &env.TargetEnv, env.Account.ID) {
		for _, r := range list {
			if v, ok, _ := ask(s, f, r, tr, limitRule); ok {
				out = tighten(out, v)
			}
		}
	}
	return out
}

func limitRule(f *frame, r *rule) (v Limit, err error) {
	v.Rules = []string{r.id}
	if v.Scope, err = r.text(f, "scope"); err != nil {
		return v, err
	}
	if v.RPM, err = r.integer(f, "rpm"); err != nil {
		return v, err
	}
	if v.TPM, err = r.integer(f, "tpm"); err != nil {
		return v, err
	}
	if v.RPD, err = r.integer(f, "rpd"); err != nil {
		return v, err
	}
	if v.Concurrency, err = r.integer(f, "concurrency"); err != nil {
		return v, err
	}
	if v.GapMS, err = r.duration(f, "gap"); err != nil {
		return v, err
	}
	v.MaxWaitMS, err = r.duration(f, "max_wait")
	return v, err
}

// tighten adds a limit, merging it with an earlier one of the same scope.
func tighten(limits []Limit, v Limit) []Limit {
	for i := range limits {
		l := &limits[i]
		if l.Scope != v.Scope {
			continue
		}
		l.RPM, l.TPM, l.RPD = smaller(l.RPM, v.RPM), smaller(l.TPM, v.TPM), smaller(l.RPD, v.RPD)
		l.Concurrency, l.MaxWaitMS = smaller(l.Concurrency, v.Concurrency), smaller(l.MaxWaitMS, v.MaxWaitMS)
		l.GapMS = max(l.GapMS, v.GapMS)
		l.Rules = append(l.Rules, v.Rules...)
		return limits
	}
	return append(limits, v)
}

func smaller(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// Learn asks what a response head teaches about the account's limits.
func (s *Set) Learn(env *LearnEnv, tr *Trace) LearnVerdict {
	f := s.acquire(env, hookLearn)
	f.bindAccount(&env.AccountEnv)
	if env.Hdr == nil {
		env.Hdr = s.unknown.hdr
	}
	f.slots[slotHdr] = structOf(env.Hdr)
	defer s.release(f)
	for _, list := range s.rulesFor(hookLearn, &env.TargetEnv, env.Account.ID) {
		for _, r := range list {
			if v, ok, _ := ask(s, f, r, tr, learnRule); ok {
				return v
			}
		}
	}
	return LearnVerdict{GapMS: Unset, Reservoir: Unset, Refill: Unset, EveryMS: Unset}
}

func learnRule(f *frame, r *rule) (v LearnVerdict, err error) {
	v.Rule, v.Hit, v.Open = r.id, true, r.flag("open")
	if v.GapMS, err = r.duration(f, "gap"); err != nil {
		return v, err
	}
	if v.Reservoir, err = r.integer(f, "reservoir"); err != nil {
		return v, err
	}
	if v.Refill, err = r.integer(f, "refill"); err != nil {
		return v, err
	}
	v.EveryMS, err = r.duration(f, "every")
	return v, err
}

// System returns the system prompts to inject, in order.
func (s *Set) System(env *TargetEnv, tr *Trace) []SystemText {
	f := s.acquire(env, hookSystem)
	f.bindTarget(env)
	defer s.release(f)
	var out []SystemText
	for _, list := range s.rulesFor(hookSystem, env, "") {
		for _, r := range list {
			if v, ok, _ := ask(s, f, r, tr, systemRule); ok && v.Text != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

func systemRule(f *frame, r *rule) (SystemText, error) {
	text, err := r.text(f, "text")
	return SystemText{Rule: r.id, Text: text, Position: r.word("position", "prepend")}, err
}

// Thinking asks what happens to the client's reasoning parameters.
func (s *Set) Thinking(env *TargetEnv, tr *Trace) ThinkOp {
	f := s.acquire(env, hookThinking)
	f.bindTarget(env)
	defer s.release(f)
	for _, list := range s.rulesFor(hookThinking, env, "") {
		for _, r := range list {
			v, ok, err := ask(s, f, r, tr, thinkRule)
			if err != nil {
				return ThinkOp{Op: "keep", Rule: r.id}
			}
			if ok {
				return v
			}
		}
	}
	return ThinkOp{Op: "keep"}
}

func thinkRule(f *frame, r *rule) (ThinkOp, error) {
	v, err := r.do.think(f)
	v.Rule = r.id
	return v, err
}

// Context asks how a prompt that may not fit the target is treated.
func (s *Set) Context(env *TargetEnv, tr *Trace) ContextVerdict {
	f := s.acquire(env, hookContext)
	f.bindTarget(env)
	defer s.release(f)
	for _, list := range s.rulesFor(hookContext, env, "") {
		for _, r := range list {
			v, ok, err := ask(s, f, r, tr, contextRule)
			if err != nil {
				return ContextVerdict{Rule: r.id, Mode: "off"}
			}
			if ok {
				return v
			}
		}
	}
	return ContextVerdict{Mode: "off"}
}

func contextRule(f *frame, r *rule) (ContextVerdict, error) {
	n, err := r.integer(f, "reserve")
	return ContextVerdict{Rule: r.id, Mode: r.word("mode", "off"), Reserve: max(n, 0)}, err
}

// Timeouts returns the clocks of the upstream request; each is the first value
// any rule gives.
func (s *Set) Timeouts(env *TargetEnv, tr *Trace) Timeouts {
	f := s.acquire(env, hookTimeouts)
	f.bindTarget(env)
	defer s.release(f)
	out := Timeouts{Unset, Unset, Unset, Unset, Unset, Unset}
	for _, list := range s.rulesFor(hookTimeouts, env, "") {
		for _, r := range list {
			v, ok, err := ask(s, f, r, tr, timeoutRule)
			if err != nil || !ok {
				continue
			}
			out.ConnectMS = firstSet(out.ConnectMS, v.ConnectMS)
			out.HeadersMS = firstSet(out.HeadersMS, v.HeadersMS)
			out.FirstEventMS = firstSet(out.FirstEventMS, v.FirstEventMS)
			out.IdleMS = firstSet(out.IdleMS, v.IdleMS)
			out.TotalMS = firstSet(out.TotalMS, v.TotalMS)
			out.HeartbeatMS = firstSet(out.HeartbeatMS, v.HeartbeatMS)
		}
	}
	return out
}

func firstSet(a, b int) int {
	if a == Unset {
		return b
	}
	return a
}

func timeoutRule(f *frame, r *rule) (v Timeouts, err error) {
	if v.ConnectMS, err = r.duration(f, "connect"); err != nil {
		return v, err
	}
	if v.HeadersMS, err = r.duration(f, "headers"); err != nil {
		return v, err
	}
	if v.FirstEventMS, err = r.duration(f, "first_event"); err != nil {
		return v, err
	}
	if v.IdleMS, err = r.duration(f, "idle"); err != nil {
		return v, err
	}
	if v.TotalMS, err = r.duration(f, "total"); err != nil {
		return v, err
	}
	v.HeartbeatMS, err = r.duration(f, "heartbeat")
	return v, err
}

// Meter asks what a finished request is charged.
func (s *Set) Meter(env *MeterEnv, tr *Trace) MeterVerdict {
	f := s.acquire(env, hookMeter)
	f.bindAccount(&env.AccountEnv)
	if env.Usage == nil {
		env.Usage = s.unknown.usage
	}
	f.slots[slotUsage] = structOf(env.Usage)
	defer s.release(f)
	var out MeterVerdict
	for _, list := range s.rulesFor(hookMeter, &env.TargetEnv, env.Account.ID) {
		for _, r := range list {
			v, ok, _ := ask(s, f, r, tr, meterRule)
			if !ok {
				continue
			}
			out.Counters = append(out.Counters, v.Counters...)
			if v.HasCost {
				out.Cost, out.HasCost, out.Rule = v.Cost, true, r.id
			}
		}
	}
	return out
}

func meterRule(f *frame, r *rule) (v MeterVerdict, err error) {
	if r.values["counter"] != nil {
		m := Metered{Rule: r.id}
		if m.Counter, err = r.text(f, "counter"); err != nil {
			return v, err
		}
		if m.Add, err = r.number(f, "add", 0); err != nil {
			return v, err
		}
		if math.IsNaN(m.Add) || math.IsInf(m.Add, 0) {
			return v, fmt.Errorf("add: %v cannot be counted", m.Add)
		}
		v.Counters = []Metered{m}
	}
	if r.values["cost"] != nil {
		if v.Cost, err = r.number(f, "cost", 0); err != nil {
			return v, err
		}
		if v.HasCost = !math.IsNaN(v.Cost) && !math.IsInf(v.Cost, 0); !v.HasCost {
			return v, fmt.Errorf("cost: %v is not an amount", v.Cost)
		}
		v.Rule = r.id
	}
	return v, nil
}
