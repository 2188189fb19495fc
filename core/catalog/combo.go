package catalog

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/config"
)

// Strategies are the names the preset order rules know. Others are allowed,
// because a rule may compare with any name.
var Strategies = []string{
	"priority", "weighted", "round-robin", "random", "least-used", "cost-optimized",
	"strict-random", "lkgp", "context-optimized", "auto",
}

// roundRobinPlaces is how many requests run on one member of a round-robin combo
// that says nothing else.
const roundRobinPlaces = 3

// maxComboDepth bounds how deep combos may be nested.
const maxComboDepth = 3

var comboName = regexp.MustCompile(`^[A-Za-z0-9_/.-]{1,100}$`)

func defaultComboConfig() ComboConfig {
	return ComboConfig{MaxRetries: 1, RetryDelay: 2 * time.Second, QueueTimeout: 30 * time.Second}
}

// addCombos checks all combos and expands those that never change.
func (b *builder) addCombos() {
	for _, name := range slices.Sorted(maps.Keys(b.in.Stored.Combos)) {
		b.combo(name, b.in.Stored.Combos[name], "state")
	}
	if c := b.in.Config; c != nil {
		for _, name := range byPos(c.Combos, func(c config.Combo) config.Pos { return c.Pos }) {
			combo := c.Combos[name]
			if _, both := b.in.Stored.Combos[name]; both {
				b.problem(name, combo.Pos, "combo %q is declared here and in the data directory; remove one of them", name)
				continue
			}
			b.combo(name, combo, "file")
		}
	}
	sound := true
	for _, name := range slices.Sorted(maps.Keys(b.cat.combos)) {
		sound = b.walk(b.cat.combos[name], []string{name}) && sound
	}
	b.dropMembers()
	if !sound {
		return
	}
	for name := range b.cat.combos {
		if b.fixed(b.cat.combos[name]) {
			b.cat.expanded[name] = b.cat.expand(b.cat.combos[name], nil)
		}
	}
}

func (b *builder) combo(name string, c config.Combo, from string) {
	if !c.Enabled || len(c.Models) == 0 {
		return // "not a combo": the name is resolved as any other
	}
	if !comboName.MatchString(name) {
		b.problem(name, c.Pos, "combo %q: a name has 1 to 100 letters, digits or the signs _ / . -", name)
		return
	}
	strategy := c.Strategy
	if strategy == "" {
		strategy = "priority"
	}
	if !slices.Contains(Strategies, strategy) {
		for _, known := range Strategies {
			if strings.EqualFold(strings.ReplaceAll(strategy, "_", "-"), known) {
				b.problem(name, c.Pos, "combo %q: unknown strategy %q, did you mean %q?", name, strategy, known)
				return
			}
		}
	}
	cfg := defaultComboConfig()
	if f := b.in.Config; f != nil {
		cfg.MaxRetries, cfg.RetryDelay = f.Routing.MaxRetries, f.Routing.RetryDelay
	}
	if strategy == "round-robin" {
		cfg.ConcurrencyPerModel = roundRobinPlaces
	}
	set(&cfg.MaxRetries, c.Config.MaxRetries)
	set(&cfg.RetryDelay, c.Config.RetryDelay)
	set(&cfg.Timeout, c.Config.Timeout)
	set(&cfg.ConcurrencyPerModel, c.Config.ConcurrencyPerModel)
	set(&cfg.QueueTimeout, c.Config.QueueTimeout)
	b.cat.combos[name] = &Combo{Name: name, Strategy: strategy, Members: c.Models, Tags: c.Tags, Config: cfg, Origin: from, Pos: c.Pos}
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// walk refuses cycles and deep nesting; the path is copied per branch, so that
// two ways to the same combo are no cycle.
func (b *builder) walk(c *Combo, path []string) bool {
	if len(path)-1 > maxComboDepth {
		b.problem(path[0], b.cat.combos[path[0]].Pos, "combo %q: max nesting depth (%d) exceeded at %s", path[0], maxComboDepth, strings.Join(path, " > "))
		return false
	}
	for _, m := range c.Members {
		child := b.cat.combos[m.Model]
		if child == nil {
			continue
		}
		next := append(slices.Clone(path), m.Model)
		if slices.Contains(path, m.Model) {
			if slices.ContainsFunc(path, func(name string) bool { return b.lost[name] }) {
				return false // reported for another combo of the circle
			}
			b.problem(path[0], b.cat.combos[path[0]].Pos, "combo %q: circular combo reference: %s", path[0], strings.Join(next, " > "))
			return false
		}
		if !b.walk(child, next) {
			return false
		}
	}
	return true
}

// dropMembers leaves out the members that lead nowhere, and combos without
// members, which may be members themselves.
func (b *builder) dropMembers() {
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(b.cat.combos)) {
			c := b.cat.combos[name]
			members := slices.DeleteFunc(slices.Clone(c.Members), func(m config.ComboMember) bool { return !b.member(c, m) })
			if len(members) == 0 {
				delete(b.cat.combos, name)
				b.lose(name)
				again = true
			}
			c.Members = members
		}
	}
}

