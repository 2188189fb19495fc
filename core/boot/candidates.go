package boot

import (
	"context"

	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/policy"
)

// Candidates implements control.Desk.
func (d *desk) Candidates(_ context.Context, q control.Question) (*policy.Record, error) {
	cat := d.catalog.Load()
	res, err := cat.Resolve(catalog.Query{Model: q.Model, Active: d.pool.Active})
	if err != nil {
		return &policy.Record{Routes: []policy.Route{{Model: q.Model, Missing: true}}}, nil
	}
	res = cat.WithChain(q.Model, res)
	r := flow.Candidates(q.Model, res, &policy.Req{TokensIn: q.TokensIn, MaxTokens: q.MaxTokens})
	r.Cfg = flow.Settings(d.config().File)
	if combo := res.Combo; combo != nil {
		r.Cfg.MaxRetries, r.Cfg.RetryDelayMS = combo.Config.MaxRetries, int(combo.Config.RetryDelay.Milliseconds())
	}
	for i, t := range res.Targets {
		sum := d.pool.Summary(t.Provider.ID, t.Model.ID)
		f := r.Targets[i]
		f.AccountsReady, f.AccountsTotal, f.Cooling, f.CooldownMS = sum.Ready, sum.Total, sum.Cooling, int(sum.CooldownMS)
		f.QuotaLeft, f.QuotaResetMS = sum.QuotaLeft, int(sum.QuotaResetMS)
	}
	return r, nil
}
