package flow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// A rule sends the request over the hub; tool names that the target would
// refuse come back as the client knows them, in every dialect (N-3).
func TestToolNamesComeBackOverTheHub(t *testing.T) {
	w := newWorld(t, quick+"  system: [{id: brief, text: Be brief.}]\n")
	long := strings.Repeat("a_long_name.", 12)
	call := func(r *fake.Request) fake.Reply {
		name, ok := doc.String(r.Body, "tools", "0", "function", "name")
		if !ok {
			name, _ = doc.String(r.Body, "tools", "0", "name")
		}
		assert.NotEmpty(t, name)
		assert.NotEqual(t, long, name, "the target would refuse it")
		return fake.Reply{Calls: []fake.Call{{ID: "call_1", Name: name, Args: `{}`}}}
	}
	w.oai.Otherwise(call)
	w.ant.Otherwise(call)
	for _, c := range []struct{ name, path, body string }{
		{"openai", "/v1/chat/completions", `{"model":"MODEL","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"LONG","parameters":{"type":"object"}}}]}`},
		{"claude", "/v1/messages", `{"model":"MODEL","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"LONG","input_schema":{"type":"object"}}]}`},
		{"openai-responses", "/v1/responses", `{"model":"MODEL","input":"hi","tools":[{"type":"function","name":"LONG","parameters":{"type":"object"}}]}`},
		{"gemini", "/v1beta/models/MODEL:generateContent", `{"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"LONG"}]}]}`},
	} {
		for _, model := range []string{"oai/fake-model", "ant/fake-model"} {
			fill := strings.NewReplacer("MODEL", model, "LONG", long)
			t.Run(c.name+" to "+model, func(t *testing.T) {
				a := w.post(fill.Replace(c.path), fill.Replace(c.body))
				require.Equal(t, 200, a.status, a.body)
				require.Contains(t, a.body, `"`+long+`"`)
			})
			t.Run(c.name+" to "+model+", streamed", func(t *testing.T) {
				path, body := fill.Replace(c.path), strings.Replace(fill.Replace(c.body), "{", `{"stream":true,`, 1)
				if c.name == "gemini" {
					path, body = strings.Replace(path, ":generateContent", ":streamGenerateContent?alt=sse", 1), fill.Replace(c.body)
				}
				a := w.post(path, body)
				require.Equal(t, 200, a.status, a.body)
				require.Contains(t, a.body, `"`+long+`"`)
			})
		}
	}
}
