package policy

import "strings"

// Annotate adds to stored entries the sub-expressions that decided, by deciding
// the record again. It is meant for entries that this very set wrote (see
// [Set.Hash]) without [Trace.Detail]. Texts of the request are not recorded:
// entries that depended on them stay as they are.
func (s *Set) Annotate(entries []Entry, r *Record) {
	tr := &Trace{Detail: true}
	s.Decide(r, tr)
	type key struct{ hook, rule, candidate string }
	found := map[key][]*Entry{}
	for i := range tr.Entries {
		e := &tr.Entries[i]
		k := key{e.Hook, e.Rule, e.Candidate}
		found[k] = append(found[k], e)
	}
	for i := range entries {
		e := &entries[i]
		k := key{e.Hook, e.Rule, e.Candidate}
		again := found[k]
		if len(again) == 0 {
			continue
		}
		if len(again) > 1 {
			found[k] = again[1:] // the rule was asked more than once
		}
		if len(e.Parts) > 0 || again[0].Matched != e.Matched || again[0].Dropped != e.Dropped {
			continue
		}
		for _, p := range again[0].Parts {
			if r.KeepTexts || !readsContent(p.Expr) {
				e.Parts = append(e.Parts, p)
			}
		}
	}
}

// readsContent tells whether an expression reads what was said.
func readsContent(src string) bool {
	for {
		_, rest, found := strings.Cut(src, "req.")
		if !found {
			return false
		}
		end := strings.IndexFunc(rest, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') })
		if end < 0 {
			end = len(rest)
		}
		if isContent(rest[:end]) {
			return true
		}
		src = rest
	}
}
