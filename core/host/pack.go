package host

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-json"
	"go.yaml.in/yaml/v3"
)

// packSuffix marks a provider without code: data for an executor.
const packSuffix = ".provider.yaml"

// pack is a parsed *.provider.yaml.
type pack struct {
	ID        string          `yaml:"id"`
	Name      string          `yaml:"name"`
	Version   string          `yaml:"version"`
	Alias     aliases         `yaml:"alias"`
	Format    string          `yaml:"format"`
	Dialect   string          `yaml:"dialect"` // the manifest's word for format
	Executor  string          `yaml:"executor"`
	BaseURL   string          `yaml:"base_url"`
	BaseURLs  []string        `yaml:"base_urls"`
	Endpoints []string        `yaml:"endpoints"`
	Models    json.RawMessage `yaml:"-"`

	file    string
	profile []byte
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

// packFormats are the formats the default executor plans for.
var packFormats = []string{"openai", "openai-responses", "claude", "gemini", "ollama"}

// parsePack reads a provider pack. The whole document becomes the provider's
// profile, so an executor sees fields this package does not know.
func parsePack(file string, data []byte) (*pack, error) {
	p := &pack{file: file}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("it is not valid YAML: %w", err)
	}
	var all map[string]any
	if err := root.Decode(&all); err != nil {
		return nil, fmt.Errorf("it is not a mapping: %w", err)
	}
	if err := root.Decode(p); err != nil {
		return nil, fmt.Errorf("it has a field of the wrong type: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	all["id"], all["format"], all["executor"], all["base_urls"] = p.ID, p.Format, p.executor(), p.BaseURLs
	delete(all, "base_url")
	delete(all, "dialect")
	var err error
	if p.profile, err = json.Marshal(all); err != nil {
		return nil, fmt.Errorf("it has a value that JSON does not: %w", err)
	}
	if models, ok := all["models"]; ok {
		if p.Models, err = json.Marshal(models); err != nil {
			return nil, fmt.Errorf("its models: %w", err)
		}
	}
	return p, nil
}

func (p *pack) check() error {
	if p.Format == "" {
		p.Format = p.Dialect
	}
	if p.BaseURL != "" {
		p.BaseURLs = append([]string{p.BaseURL}, p.BaseURLs...)
	}
	switch {
	case !partID.MatchString(p.ID):
		return fmt.Errorf("its id %q is not a valid provider id", p.ID)
	case !slices.Contains(packFormats, p.Format):
		return fmt.Errorf("its format %q is not one of %s", p.Format, strings.Join(packFormats, ", "))
	case len(p.BaseURLs) == 0:
		return errors.New("it has no base_urls")
	}
	for _, base := range p.BaseURLs {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("its base URL %q is not an http or https URL", base)
		}
	}
	return nil
}

func (p *pack) executor() string {
	if p.Executor == "" {
		return "default"
	}
	return p.Executor
}

func (p *pack) part() Part {
	endpoints := p.Endpoints
	if len(endpoints) == 0 {
		endpoints = []string{"chat"}
	}
	return Part{
		Kind: KindProvider, ID: p.ID, Plugin: strings.TrimSuffix(p.file, packSuffix), Version: p.Version, File: p.file,
		State: StateActive, Alias: p.Alias, Dialect: p.Format, Endpoints: endpoints, Models: p.Models, Profile: p.profile,
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// readLimited reads a file up to one byte more than the limit, which is enough
// to see that it is too large.
func readLimited(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)+1))
}
