// Command core is the module of the built-in plugins.
package main

import (
	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk"
)

func main() { sdk.Serve(parts.Module()) }
