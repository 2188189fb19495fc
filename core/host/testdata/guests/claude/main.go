// Guest claude is a module with one dialect, to be chained with the dialects
// of another module.
package main

import (
	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/translator"
)

func main() { sdk.Serve(sdk.Bundle("test/claude", "1.0.0", translator.Of(claude.New()))) }
