package boot

import (
	"context"
	"fmt"
	"github.com/omniroute/omniroute/core/audit"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/policy"
)

// edition is one state of everything that follows from the configuration and the plugins. The first three fields
// are made by reloaders that touch nothing; snapshot is what requests pin.
type edition struct {
	conf     *config.Snapshot
	policy   *policy.Set
	catalog  *catalog.Catalog
	snapshot *flow.Snapshot
	partial  bool               // names that lead nowhere are left out
	gone     []fault.Diagnostic // those
}

// reloader brings one component to a new edition. Those that only compute have no undo; those that change
// something can be brought back to the edition in force when a later one fails.
type reloader struct {
	name string
	up   func(ctx context.Context, next *edition) []fault.Diagnostic
	undo func(ctx context.Context, old *edition)
}

// reloaders in their order: what can fail by itself comes first, what is visible from outside last.
func (g *Gateway) reloaders() []reloader {
	return []reloader{
		{name: "policy", up: g.upPolicy},
		{name: "plugins", up: g.upPlugins, undo: func(ctx context.Context, old *edition) { g.upPlugins(ctx, old) }},
		{name: "catalog", up: g.upCatalog},
		{name: "snapshot", up: g.upSnapshot},
		{
			name: "keys",
			up:   func(_ context.Context, e *edition) []fault.Diagnostic { return g.keys.SetFile(e.conf.File.Auth.Keys) },
			undo: func(_ context.Context, old *edition) { g.keys.SetFile(old.conf.File.Auth.Keys) },
		},
		{
			name: "accounts",
			up:   func(_ context.Context, e *edition) []fault.Diagnostic { return g.configurePool(e) },
			undo: func(_ context.Context, old *edition) { g.configurePool(old) },
		},
		{name: "bounds", up: g.upBounds},
	}
}

func (g *Gateway) upPolicy(_ context.Context, e *edition) (problems []fault.Diagnostic) {
	if e.policy != nil {
		return nil // compiled ahead
	}
	var warnings []fault.Diagnostic
	var old *policy.Set
	if now := g.edition.Load(); now != nil {
		old = now.policy
	}
	e.policy, problems, warnings = loadPolicy(e.conf, old)
	if e.policy == nil {
		return problems
	}
	if old != nil && old.Hash() == e.policy.Hash() {
		e.policy = old // with its counters
	} else {
		e.policy.OnRuleError(g.ruleFailed)
	}
	warn(g.log, "policy", warnings)
	return nil
}

// ruleFailed reports a rule that could not be evaluated; the hook's own answer to that was given.
func (g *Gateway) ruleFailed(e policy.RuleError) {
	g.log.LogAttrs(context.Background(), slog.LevelWarn, "a policy rule cannot be evaluated",
		slog.String("hook", e.Hook), slog.String("rule", e.Rule), slog.String("place", fmt.Sprintf("%s:%d", e.Origin.File, e.Origin.Line)),
		slog.Int64("failures", e.Count), slog.String("error", e.Message))
}

// upPlugins judges plugins by the new trust and gives them their new settings. One that cannot have them goes on with
// the old ones and says so in the list of plugins.
func (g *Gateway) upPlugins(ctx context.Context, e *edition) []fault.Diagnostic {
	if g.pluginsBy == nil { // they were opened with the first one
		g.pluginsBy = g.config()
	}
	was, want := unplaced(g.pluginsBy.File).Plugins, unplaced(e.conf.File).Plugins
	if reflect.DeepEqual(was.Trust, want.Trust) && reflect.DeepEqual(was.Items, want.Items) {
		return nil
	}
	if err := g.plugins.Configure(ctx, pluginSettings(e.conf)); err != nil {
		return []fault.Diagnostic{{File: e.conf.Path, Message: "plugins: " + err.Error()}}
	}
	g.pluginsBy = e.conf
	return nil
}

func (g *Gateway) upCatalog(ctx context.Context, e *edition) []fault.Diagnostic {
	cat, problems := g.derive(ctx, e.conf, e.policy, e.partial)
	if cat == nil {
		return problems
	}
	e.catalog, e.gone = cat, problems
	return nil
}

func (g *Gateway) upSnapshot(_ context.Context, e *edition) []fault.Diagnostic {
	snap, err := flow.NewSnapshot(e.conf, e.policy, e.catalog)
	if err != nil {
		return []fault.Diagnostic{{File: e.conf.Path, Message: err.Error()}}
	}
	e.snapshot = snap
	return nil
}

func (g *Gateway) configurePool(e *edition) []fault.Diagnostic {
	return g.pool.Configure(settings(e.catalog), e.conf.File.Providers)
}

func (g *Gateway) upBounds(_ context.Context, e *edition) []fault.Diagnostic {
	logging := e.conf.File.Logging
	var level slog.Level
	if err := level.UnmarshalText([]byte(logging.Level)); err != nil {
		return []fault.Diagnostic{{File: e.conf.Path, Message: "logging.level: " + err.Error()}}
	}
	g.level.Set(level)
	cache := e.conf.File.Cache
	g.health.Cache.Resize(int64(cache.MaxBytes), cache.MaxEntries, int64(cache.MaxEntry))
	g.health.Cache.Disk(cache.Disk)
	g.configureRecords(logging)
	return nil
}

