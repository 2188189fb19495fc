package boot

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
	"github.com/omniroute/omniroute/core/state"
)

// pluginTrust is the operator's policy for plugins, as the host wants it.
func pluginTrust(conf *config.Snapshot) host.Trust {
	t := conf.File.Plugins.Trust
	out := host.Trust{
		Mode: trust.Mode(t.Mode), Isolation: t.Unsigned.Isolation, Grants: grants(t.Unsigned.Grants),
		Deny: trust.Deny{Capabilities: t.Deny.Capabilities, Hosts: t.Deny.Hosts},
	}
	for _, k := range t.Keys {
		key, err := pack.ParseKey(k.ID)
		if err != nil {
			continue // the configuration was checked
		}
		out.Keys = append(out.Keys, trust.Key{Key: key, Name: k.Name, Scope: k.Scope, Isolation: k.Isolation})
	}
	for _, pattern := range t.Unsigned.Allow {
		out.Allow = append(out.Allow, pattern)
		if !filepath.IsAbs(pattern) && conf.Path != "" { // written relative to the file, like plugins.dir
			out.Allow = append(out.Allow, filepath.Join(filepath.Dir(conf.Path), pattern))
		}
	}
	return out
}

func grants(g config.Grants) manifest.Grants {
	return manifest.Grants{HTTP: g.HTTP, Use: g.Use, Reveal: g.Reveal, KV: g.KV}
}

// pluginSettings are those settings of plugins that a reload brings into force.
func pluginSettings(conf *config.Snapshot) host.Settings {
	return host.Settings{Trust: pluginTrust(conf), Items: items(conf.File.Plugins.Items)}
}

// reservedProviders are the ids and aliases of the providers that come with the
// gateway: what names itself like one would be given its credentials.
func reservedProviders() []string {
	var out []string
	cat, problems := catalog.Build(catalog.Inputs{Partial: true})
	if len(problems) > 0 || cat == nil {
		return nil
	}
	for _, p := range cat.Providers() {
		out = append(out, p.ID)
		if p.Alias != "" {
			out = append(out, p.Alias)
		}
	}
	return out
}

// requiredPlugins says which plugins are missing that the file calls required.
func requiredPlugins(h *host.Host, conf *config.Snapshot) error {
	var problems []fault.Diagnostic
	for _, p := range h.Missing() {
		it := conf.File.Plugins.Items[p.Plugin]
		problems = append(problems, fault.Diagnostic{
			File: it.Pos.File, Line: it.Pos.Line, Column: it.Pos.Column,
			Message: fmt.Sprintf("the plugin %s is required, but does not serve: %s", p.Plugin, p.Message),
		})
	}
	if len(problems) > 0 {
		return &ConfigError{problems}
	}
	return nil
}

// pluginKV keeps the values of plugins in the store, which may be opened after the plugins.
type pluginKV struct{ store atomic.Pointer[state.Store] }

func (k *pluginKV) open(s state.Store) { k.store.Store(&s) }

func (k *pluginKV) opened() (state.Store, error) {
	if s := k.store.Load(); s != nil {
		return *s, nil
	}
	return nil, errors.New("the store is not open yet")
}

const pluginPrefix = "plugin-kv/"

// Get implements host.KV.
func (k *pluginKV) Get(ctx context.Context, key string) ([]byte, error) {
	store, err := k.opened()
	if err != nil {
		return nil, err
	}
	v, err := store.Get(ctx, pluginPrefix+key)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err == nil && v == nil {
		v = []byte{}
	}
	return v, err
}

// Put implements host.KV.
func (k *pluginKV) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	store, err := k.opened()
	if err != nil {
		return err
	}
	return store.Put(ctx, pluginPrefix+key, value, ttl)
}

// Delete implements host.KV.
func (k *pluginKV) Delete(ctx context.Context, key string) error {
	store, err := k.opened()
	if err != nil {
		return err
	}
	return store.Delete(ctx, pluginPrefix+key)
}

// Each implements host.KV.
func (k *pluginKV) Each(ctx context.Context, prefix string, f func(key string, size int)) error {
	store, err := k.opened()
	if err != nil {
		return err
	}
	return store.Scan(ctx, state.Query{Prefix: pluginPrefix + prefix}, func(e state.Entry) error {
		f(strings.TrimPrefix(e.Key, pluginPrefix), len(e.Value))
		return nil
	})
}
