package policy

// unknownCooldown is the penalty for a failure no rule speaks of.
const unknownCooldown = 5000

// OnError asks what follows a failed attempt.
func (s *Set) OnError(env *ErrorEnv, tr *Trace) Decision {
	return s.decide(hookOnError, env, tr, func() Decision {
		return Decision{To: "account", Fallback: true, CooldownMS: unknownCooldown, Scope: "account", Level: env.Account.Backoff, Reason: "unknown"}
	})
}

// OnExhausted asks what follows when a target has no account left to try.
func (s *Set) OnExhausted(env *ErrorEnv, tr *Trace) Decision {
	return s.decide(hookOnExhausted, env, tr, func() Decision { return next("exhausted") })
}

func (s *Set) decide(h hookID, env *ErrorEnv, tr *Trace, otherwise func() Decision) Decision {
	f := s.acquire(env, h)
	f.bindAccount(&env.AccountEnv)
	f.bindFailure(&env.Breaker, &env.Err)
	defer s.release(f)
	for _, list := range s.rulesFor(h, &env.TargetEnv, env.Account.ID) {
		for _, r := range list {
			d, ok, err := ask(s, f, r, tr, decisionRule)
			if err != nil {
				d := otherwise()
				d.Rule = r.id
				return d
			}
			if ok {
				return d
			}
		}
	}
	return otherwise()
}

func (f *frame) bindFailure(breaker **BreakerState, failure **Err) {
	if *breaker == nil {
		*breaker = f.set.unknown.breaker
	}
	if *failure == nil {
		*failure = f.set.unknown.err
	}
	f.slots[slotBreaker] = structOf(*breaker)
	f.slots[slotErr] = structOf(*failure)
}

func decisionRule(f *frame, r *rule) (Decision, error) {
	d, err := r.do.decision(f)
	d.Rule = r.id
	return d, err
}

// Breaker asks what an outcome means for the provider's breaker.
func (s *Set) Breaker(env *BreakerEnv, tr *Trace) BreakerVerdict {
	f := s.acquire(env, hookBreaker)
	f.bindTarget(&env.TargetEnv)
	f.bindFailure(&env.Breaker, &env.Err)
	defer s.release(f)
	for _, list := range s.rulesFor(hookBreaker, &env.TargetEnv, "") {
		for _, r := range list {
			v, ok, err := ask(s, f, r, tr, breakerRule)
			if err != nil {
				return BreakerVerdict{Rule: r.id, Ignore: true, ResetMS: Unset, Hit: true}
			}
			if ok {
				return v
			}
		}
	}
	return BreakerVerdict{ResetMS: Unset}
}

func breakerRule(f *frame, r *rule) (v BreakerVerdict, err error) {
	v.Rule, v.Hit = r.id, true
	if v.Count, err = r.condition(f, "count"); err != nil {
		return v, err
	}
	if v.Ignore, err = r.condition(f, "ignore"); err != nil {
		return v, err
	}
	if v.Trip, err = r.condition(f, "trip"); err != nil {
		return v, err
	}
	if v.ResetMS, err = r.duration(f, "reset"); err != nil {
		return v, err
	}
	n, err := r.integer(f, "successes")
	v.Successes = max(n, 0)
	return v, err
}
