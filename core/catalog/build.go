package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Catalog is immutable and safe for concurrent use.
type Catalog struct {
	providers []*Provider          // enabled, in the order of the data
	names     map[string]*Provider // by id, alias and prefix
	bare      map[string][]Target  // by model id alone
	scoped    map[string]map[string]string
	aliases   map[string]*alias
	wildcards []*alias // most specific first
	combos    map[string]*Combo
	expanded  map[string][]Target // combos whose members do not depend on the query
	chains    []chain
	media     []Listing
	// mediaTargets are found by kind, and within it by target id and by model id.
	mediaTargets map[string]map[string][]Target
	prices       map[string]Price // of vendors, by model id
	classic      bool
	ambiguous    string // error | combo
	fallback     string // provider for bare names nobody offers
}

// builder collects while a catalogue is made.
type builder struct {
	in      Inputs
	cat     *Catalog
	media   map[string][]mediaProvider
	bases   map[string]string // base URLs of the data, by provider
	raws    map[string]raw
	order   []string
	meta    map[string]*origin
	lost    map[string]bool  // names with a problem of their own: what leads to them is not reported again
	quiet   bool             // any name may be such
	clients []map[string]any // authorization servers that are known
	diags   []fault.Diagnostic
	fatal   bool // some diagnostic is about more than a name that leads nowhere
}

// origin is where a provider comes from and what is not part of its profile.
type origin struct {
	from string
	conf *config.Provider // of the file or the store; nil otherwise
}

// Build merges the sources. With diagnostics the catalogue is nil, unless they
// are only about names that lead nowhere and in.Partial allows those.
func Build(in Inputs) (*Catalog, []fault.Diagnostic) {
	data, err := builtin()
	if err != nil {
		return nil, []fault.Diagnostic{{Message: err.Error()}}
	}
	media, err := builtinMedia()
	if err != nil {
		return nil, []fault.Diagnostic{{Message: err.Error()}}
	}
	b := &builder{in: in, media: media, bases: map[string]string{}, clients: data.OAuth, raws: map[string]raw{}, meta: map[string]*origin{}, lost: map[string]bool{}, cat: &Catalog{
		names: map[string]*Provider{}, bare: map[string][]Target{}, scoped: data.ModelAliases,
		aliases: map[string]*alias{}, combos: map[string]*Combo{}, expanded: map[string][]Target{},
		prices: map[string]Price{}, classic: in.Classic,
	}}
	b.lose(in.Unsound...)
	b.quiet = slices.Contains(in.Unsound, "*")
	b.routing()
	b.collect(data)
	b.providers()
	b.vendorPrices()
	b.index()
	if f := b.cat.fallback; f != "" && b.cat.names[f] == nil {
		b.missing(f, in.Config.Place("routing", "default_provider"), "routing.default_provider: there is no provider %q", f)
		b.cat.fallback = ""
	}
	b.addAliases()
	b.addCombos()
	b.addChains()
	b.addMedia()
	if b.fatal || len(b.diags) > 0 && !in.Partial {
		return nil, b.diags
	}
	return b.cat, b.diags
}

// problem reports a declaration that cannot stand, by the name it declares.
func (b *builder) problem(name string, p config.Pos, format string, args ...any) {
	b.report(p, format, args...)
	b.lost[name] = true
	b.fatal = true
}

// missing reports a name that leads nowhere, unless it was said why. A partial
// catalogue leaves out what says the name, so it tells of each.
func (b *builder) missing(name string, p config.Pos, format string, args ...any) {
	if b.in.Partial || !b.lost[name] && !b.quiet {
		b.report(p, format, args...)
	}
}

func (b *builder) report(p config.Pos, format string, args ...any) {
	b.diags = append(b.diags, b.in.Config.At(p, fmt.Sprintf(format, args...)))
}

