package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// E-5: an upstream that refuses the signature of a thought gets the request once more
// without thoughts; a second refusal is the client's answer.
func TestRefusedSignaturesAreTakenOutOnce(t *testing.T) {
	const body = `{"model":"ant/fake-model","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"q"},
		{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c3RhbGU="},{"type":"text","text":"a"}]},{"role":"user","content":"and?"}]}`
	refused := fake.Reply{Status: 400, Error: "messages.1.content.0: Invalid `signature` in `thinking` block"}
	w := newWorld(t, quick)
	w.ant.Push(refused, fake.Reply{Text: "served"})
	got := w.post("/v1/messages", body)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, got.body, "served")
	require.Len(t, w.ant.Requests(), 2)
	require.Contains(t, string(w.ant.Requests()[0].Body), "c3RhbGU=")
	require.NotContains(t, string(w.ant.Requests()[1].Body), "c3RhbGU=")
	require.Contains(t, string(w.ant.Requests()[1].Body), `"text":"a"`)

	w.ant.Reset()
	w.ant.Push(refused, refused)
	got = w.post("/v1/messages", body)
	require.Equal(t, 400, got.status, got.body)
	require.Len(t, w.ant.Requests(), 2)
}
