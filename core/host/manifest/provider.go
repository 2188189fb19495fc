package manifest

import (
	_ "embed" // the schema
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-json"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// PackSuffix marks a provider without code: data for an executor.
const PackSuffix = ".provider.yaml"

// Schema is the JSON Schema of provider packs, for editors.
//
//go:embed provider.schema.json
var Schema []byte

// Pack is a provider pack: what a *.provider.yaml says.
type Pack struct {
	ID        string
	Plugin    string // owner/name under which it is signed and shared; "" = local/<id>
	Name      string
	Version   string // "" = 0.0.0
	Alias     []string
	Format    string // what the upstream speaks
	Executor  string // "default" unless it says otherwise
	BaseURLs  []string
	Endpoints []string
	Models    json.RawMessage // the models array
	Profile   json.RawMessage // all of it, in the field names of provider data
	File      string
	Summary   string
	License   string
	Source    string

	secrets []string
}

type packYAML struct {
	ID        string   `yaml:"id"`
	Plugin    string   `yaml:"plugin"`
	Name      string   `yaml:"name"`
	Version   string   `yaml:"version"`
	Summary   string   `yaml:"summary"`
	License   string   `yaml:"license"`
	Source    string   `yaml:"source"`
	Alias     aliases  `yaml:"alias"`
	Format    string   `yaml:"format"`
	Dialect   string   `yaml:"dialect"` // the manifest's word for format
	Executor  string   `yaml:"executor"`
	BaseURL   string   `yaml:"base_url"`
	BaseURLs  []string `yaml:"base_urls"`
	Endpoints []string `yaml:"endpoints"`
}

// aliases accepts one name or a list.
type aliases []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *aliases) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*a = aliases{n.Value}
		return nil
	}
	var list []string
	if err := n.Decode(&list); err != nil {
		return err
	}
	*a = list
	return nil
}

// ParsePack reads a provider pack and holds it to [Schema]. The whole document
// becomes the provider's profile. Errors name line and member.
func ParsePack(file string, data []byte) (*Pack, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("it is not valid YAML: %w", err)
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is not a mapping")
	}
	var all map[string]any
	if err := root.Decode(&all); err != nil {
		return nil, fmt.Errorf("it has a value that JSON does not: %w", err)
	}
	if err := holdToSchema(root.Content[0]); err != nil {
		return nil, err
	}
	var y packYAML
	if err := root.Decode(&y); err != nil {
		return nil, fmt.Errorf("it has a field of the wrong type: %w", err)
	}
	p, err := y.pack(file)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"base_url", "dialect", "schema", "plugin"} {
		delete(all, key)
	}
	all["id"], all["format"], all["executor"], all["base_urls"] = p.ID, p.Format, p.Executor, p.BaseURLs
	if p.Profile, err = json.Marshal(all); err != nil {
		return nil, fmt.Errorf("it has a value that JSON does not: %w", err)
	}
	if models, ok := all["models"]; ok {
		if p.Models, err = json.Marshal(models); err != nil {
			return nil, fmt.Errorf("its models: %w", err)
		}
	}
	p.secrets = packSecrets(all["auth"])
	return p, nil
}

func (y *packYAML) pack(file string) (*Pack, error) {
	p := &Pack{
		ID: y.ID, Plugin: y.Plugin, Name: y.Name, Version: y.Version, Alias: y.Alias, Executor: y.Executor,
		Endpoints: y.Endpoints, File: file, Summary: y.Summary, License: y.License, Source: y.Source,
	}
	if p.Format = y.Format; p.Format == "" {
		p.Format = y.Dialect
	}
	if p.BaseURLs = y.BaseURLs; y.BaseURL != "" {
		p.BaseURLs = append([]string{y.BaseURL}, y.BaseURLs...)
	}
	if p.Executor == "" {
		p.Executor = "default"
	}
	if p.Plugin == "" {
		p.Plugin = "local/" + strings.TrimSuffix(filepath.Base(strings.ToLower(p.ID)), PackSuffix)
	}
	if len(p.Endpoints) == 0 {
		p.Endpoints = []string{"chat"}
	}
	switch {
	case p.Format == "":
		return nil, errors.New("it has no format")
	case len(p.BaseURLs) == 0:
		return nil, errors.New("it has no base_urls")
	}
	for _, base := range p.BaseURLs {
		if err := checkBase(base); err != nil {
			return nil, fmt.Errorf("its %w", err)
		}
	}
	return p, nil
}

