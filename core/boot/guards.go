package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/health"
)

// openGuards makes what watches over the request path, with what an earlier process left of it.
func (g *Gateway) openGuards(ctx context.Context) error {
	g.health = health.New(health.Options{Store: g.store, Writer: g.writer})
	if err := g.health.Restore(ctx); err != nil {
		return fmt.Errorf("guards: %w", err)
	}
	g.metrics.registry.Registry().MustRegister(newBreakerMetrics(g.health.Breakers.List))
	g.renewer = account.NewRenewer(g.pool, account.RenewerOptions{Renew: g.renew, Lead: g.lead, Log: g.log})
	g.onClose(g.renewer.Close)
	g.quotas = account.NewQuotas(g.pool, account.QuotasOptions{Fetch: g.quota, Log: g.log})
	return nil
}

// tend keeps credentials fresh and quotas known beside the requests until ctx ends.
func (g *Gateway) tend(ctx context.Context) {
	g.actor(func() { g.renewer.Run(ctx) })
	g.actor(func() { g.quotas.Run(ctx) })
}

// lead is how long before its end a token of a provider is renewed.
func (g *Gateway) lead(provider string) time.Duration {
	if p, ok := g.catalog.Load().Provider(provider); ok {
		return p.OAuth.Lead
	}
	return 0
}
