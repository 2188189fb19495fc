package github_test

import (
	"testing"

	"github.com/omniroute/omniroute/plugins/provider/github"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/github", "1.0.0", github.New()), "testdata")
}
