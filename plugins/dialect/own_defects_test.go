package dialect_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/native"
)

// A property that has the name of a schema keyword stays, and so do the arguments
// of calls that look like a schema.
func TestPropertiesNamedLikeKeywordsStay(t *testing.T) {
	tr := native.New(all()...)
	body := []byte(`{"model":"gemini-2.5-pro","tools":[{"type":"function","function":{"name":"find","parameters":{"type":"object","additionalProperties":false,
		"properties":{"format":{"type":"string","format":"made-up"},"pattern":{"type":"string","pattern":"^a"},"default":{"type":"object","properties":{"$ref":{"type":"string"}}}},
		"required":["format","pattern"]}}}],
		"messages":[{"role":"user","content":"go"},
		{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"find","arguments":"{\"format\":\"x\",\"additionalProperties\":false,\"$schema\":\"y\"}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"none"}]}`)
	for _, to := range []string{"gemini", "gemini-cli", "antigravity"} {
		out, err := tr.Request(context.Background(), cases.Job{From: "openai", To: to, Body: body})
		require.NoError(t, err)
		text := string(out)
		for _, name := range []string{`"format":{`, `"pattern":{`, `"default":{`, `"$ref":{`} {
			require.Contains(t, text, name, to)
		}
		require.Contains(t, text, `"required":["format","pattern"]`, to)
		require.Contains(t, text, `"format":"x","additionalProperties":false,"$schema":"y"`, to)
	}
}
