package admin_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/admin"
	"github.com/omniroute/omniroute/core/admin/api"
)

var update = flag.Bool("update", false, "write docs/openapi.yaml anew")

const document = "../../docs/openapi.yaml"

// The committed document is that of the routes: `go test ./core/admin -update` writes it anew.
func TestOpenAPIIsFresh(t *testing.T) {
	want, err := admin.New(admin.Deps{API: api.Config{Version: "0"}}).OpenAPI().YAML()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(document, want, 0o644))
	}
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "run: go test ./core/admin -run OpenAPI -update")
}

// No route is without a tier, and none but those listed here is open to everybody.
func TestEveryRouteHasATier(t *testing.T) {
	open := map[string]bool{
		"POST /api/setup": true, "POST /api/auth/login": true, "POST /api/auth/logout": true, "GET /api/auth/status": true,
		"GET /api/settings/require-login": true, "GET /api/monitoring/health": true,
		"GET /api/health": true, "GET /api/health/live": true, "GET /api/health/ready": true,
	}
	seen := map[string]bool{}
	for _, r := range admin.New(admin.Deps{}).Routes() {
		name := r.Method + " " + r.Path
		require.False(t, seen[name], "%s is registered twice", name)
		seen[name] = true
		require.NotEmpty(t, r.Tier, name)
		require.Equal(t, open[name], r.Tier == api.Public, name)
		require.NotEmpty(t, r.Tag, name)
	}
}
