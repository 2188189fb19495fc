package main

import (
	"testing"

	"github.com/omniroute/omniroute/sdk/plugintest"
)

// The recorded cases that all four languages share, run natively.
func TestAcme(t *testing.T) { plugintest.Run(t, acme, "../testdata") }
