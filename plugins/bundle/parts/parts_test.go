package parts_test

import (
	"encoding/json"
	"testing"

	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk/plugintest"
	"github.com/stretchr/testify/require"
)

func TestCases(t *testing.T) { plugintest.Run(t, parts.Module(), "../testdata") }

func TestManifest(t *testing.T) {
	var m struct {
		Name     string
		ABI      string `json:"abi"`
		Provides []struct{ Kind, ID string }
		Limits   struct{ Handles int }
	}
	require.NoError(t, json.Unmarshal(parts.Module().Manifest(), &m))
	require.Equal(t, "omniroute/core", m.Name)
	require.Equal(t, "1.0", m.ABI)
	require.Equal(t, 2048, m.Limits.Handles)
	seen := map[string]bool{}
	for _, p := range m.Provides {
		require.False(t, seen[p.Kind+p.ID], "%s twice", p.ID)
		seen[p.Kind+p.ID] = true
	}
	require.True(t, seen["executordemo"] && seen["executordefault"] && seen["translatorclaude"])
}
