package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const policiesDir = "../../policies"

// readLayer reads a rule file and, if there is one, the tests beside it.
func readLayers(t testing.TB, path string) []Layer {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	layers := []Layer{{File: filepath.Base(path), Data: data}}
	beside := strings.TrimSuffix(path, ".yaml") + "_test.yaml"
	if data, err := os.ReadFile(beside); err == nil {
		layers = append(layers, Layer{File: filepath.Base(beside), Data: data})
	}
	return layers
}

func mustLoad(t testing.TB, layers ...Layer) *Set {
	t.Helper()
	set, diags := Load(layers...)
	for _, d := range diags {
		t.Log(d.Text())
	}
	require.NotNil(t, set)
	return set
}

func TestShippedPolicies(t *testing.T) {
	files, err := filepath.Glob(policiesDir + "/book/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 60)
	files = append(files, policiesDir+"/classic.yaml", policiesDir+"/modern.yaml", "testdata/example.yaml")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, vmOnly := range []bool{false, true} {
				l := &loader{vmOnly: vmOnly}
				set, diags := l.load(readLayers(t, file))
				for _, d := range diags {
					t.Error(d.Text())
				}
				require.NotNil(t, set)
				tests := 0
				for _, d := range l.layers {
					tests += len(d.tests)
				}
				require.NotZero(t, tests, "every policy has tests")
			}
		})
	}
}

func reflectType[T any]() reflect.Type { return reflect.TypeFor[T]() }
