// Package parts lists the built-in plugins.
package parts

import (
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/plugins/provider/default"
	"github.com/omniroute/omniroute/plugins/provider/demo"
	"github.com/omniroute/omniroute/sdk"
)

// Version of the bundle.
const Version = "0.1.0"

// Module returns all built-in parts as one module.
func Module() *sdk.Module {
	return sdk.Bundle("omniroute/core", Version,
		sdk.Dialect(openai.New()),
		executor.New(),
		demo.New(),
	)
}
