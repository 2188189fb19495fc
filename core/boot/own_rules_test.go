package boot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/policy"
)

// A mistake in the rules of a combo, a provider or an account is shown where it stands.
func TestOwnRulesReportTheirPlace(t *testing.T) {
	s := newSite(t, `providers:
  lab:
    dialect: openai
    base_urls: [http://127.0.0.1:1/v1]
    on_error:
      - {id: p, when: err.statsu == 500, do: stop("x")}
    accounts:
      - {name: a, api_key: sk-hidden-0000000, limits: [{id: l, scope: x, rpm: '"many"'}]}
combos:
  daily:
    models: [lab/x]
    order: [{id: o, by: [target.nothing]}]
`)
	opt := s.options()
	opt.Core = nil
	problems, _, err := boot.Check(t.Context(), opt)
	require.NoError(t, err)
	require.Len(t, problems, 3)
	for i, want := range []struct{ line, column int }{{8, 27}, {10, 80}, {14, 33}} {
		p := problems[i]
		require.Equal(t, s.path(), p.File)
		require.Equal(t, want.line, p.Line, p.Message)
		require.Equal(t, want.column, p.Column, p.Message)
		require.NotContains(t, p.Text(), "sk-hidden")
	}
}

// What the configuration takes as rules of an entity is what the policies can compile for it. A provider's accounts
// and timeouts are settings with those names.
func TestOwnHooksAgree(t *testing.T) {
	for entity, without := range map[string][]string{"account": nil, "combo": nil, "provider": {"accounts", "timeouts"}} {
		var want []string
		hooks, err := policy.EnvDoc()
		require.NoError(t, err)
		for _, h := range hooks {
			for _, home := range h.OwnBlocks {
				if home == entity {
					want = append(want, h.Name)
				}
			}
		}
		require.ElementsMatch(t, want, append(config.OwnHooks(entity), without...), entity)
	}
}
