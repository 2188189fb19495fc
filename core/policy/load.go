package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/policies"
	"go.yaml.in/yaml/v3"
)

// Load composes and compiles layers. It returns all problems found; the Set is
// nil if one of them is an error. Presets named by a layer are added below it.
// Inline tests of the layers are run; a failing one is an error unless the file
// says on_test_failure: warn.
func Load(layers ...Layer) (*Set, []Diagnostic) {
	l := &loader{}
	return l.load(layers)
}

// LoadAfter is Load for a set that follows another: expressions that stand in
// old, which may be nil, are not compiled again, rules keep their counts, and a
// budget rule that changed its scope is warned about.
func LoadAfter(old *Set, layers ...Layer) (*Set, []Diagnostic) {
	l := &loader{}
	if old != nil {
		l.known, l.times, l.counts = old.expressions.fresh, old.times, map[countsKey]*counts{}
		l.scopes = map[countsKey]string{}
		old.each(func(r *rule) {
			l.counts[r.countsKey()] = r.counts
			if n := child(r.node, "scope"); n != nil && r.hook == "budget" {
				l.scopes[r.countsKey()] = n.Value
			}
		})
	}
	return l.load(layers)
}

// loader holds the state of one Load.
type loader struct {
	diags   []Diagnostic
	layers  []*document
	known   map[programKey]*program
	times   *[hookCount]evalTimes
	counts  map[countsKey]*counts
	scopes  map[countsKey]string // of budget rules, as they were written
	vmOnly  bool
	noTests bool
	hooks   []HookInfo
}

func (l *loader) hookNamed(name string) *HookInfo {
	for i := range l.hooks {
		if l.hooks[i].Name == name {
			return &l.hooks[i]
		}
	}
	return nil
}

// document is one layer after reading, before compiling.
type document struct {
	src    *source
	preset *yaml.Node
	tz     *yaml.Node
	vars   []pair
	lists  []pair
	rules  map[string][]*rawRule
	tests  []*yaml.Node
	warn   *yaml.Node // on_test_failure
	fail   *yaml.Node // budget.fail
}

type pair struct{ key, value *yaml.Node }

// rawRule is a rule as written.
type rawRule struct {
	src     *source
	node    *yaml.Node
	id      string
	enabled bool
	fields  []pair
}

func (l *loader) errors() int {
	n := 0
	for _, d := range l.diags {
		if d.Severity == Error {
			n++
		}
	}
	return n
}

func (l *loader) load(layers []Layer) (*Set, []Diagnostic) {
	l.hooks = Hooks()
	for _, layer := range layers {
		l.layers = append(l.layers, l.read(layer))
	}
	preset := l.preset(layers)
	l.addPresets(preset)
	slices.SortStableFunc(l.layers, func(a, b *document) int { return int(a.src.layer.Level) - int(b.src.layer.Level) })

	consts := l.constants()
	x := newExpressions(consts)
	x.known, x.vmOnly = l.known, l.vmOnly
	s := &Set{
		preset: preset, expressions: x, unknown: newUnknownFacts(), location: l.location(),
		efforts: effortTable(preset == "modern"), failClosed: l.budgetFailsClosed(), hash: l.hash(),
	}
	s.frames, s.times = &sync.Pool{}, l.times
	if s.times == nil {
		s.times = &[hookCount]evalTimes{}
	}
	l.compile(s, x)
	s.collectRefs()
	if l.errors() == 0 && !l.noTests {
		l.runTests(s)
	}
	x.known = nil
	slices.SortStableFunc(l.diags, func(a, b Diagnostic) int {
		if a.File != b.File {
			return 0
		}
		return a.Line - b.Line
	})
	if l.errors() > 0 {
		return nil, l.diags
	}
	return s, l.diags
}

