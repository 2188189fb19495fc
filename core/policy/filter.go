package policy

import "time"

// Filter returns the indices of the targets that remain, in order. Hard rules
// are asked before soft ones; env.Target and env.Targets are scratch space.
func (s *Set) Filter(env *TargetEnv, targets []*Target, tr *Trace) []int {
	f := s.acquire(env, hookFilter)
	f.bindTarget(env)
	defer s.release(f)
	kept := make([]int, len(targets))
	for i := range kept {
		kept[i] = i
	}
	if len(targets) == 0 {
		return kept
	}
	p := filterPass{set: s, f: f, env: env, all: targets, tr: tr}
	lists := s.rulesFor(hookFilter, env, "")
	for _, soft := range []bool{false, true} {
		for _, list := range lists {
			for _, r := range list {
				if r.soft == soft && len(kept) > 0 {
					kept = p.apply(r, kept)
				}
			}
		}
	}
	return kept
}

// Keep asks the hard filter rules once more about env.Target, just before it is
// tried. Soft rules only compare targets and have nothing to say about one.
func (s *Set) Keep(env *TargetEnv, tr *Trace) (keep bool, why Note) {
	f := s.acquire(env, hookFilter)
	f.bindTarget(env)
	defer s.release(f)
	p := filterPass{set: s, f: f, env: env, tr: tr}
	for _, list := range s.rulesFor(hookFilter, env, "") {
		for _, r := range list {
			if r.soft || !p.drops(r, env.Target) || r.shadow {
				continue
			}
			r.hits.Add(1)
			why = Note{Rule: r.id, Text: p.reason(r)}
			if tr != nil {
				tr.Entries = append(tr.Entries, Entry{Hook: r.hook, Rule: r.id, Candidate: env.Target.ID, Matched: true, Dropped: true, Value: why.Text})
			}
			return false, why
		}
	}
	return true, Note{}
}

// filterPass applies rules to a shrinking list.
type filterPass struct {
	set *Set
	f   *frame
	env *TargetEnv
	all []*Target
	tr  *Trace
}

// apply returns what one rule leaves of kept, in place.
func (p *filterPass) apply(r *rule, kept []int) []int {
	f := p.f
	now := f.entering(p.all, kept)
	f.setTargets(p.env, now)
	if r.when != nil && !r.perCandidate {
		f.setTarget(p.env, now[0])
		applies, err := r.applies(f)
		if err != nil {
			p.set.failed(r, p.tr, "", err)
		}
		if err != nil || !applies {
			if p.tr != nil && err == nil {
				p.set.note(f, r, p.tr, Entry{Hook: r.hook, Rule: r.id, Shadow: r.shadow}, time.Now())
			}
			return kept
		}
	}
	f.dropped = f.dropped[:0]
	drops := 0
	for _, t := range now {
		f.setTarget(p.env, t)
		gone := p.dropsHere(r, t)
		if gone {
			drops++
		}
		f.dropped = append(f.dropped, gone)
	}
	spared := r.soft && drops == len(now)
	p.trace(r, now, spared)
	if drops == 0 || spared {
		return kept
	}
	if r.shadow {
		r.shadows.Add(1)
		return kept
	}
	r.hits.Add(1)
	out := kept[:0]
	for i, k := range kept {
		if !f.dropped[i] {
			out = append(out, k)
		}
	}
	return out
}

// entering returns the list a rule sees.
func (f *frame) entering(all []*Target, kept []int) []*Target {
	if len(kept) == len(all) {
		return all
	}
	now := make([]*Target, len(kept))
	for i, k := range kept {
		now[i] = all[k]
	}
	return now
}

// drops asks a rule, its condition included, about the target in the env.
func (p *filterPass) drops(r *rule, t *Target) bool {
	applies, err := r.applies(p.f)
	if err != nil {
		p.set.failed(r, p.tr, t.ID, err)
		return false
	}
	return applies && p.payload(r, t)
}

// dropsHere is drops without the condition if that was asked already.
func (p *filterPass) dropsHere(r *rule, t *Target) bool {
	if r.perCandidate {
		return p.drops(r, t)
	}
	return p.payload(r, t)
}

func (p *filterPass) payload(r *rule, t *Target) bool {
	prog, drop := r.drop, true
	if r.keep != nil {
		prog, drop = r.keep, false
	}
	b, err := prog.bool(p.f)
	if err != nil {
		p.set.failed(r, p.tr, t.ID, err)
		return false
	}
	return b == drop
}

func (p *filterPass) reason(r *rule) string {
	reason, err := r.text(p.f, "reason")
	if err != nil || reason == "" {
		return r.id
	}
	return reason
}

func (p *filterPass) trace(r *rule, now []*Target, spared bool) {
	if p.tr == nil {
		return
	}
	for i, t := range now {
		start := time.Now()
		e := Entry{Hook: r.hook, Rule: r.id, Candidate: t.ID, Matched: p.f.dropped[i], Shadow: r.shadow, asked: true}
		p.f.setTarget(p.env, t)
		if e.Matched {
			e.Dropped = !spared && !r.shadow
			e.Value = p.reason(r)
			if spared {
				e.Value = p.reason(r) + " (kept: no other target remains)"
			}
		}
		p.set.note(p.f, r, p.tr, e, start)
	}
}
