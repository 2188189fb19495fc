package boot

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	adminui "github.com/omniroute/omniroute/admin-ui"
	"github.com/omniroute/omniroute/core/flow/accept"
)

// listen binds the address. Connections wait in the kernel until serve takes them, so that nobody is refused while
// plugins are still compiling.
func (g *Gateway) listen() error {
	addr := g.config().File.Server.Listen
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (server.listen): %w", addr, err)
	}
	g.ln = ln
	return nil
}

// serve answers on the listener until Shutdown.
func (g *Gateway) serve() {
	g.app = fiber.New(accept.Config(g.flow))
	base := g.config().File.Server.BasePath
	metrics := adaptor.HTTPHandler(g.metrics.registry.Handler())
	g.app.Get(base+"/metrics", func(c *fiber.Ctx) error {
		if !g.config().File.Telemetry.Prometheus.Enabled {
			return c.Next()
		}
		return metrics(c)
	})
	if page, ok := adminui.Page(); ok {
		show := func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
			c.Set(fiber.HeaderCacheControl, "no-cache")
			c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
			c.Set(fiber.HeaderXFrameOptions, "DENY")
			c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
			return c.Send(page)
		}
		g.app.Get(base+"/", show)
		g.app.Get(base+"/dashboard", show)
	}
	accept.Register(g.app, g.flow)
	g.mountAdmin()
	g.actor(func() {
		if err := g.app.Listener(g.ln); err != nil && !errors.Is(err, net.ErrClosed) {
			g.failed <- err
		}
	})
}

// drain lets running requests finish until ctx ends; what is left then is cut off with a proper error.
func (g *Gateway) drain(ctx context.Context) error {
	g.flow.Drain()
	late := g.flow.Wait(ctx)
	if late != nil {
		g.log.Warn("requests were cut off at shutdown", "running", g.flow.Inflight())
	}
	g.flow.Close()
	if g.app == nil {
		return g.ln.Close()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := g.app.ShutdownWithContext(ending)
	// The server closes only a listener that it has begun to serve.
	_ = g.ln.Close()
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
