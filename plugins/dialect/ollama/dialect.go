package ollama

import "github.com/omniroute/omniroute/sdk/hub"

// Dialect is the Ollama wire format. Use [New].
type Dialect struct{ hub.ProviderOnly }

// New returns the dialect.
func New() hub.Dialect { return &Dialect{hub.ProviderOnly{Format: "ollama"}} }
