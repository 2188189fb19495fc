package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/oauth"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/upstream"
)

// system is an opened data directory with everything that administers it: the store, the nouns over it, and, once
// asked for, the plugins. A gateway is a system that also serves.
type system struct {
	opt   Options
	log   *slog.Logger
	level *slog.LevelVar

	snap    atomic.Pointer[config.Snapshot] // in force
	dir     *state.Dir
	store   state.Store
	writer  *state.Writer
	keys    *account.Keys
	pool    *account.Pool
	ledger  *ledger.Ledger
	audit   *audit.Log
	repo    *catalog.Repo
	client  *upstream.Client
	logins  *oauth.Service
	plugins *host.Host // nil until openPlugins
	kv      pluginKV

	catalog atomic.Pointer[catalog.Catalog]
	closers []func(context.Context) error // in the order of opening
}

// openSystem opens the data directory of a loaded configuration. Another process that holds it gives a
// *state.LockedError. withPlugins starts the plugin host first: plugins load while the store is being opened.
func openSystem(ctx context.Context, opt Options, snap *config.Snapshot, withPlugins bool) (_ *system, err error) {
	s := &system{opt: opt}
	s.snap.Store(snap)
	logging := snap.File.Logging
	if opt.Quiet {
		logging.Level = "error"
	}
	if s.log, s.level, err = telemetry.NewLogger(opt.err(), telemetry.LogOptions{Level: logging.Level, Format: logging.Format}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if s.dir, err = state.OpenDir(snap.File.Server.DataDir); err != nil {
		return nil, err
	}
	s.onClose(func(context.Context) error { return s.dir.Close() })
	if withPlugins {
		if err := s.openPlugins(ctx, true); err != nil {
			return nil, err
		}
	}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	if err := s.openNouns(ctx); err != nil {
		return nil, err
	}
	s.client = upstream.New(upstream.Options{})
	s.onClose(func(context.Context) error { return s.client.Close() })
	s.openLogins()
	return s, nil
}

// config is the configuration in force.
func (s *system) config() *config.Snapshot { return s.snap.Load() }

func (s *system) onClose(f func(context.Context) error) { s.closers = append(s.closers, f) }

// close undoes opening in reverse order.
func (s *system) close(ctx context.Context) error {
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f(ctx))
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *system) openStore() error {
	key, err := s.dir.StorageKey(s.config().File.Storage.EncryptionKey)
	if err != nil {
		return err
	}
	if s.store, err = state.OpenBadger(s.dir.Path("badger"), key, state.BadgerOptions{OnError: s.storeFailed}); err != nil {
		return err
	}
	s.kv.open(s.store)
	s.onClose(func(context.Context) error { return s.store.Close() })
	s.writer = state.NewWriter(s.store, state.WriterOptions{OnError: s.storeFailed})
	s.onClose(func(context.Context) error { return s.writer.Close() })
	return nil
}

func (s *system) storeFailed(err error) {
	s.log.LogAttrs(context.Background(), slog.LevelError, "the store failed", slog.Any("error", err))
}

func (s *system) openNouns(ctx context.Context) error {
	file := s.config().File
	secret := file.Auth.APIKeySecret
	if secret == "" {
		var err error
		if secret, err = s.dir.Secret("api_key_secret"); err != nil {
			return err
		}
	}
	machine, err := s.dir.MachineID(lookup(s.opt.Env, "OMNIROUTE_MACHINE_ID"))
	if err != nil {
		return err
	}
	if s.keys, err = account.OpenKeys(ctx, s.store, account.KeysOptions{
		Secret: secret, MachineID: machine, MachineSalt: file.Auth.MachineIDSalt,
		AcceptLegacy: file.Auth.AcceptLegacyKeys, Reveal: file.Auth.StoreKeys == "encrypted",
	}); err != nil {
		return fmt.Errorf("client keys: %w", err)
	}
	if s.pool, err = account.OpenPool(ctx, s.store, account.PoolOptions{Writer: s.writer}); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if s.audit, err = audit.Open(ctx, s.store, audit.Options{OnError: s.storeFailed}); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	s.repo = catalog.NewRepo(s.store)
	if s.ledger, err = ledger.Open(ctx, s.store, ledger.Options{
		Retention: file.Logging.Requests.Retention, MaxBytes: int64(file.Logging.Requests.MaxSize), MaxRows: file.Logging.Requests.MaxRows,
		OnError: s.storeFailed,
	}); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	s.onClose(func(context.Context) error { return s.ledger.Close() })
	return nil
}

