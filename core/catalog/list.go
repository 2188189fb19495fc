package catalog

import (
	"maps"
	"slices"
)

// Provider finds a provider by id, alias or prefix.
func (c *Catalog) Provider(name string) (*Provider, bool) {
	p, ok := c.names[name]
	return p, ok
}

// Providers lists all that are enabled, in the order of the data. The slice
// must not be changed.
func (c *Catalog) Providers() []*Provider { return c.providers }

// Model finds a model of a provider by its id.
func (c *Catalog) Model(provider, id string) (*Model, bool) {
	p, ok := c.names[provider]
	if !ok {
		return nil, false
	}
	m, ok := p.byID[id]
	return m, ok
}

// Combos lists the combos by name.
func (c *Catalog) Combos() []*Combo {
	out := make([]*Combo, 0, len(c.combos))
	for _, name := range slices.Sorted(maps.Keys(c.combos)) {
		out = append(out, c.combos[name])
	}
	return out
}

// AliasInfo is one alias for listing.
type AliasInfo struct {
	Name   string
	Target string
	Tags   []string
}

// Aliases lists the aliases: exact ones by name, then patterns as they are tried.
func (c *Catalog) Aliases() []AliasInfo {
	var out []AliasInfo
	for _, name := range slices.Sorted(maps.Keys(c.aliases)) {
		a := c.aliases[name]
		out = append(out, AliasInfo{a.name, a.target, a.tags})
	}
	for _, a := range c.wildcards {
		out = append(out, AliasInfo{a.name, a.target, a.tags})
	}
	return out
}

// ListOptions narrow a model list.
type ListOptions struct {
	// Full shows hidden models and providers without accounts too.
	Full bool
	// Active reports whether a provider has an account in rotation; nil = all.
	Active func(provider string) bool
	// Allow keeps an id; nil = all.
	Allow func(id string) bool
}

// Listing is one row of the model list.
type Listing struct {
	ID         string
	OwnedBy    string
	Parent     string // the alias form, on the long form of the same model
	Type       string // "" for chat, else one of the Kind constants
	Name       string
	Custom     bool
	Dimensions int64
	Sizes      []string
	Model      *Model // nil for combos and other kinds than chat
}

// List gives the rows of /v1/models: combos first, then each model under its
// provider's alias and under its id, then other kinds.
func (c *Catalog) List(opt ListOptions) []Listing {
	var out []Listing
	add := func(l Listing) {
		if opt.Allow == nil || opt.Allow(l.ID) {
			out = append(out, l)
		}
	}
	shown := func(provider string) bool { return opt.Full || opt.Active == nil || opt.Active(provider) }
	for _, combo := range c.Combos() {
		add(Listing{ID: combo.Name, OwnedBy: "combo", Name: combo.Name})
	}
	for _, p := range c.providers {
		if !shown(p.ID) {
			continue
		}
		for _, m := range p.Models {
			if m.Hidden && !opt.Full {
				continue
			}
			l := Listing{ID: prefixOf(p) + "/" + m.ID, OwnedBy: p.ID, Name: m.Name, Custom: m.Custom, Model: m}
			add(l)
			if long := p.ID + "/" + m.ID; long != l.ID {
				l.Parent, l.ID = l.ID, long
				add(l)
			}
		}
	}
	for _, l := range c.media {
		if shown(l.OwnedBy) {
			add(l)
		}
	}
	return out
}