func (l *loader) read(layer Layer) *document {
	src := openSource(layer, &l.diags)
	d := &document{src: src, rules: map[string][]*rawRule{}}
	if src.root == nil {
		return d
	}
	seen := map[string]int{}
	names := []string{"preset", "include", "tz", "vars", "lists", "tests", "on_test_failure", budgetFail}
	for _, h := range l.hooks {
		names = append(names, h.Name)
	}
	for i := 0; i+1 < len(src.root.Content); i += 2 {
		key, val := src.root.Content[i], resolve(src.root.Content[i+1])
		if line := seen[key.Value]; line > 0 {
			src.report(key, Error, where{}, "policies.%s is given twice, first in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		switch key.Value {
		case "preset":
			d.preset = val
		case "include":
		case "tz":
			d.tz = val
		case "vars":
			d.vars = src.pairs(val, "policies.vars")
		case "lists":
			d.lists = src.pairs(val, "policies.lists")
		case budgetFail:
			d.fail = val
		case "tests":
			d.tests = src.items(val, "policies.tests")
		case "on_test_failure":
			d.warn = val
		default:
			l.readHook(d, key, val, names)
		}
	}
	return d
}

func (l *loader) readHook(d *document, key, val *yaml.Node, names []string) {
	h := l.hookNamed(key.Value)
	if h == nil {
		d.src.report(key, Error, where{}, "unknown key policies.%s%s", key.Value, didYouMean(key.Value, names))
		return
	}
	if sc := d.src.layer.Scope; sc != (Scope{}) && !slices.Contains(h.scopes, sc.kind()) {
		d.src.report(key, Error, where{hook: h.Name}, "%s cannot have its own %s rules", withArticle(sc.kind()), h.Name)
		return
	}
	for _, n := range d.src.items(val, "policies."+key.Value) {
		if r := d.src.rule(h, resolve(n)); r != nil {
			d.rules[h.Name] = append(d.rules[h.Name], r)
		}
	}
}

func (sc Scope) kind() string {
	switch {
	case sc.Account != "":
		return "account"
	case sc.Combo != "":
		return "combo"
	case sc.Provider != "":
		return "provider"
	}
	return ""
}

func hookNamed(name string) *HookInfo {
	for _, h := range Hooks() {
		if h.Name == name {
			return &h
		}
	}
	return nil
}

// pairs reads a mapping, reporting keys given twice.
func (s *source) pairs(n *yaml.Node, what string) []pair {
	if n.Kind != yaml.MappingNode {
		if n.Tag != "!!null" {
			s.report(n, Error, where{}, "%s must be a mapping of names to values", what)
		}
		return nil
	}
	var out []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			s.report(key, Error, where{}, "%s.%s is given twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		out = append(out, pair{key, resolve(n.Content[i+1])})
	}
	return out
}

func (s *source) items(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	if n.Tag != "!!null" {
		s.report(n, Error, where{}, "%s must be a list; each item begins with \"- \"", what)
	}
	return nil
}

// rule reads the outer shape of a rule.
func (s *source) rule(h *HookInfo, n *yaml.Node) *rawRule {
	w := where{hook: h.Name}
	if n.Kind != yaml.MappingNode {
		s.report(n, Error, w, "a rule is a mapping like {id: …, when: …}")
		return nil
	}
	r := &rawRule{src: s, node: n, enabled: true}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "id" {
			r.id = n.Content[i+1].Value
		}
	}
	w.rule = r.id
	if r.id == "" {
		s.report(n, Error, w, "the rule has no id")
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], resolve(n.Content[i+1])
		f, ok := h.field(key.Value)
		if !ok {
			names := make([]string, 0, 16)
			for _, f := range append(common(), h.fields...) {
				names = append(names, f.name)
			}
			s.unknownField(key, val, n.Style&yaml.FlowStyle != 0, w, names)
			continue
		}
		if seen[key.Value] {
			s.report(key, Error, w, "the field %s is given twice", key.Value)
			continue
		}
		seen[key.Value] = true
		if f.name == "enabled" {
			s.boolean(val, where{h.Name, r.id, f.name}, &r.enabled)
			continue
		}
		if f.name != "id" {
			r.fields = append(r.fields, pair{key, val})
		}
	}
	return r
}

func (s *source) boolean(n *yaml.Node, w where, into *bool) {
	v, err := strconv.ParseBool(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		s.report(n, Error, w, "must be true or false")
		return
	}
	*into = v
}

// child is the value of a key of a mapping, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// preset finds the preset the layers name, or the default.
func (l *loader) preset(layers []Layer) string {
	found, at := "", (*document)(nil)
	for _, d := range l.layers {
		if d.preset == nil {
			continue
		}
		name := d.preset.Value
		if name != "none" && !slices.Contains(policies.Presets(), name) {
			d.src.report(d.preset, Error, where{}, "unknown preset %q%s; there are %s and none", name, didYouMean(name, policies.Presets()), strings.Join(policies.Presets(), ", "))
			continue
		}
		if at != nil && name != found {
			d.src.report(d.preset, Error, where{}, "%s already names the preset %s", at.src.layer.File, found)
			continue
		}
		found, at = name, d
	}
	if at == nil {
		for _, layer := range layers {
			if layer.DefaultPreset != "" {
				found = layer.DefaultPreset
			}
		}
	}
	if found == "none" {
		return ""
	}
	return found
}

