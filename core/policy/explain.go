package policy

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Set      string             `json:"set"` // hash of the policy set
	Preset   string             `json:"preset,omitempty"`
	Verdicts Verdicts           `json:"verdict"`
	Targets  []CandidateOutcome `json:"targets,omitempty"`
	Accounts []CandidateOutcome `json:"accounts,omitempty"`
	Trace    []Entry            `json:"trace"`
}

// CandidateOutcome tells how a target or account fared.
type CandidateOutcome struct {
	ID        string    `json:"id"`
	Kept      bool      `json:"kept"`
	DroppedBy string    `json:"dropped_by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	RankedBy  string    `json:"ranked_by,omitempty"`
	Keys      []float64 `json:"keys,omitempty"`
	Rank      int       `json:"rank,omitempty"` // from 1
}

// Explain decides a record and shows every rule with the values that decided,
// and every candidate with the reason it lost. The same record gives the same
// explanation; nothing is counted but rule hits.
func (s *Set) Explain(r *Record) Explanation {
	tr := &Trace{Detail: true}
	e := Explanation{Set: s.hash, Preset: s.preset}
	var from *Record
	e.Verdicts, from = s.judge(r, tr)
	for i := range tr.Entries {
		tr.Entries[i].US = 0 // durations would make two explanations differ
	}
	e.Trace = tr.Entries
	var ids []string
	for _, t := range from.Targets {
		ids = append(ids, t.ID)
	}
	e.Targets = Candidates(tr, []string{"filter", "order"}, ids, e.Verdicts.Targets)
	if len(e.Verdicts.Targets) > 0 {
		ids = nil
		for _, a := range from.Accounts[e.Verdicts.Targets[0]] {
			ids = append(ids, a.ID)
		}
		var first []string
		if e.Verdicts.Account != "" {
			first = []string{e.Verdicts.Account}
		}
		e.Accounts = Candidates(tr, []string{"accounts"}, ids, first)
	}
	return e
}

// Candidates sums up what a trace says about candidates. order lists those that
// came out, best first.
func Candidates(tr *Trace, hooks, ids, order []string) []CandidateOutcome {
	out := make([]CandidateOutcome, len(ids))
	at := map[string]*CandidateOutcome{}
	for i, id := range ids {
		out[i] = CandidateOutcome{ID: id, Kept: true}
		at[id] = &out[i]
	}
	for _, e := range tr.Entries {
		c := at[e.Candidate]
		if c == nil || !hasTag(hooks, e.Hook) || e.Shadow {
			continue
		}
		if e.Dropped && c.Kept {
			c.Kept, c.DroppedBy = false, e.Rule
			c.Reason, _ = e.Value.(string)
		}
		if e.Rank > 0 || len(e.Keys) > 0 {
			c.RankedBy, c.Keys, c.Rank = e.Rule, e.Keys, e.Rank
		}
	}
	for place, id := range order {
		if c := at[id]; c != nil {
			c.Rank = place + 1
		}
	}
	return out
}
