package boot

import (
	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/host"
)

// pluginProviders turns the parts of plugins that bring a provider into entries of the catalogue. An executor
// that only serves providers described elsewhere brings none.
func pluginProviders(parts []host.Part) []catalog.PluginProvider {
	var list []catalog.PluginProvider
	for _, p := range parts {
		if p.State != host.StateActive || p.Kind == host.KindTranslator {
			continue
		}
		if p.Kind == host.KindExecutor && !p.Local && len(p.Models) == 0 && len(p.Profile) == 0 {
			continue
		}
		list = append(list, pluginProvider(p))
	}
	return list
}

// profile is what boot reads of a part's own description; the catalogue merges the rest.
type profile struct {
	Name     string          `json:"name"`
	Executor string          `json:"executor"`
	BaseURL  string          `json:"base_url"`
	BaseURLs []string        `json:"base_urls"`
	Auth     json.RawMessage `json:"auth"`
}

func pluginProvider(p host.Part) catalog.PluginProvider {
	out := catalog.PluginProvider{
		Plugin: p.Plugin, Part: p.ID, ID: p.ID, Alias: p.Alias, Dialect: p.Dialect, Profile: p.Profile,
	}
	var own profile
	if len(p.Profile) > 0 && json.Unmarshal(p.Profile, &own) == nil {
		out.Name, out.BaseURLs = own.Name, own.BaseURLs
		if own.BaseURL != "" {
			out.BaseURLs = append([]string{own.BaseURL}, out.BaseURLs...)
		}
		if own.Executor != "" {
			out.Part = own.Executor
		}
		out.Auth = authKinds(own.Auth)
	}
	if own.Auth == nil && p.Kind == host.KindExecutor && !p.Local {
		out.Auth = []string{"api_key"} // an executor that answers from elsewhere and does not say what it takes
	}
	out.Models = pluginModels(p.Models)
	return out
}

// authKinds reads the credentials a provider takes, either {"api_key": …} or [{"type": "api_key"}].
func authKinds(raw []byte) (kinds []string) {
	var byName map[string]json.RawMessage
	if json.Unmarshal(raw, &byName) == nil {
		for _, kind := range []string{"api_key", "oauth"} {
			if _, ok := byName[kind]; ok {
				kinds = append(kinds, kind)
			}
		}
		return kinds
	}
	var list []struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &list) == nil {
		for _, a := range list {
			kinds = append(kinds, a.Type)
		}
	}
	return kinds
}

func pluginModels(raw []byte) []catalog.PluginModel {
	var list []struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Context    int64  `json:"context"`
		MaxOutput  int64  `json:"max_output"`
		Tools      bool   `json:"tools"`
		Vision     bool   `json:"vision"`
		Images     bool   `json:"images"` // the word of provider data for vision
		JSONSchema bool   `json:"json_schema"`
		Thinking   bool   `json:"thinking"`
		Reasoning  bool   `json:"reasoning"` // likewise for thinking
		Audio      bool   `json:"audio"`
		Files      bool   `json:"files"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	models := make([]catalog.PluginModel, 0, len(list))
	for _, m := range list {
		models = append(models, catalog.PluginModel{
			ID: m.ID, Name: m.Name, Context: m.Context, MaxOutput: m.MaxOutput,
			Tools: m.Tools, Vision: m.Vision || m.Images, JSONSchema: m.JSONSchema,
			Thinking: m.Thinking || m.Reasoning, Audio: m.Audio, Files: m.Files,
		})
	}
	return models
}
