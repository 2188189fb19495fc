package execute

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/state"
)

// What an account's data says is there for the executor that plans a request.
func TestAttributesReachExecutors(t *testing.T) {
	pool, err := account.OpenPool(t.Context(), state.NewMemory(nil), account.PoolOptions{})
	require.NoError(t, err)
	data := map[string]string{"project": "p-1"}
	require.Empty(t, pool.Configure(nil, map[string]config.Provider{
		"lab": {Accounts: []config.Account{{Name: "a", APIKey: "k", Enabled: true, Data: data}}},
	}))
	lease, err := pool.Reserve(account.Query{Provider: "lab"}, nil)
	require.NoError(t, err)
	defer lease.Release()
	target := &call.Target{}
	target.Provider = &catalog.Provider{ID: "lab"}
	c := &call.Call{Snapshot: &call.Snapshot{}}
	a := &attempt{l: &loop{c: c}, c: c, t: target, lease: lease, request: &request{}}
	require.Equal(t, data, a.planInput(0).Attributes)
}