// packSecrets are the secrets that a pack's auth puts into requests.
func packSecrets(auth any) []string {
	var out []string
	add := func(kind, value string) {
		name, named := strings.CutPrefix(value, "credential:")
		switch {
		case named:
		case kind == "oauth":
			name = "access_token"
		default:
			name = "api_key"
		}
		out = addOnce(out, name)
	}
	switch a := auth.(type) {
	case map[string]any:
		for kind, v := range a {
			m, _ := v.(map[string]any)
			value, _ := m["value"].(string)
			add(kind, value)
		}
	case []any:
		for _, v := range a {
			m, _ := v.(map[string]any)
			kind, _ := m["type"].(string)
			add(kind, "")
		}
	case nil:
		add("api_key", "")
	}
	slices.Sort(out)
	return out
}

// Manifest is the pack as a manifest: one part of kind provider.
func (p *Pack) Manifest() *Manifest {
	version := p.Version
	if version == "" {
		version = "0.0.0"
	}
	m := &Manifest{
		Schema: 1, Name: p.Plugin, Version: version, Summary: p.Summary, License: p.License, Source: p.Source, ABI: "-",
		Isolation: IsolationShared,
		Provides: []Part{{
			Kind: KindProvider, ID: p.ID, Alias: p.Alias, Name: p.Name, Dialect: p.Format, Endpoints: p.Endpoints,
			BaseURLs: p.BaseURLs, Models: p.Models,
		}},
	}
	m.Capabilities.Secrets.Use = p.secrets
	return m
}

var packSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{}
	return s, json.Unmarshal(Schema, s)
})

// holdToSchema finds the innermost place where a document is not what the
// schema wants.
func holdToSchema(n *yaml.Node) error {
	s, err := packSchema()
	if err != nil {
		return err
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return err
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	whole := r.Validate(jsonValue(value))
	if whole == nil {
		return nil
	}
	if at := locate(n, s, ""); at != nil {
		return at
	}
	return fmt.Errorf("it %s", plainly(whole))
}

// locate descends along properties and items while a sub-schema refuses what is
// there.
func locate(n *yaml.Node, s *jsonschema.Schema, path string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.MappingNode && len(s.Properties) > 0:
		for k := 0; k+1 < len(n.Content); k += 2 {
			key, sub := n.Content[k], s.Properties[n.Content[k].Value]
			if sub == nil && s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
				return fmt.Errorf("line %d: there is no field %q%s", key.Line, key.Value, within(path))
			}
			if err := locateIn(n.Content[k+1], sub, strings.TrimPrefix(path+"."+key.Value, ".")); err != nil {
				return err
			}
		}
	case n.Kind == yaml.MappingNode && s.AdditionalProperties != nil:
		for k := 0; k+1 < len(n.Content); k += 2 {
			if err := locateIn(n.Content[k+1], s.AdditionalProperties, strings.TrimPrefix(path+"."+n.Content[k].Value, ".")); err != nil {
				return err
			}
		}
	case n.Kind == yaml.SequenceNode && s.Items != nil:
		for k, item := range n.Content {
			if err := locateIn(item, s.Items, path+"["+strconv.Itoa(k)+"]"); err != nil {
				return err
			}
		}
	}
	return nil
}

func locateIn(n *yaml.Node, s *jsonschema.Schema, path string) error {
	if s == nil {
		return nil
	}
	r, err := s.CloneSchemas().Resolve(nil)
	if err != nil {
		return err
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return fmt.Errorf("line %d: %s: %w", n.Line, path, err)
	}
	refused := r.Validate(jsonValue(value))
	if refused == nil {
		return nil
	}
	if deeper := locate(n, s, path); deeper != nil {
		return deeper
	}
	return fmt.Errorf("line %d: %s: %s", n.Line, path, plainly(refused))
}

func within(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// jsonValue is a decoded YAML value as a JSON decoder would give it.
func jsonValue(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(raw, &out) != nil {
		return v
	}
	return out
}
