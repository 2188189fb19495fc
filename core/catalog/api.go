package catalog

import (
	"context"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Catalog is immutable and safe for concurrent use.
type Catalog struct{}

// Inputs are the sources of a catalogue.
type Inputs struct {
	// Config is the loaded file; nil = none.
	Config *config.File
	// Plugins are the providers of plugin manifests, low priority first.
	Plugins []PluginProvider
	// Stored are the entries kept in the store.
	Stored Stored
	// Classic selects the older specificity of wildcards and "error" for
	// ambiguous names.
	Classic bool
}

// PluginProvider is a provider as a plugin's manifest declares it.
type PluginProvider struct {
	Plugin   string // name of the plugin
	Part     string // part id of the executor
	ID       string
	Alias    []string
	Name     string
	Dialect  string
	BaseURLs []string
	Auth     []string // api_key, oauth; empty = none needed
	Models   []PluginModel
	// Profile is the manifest's own JSON of the part, merged into the profile.
	Profile []byte
}

// PluginModel is a model as a plugin's manifest declares it.
type PluginModel struct {
	ID, Name                                          string
	Context, MaxOutput                                int64 // 0 = unknown
	Tools, Vision, JSONSchema, Thinking, Audio, Files bool
}

// Build merges the sources. The catalogue is nil if and only if there are
// diagnostics.
func Build(in Inputs) (*Catalog, []fault.Diagnostic) { panic("api") }

// Resolve turns a model name into targets. Errors are *fault.Error with
// MODEL_001, MODEL_002 or VALID_001.
func (c *Catalog) Resolve(q Query) (*Resolution, error) { panic("api") }

// Provider finds a provider by id, alias or prefix.
func (c *Catalog) Provider(name string) (*Provider, bool) { panic("api") }

// Providers lists all, in the order of the data.
func (c *Catalog) Providers() []*Provider { panic("api") }

// Model finds a model of a provider by its id.
func (c *Catalog) Model(provider, id string) (*Model, bool) { panic("api") }

// Combos lists the combos by name.
func (c *Catalog) Combos() []*Combo { panic("api") }

// Chain lists the targets that stand in for a model that failed, see Stored.Chains.
func (c *Catalog) Chain(model string, exclude func(Target) bool) []Target { panic("api") }

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
	Type       string // "", embedding, image
	Name       string
	Custom     bool
	Dimensions int64
	Sizes      []string
	Model      *Model // nil for combos
}

// List gives the rows of /v1/models: combos first, then models.
func (c *Catalog) List(opt ListOptions) []Listing { panic("api") }

// Stored are the entries of the store.
type Stored struct {
	Providers map[string]config.Provider
	Aliases   map[string]config.Alias
	Combos    map[string]config.Combo
	Models    map[string][]config.Model // provider -> custom models
	Prices    map[string]map[string]config.Price
	Chains    map[string][]ChainLink // model glob -> stand-ins
}

// ChainLink is one stand-in of a fallback chain.
type ChainLink struct {
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"` // "" = the same model
	Priority int    `json:"priority,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

// Repo reads and writes the stored entries.
type Repo struct{}

// NewRepo works over s.
func NewRepo(s state.Store) *Repo { panic("api") }

// Load reads everything.
func (r *Repo) Load(ctx context.Context) (Stored, error) { panic("api") }
