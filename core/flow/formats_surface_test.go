package flow_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
)

func TestLossesAreReportedEverywhere(t *testing.T) {
	w := newWorld(t, quick)
	a := w.post("/v1/chat/completions", `{"model":"ant/fake-model","seed":7,"messages":[{"role":"user","content":"hi"}]}`)
	require.Equal(t, 200, a.status, a.body)
	require.Equal(t, "seed", a.header.Get("x-omniroute-degraded"))
	id := a.header.Get("x-request-id")
	require.Equal(t, []string{"seed"}, w.row(id).Degraded)
	trace, err := w.ledger.Trace(context.Background(), id)
	require.NoError(t, err)
	lost, _ := doc.Get(trace, "degraded")
	require.JSONEq(t, `["seed"]`, string(lost))
}

func TestOneModelInTheClientsShape(t *testing.T) {
	w := newWorld(t, quick)
	require.Equal(t, "model", w.get("/v1/models/oai/fake-model").get("object"))
	require.Equal(t, "model", w.get("/v1/models/oai/fake-model", "anthropic-version", "2023-06-01").get("type"))
	require.Equal(t, "models/oai/fake-model", w.get("/v1beta/models/oai/fake-model").get("name"))
}
