package catalog

import (
	"cmp"
	_ "embed"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	json "github.com/goccy/go-json"
	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/fault"
)

// Kinds of models beside chat.
const (
	KindEmbedding     = "embedding"
	KindImage         = "image"
	KindSpeech        = "speech"
	KindTranscription = "transcription"
	KindRerank        = "rerank"
	KindModeration    = "moderation"
)

// kinds are all of them with the path under which an OpenAI-like service offers
// them, and the name by which executors know that endpoint.
var kinds = [...]mediaKind{
	{KindEmbedding, "embeddings", "/embeddings"},
	{KindImage, "images", "/images/generations"},
	{KindSpeech, "speech", "/audio/speech"},
	{KindTranscription, "transcriptions", "/audio/transcriptions"},
	{KindTranscription, "translations", "/audio/translations"},
	{KindRerank, "rerank", "/rerank"},
	{KindModeration, "moderations", "/moderations"},
}

type mediaKind struct{ kind, endpoint, path string }

// beside is the path of the endpoint where that of its kind is known: translations
// lie beside transcriptions.
func (k mediaKind) beside(path string) string {
	if k.endpoint == "translations" {
		return strings.Replace(path, "/audio/transcriptions", k.path, 1)
	}
	return path
}

//go:embed data/media.yaml
var mediaYAML []byte

// builtinMedia is the embedded data by kind, read once.
var builtinMedia = sync.OnceValues(func() (map[string][]mediaProvider, error) {
	d := make(map[string][]mediaProvider)
	if err := yaml.Unmarshal(mediaYAML, &d); err != nil {
		return nil, fmt.Errorf("catalog: embedded media data: %w", err)
	}
	return d, nil
})

// mediaProvider lists the models of one kind of one provider.
type mediaProvider struct {
	ID       string       `yaml:"id"`
	URL      string       `yaml:"url"`
	Fallback string       `yaml:"fallback_url"`
	Format   string       `yaml:"format"` // "" = openai
	Sizes    []string     `yaml:"sizes"`
	Rules    MediaRules   `yaml:"rules"`
	Models   []mediaModel `yaml:"models"`
}

type mediaModel struct {
	ID         string     `yaml:"id"`
	Name       string     `yaml:"name"`
	Dimensions int64      `yaml:"dimensions"`
	MaxInput   int64      `yaml:"max_input_tokens"`
	Input      *float64   `yaml:"price_input"`
	Output     *float64   `yaml:"price_output"`
	Image      *float64   `yaml:"price_per_image_usd"`
	Request    *float64   `yaml:"price_per_request_usd"`
	Characters *float64   `yaml:"price_per_million_characters_usd"`
	Minute     *float64   `yaml:"price_per_minute_usd"`
	Rules      MediaRules `yaml:"rules"`
}

// MediaRules shape a body for a service that differs from the API's own vendor.
type MediaRules struct {
	Drop    []string                     `yaml:"drop"`    // members it refuses
	Default map[string]any               `yaml:"default"` // members it needs where the client has none
	Set     map[string]any               `yaml:"set"`     // members that always have this value
	Values  map[string]map[string]string `yaml:"values"`  // words of the API and of the service, by member
	Size    string                       `yaml:"size"`    // "width_height": two integers in place of WxH
}

// Media is what a target of another kind than chat has beside those of chat.
type Media struct {
	Kind string
	// Format is the wire format: openai, or gemini.
	Format string
	// Executor and Profile stand in for the provider's own where that serves chat
	// only; "" and nil = the provider's.
	Executor string
	Profile  []byte
	// Fallback is a URL that is asked when the first does not offer the service any
	// more; "" = none.
	Fallback string
	// Rules are the provider's, then the model's.
	Rules []MediaRules
}

// MediaProfile is the name under which the profile of a media target is kept.
func MediaProfile(provider, kind string) string { return provider + "#" + kind }

// mediaPaths adds the paths of media endpoints to the profile of a provider. A base
// URL that the operator sets stands for the whole provider, so endpoints that lie on
// other hosts move along.
func (b *builder) mediaPaths(id string, r raw) {
	if cmp.Or(r.text("executor"), "default") != "default" {
		return
	}
	paths := r.sub("paths")
	add := func(endpoint, path string) {
		if _, have := paths[endpoint]; !have {
			paths[endpoint] = path
		}
	}
	format := r.text("format")
	for _, k := range kinds {
		for _, mp := range b.media[k.kind] {
			if mp.ID == id {
				add(k.endpoint, k.beside(b.mediaPath(&mp, r)))
			}
		}
		if r.flag("passthrough_models") && (format == "openai" || format == "openai-responses") {
			add(k.endpoint, k.path)
		}
	}
	if format == "gemini" {
		add("embeddings", "/{model}:batchEmbedContents")
		add("embed_content", "/{model}:embedContent")
	}
}