// addPresets puts a preset and the one it builds on below all layers.
func (l *loader) addPresets(name string) {
	var below []*document
	for range 8 {
		data, ok := policies.Preset(name)
		if !ok {
			break
		}
		d := l.read(Layer{File: "preset:" + name + ".yaml", Data: data, Level: LevelPreset})
		d.tests = nil // its own tests describe it alone, not under other rules
		below = append([]*document{d}, below...)
		name = ""
		if d.preset != nil {
			name = d.preset.Value
		}
	}
	l.layers = append(below, l.layers...)
}

func (l *loader) constants() constants {
	c := constants{vars: map[string]any{}, lists: map[string][]string{}}
	for _, d := range l.layers {
		for _, p := range d.vars {
			if v, ok := scalar(p.value); ok {
				c.vars[p.key.Value] = v
			} else {
				d.src.report(p.value, Error, where{}, "vars.%s must be a text, a number or true/false", p.key.Value)
			}
		}
		for _, p := range d.lists {
			list := []string{}
			for _, item := range d.src.items(p.value, "lists."+p.key.Value) {
				item = resolve(item)
				if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
					d.src.report(item, Error, where{}, "lists.%s must be a list of texts", p.key.Value)
					continue
				}
				list = append(list, item.Value)
			}
			c.lists[p.key.Value] = list
		}
	}
	return c
}

// scalar reads a plain value in its YAML type.
func scalar(n *yaml.Node) (any, bool) {
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	switch n.Tag {
	case "!!int":
		v, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
		return int(v), err == nil
	case "!!float":
		v, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		return v, err == nil
	case "!!bool":
		v, err := strconv.ParseBool(n.Value)
		return v, err == nil
	case "!!str", "!!timestamp":
		return n.Value, true
	}
	return nil, false
}

func (l *loader) location() *time.Location {
	loc := time.UTC
	for _, d := range l.layers {
		if d.tz == nil {
			continue
		}
		v, err := zone(d.tz.Value)
		if err != nil {
			d.src.report(d.tz, Error, where{}, "policies.tz: %s", err)
			continue
		}
		loc = v
	}
	return loc
}

// budgetFail switches what a budget rule that cannot be evaluated means.
const budgetFail = "budget.fail"

// budgetFailsClosed reads that switch: open lets the request pass with an
// alert, closed refuses it.
func (l *loader) budgetFailsClosed() bool {
	closed := false
	for _, d := range l.layers {
		switch n := d.fail; {
		case n == nil:
		case n.Kind != yaml.ScalarNode || n.Value != "open" && n.Value != "closed":
			d.src.report(n, Error, where{}, "policies.%s must be open or closed", budgetFail)
		default:
			closed = n.Value == "closed"
		}
	}
	return closed
}

