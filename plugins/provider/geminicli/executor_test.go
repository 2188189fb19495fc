package geminicli_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/geminicli"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/geminicli", "1.0.0", geminicli.New()), "testdata")
}