func (b *builder) routing() {
	b.cat.ambiguous = "combo"
	if b.in.Classic {
		b.cat.ambiguous, b.cat.fallback = "error", "openai"
	}
	if c := b.in.Config; c != nil {
		b.cat.ambiguous = cmp.Or(c.Routing.Ambiguous, b.cat.ambiguous)
		b.cat.fallback = cmp.Or(c.Routing.DefaultProvider, b.cat.fallback)
	}
}

// collect puts the sources over each other as raw entries.
func (b *builder) collect(data *dataset) {
	for _, p := range data.Providers {
		if r := raw(p); !r.flag("template") {
			b.add(r.text("id"), copyRaw(r), "builtin", nil)
			if bases := r.strings("base_urls"); len(bases) > 0 {
				b.bases[r.text("id")] = bases[0]
			}
		}
	}
	for i := range b.in.Plugins {
		b.plugin(&b.in.Plugins[i])
	}
	for _, id := range slices.Sorted(maps.Keys(b.in.Stored.Providers)) {
		c := b.in.Stored.Providers[id]
		b.configure(data, id, &c, "state")
	}
	if b.in.Config != nil {
		for _, id := range byPos(b.in.Config.Providers, func(p config.Provider) config.Pos { return p.Pos }) {
			c := b.in.Config.Providers[id]
			if _, both := b.in.Stored.Providers[id]; both {
				b.problem(id, c.Pos, "provider %q is declared here and in the data directory; remove one of them", id)
				continue
			}
			b.configure(data, id, &c, "file")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.in.Stored.Models)) {
		if r := b.raws[id]; r != nil { // models of a provider that is gone stay quiet
			for i := range b.in.Stored.Models[id] {
				r.model(&b.in.Stored.Models[id][i])
			}
		}
	}
}

func (b *builder) add(id string, r raw, from string, conf *config.Provider) {
	b.raws[id] = r
	b.meta[id] = &origin{from: from, conf: conf}
	b.order = append(b.order, id)
}

// plugin lets a plugin serve a known provider or bring a new one.
func (b *builder) plugin(p *PluginProvider) {
	if p.ID == "" {
		return
	}
	r := b.raws[p.ID]
	if r == nil {
		r = raw{
			"id": p.ID, "name": p.ID, "group": "apikey", "billing": "metered", "format": "openai", "executor": "default",
			"paths": map[string]any{"chat": "/chat/completions", "chat_stream": "/chat/completions"}, "passthrough_models": true,
			"auth": map[string]any{}, "headers": map[string]any{}, "capabilities": map[string]any{"tools": true},
		}
		b.add(p.ID, r, "plugin:"+p.Plugin, nil)
	} else {
		b.meta[p.ID].from = "plugin:" + p.Plugin
	}
	var profile map[string]any
	if len(p.Profile) > 0 && json.Unmarshal(p.Profile, &profile) == nil {
		delete(profile, "id")
		r.merge(profile)
	}
	c := config.Provider{Name: p.Name, Dialect: p.Dialect, Executor: p.Part, BaseURLs: p.BaseURLs}
	if len(p.Alias) > 0 {
		c.Prefix = p.Alias[0]
	}
	for _, m := range p.Models {
		c.Models = append(c.Models, m.config())
	}
	r.override(&c)
	for _, m := range r.list("models") {
		delete(asRaw(m), "custom") // brought by the plugin, not by the operator
	}
	if len(p.Auth) > 0 {
		auth := r.sub("auth")
		for _, kind := range p.Auth {
			if _, have := auth[kind]; !have {
				auth[kind] = map[string]any{"header": "Authorization", "prefix": "Bearer "}
			}
		}
	}
	if len(r.child("auth")) == 0 {
		r["no_auth"] = true
	}
}

func (m PluginModel) config() config.Model {
	out := config.Model{ID: m.ID, Name: m.Name, Tools: &m.Tools, Images: &m.Vision, JSONSchema: &m.JSONSchema,
		Reasoning: &m.Thinking, Audio: &m.Audio, Files: &m.Files}
	if m.Context > 0 {
		out.Context = &m.Context
	}
	if m.MaxOutput > 0 {
		out.MaxOutput = &m.MaxOutput
	}
	return out
}

