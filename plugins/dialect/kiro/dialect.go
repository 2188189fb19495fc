package kiro

import "github.com/omniroute/omniroute/sdk/hub"

// Dialect is the Kiro wire format. Use [New].
type Dialect struct{ hub.ProviderOnly }

// New returns the dialect.
func New() hub.Dialect { return &Dialect{hub.ProviderOnly{Format: "kiro"}} }

// ParseResponse implements [hub.Dialect]. Kiro only streams; a whole body is an error.
func (*Dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	return nil, hub.ReadError(c.Status, body)
}
