// Package geminicli translates the code assistant API that the Gemini CLI speaks: the
// Gemini format inside an envelope.
//
// It is a provider format only: no client speaks it.
package geminicli

import (
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/sdk/hub"
)

// New returns the dialect.
func New() hub.Dialect { return gemini.NewEnvelope("gemini-cli", gemini.Public, "") }
