package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
)

// OpenDesk gives a command its desk: that of the running gateway, or one over the store itself when none runs.
// release must be called at the end.
func OpenDesk(ctx context.Context, opt Options) (_ control.Desk, release func() error, err error) {
	snap, problems := opt.load()
	if snap == nil {
		return nil, nil, &ConfigError{problems}
	}
	client, err := control.Dial(ctx, filepath.Join(snap.File.Server.DataDir, control.Socket))
	if err == nil {
		return client, func() error { client.Close(); return nil }, nil
	}
	if !errors.Is(err, control.ErrNoServer) {
		return nil, nil, fmt.Errorf("the control socket of the running gateway: %w", err)
	}
	s, err := openSystem(ctx, opt, snap, false)
	if err != nil {
		return nil, nil, err
	}
	release = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		return s.close(ctx)
	}
	d := &desk{system: s}
	if problems := d.configure(ctx); len(problems) > 0 {
		return nil, nil, errors.Join(&ConfigError{problems}, release())
	}
	return d, release, nil
}

// desk administers a system in this process.
type desk struct {
	*system
	gateway *Gateway // nil when nothing is served
}

var _ control.Desk = (*desk)(nil)

// configure makes the opened store agree with the file, as a gateway does at its start.
func (d *desk) configure(ctx context.Context) []fault.Diagnostic {
	if problems := d.keys.SetFile(d.config().File.Auth.Keys); len(problems) > 0 {
		return problems
	}
	return d.refresh(ctx)
}

// refresh builds the catalogue anew and tells the pool. Names that lead nowhere, perhaps to plugins that were not
// loaded, keep no command from its work.
func (d *desk) refresh(ctx context.Context) []fault.Diagnostic {
	set, problems, _ := loadPolicy(d.config(), nil)
	if set == nil {
		return problems
	}
	cat, problems := d.derive(ctx, d.config(), set, true)
	if cat == nil {
		return problems
	}
	d.catalog.Store(cat)
	return d.pool.Configure(settings(cat), d.config().File.Providers)
}

// withPlugins loads the plugins for a command that needs them. A gateway has them already.
func (d *desk) withPlugins(ctx context.Context) error {
	if d.plugins != nil {
		return nil
	}
	if err := d.openPlugins(ctx, false); err != nil {
		return err
	}
	if err := waitPlugins(ctx, d.plugins); err != nil {
		return err
	}
	if problems := d.refresh(ctx); len(problems) > 0 {
		return &ConfigError{problems}
	}
	return nil
}

// Status implements control.Desk.
func (d *desk) Status(context.Context) (control.Status, error) {
	if d.gateway != nil {
		return d.gateway.Status(), nil
	}
	return control.Status{Version: d.opt.Version, PID: os.Getpid(), DataDir: d.dir.Path(), Config: d.config().Path}, nil
}

// Reload implements control.Desk.
func (d *desk) Reload(ctx context.Context) (control.Status, error) {
	if d.gateway == nil {
		return control.Status{}, control.ErrNoServer
	}
	if err := d.gateway.Reload(ctx); err != nil {
		return control.Status{}, err
	}
	return d.gateway.Status(), nil
}

// CreateKey implements control.Desk.
func (d *desk) CreateKey(ctx context.Context, want account.Key) (control.NewKey, error) {
	secret, key, err := d.keys.Create(ctx, want)
	if err == nil {
		d.did(ctx, audit.KeyCreate, "key", key.ID)
	}
	return control.NewKey{Secret: secret, Key: key}, err
}

// Keys implements control.Desk.
func (d *desk) Keys(context.Context) ([]*account.Key, error) { return d.keys.List(), nil }

// RevokeKey implements control.Desk.
func (d *desk) RevokeKey(ctx context.Context, id string) error {
	key, ok := d.keys.Get(id)
	if !ok {
		return notFound("no client key has the id or name %q", id)
	}
	if key.FromFile {
		return readOnly("the key %q is declared in %s; remove it there", key.Name, d.config().Path)
	}
	if err := d.keys.Revoke(ctx, key.ID); err != nil {
		return err
	}
	d.did(ctx, audit.KeyRevoke, "key", key.ID)
	return nil
}