// mediaPath is the part of a URL behind the provider's base, or the whole URL where
// that lies elsewhere and the base is the one of the data.
func (b *builder) mediaPath(mp *mediaProvider, r raw) string {
	base := b.bases[mp.ID]
	if rest, ok := strings.CutPrefix(mp.URL, base); ok && base != "" {
		return rest
	}
	if now := r.strings("base_urls"); len(now) == 0 || now[0] == base {
		return mp.URL
	}
	u, err := url.Parse(r.strings("base_urls")[0])
	if err != nil {
		return pathOf(mp.URL)
	}
	return u.Scheme + "://" + u.Host + pathOf(mp.URL)
}

// pathOf is a URL without scheme and host.
func pathOf(u string) string {
	if _, rest, ok := strings.Cut(u, "://"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
	}
	return ""
}

// addMedia makes the targets of other kinds than chat, and lists them.
func (b *builder) addMedia() {
	b.cat.mediaTargets = make(map[string]map[string][]Target)
	for kind, list := range b.media {
		byID := make(map[string][]Target)
		b.cat.mediaTargets[kind] = byID
		for i := range list {
			mp := &list[i]
			p := b.cat.names[mp.ID]
			if p == nil {
				continue
			}
			for _, m := range mp.Models {
				t := b.mediaTarget(kind, mp, p, &m)
				byID[t.ID] = []Target{t}
				byID[m.ID] = append(byID[m.ID], t)
				b.cat.media = append(b.cat.media, Listing{ID: t.ID, OwnedBy: p.ID, Type: kind, Name: m.Name, Dimensions: m.Dimensions, Sizes: mp.Sizes})
			}
		}
	}
	slices.SortFunc(b.cat.media, func(x, y Listing) int { return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.ID, y.ID)) })
}

func (b *builder) mediaTarget(kind string, mp *mediaProvider, p *Provider, m *mediaModel) Target {
	model := &Model{ID: m.ID, Name: m.Name, UpstreamID: m.ID, Context: -1, MaxOutput: -1, RPM: -1, TPM: -1,
		Caps: Caps{Vision: true, Tools: true, JSONSchema: true, Thinking: true, Audio: true, Files: true}, Temperature: true, Tags: p.Tags}
	model.Price = b.price(p.ID, m.ID, raw{"price": m.price()})
	model.Tier = cmp.Or(p.Tier, tierOf(p.Billing, model.Price))
	t := newTarget(p, model)
	t.Dialect = cmp.Or(mp.Format, "openai")
	t.Media = &Media{Kind: kind, Format: t.Dialect, Rules: []MediaRules{mp.Rules, m.Rules}}
	if len(p.BaseURLs) > 0 && p.BaseURLs[0] == b.bases[p.ID] {
		t.Media.Fallback = mp.Fallback
	}
	if p.Executor != "default" {
		t.Media.Executor, t.Media.Profile = "default", b.mediaProfile(kind, mp, p)
	}
	return t
}

// mediaProfile is the profile with which the default executor serves media of a
// provider whose own executor knows chat only.
func (b *builder) mediaProfile(kind string, mp *mediaProvider, p *Provider) []byte {
	profile := map[string]any{"id": p.ID, "format": cmp.Or(mp.Format, "openai"), "base_urls": p.BaseURLs, "auth": map[string]any{
		"oauth":   map[string]string{"header": "Authorization", "prefix": "Bearer "},
		"api_key": map[string]string{"header": "Authorization", "prefix": "Bearer "},
	}}
	base := b.bases[p.ID]
	path := pathOf(mp.URL)
	if len(p.BaseURLs) == 0 || p.BaseURLs[0] == base {
		if u, err := url.Parse(mp.URL); err == nil {
			profile["base_urls"] = []string{u.Scheme + "://" + u.Host}
		}
	}
	for _, k := range kinds {
		if k.kind == kind {
			profile["paths"] = map[string]string{"chat": path, k.endpoint: path}
			break
		}
	}
	out, _ := json.Marshal(profile) // strings only: cannot fail
	return out
}