// apply brings everything to the configuration of the next edition: it comes up completely, then one pointer is
// swapped. With problems everything stays as it was.
func (g *Gateway) apply(ctx context.Context, next *edition) []fault.Diagnostic {
	start := time.Now()
	old, conf := g.edition.Load(), next.conf
	list := g.reloaders()
	for i, r := range list {
		began := time.Now()
		problems := r.up(ctx, next)
		g.metrics.reload.Observe(time.Since(began).Seconds(), r.name)
		if len(problems) == 0 {
			continue
		}
		if old != nil {
			for _, done := range slices.Backward(list[:i]) {
				if done.undo != nil {
					done.undo(ctx, old)
				}
			}
		}
		g.refused(r.name, problems)
		return problems
	}
	g.edition.Store(next)
	if old != nil {
		g.audited(ctx, audit.ConfigReload, map[string]any{"from": old.conf.Hash, "to": conf.Hash})
	}
	g.snap.Store(conf)
	g.catalog.Store(next.catalog)
	g.flow.Swap(next.snapshot)
	g.problems.Store(nil)
	if len(next.gone) > 0 {
		g.problems.Store(&next.gone)
		warn(g.log, "left out", next.gone)
	}
	g.reloaded.Store(&start)
	g.metrics.good.Set(1)
	if old != nil {
		g.fixed(old.conf, conf)
		g.log.LogAttrs(ctx, slog.LevelInfo, "configuration reloaded",
			slog.String("policy", next.policy.Hash()), slog.Duration("took", time.Since(start)))
	}
	return nil
}

// refused reports an edition that never came into force.
func (g *Gateway) refused(component string, problems []fault.Diagnostic) {
	g.problems.Store(&problems)
	g.metrics.good.Set(0)
	for _, d := range problems {
		fmt.Fprintln(g.opt.err(), d.Text())
	}
	g.log.LogAttrs(context.Background(), slog.LevelError, "configuration refused, the previous one stays in force",
		slog.String("component", component), slog.Int("problems", len(problems)))
}

// startOnly are the settings that only a restart brings into force.
func startOnly() map[string]func(*config.File) any {
	return map[string]func(*config.File) any{
		"server.listen":           func(f *config.File) any { return f.Server.Listen },
		"server.data_dir":         func(f *config.File) any { return f.Server.DataDir },
		"server.base_path":        func(f *config.File) any { return f.Server.BasePath },
		"server.instance_name":    func(f *config.File) any { return f.Server.InstanceName },
		"server.public_openapi":   func(f *config.File) any { return f.Server.PublicOpenAPI },
		"auth.jwt_secret":         func(f *config.File) any { return f.Auth.JWTSecret },
		"auth.initial_password":   func(f *config.File) any { return f.Auth.InitialPassword },
		"auth.api_key_secret":     func(f *config.File) any { return f.Auth.APIKeySecret },
		"auth.machine_id_salt":    func(f *config.File) any { return f.Auth.MachineIDSalt },
		"auth.accept_legacy_keys": func(f *config.File) any { return f.Auth.AcceptLegacyKeys },
		"auth.store_keys":         func(f *config.File) any { return f.Auth.StoreKeys },
		"plugins.dir":             func(f *config.File) any { return f.Plugins.Dir },
		"plugins.lock":            func(f *config.File) any { return f.Plugins.Lock },
		"plugins.cache":           func(f *config.File) any { return f.Plugins.Cache },
		"plugins.limits":          func(f *config.File) any { return f.Plugins.Limits },
		"plugins.module_size":     func(f *config.File) any { return f.Plugins.ModuleSize },
		"logging.format":          func(f *config.File) any { return f.Logging.Format },
		"storage.encryption_key":  func(f *config.File) any { return f.Storage.EncryptionKey },
	}
}

// StartOnly names the settings that only a restart brings into force.
func StartOnly() []string { return slices.Sorted(maps.Keys(startOnly())) }

// fixed warns about changed settings that only a restart brings into force.
func (g *Gateway) fixed(old, conf *config.Snapshot) {
	of := startOnly()
	for _, name := range StartOnly() {
		if !reflect.DeepEqual(of[name](unplaced(old.File)), of[name](unplaced(conf.File))) {
			g.log.LogAttrs(context.Background(), slog.LevelWarn, "a changed setting takes effect at the next start", slog.String("setting", name))
		}
	}
}

// unplaced is a configuration in which plugin items do not say where they were written.
func unplaced(f *config.File) *config.File {
	plain := *f
	plain.Plugins.Trust.Keys = slices.Clone(f.Plugins.Trust.Keys)
	for k := range plain.Plugins.Trust.Keys {
		plain.Plugins.Trust.Keys[k].Pos = config.Pos{}
	}
	plain.Plugins.Items = make(map[string]config.PluginItem, len(f.Plugins.Items))
	for name, it := range f.Plugins.Items {
		it.Pos = config.Pos{}
		plain.Plugins.Items[name] = it
	}
	return &plain
}

// Reload reads the configuration anew and applies it. The error is a *ConfigError with every problem; the previous
// configuration stays in force then.
func (g *Gateway) Reload(ctx context.Context) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.reread(ctx)
}

// reread does it for who holds g.reloading, so that what was read last is what comes into force last.
func (g *Gateway) reread(ctx context.Context) error {
	conf, problems := g.opt.load()
	if conf == nil {
		g.refused("config", problems)
		return &ConfigError{problems}
	}
	if problems := g.apply(ctx, &edition{conf: conf}); len(problems) > 0 {
		return &ConfigError{problems}
	}
	return nil
}

// follow applies changes of the file, its includes and the plugins until ctx ends.
func (g *Gateway) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hash := <-g.changed:
			g.reloading.Lock()
			if g.config().Hash != hash || g.problems.Load() != nil {
				_ = g.reread(ctx) // reported by itself
			}
			g.reloading.Unlock()
		case <-g.replugged:
			g.reloading.Lock()
			// A plugin that went takes along what it brought, not the rest.
			g.apply(ctx, &edition{conf: g.config(), partial: true})
			g.reloading.Unlock()
		}
	}
}