// lose notes names that lead nowhere for a reason that was reported.
func (b *builder) lose(names ...string) {
	for _, n := range names {
		if n != "" {
			b.lost[n] = true
		}
	}
}

// configure overrides a known provider or makes a compatible node.
func (b *builder) configure(data *dataset, id string, c *config.Provider, from string) {
	r := b.raws[id]
	if r == nil {
		if c.Dialect == "" {
			b.missing(id, c.Pos, "unknown provider %q: no plugin brings it, and a compatible server needs a dialect (openai, openai-responses, claude, gemini, ollama)", id)
			b.lose(id, c.Prefix)
			return
		}
		if len(c.BaseURLs) == 0 {
			if !b.lost[id] {
				b.problem(id, c.Pos, "provider %q needs base_urls", id)
			}
			b.lose(id, c.Prefix)
			return
		}
		r = nodeFrom(data, id, c)
		b.add(id, r, from, c)
	} else {
		b.meta[id].conf = c
		if from == "file" || b.meta[id].from == "builtin" {
			b.meta[id].from = from
		}
	}
	r.override(c)
	r["base_urls"] = anyList(tidyBases(r.strings("base_urls"), r.text("format")))
}

// nodeFrom makes the entry of a compatible node from its template.
func nodeFrom(data *dataset, id string, c *config.Provider) raw {
	want := templateOpenAI
	switch c.Dialect {
	case "claude":
		want = templateClaude
	case "gemini":
		want = templateGemini
	}
	var r raw
	for _, p := range data.Providers {
		if p["id"] == want {
			r = copyRaw(p)
		}
	}
	switch c.Dialect {
	case "ollama":
		r["paths"] = map[string]any{"chat": "/api/chat", "chat_stream": "/api/chat", "models": "/api/tags"}
	case "openai-responses":
		path := r.child("node_types").child("responses").text("path")
		r.sub("paths")["chat"], r.sub("paths")["chat_stream"] = path, path
	}
	for _, key := range []string{"template", "default_base_url", "node_types", "alias", "confidence"} {
		delete(r, key)
	}
	r["id"], r["name"], r["group"], r["billing"], r["models"] = id, id, "compatible", "metered", []any{}
	r["passthrough_models"] = true
	base := strings.TrimSuffix(c.BaseURLs[0], "/messages")
	list := r.sub("models_list")
	list["url"] = base + "/models"
	switch c.Dialect {
	case "gemini":
		list["url"] = tidyBases([]string{base}, "gemini")[0]
	case "ollama":
		list["url"] = base + "/api/tags"
	}
	return r
}

// tidyBases accepts what people paste: a Claude base with /messages, a Gemini
// base without /models.
func tidyBases(urls []string, format string) []string {
	out := make([]string, len(urls))
	for i, u := range urls {
		u = strings.TrimSuffix(u, "/")
		switch format {
		case "claude":
			u = strings.TrimSuffix(u, "/messages")
		case "gemini":
			if !strings.HasSuffix(u, "/models") {
				u += "/models"
			}
		}
		out[i] = u
	}
	return out
}

// providers turns the raw entries into providers.
func (b *builder) providers() {
	for _, id := range b.order {
		r, o := b.raws[id], b.meta[id]
		if o.conf != nil && o.conf.Enabled != nil && !*o.conf.Enabled {
			continue
		}
		p := b.provider(id, r, o)
		b.cat.providers = append(b.cat.providers, p)
		b.claim(id, p)
	}
	for _, p := range b.cat.providers {
		if p.Alias != "" && p.Alias != p.ID {
			b.claim(p.Alias, p)
		}
	}
}

// claim gives a name to a provider; two of the same name are an error.
func (b *builder) claim(name string, p *Provider) {
	if other := b.cat.names[name]; other != nil {
		b.problem(name, p.Pos, "the prefix %q of provider %q is already a name of provider %q", name, p.ID, other.ID)
		return
	}
	b.cat.names[name] = p
}