// price is the entry as [priceOf] reads it; nil without any price.
func (m *mediaModel) price() map[string]any {
	out := map[string]any{}
	put := func(name string, v *float64, by float64) {
		if v != nil {
			out[name] = *v / by
		}
	}
	put("input", m.Input, 1)
	put("output", m.Output, 1)
	put("image", m.Image, 1)
	put("request", m.Request, 1)
	put("character", m.Characters, 1e6)
	put("second", m.Minute, 60)
	if len(out) == 0 {
		return nil
	}
	if _, ok := out["input"]; !ok {
		out["input"] = 0.0
	}
	if _, ok := out["output"]; !ok {
		out["output"] = 0.0
	}
	return out
}

// media resolves the name of a model of another kind than chat: an alias, a combo
// of such models, provider/model, or a bare id that one provider offers.
func (c *Catalog) mediaModel(res *Resolution, q Query) error {
	name := res.Requested
	for range maxHops {
		if combo := c.combos[name]; combo != nil {
			res.Combo, res.Targets = combo, c.mediaCombo(combo, q)
			res.Tags = append(res.Tags, combo.Tags...)
			if len(res.Targets) > 0 {
				return nil
			}
			return noMedia(name, "none of the members of this combo is for "+q.Kind)
		}
		next, hit := c.alias(res, name)
		if !hit {
			break
		}
		name = next
	}
	targets := c.mediaTargets[q.Kind][name]
	if prefix, id, found := strings.Cut(name, "/"); found && len(targets) == 0 {
		p := c.names[prefix]
		if p == nil {
			return noMedia(name, "there is no provider "+prefix)
		}
		if targets = c.mediaTargets[q.Kind][p.ID+"/"+id]; len(targets) == 0 {
			t, ok := c.openMedia(p, id, q.Kind)
			if !ok {
				return noMedia(name, "provider "+p.ID+" offers no such model for "+q.Kind)
			}
			targets = []Target{t}
		}
	}
	if len(targets) > 1 {
		targets = usable(targets, q.Active)
	}
	switch len(targets) {
	case 0:
		return noMedia(name, "no provider offers it for "+q.Kind)
	case 1:
	default:
		if c.ambiguous != "combo" {
			return ambiguous(name, targets)
		}
		res.Combo = &Combo{Name: name, Strategy: "priority", Origin: "implicit", Config: defaultComboConfig()}
	}
	res.Targets = slices.Clone(targets)
	return nil
}

// mediaCombo are the members of a combo that are of the kind.
func (c *Catalog) mediaCombo(combo *Combo, q Query) []Target {
	var out []Target
	for i, m := range combo.Members {
		if c.combos[m.Model] != nil {
			continue
		}
		inner := &Resolution{Requested: m.Model}
		if c.mediaModel(inner, q) != nil {
			continue
		}
		for _, t := range inner.Targets {
			if !slices.ContainsFunc(out, func(o Target) bool { return o.ID == t.ID }) {
				t.Weight, t.Entry = m.Weight, i
				out = append(out, t)
			}
		}
	}
	return out
}

// openMedia is a model that the data does not know, of a provider that takes any.
func (c *Catalog) openMedia(p *Provider, id, kind string) (Target, bool) {
	own := p.byID[id] != nil && p.byID[id].Custom
	if !p.Passthrough && !own || p.OnlyListed && !own || p.Executor != "default" {
		return Target{}, false
	}
	t := c.synthetic(p, id)
	if own {
		t = p.targets[id]
	}
	switch t.Dialect {
	case "openai", "openai-responses":
		t.Dialect = "openai"
	case "gemini":
		if kind != KindEmbedding {
			return Target{}, false
		}
	default:
		return Target{}, false
	}
	t.Media = &Media{Kind: kind, Format: t.Dialect}
	return t, true
}

// MediaTargets lists the built-in targets of all kinds whose executor profile is
// their own.
func (c *Catalog) MediaTargets() []Target {
	var out []Target
	for _, byID := range c.mediaTargets {
		for id, targets := range byID {
			if t := targets[0]; t.ID == id && t.Media.Profile != nil {
				out = append(out, t)
			}
		}
	}
	return out
}

func noMedia(name, why string) *fault.Error {
	e := fault.Newf(fault.ModelNotFound, "Model %q not found: %s", name, why)
	e.Status, e.Param = 400, "model"
	return e
}
