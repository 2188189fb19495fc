package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBudgetsThatCannotBeChecked: such a budget lets a request pass and says so,
// or refuses it where budgets fail closed.
func TestBudgetsThatCannotBeChecked(t *testing.T) {
	const rule = "  budget: [{id: b, scope: global, limit: 'int(req.tags[9])', deny: true}]\n"
	w := newWorld(t, quick+rule)
	w.answers()
	got := w.chat("oai/fake-model")
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "a budget could not be checked and was passed over", got.header.Get("x-omniroute-warning"))
	w.configure(quick+"  budget.fail: closed\n"+rule, "")
	got = w.chat("oai/fake-model")
	require.Equal(t, []any{500, "POLICY_001"}, []any{got.status, got.get("error", "omniroute_code")})
	require.Len(t, w.oai.Requests(), 1)
}
