package demo_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/demo"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/demo", "1.0.0", demo.New()), "testdata")
}
