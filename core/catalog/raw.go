package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/core/config"
)

// raw is one provider entry in the field names of the embedded data.
type raw map[string]any

func (r raw) text(key string) string { s, _ := r[key].(string); return s }
func (r raw) flag(key string) bool   { b, _ := r[key].(bool); return b }
func (r raw) child(key string) raw   { return asRaw(r[key]) }
func (r raw) list(key string) []any  { l, _ := r[key].([]any); return l }
func (r raw) strings(key string) []string {
	var out []string
	for _, v := range r.list(key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func asRaw(v any) raw {
	switch m := v.(type) {
	case map[string]any:
		return m
	case raw:
		return m
	}
	return nil
}

// copyRaw copies an entry deeply, so that the embedded data stays as it is.
func copyRaw(r map[string]any) raw {
	out := make(raw, len(r))
	for k, v := range r {
		out[k] = copyAny(v)
	}
	return out
}

func copyAny(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return map[string]any(copyRaw(v))
	case raw:
		return map[string]any(copyRaw(v))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyAny(v[i])
		}
		return out
	}
	return v
}

// merge puts o over r: mappings key by key, everything else as a whole.
func (r raw) merge(o map[string]any) {
	for k, v := range o {
		if have, sub := asRaw(r[k]), asRaw(v); have != nil && sub != nil {
			have.merge(sub)
			continue
		}
		r[k] = copyAny(v)
	}
}

func anyList[T any](in []T) []any {
	out := make([]any, len(in))
	for i := range in {
		out[i] = in[i]
	}
	return out
}

// override applies what omniroute.yaml or the store says about a provider.
func (r raw) override(c *config.Provider) {
	set := func(key, value string) {
		if value != "" {
			r[key] = value
		}
	}
	set("name", c.Name)
	set("format", c.Dialect)
	set("executor", c.Executor)
	set("billing", c.Billing)
	set("tier", c.Tier)
	set("kind", c.Kind)
	set("quota_scope", c.QuotaScope)
	set("region", c.Region)
	set("data_policy", c.DataPolicy)
	if c.Prefix != "" {
		r["alias"] = c.Prefix
	}
	if len(c.BaseURLs) > 0 {
		r["base_urls"] = anyList(c.BaseURLs)
		delete(r, "base_url_template")
		delete(r, "extra_fallback_urls")
	}
	if len(c.Paths) > 0 {
		paths := r.sub("paths")
		for k, v := range c.Paths {
			paths[k] = v
		}
	}
	if len(c.Headers) > 0 {
		r.headers(c.Headers)
	}
	switch c.DeveloperRole {
	case "keep":
		delete(r.child("request_rules").child("role_map"), "developer")
	case "system":
		r.sub("request_rules").sub("role_map")["developer"] = "system"
	}
	r.options(c)
	if c.Passthrough != nil {
		r["passthrough_models"] = *c.Passthrough
	}
	if c.ModelsList.URL != "" {
		r.sub("models_list")["url"] = c.ModelsList.URL
	}
	for i := range c.Models {
		r.model(&c.Models[i])
	}
}

// options hands over what the executors of particular providers ask for.
func (r raw) options(c *config.Provider) {
	for name, v := range map[string]string{
		"default_instructions": c.DefaultInstructions, "default_effort": c.DefaultEffort, "default_system": c.DefaultSystem,
		"client_version": c.ClientVersion, "tool_result_mode": c.ToolResultMode,
	} {
		if v != "" {
			r.sub("options")[name] = v
		}
	}
	if len(c.SupportedTools) > 0 {
		text := make([]string, len(c.SupportedTools))
		for i, n := range c.SupportedTools {
			text[i] = strconv.FormatInt(n, 10)
		}
		r.sub("options")["supported_tools"] = strings.Join(text, ",")
	}
	for name, v := range map[string]*int64{
		"max_output_tokens_cap": c.MaxOutputTokensCap, "max_short_waits": c.MaxShortWaits, "max_tokens": c.MaxTokens, "context_window": c.ContextWindow,
	} {
		if v != nil {
			r.sub("options")[name] = *v
		}
	}
}

// sub is a mapping inside the entry, made if it is missing.
func (r raw) sub(key string) raw {
	if m := r.child(key); m != nil {
		return m
	}
	m := map[string]any{}
	r[key] = m
	return m
}

// headers replaces headers whatever their case; an empty value removes one.
func (r raw) headers(over map[string]string) {
	have := r.sub("headers")
	for _, name := range slices.Sorted(maps.Keys(over)) {
		for k := range have {
			if strings.EqualFold(k, name) {
				delete(have, k)
			}
		}
		if v := over[name]; v != "" {
			have[name] = v
		}
	}
}

// model adds a model or overrides fields of one with the same id.
func (r raw) model(m *config.Model) {
	var entry raw
	for _, v := range r.list("models") {
		if e := asRaw(v); e != nil && e.text("id") == m.ID {
			entry = e
		}
	}
	if entry == nil {
		caps := r.child("capabilities")
		entry = raw{
			"id": m.ID, "name": m.ID, "custom": true,
			// What the operator does not say is assumed as for the provider.
			"tools": caps.flag("tools"), "images": caps.flag("images"), "json_schema": caps.text("json_schema") == "native",
			"reasoning": false, "temperature": true,
		}
		r["models"] = append(r.list("models"), map[string]any(entry))
	}
	for key, v := range map[string]string{"name": m.Name, "upstream_id": m.UpstreamID, "target_format": m.Format, "tier": m.Tier, "quant": m.Quant} {
		if v != "" {
			entry[key] = v
		}
	}
	for key, v := range map[string]*int64{"context": m.Context, "max_output": m.MaxOutput, "rpm": m.RPM, "tpm": m.TPM} {
		if v != nil {
			entry[key] = *v
		}
	}
	for key, v := range map[string]*bool{
		"tools": m.Tools, "images": m.Images, "json_schema": m.JSONSchema, "reasoning": m.Reasoning,
		"audio": m.Audio, "files": m.Files, "temperature": m.Temp, "hidden": m.Hidden,
	} {
		if v != nil {
			entry[key] = *v
		}
	}
	if len(m.Tags) > 0 {
		entry["tags"] = anyList(m.Tags)
	}
	if m.Price != nil {
		entry["price"] = priceMap(asRaw(entry["price"]), m.Price)
		delete(entry, "seed_price")
	}
}

// priceMap puts the given fields of a price over the old ones.
func priceMap(old raw, p *config.Price) map[string]any {
	out := map[string]any{}
	maps.Copy(out, old)
	put := func(key string, v *float64) {
		if v != nil {
			out[key] = *v
		}
	}
	put("input", p.Input)
	put("output", p.Output)
	put("cached", p.Cached)
	put("cache_creation", p.CacheWrite)
	put("reasoning", p.Reasoning)
	put("request", p.Request)
	put("image", p.Image)
	if p.Input != nil || p.Output != nil {
		// Rates that follow from the others must not survive them.
		for key, v := range map[string]*float64{"cached": p.Cached, "cache_creation": p.CacheWrite, "reasoning": p.Reasoning} {
			if v == nil {
				delete(out, key)
			}
		}
	}
	if l := p.Long; l != nil {
		long := map[string]any{"above": l.Above}
		for key, v := range map[string]*float64{"input": l.Input, "output": l.Output, "cached": l.Cached} {
			if v != nil {
				long[key] = *v
			}
		}
		out["long_context"] = long
	}
	return out
}
