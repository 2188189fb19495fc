package boot

import (
	"context"
	"fmt"

	"github.com/omniroute/omniroute/core/health"
)

// openGuards makes the guards of the request path, with what an earlier process left of them.
func (g *Gateway) openGuards(ctx context.Context) error {
	g.health = health.New(health.Options{Store: g.store, Writer: g.writer})
	if err := g.health.Restore(ctx); err != nil {
		return fmt.Errorf("guards: %w", err)
	}
	return nil
}
