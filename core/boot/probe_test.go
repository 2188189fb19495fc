package boot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/fake"
)

// The connection test tells an accepted key from a refused one and from a provider that is not there.
func TestAccountsAreTested(t *testing.T) {
	needsPlugins(t)
	up := fake.Start(fake.Options{Keys: []string{"sk-good-000000000000"}, Models: []string{"m-1", "m-2"}})
	t.Cleanup(up.Close)
	s := newSite(t, `
providers:
  lab:
    dialect: openai
    base_urls: [`+up.OpenAIBase()+`]
    allow_private: true
    models: [{id: m-1}]
    accounts: [{name: good, api_key: sk-good-000000000000}, {name: bad, api_key: sk-bad-0000000000000}]
  gone:
    dialect: claude
    base_urls: [`+fake.RefusedURL()+`]
    allow_private: true
    models: [{id: c}]
    accounts: [{name: a, api_key: sk-good-000000000000}]
`)
	s.start()
	desk, release, err := boot.OpenDesk(t.Context(), s.options())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, release()) })

	for account, want := range map[string]control.Test{
		"lab/good": {Valid: true, Diagnosis: "ok", Status: 200},
		"lab/bad":  {Diagnosis: "upstream_auth_error", Status: 401},
		"gone/a":   {Diagnosis: "network_error"},
	} {
		got, err := desk.TestAccount(t.Context(), account)
		require.NoError(t, err)
		require.Equal(t, want.Valid, got.Valid, "%+v", got)
		require.Equal(t, want.Diagnosis, got.Diagnosis, "%+v", got)
		require.Equal(t, want.Status, got.Status, "%+v", got)
		require.NotContains(t, got.Message, "sk-good-000000000000")
	}

	models, err := desk.Models(t.Context(), "lab", true)
	require.NoError(t, err)
	require.Len(t, models, 2)
	require.Equal(t, "lab/m-2", models[1].ID)
}
