package hub_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Everything but what has to go stays as it is, to the byte (P-1, P-3).
func TestAppendPatched(t *testing.T) {
	for _, c := range []struct{ in, model, want string }{
		{`{"model":"a", "x":1.0e2}`, "b", `{"model":"b", "x":1.0e2}`},
		{` { "x" : 1 } `, "b", ` { "x" : 1 } `},
		{`{"x_omni":{"a":[1]} , "x":1}`, "", `{"x":1}`},
		{`{"x":1 , "x_omni":{}}`, "", `{"x":1}`},
		{`{"x":1, "x_omni":{}, "y": 2}`, "", `{"x":1, "y": 2}`},
		{`{ "x_omni":1, "x\u005fomni":2 ,"model":"a" }`, "b", `{ "model":"b" }`},
		{`{ "x_omni":1 }`, "b", `{  }`},
		{`{"x":{"x_omni":1},"model":"a"}`, "b", `{"x":{"x_omni":1},"model":"b"}`},
	} {
		require.Equal(t, c.want, string(hub.AppendPatched(nil, []byte(c.in), c.model)), c.in)
	}
}

// Cutting any set of entries leaves a valid container with the others.
func TestWalkCuts(t *testing.T) {
	body := []byte(`[ 0 , 1,2 ,3 ]`)
	for mask := range 16 {
		var e hub.Edits
		w := e.Walk(0)
		i, want := 0, []byte{'['}
		for it := jsn.Array(body); it.Next(); i++ {
			w.Next(it.ValueOffset(), it.ValueOffset()+len(it.Value()))
			if mask>>i&1 == 1 {
				w.Cut()
				continue
			}
			w.Keep()
			want = append(jsn.Sep(want), it.Value()...)
		}
		w.End()
		got := e.Append(nil, body)
		require.NoError(t, jsn.Valid(got), "%s", got)
		require.Equal(t, string(append(want, ']')), string(jsn.AppendCompact(nil, got)))
	}
}
