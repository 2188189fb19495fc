package boot

import (
	"context"
	"errors"
	"net/http"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/oauth"
)

// quota asks the provider of an account what it has left. A token that is not taken is renewed once.
func (g *Gateway) quota(ctx context.Context, id string) (account.Quota, error) {
	t, _ := g.pool.Token(id)
	q, err := g.quotaOnce(ctx, id)
	if e := fault.As(err); e != nil && e.Status == http.StatusUnauthorized && t.Refresh {
		if g.renewer.Ensure(ctx, id, t.Version) == nil {
			return g.quotaOnce(ctx, id)
		}
	}
	return q, err
}

func (g *Gateway) quotaOnce(ctx context.Context, id string) (account.Quota, error) {
	a, err := g.agent(id)
	if err != nil {
		return account.Quota{}, err
	}
	q, done, err := a.ownQuota(ctx)
	if !done {
		q, err = a.toldQuota(ctx, g.plugins)
	}
	switch e := fault.As(err); {
	case e != nil:
		e.Message = host.Conceal(a.secrets...).Text(e.Message)
		if e.Status == http.StatusTooManyRequests {
			return account.Quota{}, &account.LimitedError{RetryAfter: max(e.RetryAfter, 0), Err: e}
		}
		return account.Quota{}, e
	case err != nil:
		return account.Quota{}, err
	}
	return q, nil
}

// toldQuota is the quota that the provider's executor tells.
func (a *agent) toldQuota(ctx context.Context, plugins *host.Host) (account.Quota, error) {
	gen := plugins.Current()
	defer gen.Release()
	ex, ok := gen.Executor(a.provider.Executor)
	if !ok {
		return account.Quota{}, account.ErrNoQuota
	}
	report, err := ex.Quota(ctx, a.input())
	switch {
	case errors.Is(err, host.ErrUnsupported):
		return account.Quota{}, account.ErrNoQuota
	case err != nil:
		return account.Quota{}, err
	}
	r, err := oauth.ReadReport(report)
	return windows(r), err
}
