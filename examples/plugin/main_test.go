package main

import (
	"testing"

	"github.com/omniroute/omniroute/sdk/plugintest"
)

// The recorded cases of testdata: what the gateway asks, what the plugin answers. No WebAssembly, no network.
func TestAcme(t *testing.T) { plugintest.Run(t, acme, "testdata") }
