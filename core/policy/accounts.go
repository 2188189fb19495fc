package policy

import (
	"math"
	"time"
)

// Accounts picks an account; ok is false when none is eligible. It sets Current
// on the most recently used of the eligible accounts. env.Account and
// env.Accounts are scratch space.
func (s *Set) Accounts(env *AccountEnv, accounts []*Account, tr *Trace) (idx int, ok bool) {
	f := s.acquire(env, hookAccounts)
	f.bindAccount(env)
	defer s.release(f)
	lists := s.rulesFor(hookAccounts, &env.TargetEnv, "")
	f.index = f.index[:0]
	for i := range accounts {
		f.index = append(f.index, i)
	}
	for _, list := range lists {
		for _, r := range list {
			if r.eligible != nil && len(f.index) > 0 {
				s.eligible(f, env, r, accounts, tr)
			}
		}
	}
	if len(f.index) == 0 {
		return 0, false
	}
	now := accounts
	if len(f.index) != len(accounts) {
		now = make([]*Account, len(f.index))
		for i, k := range f.index {
			now[i] = accounts[k]
		}
	}
	markCurrent(now)
	f.setAccounts(env, now)
	for _, list := range lists {
		for _, r := range list {
			if r.eligible != nil {
				continue
			}
			f.setAccount(env, now[0])
			if !s.chosen(f, r, tr) {
				continue
			}
			at := s.choose(f, env, r, now, tr)
			if !r.shadow {
				return f.index[at], true
			}
		}
	}
	return f.index[firstByPriority(now)], true
}

// eligible removes from f.index what a rule does not admit.
func (s *Set) eligible(f *frame, env *AccountEnv, r *rule, accounts []*Account, tr *Trace) {
	now := accounts
	if len(f.index) != len(accounts) {
		now = make([]*Account, len(f.index))
		for i, k := range f.index {
			now[i] = accounts[k]
		}
	}
	f.setAccounts(env, now)
	f.dropped = f.dropped[:0]
	drops := 0
	for _, a := range now {
		f.setAccount(env, a)
		admitted, err := r.applies(f)
		switch {
		case err == nil && admitted:
			admitted, err = r.eligible.bool(f)
		case err == nil:
			admitted = true // the rule does not concern this account
		}
		if err != nil {
			s.failed(r, tr, a.ID, err)
			admitted = false
		}
		if !admitted {
			drops++
		}
		f.dropped = append(f.dropped, !admitted)
	}
	spared := r.soft && drops == len(now)
	if tr != nil {
		for i, a := range now {
			start := time.Now()
			f.setAccount(env, a)
			s.note(f, r, tr, Entry{
				Hook: r.hook, Rule: r.id, Candidate: a.ID, Shadow: r.shadow, asked: true,
				Matched: f.dropped[i], Dropped: f.dropped[i] && !spared && !r.shadow,
			}, start)
		}
	}
	switch {
	case drops == 0 || spared:
		return
	case r.shadow:
		r.shadows.Add(1)
		return
	}
	r.hits.Add(1)
	n := 0
	for i, k := range f.index {
		if !f.dropped[i] {
			f.index[n] = k
			n++
		}
	}
	f.index = f.index[:n]
}

func markCurrent(accounts []*Account) {
	var current *Account
	for _, a := range accounts {
		a.Current = false
		if a.LastUsedMS >= 0 && (current == nil || a.LastUsedMS < current.LastUsedMS) {
			current = a
		}
	}
	if current != nil {
		current.Current = true
	}
}

func firstByPriority(accounts []*Account) int {
	best := 0
	for i, a := range accounts {
		if a.Priority < accounts[best].Priority {
			best = i
		}
	}
	return best
}

// choose applies a by, sample or p2c rule.
func (s *Set) choose(f *frame, env *AccountEnv, r *rule, now []*Account, tr *Trace) int {
	if r.p2c != nil {
		return s.powerOfTwo(f, env, r, now, tr)
	}
	f.ranks, f.keys = f.ranks[:0], f.keys[:0]
	for i, a := range now {
		f.setAccount(env, a)
		f.rank(s, r, i, a.ID, tr)
	}
	s.arrange(f, r, "acc/")
	if tr != nil {
		for place, x := range f.ranks {
			s.noteRank(f, r, tr, now[x.index].ID, x, place, func() { f.setAccount(env, now[x.index]) })
		}
	}
	return f.ranks[0].index
}

// powerOfTwo compares two accounts drawn at random.
func (s *Set) powerOfTwo(f *frame, env *AccountEnv, r *rule, now []*Account, tr *Trace) int {
	if len(now) < max(r.amount("p2c_min", 2), 2) {
		return 0
	}
	i := int(random(f.base.Req.ID, "p2c/a") * float64(len(now)))
	j := int(random(f.base.Req.ID, "p2c/b") * float64(len(now)-1))
	if j >= i {
		j++
	}
	cost := func(k int) float64 {
		f.setAccount(env, now[k])
		x, err := r.p2c.number(f)
		if err != nil {
			s.failed(r, tr, now[k].ID, wrap("p2c", err))
			x = math.Inf(1)
		}
		x = worst(x)
		if tr != nil {
			s.note(f, r, tr, Entry{Hook: r.hook, Rule: r.id, Candidate: now[k].ID, Matched: true, Shadow: r.shadow, Keys: []float64{min(x, maxKey)}}, time.Now())
		}
		return x
	}
	a, b := cost(i), cost(j)
	if b < a {
		return j
	}
	return i
}
