package executor_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/default"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/default", "1.0.0", executor.New()), "testdata")
}