// did records what a command did.
func (d *desk) did(ctx context.Context, what audit.Action, kind, id string) {
	d.audit.Write(ctx, audit.Record{Action: what, Actor: audit.CLI, Target: audit.Target{Type: kind, ID: id}, Result: "ok"})
}

// ResetPassword implements control.Desk.
func (d *desk) ResetPassword(ctx context.Context, password string) error {
	var err error
	if d.gateway != nil {
		err = d.gateway.access.ResetPassword(ctx, password)
	} else {
		var service *access.Service
		if service, err = d.openAccess(ctx, nil); err == nil {
			err = service.ResetPassword(ctx, password)
		}
	}
	if err == nil {
		d.audit.Write(ctx, audit.Record{Action: "auth.password", Actor: audit.Actor{Type: "cli"}, Result: "ok"})
	}
	return err
}

// Providers implements control.Desk.
func (d *desk) Providers(ctx context.Context, all bool) ([]control.Provider, error) {
	if err := d.withPlugins(ctx); err != nil {
		return nil, err
	}
	list := []control.Provider{}
	for _, p := range d.catalog.Load().Providers() {
		sum := d.pool.Summary(p.ID, "")
		if !all && sum.Total == 0 && !p.NoAuth {
			continue
		}
		row := control.Provider{
			ID: p.ID, Alias: p.Alias, Name: p.Name, Group: p.Group, Dialect: p.Dialect, Auth: p.Auth, NoAuth: p.NoAuth,
			Models: len(p.Models), Accounts: sum.Total, Ready: sum.Ready, Origin: p.Origin,
		}
		if len(p.BaseURLs) > 0 {
			row.BaseURL = p.BaseURLs[0]
		}
		list = append(list, row)
	}
	return list, nil
}

// provider finds one by id, alias or prefix; plugins are loaded only if the catalogue without them has none.
func (d *desk) provider(ctx context.Context, name string) (*catalog.Provider, error) {
	if p, ok := d.catalog.Load().Provider(name); ok {
		return p, nil
	}
	if err := d.withPlugins(ctx); err != nil {
		return nil, err
	}
	if p, ok := d.catalog.Load().Provider(name); ok {
		return p, nil
	}
	e := fault.Newf(fault.ProviderUnknown, "no provider is called %q; `omniroute provider list --all` shows them", name)
	e.Status = 404
	return nil, e
}

// Accounts implements control.Desk.
func (d *desk) Accounts(ctx context.Context, provider string) ([]*account.Account, error) {
	if provider != "" {
		p, err := d.provider(ctx, provider)
		if err != nil {
			return nil, err
		}
		provider = p.ID
	}
	return d.pool.List(provider), nil
}

// AddAccount implements control.Desk.
func (d *desk) AddAccount(ctx context.Context, want control.NewAccount) (*account.Account, error) {
	p, err := d.provider(ctx, want.Provider)
	if err != nil {
		return nil, err
	}
	auth := "apikey"
	switch {
	case want.APIKey != "" && (len(p.Auth) == 0 || slices.Contains(p.Auth, "api_key")):
	case want.APIKey != "":
		return nil, invalid("%s takes no API key", p.ID)
	case p.NoAuth || len(p.Auth) == 0:
		auth = "none"
	default:
		return nil, invalid("an account of %s needs an API key", p.ID)
	}
	name := want.Name
	if name == "" {
		name = d.freeName(p.ID)
	}
	if a, ok := d.pool.Get(p.ID + "/" + name); ok && a.FromFile {
		return nil, readOnly("the account %s/%s is declared in %s; change it there", p.ID, name, d.config().Path)
	}
	added, err := d.pool.Add(ctx, account.Account{
		Provider: p.ID, Auth: auth, Name: name, Priority: want.Priority, Enabled: true, Proxy: want.Proxy,
		Tags: want.Tags, Models: want.Models, Data: want.Data,
	}, account.Credential{APIKey: want.APIKey})
	if err == nil {
		d.did(ctx, audit.AccountAdd, "account", added.ID)
	}
	return added, err
}

