package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
)

// Gateway is a running gateway.
type Gateway struct {
	pluginsBy *config.Snapshot // whose trust and items the plugins have; under reloading
	*system
	flow     *flow.Flow
	health   *health.Health
	renewer  *account.Renewer
	traffic  *telemetry.Traffic
	captures *capture.Store
	quotas   *account.Quotas
	app      *fiber.App
	ln       net.Listener
	control  *control.Server
	access   *access.Service
	admin    func() *api.Router
	metrics  metrics
	started  time.Time

	reloading sync.Mutex // one edition comes up at a time
	edition   atomic.Pointer[edition]
	problems  atomic.Pointer[[]fault.Diagnostic] // of the last edition that was refused
	reloaded  atomic.Pointer[time.Time]

	changed   chan string   // hash of the configuration the file watcher saw
	replugged chan struct{} // a new generation of plugins serves

	stop   context.CancelFunc // ends what runs beside requests
	actors sync.WaitGroup
	failed chan error // the listener ended by itself
}

type metrics struct {
	registry *telemetry.Metrics
	reload   *telemetry.Histogram
	good     *telemetry.Gauge
}

// Start opens everything and serves. It returns when the listener accepts and the plugins are loaded; a
// configuration that cannot be used is a *ConfigError.
func Start(ctx context.Context, opt Options) (_ *Gateway, err error) {
	conf, problems := opt.load()
	if conf == nil {
		return nil, &ConfigError{problems}
	}
	sys, err := openSystem(ctx, opt, conf, true)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		system: sys, started: time.Now(),
		changed: make(chan string), replugged: make(chan struct{}, 1),
		failed: make(chan error, 1),
	}
	g.metrics.registry = telemetry.NewMetrics()
	g.metrics.reload = g.metrics.registry.Histogram("omniroute_reload_seconds", "Time a component took to reload.", nil, "component")
	g.metrics.good = g.metrics.registry.Gauge("omniroute_config_last_reload_successful", "1 if the last configuration came into force.")
	g.metrics.registry.Gauge("omniroute_info", "1; the labels tell which gateway this is.", "instance", "version").
		Set(1, conf.File.Server.InstanceName, opt.Version)
	g.metrics.registry.Registry().MustRegister(newPolicyMetrics(func() *policy.Set {
		if e := g.edition.Load(); e != nil {
			return e.policy
		}
		return nil
	}))
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Shutdown(context.WithoutCancel(ctx)))
		}
	}()
	warn(g.log, "configuration", conf.Warnings)
	checkOpenFiles(g.log)
	g.openRecords()
	if err := g.openGuards(ctx); err != nil {
		return nil, err
	}
	g.flow = g.newFlow()
	if err := g.openAdmin(ctx); err != nil {
		return nil, err
	}
	if err := g.listen(); err != nil {
		return nil, err
	}
	if g.control, err = control.Serve(g.dir.Path(control.Socket), &desk{system: sys, gateway: g}); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	first := &edition{conf: conf}
	g.upPolicy(ctx, first) // plugins load meanwhile; what is wrong is reported when the edition comes up
	if err := waitPlugins(ctx, g.plugins); err != nil {
		return nil, err
	}
	if err := requiredPlugins(g.plugins, conf); err != nil {
		return nil, err
	}
	g.plugins.OnChange(func() { // from here on, so that what changes while the first edition comes up is seen
		select {
		case g.replugged <- struct{}{}:
		default: // one is waiting already and will see this generation too
		}
	})
	g.reloading.Lock()
	problems = g.apply(ctx, first)
	g.reloading.Unlock()
	if len(problems) > 0 {
		return nil, &ConfigError{problems}
	}
	g.serve()
	g.watch(ctx)
	g.audited(ctx, audit.ServerStart, map[string]any{"version": g.opt.Version, "config": conf.Hash})
	g.greet()
	g.actor(debug.FreeOSMemory) // compiling and opening need far more than serving
	return g, nil
}