// traits is what the configuration knows of a provider that translators have to know.
func traits(c *config.Provider) (out []string) {
	if c.DeveloperRole == "keep" {
		out = append(out, abi.TraitDeveloper)
	}
	if c.ThinkPrefilled {
		out = append(out, abi.TraitPrefilled)
	}
	for _, tag := range c.ThinkTags {
		out = append(out, abi.TraitThink+tag)
	}
	return out
}

func (b *builder) provider(id string, r raw, o *origin) *Provider {
	p := &Provider{
		ID: id, Alias: r.text("alias"), Name: r.text("name"), Group: r.text("group"), Kind: r.text("kind"),
		Billing: cmp.Or(r.text("billing"), "metered"), Tier: r.text("tier"), Dialect: r.text("format"),
		Executor: cmp.Or(r.text("executor"), "default"), BaseURLs: r.strings("base_urls"),
		NoAuth: r.flag("no_auth"), Cooling: true, QuotaScope: r.text("quota_scope"), Region: r.text("region"),
		DataPolicy: r.text("data_policy"), Passthrough: r.flag("passthrough_models"),
		ForcedStream:   r.child("streaming").flag("forced") || r.child("streaming").text("non_stream") == "aggregate",
		Sanitize:       r.flag("sanitize") || r.child("capabilities").text("reasoning") == "think_tags",
		EffortSuffixes: r.child("request_rules").strings("effort_suffixes"),
		Origin:         o.from, byID: map[string]*Model{},
	}
	p.OAuth = b.oauth(id, r, b.clients)
	p.Auth = slices.Sorted(maps.Keys(r.child("auth")))
	if c := o.conf; c != nil {
		p.Pos, p.Proxy, p.Timeouts, p.Tags, p.Meta = c.Pos, c.Proxy, c.Timeouts, c.Tags, c.Meta
		p.AllowPrivate = c.AllowPrivate != nil && *c.AllowPrivate
		p.ModelsURL = c.ModelsList.URL
		p.OnlyListed = c.Passthrough != nil && !*c.Passthrough
		p.Cooling = c.Cooling == nil || *c.Cooling
		if c.Sanitize != nil {
			p.Sanitize = *c.Sanitize
		}
		p.Traits = traits(c)
	}
	if p.Kind == "" {
		p.Kind = kindOf(p)
	}
	if p.QuotaScope == "" {
		p.QuotaScope = "account"
		if p.Group == "compatible" || p.Kind == "local" {
			p.QuotaScope = "model"
		}
	}
	for _, v := range r.list("models") {
		if m := b.model(p, asRaw(v)); m != nil && p.byID[m.ID] == nil {
			p.Models = append(p.Models, m)
			p.byID[m.ID] = m
		}
	}
	delete(r, "confidence")
	r["id"] = id
	b.mediaPaths(id, r)
	p.Profile, _ = json.Marshal(map[string]any(r)) // plain values only: cannot fail
	return p
}

// kindOf chooses the failure profile: logins, servers nearby, or keys.
func kindOf(p *Provider) string {
	switch {
	case p.Group == "oauth" || p.Group == "free":
		return "oauth"
	case p.Group == "local" || p.AllowPrivate && len(p.BaseURLs) > 0 && !slices.ContainsFunc(p.BaseURLs, func(u string) bool { return !nearby(u) }):
		return "local"
	default:
		return "apikey"
	}
}

// nearby reports a URL whose host is plainly on this machine or network.
func nearby(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast())
}

