package boot

import (
	"context"
	"path/filepath"

	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/host/library"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// PluginLibrary is what commands that manage plugins need of a configuration. They change files, beside a running
// gateway as well as without one.
type PluginLibrary struct {
	*library.Library
	Config *config.Snapshot
}

// OpenLibrary reads the configuration for commands that manage plugins; nothing is opened or locked.
func OpenLibrary(opt Options) (*PluginLibrary, error) {
	conf, problems := opt.load()
	if conf == nil {
		return nil, &ConfigError{problems}
	}
	p := conf.File.Plugins
	lib := &library.Library{
		Dir: p.Dir, Lock: p.Lock, Trust: pluginTrust(conf), Version: opt.Version, MaxSize: int(p.ModuleSize),
		Items: make(map[string]trust.Item, len(p.Items)),
	}
	for name, it := range p.Items {
		lib.Items[name] = trust.Item{Listed: true, Disabled: !it.Enabled, Grants: grants(it.Grants)}
	}
	return &PluginLibrary{Library: lib, Config: conf}, nil
}

// Index is a list of plugins that the operator trusts.
type Index struct {
	Name, URL string
	Keys      []pack.Key
}

// Indexes are those of the configuration, in their order. Files are relative to the configuration file.
func (l *PluginLibrary) Indexes() []Index {
	var out []Index
	for _, x := range l.Config.File.Plugins.Indexes {
		i := Index{Name: x.Name, URL: x.URL}
		if !filepath.IsAbs(x.URL) && !hasScheme(x.URL) && l.Config.Path != "" {
			i.URL = filepath.Join(filepath.Dir(l.Config.Path), x.URL)
		}
		for _, text := range x.Keys {
			if k, err := pack.ParseKey(text); err == nil {
				i.Keys = append(i.Keys, k)
			}
		}
		out = append(out, i)
	}
	return out
}

func hasScheme(url string) bool {
	for k, c := range url {
		if c == ':' {
			return k > 1 && len(url) > k+2 && url[k:k+3] == "://"
		}
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return false
}

// Gateway reaches the gateway that runs over the same files; control.ErrNoServer if there is none.
func (l *PluginLibrary) Gateway(ctx context.Context) (*control.Client, error) {
	return control.Dial(ctx, filepath.Join(l.Config.File.Server.DataDir, control.Socket))
}

// Plugins implements control.PluginDesk.
func (d *desk) Plugins(ctx context.Context, rescan bool) (control.Plugins, error) {
	if err := d.withPlugins(ctx); err != nil {
		return control.Plugins{}, err
	}
	if rescan {
		if err := d.plugins.Rescan(ctx); err != nil {
			return control.Plugins{}, err
		}
	}
	g := d.plugins.Current()
	defer g.Release()
	return control.Plugins{Generation: g.Number(), Parts: g.Parts(), Problems: d.plugins.Problems(), Stats: d.plugins.Stats()}, nil
}

// ReadmitPlugin implements control.PluginDesk.
func (d *desk) ReadmitPlugin(ctx context.Context, name string) error {
	if err := d.withPlugins(ctx); err != nil {
		return err
	}
	return d.plugins.Readmit(ctx, name)
}
