package catalog

import (
	"github.com/omniroute/omniroute/core/config"
)

// Inputs are the sources of a catalogue.
type Inputs struct {
	// Config is the loaded file; nil = none.
	Config *config.File
	// Plugins are the providers of plugin manifests, low priority first.
	Plugins []PluginProvider
	// Stored are the entries kept in the store.
	Stored Stored
	// Classic selects the older rules: specificity of wildcards by score, and
	// bare names by the catalogue alone, openai first, several others an error.
	Classic bool
	// Partial builds what can be built when a name leads nowhere (the plugin
	// that brought it is gone, or plugins are not loaded): what says the name
	// is left out and reported.
	Partial bool
	// Unsound are names in Config that have been reported already, "*" for all:
	// what leads to them is not reported as well.
	Unsound []string
}

// PluginProvider is a provider as a plugin's manifest declares it.
type PluginProvider struct {
	Plugin   string // name of the plugin
	Part     string // id of the executor part; "" = default
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

// Stored are the entries of the store.
type Stored struct {
	Providers map[string]config.Provider
	Aliases   map[string]config.Alias
	Combos    map[string]config.Combo
	Models    map[string][]config.Model          // provider -> custom models
	Prices    map[string]map[string]config.Price // provider -> model -> override
	Chains    map[string][]config.ChainLink      // model glob -> stand-ins
}