func (b *builder) model(p *Provider, r raw) *Model {
	id := r.text("id")
	if id == "" {
		return nil
	}
	m := &Model{
		ID: id, Name: cmp.Or(r.text("name"), id), UpstreamID: cmp.Or(r.text("upstream_id"), id), Format: r.text("target_format"),
		Context: count(r, "context"), MaxOutput: count(r, "max_output"), RPM: count(r, "rpm"), TPM: count(r, "tpm"),
		Caps: Caps{
			Vision: r.flag("images"), Tools: r.flag("tools"), JSONSchema: r.flag("json_schema"),
			Thinking: r.flag("reasoning"), Audio: r.flag("audio"), Files: r.flag("files"),
		},
		Temperature: r["temperature"] != false, EffortLevels: r.strings("effort_levels"),
		Quant: r.text("quant"), Hidden: r.flag("hidden"), Custom: r.flag("custom"), Tier: r.text("tier"),
	}
	m.Tags = append(slices.Clone(p.Tags), r.strings("tags")...)
	m.Price = b.price(p.ID, id, r)
	return m
}

// price of a model: an override, else the chosen table.
func (b *builder) price(provider, model string, r raw) Price {
	entry := asRaw(r["price"])
	c := b.in.Config
	if c != nil && c.Pricing.Table == "seed" {
		if seed := asRaw(r["seed_price"]); seed != nil {
			entry = seed
		}
	}
	if over, ok := b.in.Stored.Prices[provider][model]; ok {
		entry = priceMap(entry, &over)
	}
	if c != nil {
		if over, ok := c.Pricing.Override[provider][model]; ok {
			entry = priceMap(entry, &over)
		}
	}
	return priceOf(entry)
}

func count(r raw, key string) int64 {
	if v, ok := number(r[key]); ok {
		return int64(v)
	}
	return -1
}

// vendors are the providers whose own list price stands in for the same model
// elsewhere.
var vendors = []string{"anthropic", "openai", "gemini", "claude", "codex", "deepseek", "xai", "mistral", "cohere", "perplexity", "kimi", "glm", "minimax", "qwen"}

// vendorPrices fills prices that are unknown from the model's own vendor, and
// then the tiers that follow from prices.
func (b *builder) vendorPrices() {
	for _, id := range vendors {
		p := b.cat.names[id]
		if p == nil {
			continue
		}
		for _, m := range p.Models {
			if _, have := b.cat.prices[m.ID]; !have && m.Price.Known {
				b.cat.prices[m.ID] = m.Price
			}
		}
	}
	for _, p := range b.cat.providers {
		for _, m := range p.Models {
			if !m.Price.Known {
				m.Price = b.cat.vendorPrice(m.ID)
			}
			m.Tier = cmp.Or(m.Tier, p.Tier, tierOf(p.Billing, m.Price))
		}
	}
}

// vendorPrice looks a model up by its id and by the last segment of its id.
func (c *Catalog) vendorPrice(id string) Price {
	if p, ok := c.prices[id]; ok {
		return p
	}
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		return c.prices[id[i+1:]]
	}
	return Price{}
}

// Rates up to which a model counts as cheap.
const (
	cheapInput  = Rate(500_000)   // 0.5 USD per million
	cheapOutput = Rate(2_000_000) // 2 USD per million
)

func tierOf(billing string, p Price) string {
	switch {
	case billing == "subscription":
		return "subscription"
	case billing == "free" || p.Free():
		return "free"
	case p.Known && p.Input <= cheapInput && p.Output <= cheapOutput:
		return "cheap"
	default:
		return "paid"
	}
}

// index makes the targets of all models and finds them by bare id.
func (b *builder) index() {
	for _, p := range b.cat.providers {
		p.targets = make(map[string]Target, len(p.Models))
		for _, m := range p.Models {
			t := newTarget(p, m)
			p.targets[m.ID] = t
			if !m.Hidden {
				b.cat.bare[m.ID] = append(b.cat.bare[m.ID], t)
			}
		}
	}
}

func newTarget(p *Provider, m *Model) Target {
	return Target{ID: p.ID + "/" + m.ID, Provider: p, Model: m, Upstream: m.UpstreamID, Dialect: cmp.Or(m.Format, p.Dialect), Tags: m.Tags}
}

// byPos gives the keys of a map in the order they were written.
func byPos[V any](m map[string]V, pos func(V) config.Pos) []string {
	keys := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(keys, func(a, b string) int {
		x, y := pos(m[a]), pos(m[b])
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return keys
}
