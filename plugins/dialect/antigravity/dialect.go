// Package antigravity translates the code assistant API of Antigravity: the Gemini
// format inside an envelope, with schemas cleaned to the strict level (AG-1, AG-2).
//
// It is a provider format only: no client speaks it.
package antigravity

import (
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/sdk/hub"
)

// New returns the dialect.
func New() hub.Dialect { return gemini.NewEnvelope("antigravity", gemini.Strict, "agent") }
