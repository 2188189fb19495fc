package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/config"
)

// chain is a list of stand-ins for models that match a pattern.
type chain struct {
	pattern string
	links   []config.ChainLink
}

// maxChain bounds the stand-ins of one model.
const maxChain = 8

// addChains takes the fallback chains of the store and of the file, exact names
// first, then patterns by specificity.
func (b *builder) addChains() {
	stored := b.in.Stored.Chains
	for _, pattern := range slices.Sorted(maps.Keys(stored)) {
		b.chain(pattern, stored[pattern])
	}
	if c := b.in.Config; c != nil {
		for _, pattern := range slices.Sorted(maps.Keys(c.FallbackChains)) {
			links := c.FallbackChains[pattern]
			if _, both := stored[pattern]; both {
				b.problem(pattern, posOf(links), "the fallback chain of %q is declared here and in the data directory; remove one of them", pattern)
				continue
			}
			for _, l := range links {
				if provider, _ := standIn(l, ""); b.cat.names[provider] == nil {
					b.missing(provider, l.Pos, "fallback chain of %q: there is no provider %q", pattern, provider)
				}
			}
			b.chain(pattern, links)
		}
	}
	slices.SortStableFunc(b.cat.chains, func(x, y chain) int { return specificityModern(y.pattern, x.pattern) })
}

func posOf(links []config.ChainLink) config.Pos {
	if len(links) == 0 {
		return config.Pos{}
	}
	return links[0].Pos
}

func (b *builder) chain(pattern string, links []config.ChainLink) {
	links = slices.DeleteFunc(slices.Clone(links), func(l config.ChainLink) bool { return !l.Enabled })
	slices.SortStableFunc(links, func(x, y config.ChainLink) int { return cmp.Compare(x.Priority, y.Priority) })
	b.cat.chains = append(b.cat.chains, chain{pattern: pattern, links: links})
}

// Chain lists the targets that stand in for a model (its id, with or without
// its provider) that failed, and the pattern that names them; exclude leaves
// targets out. A provider without the model in its catalogue is skipped unless
// it takes any.
func (c *Catalog) Chain(model string, exclude func(Target) bool) (pattern string, targets []Target) {
	id := model
	if prefix, rest, found := strings.Cut(model, "/"); found && c.names[prefix] != nil {
		id = rest
	}
	for _, ch := range c.chains {
		if !matches(ch.pattern, model) && !matches(ch.pattern, id) {
			continue
		}
		for _, l := range ch.links {
			if t, ok := c.link(l, id); ok && len(targets) < maxChain && (exclude == nil || !exclude(t)) {
				t.Position = len(targets)
				targets = append(targets, t)
			}
		}
		return ch.pattern, targets
	}
	return "", nil
}

// WithChain adds the fallback chain of a name to what it was resolved to, behind
// its own targets. Combos have none.
func (c *Catalog) WithChain(name string, res *Resolution) *Resolution {
	if res.Combo != nil {
		return res
	}
	pattern, stand := c.Chain(name, func(t Target) bool {
		return slices.ContainsFunc(res.Targets, func(have Target) bool { return have.ID == t.ID })
	})
	if len(stand) == 0 {
		return res
	}
	longer := *res
	longer.Chain, longer.Targets = pattern, slices.Clone(res.Targets)
	for _, t := range stand {
		t.Position = len(longer.Targets)
		longer.Targets = append(longer.Targets, t)
	}
	return &longer
}

func matches(pattern, name string) bool {
	_, ok := wildcard(strings.ToLower(pattern), strings.ToLower(name))
	return ok
}

// standIn names the provider and the model of a link, for the model id.
func standIn(l config.ChainLink, id string) (provider, model string) {
	if l.Provider != "" {
		return l.Provider, cmp.Or(l.Model, id)
	}
	provider, model, _ = strings.Cut(l.Model, "/")
	return provider, model
}

// link is the target of a link; ok is false if its provider does not have it.
func (c *Catalog) link(l config.ChainLink, id string) (Target, bool) {
	provider, model := standIn(l, id)
	p := c.names[provider]
	if p == nil {
		return Target{}, false
	}
	if _, known := p.byID[model]; !known && !p.Passthrough && l.Model == "" {
		return Target{}, false
	}
	t, err := c.target(&Resolution{}, p, model)
	return t, err == nil
}