// openPlugins starts the plugin host once. Plugins load in the background. With interim, those that were never
// compiled serve meanwhile, slowly: a gateway is there at once, a command does its one thing at full speed.
func (s *system) openPlugins(ctx context.Context, interim bool) error {
	if s.plugins != nil {
		return nil
	}
	core := s.opt.core()
	if len(core) == 0 {
		s.log.Warn(noCore)
	}
	opt := pluginOptions(core, s.config(), s.log)
	opt.Interim, opt.Version = interim, s.opt.Version
	opt.Freeze, opt.KV = interim, &s.kv
	h, err := host.Open(ctx, opt)
	if err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	s.plugins = h
	s.onClose(h.Close)
	return nil
}

// pluginOptions configures a host from a loaded file.
func pluginOptions(core []byte, conf *config.Snapshot, log *slog.Logger) host.Options {
	p := conf.File.Plugins
	cache := p.Cache.Dir
	if cache == "" {
		cache = filepath.Join(conf.File.Server.DataDir, "wasm-cache")
	}
	return host.Options{
		Core: core, Dir: p.Dir, CacheDir: cache, CacheMax: int64(p.Cache.Max),
		Lock: p.Lock, Reserved: reservedProviders(), Trust: pluginTrust(conf), Items: items(p.Items), Limits: hostLimits(p),
		Log: log,
	}
}

// items are the operator's settings per plugin.
func items(file map[string]config.PluginItem) map[string]host.Item {
	out := make(map[string]host.Item, len(file))
	for name, it := range file {
		item := host.Item{
			Disabled: !it.Enabled, Priority: it.Priority, Limits: pluginLimits(it.Limits),
			Isolation: it.Isolation, Unmetered: !it.Metered, Required: it.Required, Grants: grants(it.Grants),
		}
		if len(it.Config) > 0 {
			// What YAML decoded into maps, lists and scalars always has a JSON form.
			item.Config, _ = json.Marshal(it.Config)
		}
		out[name] = item
	}
	return out
}

// waitPlugins returns when plugins serve.
func waitPlugins(ctx context.Context, h *host.Host) error {
	select {
	case <-h.Ready():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// derive builds the catalogue that a configuration, the plugins and the store make together; see
// catalog.Inputs.Partial.
func (s *system) derive(ctx context.Context, snap *config.Snapshot, set *policy.Set, partial bool) (*catalog.Catalog, []fault.Diagnostic) {
	stored, err := s.repo.Load(ctx)
	if err != nil {
		return nil, []fault.Diagnostic{{Message: "the stored catalogue cannot be read: " + err.Error()}}
	}
	in := catalog.Inputs{Config: snap.File, Stored: stored, Classic: isClassic(set), Partial: partial}
	if s.plugins != nil {
		in.Plugins = pluginProviders(s.plugins.Parts())
	}
	return catalog.Build(in)
}

// isClassic tells that names shall be resolved as the classic preset wants it.
func isClassic(set *policy.Set) bool { return set.Preset() == "classic" }

// settings of every provider for the account pool.
func settings(cat *catalog.Catalog) []account.ProviderSettings {
	var list []account.ProviderSettings
	for _, p := range cat.Providers() {
		list = append(list, account.ProviderSettings{ID: p.ID, Billing: p.Billing, Cooling: p.Cooling, NoAuth: p.NoAuth})
	}
	return list
}

// shutdownTimeout is how long closing may take when nobody says otherwise.
const shutdownTimeout = 10 * time.Second
