package host

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/omniroute/omniroute/core/fault"
)

// Generation is an immutable set of plugins. It serves until everyone released
// it, also after newer ones came.
type Generation struct {
	number  uint64
	modules []*module
	parts   []Part

	dialects  map[string]*module    // who translates a format from and to the hub
	pairs     map[[2]string]*module // who translates one pair of formats
	executors map[string]*Executor  // by id and alias

	refs atomic.Int64 // one of them is the host's, while it is current
}

const hubFormat = "hub"

// newGeneration decides which module serves which part. A drop-in takes the
// place of a bundled part only when the operator has an entry for the plugin;
// among several the highest priority wins, then the file name.
//
// A drop-in that names a reserved provider would be given that provider's
// credentials, so it is refused likewise.
func newGeneration(number uint64, modules []*module, packs []*provider, opt *Options) *Generation {
	g := &Generation{
		number: number, modules: modules,
		dialects:  map[string]*module{},
		pairs:     map[[2]string]*module{},
		executors: map[string]*Executor{},
	}
	g.refs.Store(1)
	owners := []*module{} // of parts
	taken := map[string]int{}
	for _, m := range modules {
		m.acquire()
		sick := m.quarantined()
		for k := range m.manifest.Provides {
			p := partOf(&m.manifest.Provides[k], m.manifest, m.file)
			g.parts, owners = append(g.parts, p), append(owners, m)
			at := len(g.parts) - 1
			key := string(p.Kind) + " " + p.ID
			holder, clash := taken[key]
			old := owners[holder]
			switch {
			case m.off != "":
				g.parts[at].State, g.parts[at].Reason = StateDisabled, m.off
				continue
			case m.file != "" && !opt.lists(m.manifest.Name) && opt.reserves(p) != "":
				g.parts[at].State, g.parts[at].Reason = StateRefused, reserved(opt.reserves(p), m.manifest.Name)
				continue
			case sick != "":
				g.parts[at].State, g.parts[at].Reason = StateQuarantine, sick
				continue
			case !clash:
			case m.file != "" && old.file == "" && !opt.lists(m.manifest.Name):
				g.parts[at].State = StateRefused
				g.parts[at].Reason = "it would replace a built-in part; that takes an entry for " + m.manifest.Name + " in plugins.items"
				continue
			case m.item.Priority < old.item.Priority || m.item.Priority == old.item.Priority && m.file == "":
				g.shadow(at, old)
				continue
			default:
				g.shadow(holder, m)
			}
			taken[key] = at
		}
	}
	for k, p := range g.parts {
		if p.State == StateActive {
			g.serve(owners[k], p)
		}
	}
	g.addPacks(packs, opt)
	return g
}

// lists reports whether the operator has an entry for a plugin.
func (o *Options) lists(plugin string) bool {
	_, ok := o.Items[plugin]
	return ok
}

// reserves returns the reserved id that a part claims, "" for none.
func (o *Options) reserves(p Part) string {
	if p.Kind == KindTranslator {
		return ""
	}
	for _, id := range append([]string{p.ID}, p.Alias...) {
		if slices.Contains(o.Reserved, id) {
			return id
		}
	}
	return ""
}

func reserved(id, plugin string) string {
	return "it would take the place of the provider " + id + " and get its credentials; that takes an entry for " + plugin + " in plugins.items"
}

func (g *Generation) shadow(part int, by *module) {
	g.parts[part].State = StateShadowed
	g.parts[part].Reason = "served by " + by.manifest.Name + " " + by.manifest.Version
}

func (g *Generation) serve(m *module, p Part) {
	switch {
	case p.Kind == KindExecutor:
		x := &Executor{gen: g, mod: m, part: p, spec: m.provided(p)}
		for _, name := range append([]string{p.ID}, p.Alias...) {
			if old, ok := g.executors[name]; !ok || name == p.ID && old.part.ID != name {
				g.executors[name] = x
			}
		}
	case p.Dialect != "":
		g.dialects[p.Dialect] = m
	default:
		g.pairs[[2]string{p.From, p.To}] = m
	}
}

func (m *module) provided(p Part) *provided {
	for k := range m.manifest.Provides {
		if q := &m.manifest.Provides[k]; q.Kind == p.Kind && q.ID == p.ID {
			return q
		}
	}
	return nil
}

func (g *Generation) addPacks(packs []*provider, opt *Options) {
	seen := map[string]string{}
	for _, p := range packs {
		part := p.part()
		switch id := opt.reserves(part); {
		case part.State != StateActive:
		case seen[p.ID] != "":
			part.State, part.Reason = StateRefused, "the provider "+p.ID+" is also in "+seen[p.ID]
		case id != "" && !opt.lists(p.Plugin):
			part.State, part.Reason = StateRefused, reserved(id, p.Plugin)
		case g.executors[p.Executor] == nil:
			part.State, part.Reason = StateRefused, "there is no executor "+p.Executor
		default:
			seen[p.ID] = p.File
		}
		g.parts = append(g.parts, part)
	}
}

// pin takes a reference unless the generation is already being closed.
func (g *Generation) pin() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives the generation back. Streams opened from it keep it alive.
func (g *Generation) Release() {
	if g.refs.Add(-1) == 0 {
		for _, m := range g.modules {
			m.release(context.Background())
		}
	}
}

// Number counts generations from 1.
func (g *Generation) Number() uint64 { return g.number }

// Parts lists every part, active or not. The caller must not change it.
func (g *Generation) Parts() []Part { return g.parts }

// Executor returns the active executor of that id or alias.
func (g *Generation) Executor(id string) (*Executor, bool) {
	x, ok := g.executors[id]
	return x, ok
}

// hop is one guest on the way of a document.
type hop struct {
	mod      *module
	from, to string
}

// route finds the guests between two formats: one module that knows both, or
// two with the hub form between them. answer reverses explicit pairs, which
// are named in the direction of requests.
func (g *Generation) route(from, to string, answer bool) ([]hop, error) {
	if m := g.between(from, to, answer); m != nil {
		return []hop{{m, from, to}}, nil
	}
	a, b := g.between(from, hubFormat, answer), g.between(hubFormat, to, answer)
	if a != nil && b != nil {
		return []hop{{a, from, hubFormat}, {b, hubFormat, to}}, nil
	}
	if g.number == 0 {
		return nil, fault.New(fault.ModelUnavailable, "The plugins are still being loaded")
	}
	return nil, fault.Newf(fault.ModelUnavailable, "No active plugin translates %s to %s", from, to)
}

func (g *Generation) between(from, to string, answer bool) *module {
	pair := [2]string{from, to}
	if answer {
		pair = [2]string{to, from}
	}
	if m := g.pairs[pair]; m != nil {
		return m
	}
	a, b := g.dialects[from], g.dialects[to]
	switch {
	case from == hubFormat && to == hubFormat:
		return nil
	case from == hubFormat:
		return b
	case to == hubFormat:
		return a
	case a == b:
		return a
	}
	return nil
}

// CanTranslate reports whether requests can go from one format to the other
// (and answers back).
func (g *Generation) CanTranslate(from, to string) bool {
	_, err := g.route(from, to, false)
	return err == nil
}

// MemoryContains reports which plugins' instances hold the bytes in their
// memory. It is for tests that prove that guests never see secrets.
func (g *Generation) MemoryContains(needle []byte) []string {
	var found []string
	for _, m := range g.modules {
		if m.memoryContains(needle) {
			found = append(found, m.manifest.Name)
		}
	}
	return found
}
