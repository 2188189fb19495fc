package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/fault"
)

// maxModelName bounds the names clients may send.
const maxModelName = 256

// Query is a model name to resolve.
type Query struct {
	Model string
	// Kind of the model; "" = chat.
	Kind string
	// Active reports whether a provider has an account in rotation; nil = all.
	Active func(provider string) bool
}

// Resolve turns a model name into targets. Errors are *fault.Error: VALID_001
// for a malformed name, MODEL_001 for an unknown one, MODEL_002 for an ambiguous
// one or a cycle of aliases.
func (c *Catalog) Resolve(q Query) (*Resolution, error) {
	name := strings.TrimSpace(q.Model)
	if err := checkName(name); err != nil {
		return nil, err
	}
	res := &Resolution{Requested: name}
	find := func() error { return c.resolve(res, name, q.Active) }
	if q.Kind != "" {
		find = func() error { return c.mediaModel(res, q) }
	}
	if err := find(); err != nil {
		return nil, err
	}
	for i := range res.Targets {
		res.Targets[i].Position = i
	}
	return res, nil
}

func checkName(name string) *fault.Error {
	bad := func(code fault.Code, format string, args ...any) *fault.Error {
		e := fault.Newf(code, format, args...)
		e.Param = "model"
		return e
	}
	if name == "" {
		return bad(fault.MissingField, "The request names no model")
	}
	if len(name) > maxModelName {
		return bad(fault.InvalidBody, "The model name is longer than %d bytes", maxModelName)
	}
	if strings.Contains(name, "../") || strings.Contains(name, `..\`) {
		return bad(fault.InvalidBody, "The model name is malformed")
	}
	for i := range len(name) {
		if name[i] < 0x20 {
			return bad(fault.InvalidBody, "The model name is malformed")
		}
	}
	if name[0] == '/' || name[len(name)-1] == '/' {
		return bad(fault.ModelNotFound, "Model %q not found: want provider/model", name)
	}
	return nil
}

// resolve fills res from a name, following aliases.
func (c *Catalog) resolve(res *Resolution, name string, active func(string) bool) error {
	for {
		if done := c.combo(res, name, active); done {
			return nil
		}
		next, hit := c.alias(res, name)
		if !hit {
			break
		}
		name = next
		if slices.Contains(res.Path[:len(res.Path)-1], res.Path[len(res.Path)-1]) || len(res.Path) > maxHops {
			return fault.Newf(fault.ModelAmbiguous, "Alias cycle: %s", strings.Join(res.Path, " > "))
		}
	}
	if prefix, id, found := strings.Cut(name, "/"); found {
		p := c.names[prefix]
		if p == nil {
			return c.unknown(name, active)
		}
		t, err := c.target(res, p, id)
		if err != nil {
			return err
		}
		res.Targets = []Target{t}
		return nil
	}
	return c.bareName(res, name, active)
}

// combo expands a combo of that name, with or without suffixes.
func (c *Catalog) combo(res *Resolution, name string, active func(string) bool) bool {
	combo := c.combos[name]
	if combo == nil {
		s := cutSuffixes(name)
		if combo = c.combos[s.base]; combo == nil || !s.found {
			return false
		}
		res.apply(s)
	}
	targets, fixed := c.expanded[combo.Name]
	if fixed {
		targets = slices.Clone(targets)
	} else {
		targets = c.expand(combo, active)
	}
	if len(targets) == 0 {
		return false
	}
	res.Combo, res.Targets = combo, targets
	res.Tags = append(res.Tags, combo.Tags...)
	return true
}

// alias follows one alias: exact with the whole name, exact without suffixes,
// then the most specific pattern.
func (c *Catalog) alias(res *Resolution, name string) (target string, hit bool) {
	a := c.aliases[name]
	var captures []string
	if a == nil && len(c.aliases) > 0 {
		if s := cutSuffixes(name); s.found && c.aliases[s.base] != nil {
			a = c.aliases[s.base]
			res.apply(s)
		}
	}
	if a == nil {
		for _, w := range c.wildcards {
			if caps, ok := w.match(name); ok {
				a, captures = w, caps
				break
			}
		}
	}
	if a == nil {
		return "", false
	}
	target = fill(a.target, captures)
	if target == name { // a pattern that maps a name onto itself ends there
		return "", false
	}
	res.Path = append(res.Path, a.name)
	res.Tags = append(res.Tags, a.tags...)
	if len(a.set) > 0 {
		set := maps.Clone(a.set)
		maps.Copy(set, res.Set) // what the client's own alias says wins over those behind it
		res.Set = set
	}
	return target, true
}

// apply notes what suffixes asked for; the first of a kind wins.
func (r *Resolution) apply(s suffixes) {
	if r.Thinking.Effort == "" && r.Thinking.Budget == 0 {
		r.Thinking.Effort, r.Thinking.Budget = s.thinking.Effort, s.thinking.Budget
	}
	r.Thinking.On = r.Thinking.On || s.thinking.On
	r.LongContext = r.LongContext || s.long
	r.Tags = append(r.Tags, s.tags...)
}

// target finds a model of a provider, suffixes cut off.
func (c *Catalog) target(res *Resolution, p *Provider, id string) (Target, error) {
	if id == "" {
		return Target{}, fault.Newf(fault.ModelNotFound, "Model %q not found: want provider/model", res.Requested)
	}
	id = c.scopedName(p, id)
	t, known := p.targets[id]
	if !known {
		s := cutSuffixes(id)
		if p.Passthrough && p.Group != "compatible" && len(s.tags) > 0 {
			// Open catalogues have such variants of their own.
			kept := id[len(s.base):]
			if i := strings.IndexByte(kept, ':'); i >= 0 {
				s.base, s.tags = s.base+cutTail(kept[i:]), nil
			}
		}
		if s.found {
			id = c.scopedName(p, s.base)
			res.apply(s)
			t, known = p.targets[id]
		}
	}
	if len(p.EffortSuffixes) > 0 {
		if base, effort := cutEffort(p, id); effort != "" {
			if res.Thinking.Effort == "" && res.Thinking.Budget == 0 {
				res.Thinking.Effort = effort
			}
			if !known {
				t, known = p.targets[base]
				id = base
			}
			if known {
				t.Upstream = base
			}
		}
	}
	if !known && p.OnlyListed {
		e := fault.Newf(fault.ModelNotFound, "Model %q not found: provider %s serves only the models it lists", res.Requested, p.ID)
		e.Param = "model"
		return Target{}, e
	}
	if !known {
		t = c.synthetic(p, id)
	}
	return t, nil
}

// cutTail keeps a ":tag" up to the next suffix.
func cutTail(s string) string {
	if i := strings.IndexAny(s, "(["); i >= 0 {
		return s[:i]
	}
	return strings.TrimSuffix(s, "-thinking")
}

// scopedName applies the provider's own old names for models.
func (c *Catalog) scopedName(p *Provider, id string) string {
	if to, ok := c.scoped[p.ID][id]; ok {
		if _, exact := p.targets[id]; !exact {
			return to
		}
	}
	return id
}

// synthetic is a model the catalogue does not know. Its price may still be
// known from its vendor.
func (c *Catalog) synthetic(p *Provider, id string) Target {
	price := c.vendorPrice(id)
	tier := p.Tier
	if tier == "" {
		tier = tierOf(p.Billing, price)
	}
	return newTarget(p, &Model{
		ID: id, Name: id, UpstreamID: id, Context: -1, MaxOutput: -1, RPM: -1, TPM: -1,
		// What is not known is not ruled out.
		Caps:        Caps{Vision: true, Tools: true, JSONSchema: true, Thinking: true, Audio: true, Files: true},
		Temperature: true, Price: price, Tier: tier, Tags: p.Tags,
	})
}

// bareName looks a model up that names no provider.
func (c *Catalog) bareName(res *Resolution, name string, active func(string) bool) error {
	hits := c.bare[name]
	if len(hits) == 0 {
		if s := cutSuffixes(name); s.found && len(c.bare[s.base]) > 0 {
			hits = c.bare[s.base]
			res.apply(s)
		}
	}
	if !c.classic {
		hits = usable(hits, active)
	} else if i := slices.IndexFunc(hits, func(t Target) bool { return t.Provider.ID == "openai" }); i >= 0 {
		hits = hits[i : i+1]
	}
	switch {
	case len(hits) == 1:
		res.Targets = slices.Clone(hits)
		return nil
	case len(hits) > 1 && c.ambiguous == "combo":
		res.Targets = slices.Clone(hits)
		res.Combo = &Combo{Name: name, Strategy: "priority", Origin: "implicit", Config: defaultComboConfig()}
		return nil
	case len(hits) > 1:
		return ambiguous(name, hits)
	}
	if p := c.names[c.fallback]; p != nil {
		t, err := c.target(res, p, name)
		if err != nil {
			return err
		}
		res.Targets = []Target{t}
		return nil
	}
	return c.unknown(name, active)
}

func usable(hits []Target, active func(string) bool) []Target {
	if active == nil {
		return hits
	}
	for i := range hits {
		if active(hits[i].Provider.ID) {
			continue
		}
		out := slices.Clone(hits[:i])
		for _, t := range hits[i+1:] {
			if active(t.Provider.ID) {
				out = append(out, t)
			}
		}
		return out
	}
	return hits
}

func prefixOf(p *Provider) string {
	if p.Alias != "" {
		return p.Alias
	}
	return p.ID
}

func ambiguous(name string, hits []Target) error {
	var names []string
	for _, t := range hits {
		names = append(names, prefixOf(t.Provider)+"/"+t.Model.ID)
	}
	e := fault.Newf(fault.ModelAmbiguous, "Model %q is ambiguous: use %s or %s (offered by %s)", name, names[0], names[1], strings.Join(names, ", "))
	e.Param = "model"
	return e
}

// unknown says what would have been needed.
func (c *Catalog) unknown(name string, active func(string) bool) error {
	base := cutSuffixes(name).base
	hits := c.bare[name]
	if len(hits) == 0 {
		hits = c.bare[base]
	}
	var e *fault.Error
	switch prefix, _, found := strings.Cut(name, "/"); {
	case found:
		e = fault.Newf(fault.ModelNotFound, "Model %q not found: there is no provider %q", name, prefix)
	case len(hits) > 0 && active != nil:
		var ids []string
		for _, t := range hits {
			ids = append(ids, t.Provider.ID)
		}
		e = fault.Newf(fault.ModelNotFound, "Model %q is offered by %s, but there is no account for it", name, strings.Join(ids, ", "))
	default:
		e = fault.Newf(fault.ModelNotFound, "Model %q not found", name)
	}
	e.Param = "model"
	return e
}