func (g *Gateway) newFlow() *flow.Flow {
	return flow.New(flow.Deps{
		Host: g.plugins, Upstream: g.client, Keys: g.keys, Pool: g.pool, Ledger: g.ledger,
		Health: g.health, Renewer: g.renewer, Metrics: g.metrics.registry, Log: g.log, Version: g.opt.Version,
		Traffic: g.traffic, Captures: g.captures, Audit: g.audit,
	})
}

// actor runs f beside the requests until it returns; Shutdown waits for it.
func (g *Gateway) actor(f func()) {
	g.actors.Add(1)
	go func() {
		defer g.actors.Done()
		f()
	}()
}

// watch follows the files of the configuration and brings what changed, there or among the plugins, into force.
func (g *Gateway) watch(ctx context.Context) {
	ctx, g.stop = context.WithCancel(context.WithoutCancel(ctx))
	g.tend(ctx)
	g.actor(func() { g.follow(ctx) })
	g.actor(func() { g.rotate(ctx) })
	g.actor(func() {
		err := config.Watch(ctx, config.WatchOptions{
			Options: g.opt.source(), Current: g.config(),
			OnChange: func(conf *config.Snapshot, problems []fault.Diagnostic) {
				if conf == nil {
					g.refused("config", problems)
					return
				}
				select {
				case g.changed <- conf.Hash:
				case <-ctx.Done():
				}
			},
		})
		if err != nil && ctx.Err() == nil {
			g.log.LogAttrs(ctx, slog.LevelWarn, "the configuration is not watched; reload it with SIGHUP", slog.Any("error", err))
		}
	})
}

// Failed gets the error of a listener that ended by itself.
func (g *Gateway) Failed() <-chan error { return g.failed }

// URL is the address clients use, without a path.
func (g *Gateway) URL() string {
	host, port, err := net.SplitHostPort(g.ln.Addr().String())
	if err != nil {
		return "http://" + g.ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + g.config().File.Server.BasePath
}

// publicURL is the address to tell people: the one the operator gave, else where the gateway listens.
func (g *Gateway) publicURL() string {
	if u := g.config().File.Server.BaseURL; u != "" {
		return u
	}
	return g.URL()
}

// Status describes the gateway.
func (g *Gateway) Status() control.Status {
	s := control.Status{
		Version: g.opt.Version, PID: os.Getpid(), Running: true, URL: g.publicURL(), DataDir: g.dir.Path(),
		Config: g.config().Path, Started: g.started,
	}
	if t := g.reloaded.Load(); t != nil {
		s.Reloaded = *t
	}
	if p := g.problems.Load(); p != nil {
		s.Problems = *p
	}
	return s
}

// greet tells a person where everything is.
func (g *Gateway) greet() {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "  %-10s %s\n", name, value) }
	fmt.Fprintf(&b, "OmniRoute %s\n", g.opt.Version)
	if name := g.config().File.Server.InstanceName; name != config.DefaultInstance {
		line("Instance:", name)
	}
	line("Base URL:", g.publicURL()+"/v1")
	line("Admin:", g.publicURL()+"/dashboard")
	if url := g.setupURL(); url != "" {
		line("Setup:", url+"  (once, within 30 minutes)")
	}
	line("Data:", g.dir.Path())
	if path := g.config().Path; path != "" {
		line("Config:", path)
	}
	if g.edition.Load().snapshot.RequireKeys && g.keys.Count() == 0 {
		line("Keys:", "required, and there is none yet: omniroute key create --name me")
	}
	fmt.Fprint(g.opt.out(), b.String())
}

// Shutdown stops accepting, lets running requests finish until ctx ends, writes what is pending and closes
// everything.
func (g *Gateway) Shutdown(ctx context.Context) error {
	var errs []error
	if g.ln != nil {
		errs = append(errs, g.drain(ctx))
	}
	if g.control != nil {
		errs = append(errs, g.control.Close(ctx))
	}
	if g.stop != nil {
		g.stop()
	}
	g.actors.Wait()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if g.edition.Load() != nil { // it had started
		g.audited(closing, audit.ServerStop, nil)
	}
	return errors.Join(append(errs, g.close(closing))...)
}

// ShutdownTimeout is how long the configuration lets running requests go on at the end.
func (g *Gateway) ShutdownTimeout() time.Duration { return g.config().File.Server.ShutdownTimeout }
