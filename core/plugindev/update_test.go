package plugindev_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/stretchr/testify/require"
)

// updateCases writes what the Go plugin does as the expectations of all new
// plugins (UPDATE_SCAFFOLDS=1).
func updateCases(t *testing.T, kind plugindev.Kind, lab *host.Lab, cases []fixture.Case) {
	t.Helper()
	for _, c := range cases {
		o, _, err := plugindev.Check(t.Context(), lab, &c)
		require.NoError(t, err)
		dir := filepath.Join("templates", "cases-"+string(kind), c.Name)
		for name, content := range map[string][]byte{"want.json": o.Record, "want.sse": o.Events} {
			if content != nil {
				text := strings.ReplaceAll(string(content), "zeta", "{{.ID}}")
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
		}
	}
}
