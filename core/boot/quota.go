package boot

import (
	"context"
	"errors"
	"net/http"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
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
	gen := g.plugins.Current()
	defer gen.Release()
	ex, ok := gen.Executor(a.provider.Executor)
	if !ok {
		return account.Quota{}, account.ErrNoQuota
	}
	report, err := ex.Quota(ctx, a.input())
	switch e := fault.As(err); {
	case errors.Is(err, host.ErrUnsupported):
		return account.Quota{}, account.ErrNoQuota
	case e != nil:
		e.Message = host.Conceal(a.secrets...).Text(e.Message)
		if e.Status == http.StatusTooManyRequests {
			return account.Quota{}, &account.LimitedError{RetryAfter: max(e.RetryAfter, 0), Err: e}
		}
		return account.Quota{}, e
	case err != nil:
		return account.Quota{}, err
	}
	return readQuota(report)
}

// readQuota reads the report of an executor: the form that all of them are brought into.
func readQuota(report []byte) (account.Quota, error) {
	var r struct {
		Plan         string `json:"plan"`
		LimitReached bool   `json:"limitReached"`
		Message      string `json:"message"`
		Quotas       map[string]struct {
			Used      float64         `json:"used"`
			Total     float64         `json:"total"`
			Remaining *float64        `json:"remaining"`
			Percent   *float64        `json:"remainingPercentage"`
			ResetAt   json.RawMessage `json:"resetAt"`
			Unlimited bool            `json:"unlimited"`
			Display   string          `json:"displayName"`
		} `json:"quotas"`
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return account.Quota{}, fault.Wrap(fault.PluginTrap, err, "The plugin's quota report cannot be read")
	}
	q := account.Quota{Plan: r.Plan, LimitReached: r.LimitReached, Message: r.Message, Windows: map[string]account.Window{}}
	for name, v := range r.Quotas {
		w := account.Window{Display: v.Display, Used: v.Used, Total: v.Total, Unlimited: v.Unlimited}
		switch {
		case v.Percent != nil:
			w.Left = *v.Percent
		case v.Total > 0 && v.Remaining != nil:
			w.Left = 100 * *v.Remaining / v.Total
		case v.Total > 0:
			w.Left = 100 * (v.Total - v.Used) / v.Total
		default:
			w.Unlimited = true // nothing is said of how much there is
		}
		w.Left = min(max(w.Left, 0), 100)
		text := string(v.ResetAt)
		_ = json.Unmarshal(v.ResetAt, &text) // a number stays as it is
		w.ResetAt, _ = host.Instant(text)
		q.Windows[name] = w
	}
	return q, nil
}