func (l *loader) hash() string {
	h := sha256.New()
	for _, d := range l.layers {
		fmt.Fprintf(h, "%d %+v\n", d.src.layer.Level, d.src.layer.Scope)
		if d.src.root != nil {
			hashNode(h, d.src.root)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hashNode writes the content of a node; layout and comments do not count.
func hashNode(h io.Writer, n *yaml.Node) {
	n = resolve(n)
	fmt.Fprintf(h, "%d %d %s %q\n", n.Kind, len(n.Content), n.Tag, n.Value)
	for _, c := range n.Content {
		hashNode(h, c)
	}
}

// compile merges the rules of all layers, block by block, and compiles them.
func (l *loader) compile(s *Set, x *expressions) {
	blocks := map[Scope][]*document{}
	order := []Scope{{}}
	for _, d := range l.layers {
		sc := d.src.layer.Scope
		if sc != (Scope{}) && !slices.Contains(order, sc) {
			order = append(order, sc)
		}
		blocks[sc] = append(blocks[sc], d)
	}
	for _, sc := range order {
		b := &block{}
		for i, h := range l.hooks {
			for _, raw := range l.merge(h.Name, blocks[sc]) {
				if r := l.rule(x, &h, raw); r != nil && raw.enabled {
					b.rules[i] = append(b.rules[i], r)
				}
			}
		}
		s.addBlock(sc, b)
	}
}

// merge lays the levels of one hook over each other: a rule replaces the one
// with its id in a lower level, all others go in front.
func (l *loader) merge(hook string, docs []*document) []*rawRule {
	var merged []*rawRule
	for start := 0; start < len(docs); {
		end := start
		level := docs[start].src.layer.Level
		var layer []*rawRule
		byID := map[string]*rawRule{}
		for ; end < len(docs) && docs[end].src.layer.Level == level && (level != LevelPreset || end == start); end++ {
			for _, r := range docs[end].rules[hook] {
				if other := byID[r.id]; other != nil {
					r.src.report(r.node, Error, where{hook: hook, rule: r.id}, "the id is used twice, first in %s line %d", other.src.layer.File, other.node.Line)
					continue
				}
				byID[r.id] = r
				layer = append(layer, r)
			}
		}
		var fresh []*rawRule
		for _, r := range layer {
			at := slices.IndexFunc(merged, func(m *rawRule) bool { return m.id == r.id })
			if at < 0 {
				fresh = append(fresh, r)
				continue
			}
			if len(r.fields) == 0 { // {id: x, enabled: …} only switches the lower rule
				old := *merged[at]
				old.enabled = r.enabled
				merged[at] = &old
				continue
			}
			merged[at] = r
		}
		merged = append(fresh, merged...)
		start = end
	}
	return merged
}

// rule compiles one rule; problems are reported and yield nil.
func (l *loader) rule(x *expressions, h *HookInfo, raw *rawRule) *rule {
	before := l.errors()
	r := &rule{
		hook: h.Name, id: raw.id, values: map[string]*value{}, node: raw.node,
		origin: Origin{File: raw.src.layer.File, Line: raw.node.Line, Level: raw.src.layer.Level, Scope: raw.src.layer.Scope},
	}
	if r.counts = l.counts[r.countsKey()]; r.counts == nil {
		r.counts = &counts{}
	}
	c := &fieldCompiler{x: x, src: raw.src, env: h.env}
	for _, p := range raw.fields {
		f, _ := h.field(p.key.Value)
		c.w = where{h.Name, raw.id, f.name}
		v := c.value(f, p.value)
		if v == nil {
			continue
		}
		switch f.name {
		case "when":
			r.when = v.prog
		case "shadow":
			r.shadow = v.flag
		default:
			r.values[f.name] = v
		}
	}
	if l.errors() > before {
		return nil
	}
	if n := child(raw.node, "scope"); n != nil {
		if was, ok := l.scopes[r.countsKey()]; ok && was != n.Value {
			raw.src.report(n, Warning, where{h.Name, raw.id, "scope"}, "the scope was %q: a new counter begins, what was spent under the old one no longer counts", was)
		}
	}
	r.shortcuts()
	if !raw.enabled {
		return nil
	}
	if msg := h.complete(r); msg != "" {
		raw.src.report(raw.node, Error, where{hook: h.Name, rule: raw.id}, "%s", msg)
		return nil
	}
	return r
}

// shortcuts puts the fields of per-candidate hooks where they are quick to reach.
func (r *rule) shortcuts() {
	for name, into := range map[string]**program{
		"sample": &r.sample, "p2c": &r.p2c, "front": &r.front, "back": &r.back,
		"eligible": &r.eligible, "keep": &r.keep, "drop": &r.drop, "do": &r.do,
	} {
		if v := r.values[name]; v != nil {
			*into = v.prog
		}
	}
	if v := r.values["by"]; v != nil {
		r.by = v.progs
	}
	r.soft = r.flag("soft")
}

// complete tells what a rule still needs.
func (h *HookInfo) complete(r *rule) string {
	has := func(names ...string) int {
		n := 0
		for _, name := range names {
			if r.values[name] != nil {
				n++
			}
		}
		return n
	}
	if has(h.needs...) == 0 {
		return "the rule answers nothing: it needs " + strings.Join(h.needs, " or ")
	}
	switch h.Name {
	case "filter":
		if has("keep", "drop") == 2 {
			return "a rule has keep or drop, not both"
		}
	case "order":
		if has("front", "back") == 2 || has("front", "back") > 0 && has("by", "sample") > 0 {
			return "front, back and by or sample belong in rules of their own"
		}
	case "accounts":
		if has("eligible") > 0 && has("by", "sample", "p2c") > 0 || has("by", "sample") == 2 || has("p2c") > 0 && has("by", "sample") > 0 {
			return "eligible, by, sample and p2c belong in rules of their own"
		}
	case "gate", "ip":
		if has("allow", "deny") == 2 {
			return "a rule has allow or deny, not both"
		}
	case "bypass":
		if has("reply", "route") == 2 {
			return "a rule has reply or route, not both"
		}
	case "budget":
		if has("scope") == 0 || has("limit") == 0 {
			return "a budget rule needs scope and limit"
		}
		if r.word("action", "deny") == "downgrade" && has("downgrade_to") == 0 {
			return "action: downgrade needs downgrade_to"
		}
	case "limits":
		if has("scope") == 0 {
			return "a limits rule needs a scope"
		}
	case "meter":
		if has("counter") != has("add") {
			return "counter and add belong together"
		}
	}
	return ""
}

// fieldCompiler compiles the fields of one rule.
type fieldCompiler struct {
	x   *expressions
	src *source
	env reflect.Type
	w   where
}

func withArticle(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}