// account finds one by id or "provider/name", where provider may be an alias.
func (d *desk) account(ctx context.Context, id string) (*account.Account, error) {
	if a, ok := d.pool.Get(id); ok {
		return a, nil
	}
	if provider, name, ok := strings.Cut(id, "/"); ok {
		if p, err := d.provider(ctx, provider); err == nil {
			if a, ok := d.pool.Get(p.ID + "/" + name); ok {
				return a, nil
			}
		}
	}
	return nil, notFound("no account has the id or name %q", id)
}

// RemoveAccount implements control.Desk.
func (d *desk) RemoveAccount(ctx context.Context, id string) error {
	a, err := d.account(ctx, id)
	if err != nil {
		return err
	}
	if a.FromFile {
		return readOnly("the account %s/%s is declared in %s; remove it there", a.Provider, a.Name, d.config().Path)
	}
	if err := d.pool.Remove(ctx, a.ID); err != nil {
		return err
	}
	d.did(ctx, audit.AccountRemove, "account", a.ID)
	return nil
}

// TestAccount implements control.Desk.
func (d *desk) TestAccount(ctx context.Context, id string) (control.Test, error) {
	a, err := d.account(ctx, id)
	if err != nil {
		return control.Test{}, err
	}
	if err := d.withPlugins(ctx); err != nil {
		return control.Test{}, err
	}
	return d.probe(ctx, a)
}

// Models implements control.Desk.
func (d *desk) Models(ctx context.Context, provider string, live bool) ([]control.Model, error) {
	if err := d.withPlugins(ctx); err != nil {
		return nil, err
	}
	var providers []*catalog.Provider
	if provider != "" {
		p, err := d.provider(ctx, provider)
		if err != nil {
			return nil, err
		}
		if live {
			return d.liveModels(ctx, p)
		}
		providers = append(providers, p)
	} else {
		for _, p := range d.catalog.Load().Providers() {
			if p.NoAuth || d.pool.Active(p.ID) {
				providers = append(providers, p)
			}
		}
	}
	list := []control.Model{}
	for _, p := range providers {
		for _, m := range p.Models {
			if !m.Hidden {
				list = append(list, modelRow(p, m))
			}
		}
	}
	return list, nil
}

func modelRow(p *catalog.Provider, m *catalog.Model) control.Model {
	row := control.Model{
		ID: p.ID + "/" + m.ID, Name: m.Name, Context: m.Context, MaxOutput: m.MaxOutput,
		Tools: m.Caps.Tools, Vision: m.Caps.Vision, Thinking: m.Caps.Thinking, Input: -1, Output: -1,
	}
	if m.Price.Known {
		row.Input, row.Output = m.Price.Input.USD(), m.Price.Output.USD()
	}
	return row
}

// Requests implements control.Desk.
func (d *desk) Requests(ctx context.Context, f ledger.Filter) (ledger.Page, error) {
	return d.ledger.List(ctx, f)
}

// Request implements control.Desk.
func (d *desk) Request(ctx context.Context, id string) (control.Request, error) {
	e, err := d.ledger.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return control.Request{}, notFound("no request with the id %q is in the log", id)
	} else if err != nil {
		return control.Request{}, err
	}
	trace, err := d.ledger.Trace(ctx, id)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return control.Request{}, err
	}
	return control.Request{Entry: e, Trace: trace}, nil
}

func notFound(format string, args ...any) error {
	e := fault.Newf(fault.InvalidBody, format, args...)
	e.Status = 404
	return e
}

func readOnly(format string, args ...any) error {
	e := fault.Newf(fault.InvalidBody, format, args...)
	e.Status = 409
	return e
}

func invalid(format string, args ...any) error { return fault.Newf(fault.InvalidBody, format, args...) }