// member reports names that lead nowhere.
func (b *builder) member(c *Combo, m config.ComboMember) bool {
	name := m.Model
	pos := m.Pos
	if pos == (config.Pos{}) {
		pos = c.Pos
	}
	base := cutSuffixes(name).base
	if b.cat.combos[name] != nil || b.cat.combos[base] != nil {
		return true
	}
	if b.cat.aliases[name] != nil || b.cat.aliases[base] != nil ||
		slices.ContainsFunc(b.cat.wildcards, func(a *alias) bool { _, ok := a.match(name); return ok }) {
		return true
	}
	if prefix, id, found := strings.Cut(name, "/"); found {
		if b.cat.names[prefix] == nil || id == "" {
			b.missing(prefix, pos, "combo %q: there is no provider %q", c.Name, prefix)
			return false
		}
		return true
	}
	if len(b.cat.bare[name]) > 0 || len(b.cat.bare[base]) > 0 || b.cat.fallback != "" {
		return true
	}
	if base == "" {
		return false // could not be read
	}
	b.missing(base, pos, "combo %q: there is no model, alias or combo %q", c.Name, name)
	return false
}

// fixed reports whether a combo expands to the same targets whoever is active.
func (b *builder) fixed(c *Combo) bool {
	for _, m := range c.Members {
		if child := b.cat.combos[m.Model]; child != nil {
			if !b.fixed(child) {
				return false
			}
			continue
		}
		prefix, _, found := strings.Cut(m.Model, "/")
		if !found || b.cat.names[prefix] == nil || cutSuffixes(m.Model).found || b.cat.aliases[m.Model] != nil || len(b.cat.wildcards) > 0 {
			return false
		}
	}
	return true
}

// expand lists the targets of a combo, nested ones in place, the first of equal
// targets kept. Weights are those of the top-level members.
func (c *Catalog) expand(combo *Combo, active func(string) bool) []Target {
	var out []Target
	seen := map[string]bool{}
	for i, m := range combo.Members {
		for _, t := range c.members(m.Model, active, []string{combo.Name}) {
			if seen[t.ID] {
				continue
			}
			seen[t.ID] = true
			t.Weight, t.Entry, t.Position = m.Weight, i, len(out)
			out = append(out, t)
		}
	}
	return out
}

// members resolves one member. What cannot be resolved now contributes nothing.
func (c *Catalog) members(name string, active func(string) bool, path []string) []Target {
	if child := c.combos[name]; child != nil {
		if slices.Contains(path, name) || len(path) > maxComboDepth {
			return nil
		}
		var out []Target
		for _, m := range child.Members {
			out = append(out, c.members(m.Model, active, append(slices.Clone(path), name))...)
		}
		return out
	}
	res := &Resolution{Requested: name}
	for range maxHops {
		next, hit := c.alias(res, name)
		if !hit {
			break
		}
		if name = next; c.combos[name] != nil {
			return c.members(name, active, path)
		}
	}
	if prefix, id, found := strings.Cut(name, "/"); found {
		p := c.names[prefix]
		if p == nil {
			return nil
		}
		t, err := c.target(res, p, id)
		if err != nil {
			return nil
		}
		return []Target{t}
	}
	if c.bareName(res, name, active) != nil {
		return nil
	}
	return res.Targets
}
