package antigravity_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/antigravity"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/antigravity", "1.0.0", antigravity.New()), "testdata")
}
