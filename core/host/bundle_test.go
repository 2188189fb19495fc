package host

import (
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/stretchr/testify/require"
)

func TestBundleServesDemo(t *testing.T) {
	g := serve(t, core(t), Options{})
	x, ok := g.Executor("demo")
	require.True(t, ok)
	d, err := doc.Elide([]byte(`{"model":"echo","messages":[{"role":"user","content":"hello there"}]}`), doc.Options{})
	require.NoError(t, err)
	out, err := x.Plan(t.Context(), PlanInput{Model: "echo", Endpoint: "chat", Body: d.Skeleton(), Blobs: d, Seed: 7})
	require.NoError(t, err)
	require.NotNil(t, out.Local)
	text, _ := doc.String(out.Local.Body, "choices", "0", "message", "content")
	require.Equal(t, "hello there", text)
}
