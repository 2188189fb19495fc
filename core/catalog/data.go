package catalog

import (
	_ "embed"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed data/providers.yaml
var builtinYAML []byte

// builtin is the embedded data, read once: 2 ms nobody should pay per reload.
// Build copies what it changes.
var builtin = sync.OnceValues(func() (*dataset, error) {
	d := new(dataset)
	if err := yaml.Unmarshal(builtinYAML, d); err != nil {
		return nil, fmt.Errorf("catalog: embedded data: %w", err)
	}
	return d, nil
})

// dataset is the form of providers.yaml. Providers stay generic maps, because
// most of an entry is for its executor and passes through as its profile.
type dataset struct {
	ModelAliases map[string]map[string]string `yaml:"model_aliases"`
	Providers    []map[string]any             `yaml:"providers"`
	OAuth        []map[string]any             `yaml:"oauth"`
}

// Ids of the entries that compatible nodes are made from.
const (
	templateOpenAI = "openai-compatible-{type}-{nodeId}"
	templateClaude = "anthropic-compatible-{nodeId}"
	templateGemini = "gemini"
)
