package codex_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/codex"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/codex", "1.0.0", codex.New()), "testdata")
}
