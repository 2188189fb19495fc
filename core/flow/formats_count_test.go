package flow_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountIsTheProvidersOwn(t *testing.T) {
	w := newWorld(t, quick)
	for _, c := range []struct {
		name, path, body, member string
		want                     string // what the provider is asked
	}{
		{"claude", "/v1/messages/count_tokens", `{"model":"ant/fake-model","messages":[{"role":"user","content":"count  these"}],"future":1.10}`, "input_tokens",
			`{"model":"fake-model","messages":[{"role":"user","content":"count  these"}],"future":1.10}`},
		{"openai-responses", "/v1/responses/input_tokens", `{"model":"ant/fake-model","instructions":"short","max_output_tokens":9,"stream":false,"input":"count these"}`, "input_tokens",
			`{"model":"fake-model","system":[{"type":"text","text":"short"}],"messages":[{"role":"user","content":[{"type":"text","text":"count these"}]}]}`},
		{"gemini", "/v1beta/models/ant/fake-model:countTokens", `{"contents":[{"parts":[{"text":"count these"}]}]}`, "totalTokens",
			`{"model":"fake-model","messages":[{"role":"user","content":[{"type":"text","text":"count these"}]}]}`},
		{"gemini, request", "/v1beta/models/ant/fake-model:countTokens",
			`{"generateContentRequest":{"model":"models/ant/fake-model","contents":[{"parts":[{"text":"count these"}]}],"generationConfig":{"maxOutputTokens":5}}}`, "totalTokens",
			`{"model":"fake-model","messages":[{"role":"user","content":[{"type":"text","text":"count these"}]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(w.ant.Requests())
			a := w.post(c.path, c.body)
			require.Equal(t, 200, a.status, a.body)
			require.Empty(t, a.header.Get("x-omniroute-estimated"))
			require.Equal(t, "ant/fake-model", a.header.Get("x-omniroute-target"))
			asked := w.ant.Requests()[before:]
			require.Len(t, asked, 1)
			require.Equal(t, "/v1/messages/count_tokens", asked[0].Path)
			if c.name == "claude" {
				require.Equal(t, c.want, string(asked[0].Body))
			} else {
				require.JSONEq(t, c.want, string(asked[0].Body))
			}
			require.Equal(t, fmt.Sprint(len(asked[0].Body)/4), a.get(c.member))
			row := w.row(a.header.Get("x-request-id"))
			require.Zero(t, row.Usage.Prompt, "counting uses nothing")
			require.Zero(t, row.Cost)
			require.Len(t, row.Attempts, 1)
		})
	}
}

func TestCountIsEstimatedWhereTheProviderHasNone(t *testing.T) {
	w := newWorld(t, quick)
	a := w.post("/v1/messages/count_tokens", `{"model":"oai/fake-model","messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog."}]}`)
	require.Equal(t, 200, a.status, a.body)
	require.Equal(t, "tokens", a.header.Get("x-omniroute-estimated"))
	require.Equal(t, "17", a.get("input_tokens"), "10 of the text, 4 of the message, 3 of the answer")
	require.Empty(t, w.oai.Requests(), "nobody is asked for a completion")

	picture := w.post("/v1/responses/input_tokens", `{"model":"oai/fake-model","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}`)
	require.Equal(t, "1607", picture.get("input_tokens"), picture.body)

	// Thoughts, signatures and ids in the conversation do not count twice, or at all.
	plain := w.post("/v1/messages/count_tokens", `{"model":"oai/fake-model","messages":[{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"thinking","thinking":"The quick brown fox","signature":""},{"type":"text","text":"on"}]}]}`)
	signed := w.post("/v1/messages/count_tokens", `{"model":"oai/fake-model","messages":[{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"thinking","thinking":"The quick brown fox","signature":"EqQBCkYIBRgCKkBsaWduYXR1cmU="},{"type":"text","text":"on"}]}]}`)
	require.Equal(t, plain.body, signed.body)

	tools := w.post("/v1/messages/count_tokens", `{"model":"oai/fake-model","messages":[{"role":"user","content":"go"}],"tools":[{"name":"look","description":"looks","input_schema":{"type":"object","properties":{"at":{"type":"string"}}}}]}`)
	require.Regexp(t, `^{"input_tokens":[2-5]\d}$`, tools.body)
}

func TestCountIsEstimatedWhenTheProviderFails(t *testing.T) {
	w := newWorld(t, quick)
	w.ant.Close()
	a := w.post("/v1/messages/count_tokens", `{"model":"ant/fake-model","messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog."}]}`)
	require.Equal(t, 200, a.status, a.body)
	require.Equal(t, "tokens", a.header.Get("x-omniroute-estimated"))
	require.Equal(t, "17", a.get("input_tokens"))
	row := w.row(a.header.Get("x-request-id"))
	require.Equal(t, 200, row.Status)
	require.Len(t, row.Attempts, 1)
}
