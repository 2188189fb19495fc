package main

import (
	"testing"

	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestLender(t *testing.T) { plugintest.Run(t, lender, "../cases") }
