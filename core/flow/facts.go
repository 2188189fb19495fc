package flow

import (
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/flow/decide"
	"github.com/omniroute/omniroute/core/policy"
)

// Candidates are the facts about what a name was resolved to, as far as the
// catalogue knows them: enough to decide about a request that never went there.
func Candidates(model string, res *catalog.Resolution, req *policy.Req) *policy.Record {
	r := &policy.Record{Routes: []policy.Route{{Model: model, Tags: res.Tags, Chain: res.Chain}},
		Combo: &policy.Combo{Size: len(res.Targets)}, Profiles: map[string]*policy.Profile{}}
	if res.Combo != nil {
		r.Combo.Name, r.Combo.Strategy = res.Combo.Name, res.Combo.Strategy
	}
	for _, t := range res.Targets {
		f := decide.TargetFacts(t, req)
		r.Targets = append(r.Targets, f)
		r.Profiles[f.ID] = decide.Profile(t.Provider)
	}
	return r
}
