package policy

import (
	"math"
	"slices"
	"time"
)

// ranked is a candidate being ordered; its keys are at row*width in the frame.
type ranked struct {
	index  int
	row    int
	weight float64
}

// worst maps a key to one that sorts last if it is not a number.
func worst(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(1)
	}
	return x
}

// weightOf maps anything that is no usable weight to 0.
func weightOf(x float64, err error) float64 {
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
		return 0
	}
	return x
}

// rank computes the keys of the current candidate.
func (f *frame) rank(s *Set, r *rule, index int, candidate string, tr *Trace) {
	row := ranked{index: index, row: len(f.ranks)}
	for _, p := range r.by {
		x, err := p.number(f)
		if err != nil {
			s.failed(r, tr, candidate, wrap("by", err))
			x = math.Inf(1)
		}
		f.keys = append(f.keys, worst(x))
	}
	if r.sample != nil {
		x, err := r.sample.number(f)
		if err != nil {
			s.failed(r, tr, candidate, wrap("sample", err))
		}
		row.weight = weightOf(x, err)
	}
	f.ranks = append(f.ranks, row)
}

// sortRanks orders by keys; equal ones keep their order.
func (f *frame) sortRanks(width int, ranks []ranked) {
	keys := f.keys
	slices.SortStableFunc(ranks, func(a, b ranked) int {
		x, y := keys[a.row*width:a.row*width+width], keys[b.row*width:b.row*width+width]
		for i := range x {
			if x[i] != y[i] {
				if x[i] < y[i] {
					return -1
				}
				return 1
			}
		}
		return 0
	})
}

// draw picks the place of one candidate with probability weight/total; without
// any weight all are equally likely.
func draw(u float64, ranks []ranked) int {
	total := 0.0
	for _, r := range ranks {
		total += r.weight
	}
	if total == 0 || math.IsInf(total, 0) {
		return min(int(u*float64(len(ranks))), len(ranks)-1)
	}
	u *= total
	last := 0
	for i, r := range ranks {
		if r.weight == 0 {
			continue
		}
		if u -= r.weight; u < 0 {
			return i
		}
		last = i
	}
	return last
}

// Order returns the indices of all targets in the order they should be tried.
// env.Target and env.Targets are scratch space.
func (s *Set) Order(env *TargetEnv, targets []*Target, tr *Trace) []int {
	out := make([]int, len(targets))
	for i := range out {
		out[i] = i
	}
	if len(targets) == 0 {
		return out
	}
	f := s.acquire(env, hookOrder)
	f.bindTarget(env)
	defer s.release(f)
	f.setTargets(env, targets)
	lists := s.rulesFor(hookOrder, env, "")
	s.rankTargets(f, env, lists, targets, out, tr)
	for _, list := range lists {
		for _, r := range list {
			if r.front != nil || r.back != nil {
				s.partition(f, env, r, targets, out, tr)
			}
		}
	}
	return out
}

// rankTargets applies the first by or sample rule that applies.
func (s *Set) rankTargets(f *frame, env *TargetEnv, lists [4][]*rule, targets []*Target, out []int, tr *Trace) {
	for _, list := range lists {
		for _, r := range list {
			if r.by == nil && r.sample == nil {
				continue
			}
			f.setTarget(env, targets[0])
			if !s.chosen(f, r, tr) {
				continue
			}
			f.ranks, f.keys = f.ranks[:0], f.keys[:0]
			for i, t := range targets {
				f.setTarget(env, t)
				f.rank(s, r, i, t.ID, tr)
			}
			s.arrange(f, r, "order/")
			for i, x := range f.ranks {
				out[i] = x.index
			}
			if tr != nil {
				for place, x := range f.ranks {
					s.noteRank(f, r, tr, targets[x.index].ID, x, place, func() { f.setTarget(env, targets[x.index]) })
				}
			}
			if !r.shadow {
				return
			}
			for i := range out {
				out[i] = i
			}
		}
	}
}

// chosen asks the condition of a ranking rule, once for all candidates.
func (s *Set) chosen(f *frame, r *rule, tr *Trace) bool {
	start := time.Time{}
	if tr != nil && tr.Detail {
		start = time.Now()
	}
	applies, err := r.applies(f)
	if err != nil {
		s.failed(r, tr, "", err)
		return false
	}
	if tr != nil {
		s.note(f, r, tr, Entry{Hook: r.hook, Rule: r.id, Matched: applies, Shadow: r.shadow}, start)
	}
	if applies {
		if r.shadow {
			r.shadows.Add(1)
		} else {
			r.hits.Add(1)
		}
	}
	return applies
}

// arrange puts f.ranks in order: drawn first if the rule samples, then by keys,
// or by weight if it has none.
func (s *Set) arrange(f *frame, r *rule, salt string) {
	width, rest := len(r.by), f.ranks
	if r.sample != nil {
		u := float64(hash64(f.base.Req.ID, "\x00", salt, r.id)>>11) / (1 << 53)
		at := draw(u, f.ranks)
		first := f.ranks[at]
		copy(f.ranks[1:], f.ranks[:at])
		f.ranks[0], rest = first, f.ranks[1:]
		if width == 0 {
			slices.SortStableFunc(rest, func(a, b ranked) int {
				switch {
				case a.weight > b.weight:
					return -1
				case a.weight < b.weight:
					return 1
				}
				return 0
			})
			return
		}
	}
	f.sortRanks(width, rest)
}

// maxKey stands for +Inf in traces, which JSON cannot express.
const maxKey = 1e308

func (s *Set) noteRank(f *frame, r *rule, tr *Trace, candidate string, x ranked, place int, point func()) {
	e := Entry{Hook: r.hook, Rule: r.id, Candidate: candidate, Matched: true, Shadow: r.shadow, Rank: place + 1}
	width := len(r.by)
	for _, k := range f.keys[x.row*width : x.row*width+width] {
		e.Keys = append(e.Keys, min(max(k, -maxKey), maxKey))
	}
	if r.sample != nil {
		e.Value = x.weight
	}
	if tr.Detail {
		point()
	}
	s.note(f, r, tr, e, time.Now())
}

// partition moves the targets a front or back rule names, keeping the order
// within both groups.
func (s *Set) partition(f *frame, env *TargetEnv, r *rule, targets []*Target, out []int, tr *Trace) {
	prog, front := r.back, false
	if r.front != nil {
		prog, front = r.front, true
	}
	f.index = append(f.index[:0], out...)
	f.dropped = f.dropped[:0]
	moved := 0
	for _, i := range f.index {
		f.setTarget(env, targets[i])
		named, err := r.applies(f)
		if err == nil && named {
			named, err = prog.bool(f)
		}
		if err != nil {
			s.failed(r, tr, targets[i].ID, err)
			named = false
		}
		if named {
			moved++
		}
		if tr != nil {
			s.note(f, r, tr, Entry{Hook: r.hook, Rule: r.id, Candidate: targets[i].ID, Matched: named, Shadow: r.shadow}, time.Now())
		}
		f.dropped = append(f.dropped, named)
	}
	if moved == 0 {
		return
	}
	if r.shadow {
		r.shadows.Add(1)
		return
	}
	r.hits.Add(1)
	n := 0
	for _, first := range []bool{true, false} {
		for i, x := range f.index {
			if (f.dropped[i] == front) == first {
				out[n] = x
				n++
			}
		}
	}
}
