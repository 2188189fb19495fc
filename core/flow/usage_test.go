package flow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// A client of any format is told an estimate where the provider tells no usage: the one
// of the request log, in the place of the format, in streams and in whole answers.
func TestClientsGetTheEstimate(t *testing.T) {
	w := newWorld(t, quick)
	silent := fake.Reply{Text: strings.Repeat("word ", 70), UsageStyle: fake.UsageNone}
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return silent })
	for _, c := range []struct {
		name, path, body string
		whole, streamed  [2][]string // where prompt and completion tokens stand
		marked           bool
	}{
		{"openai", "/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"user","content":"hello there"}],"stream_options":{"include_usage":true}}`,
			[2][]string{}, [2][]string{{"usage", "prompt_tokens"}, {"usage", "completion_tokens"}}, false},
		{"claude", "/v1/messages", `{"model":"oai/fake-model","max_tokens":99,"messages":[{"role":"user","content":"hello there"}]}`,
			[2][]string{{"usage", "input_tokens"}, {"usage", "output_tokens"}}, [2][]string{{"usage", "input_tokens"}, {"usage", "output_tokens"}}, true},
		{"openai-responses", "/v1/responses", `{"model":"oai/fake-model","input":"hello there"}`,
			[2][]string{{"usage", "input_tokens"}, {"usage", "output_tokens"}}, [2][]string{{"response", "usage", "input_tokens"}, {"response", "usage", "output_tokens"}}, true},
		{"gemini", "/v1beta/models/oai/fake-model", `{"contents":[{"role":"user","parts":[{"text":"hello there"}]}]}`,
			[2][]string{{"usageMetadata", "promptTokenCount"}, {"usageMetadata", "candidatesTokenCount"}},
			[2][]string{{"usageMetadata", "promptTokenCount"}, {"usageMetadata", "candidatesTokenCount"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, stream := c.path, c.path
			body := c.body
			if c.name == "gemini" {
				path, stream = path+":generateContent", path+":streamGenerateContent?alt=sse"
			} else {
				body = strings.TrimSuffix(body, "}") + `,"stream":true}`
			}
			got := w.post(stream, body)
			require.Equal(t, 200, got.status, got.body)
			row := w.row(got.header.Get("x-request-id"))
			require.True(t, row.Usage.Estimated)
			require.Equal(t, int64(100), row.Usage.Completion)
			var seen [2]int64
			for _, e := range events(got.body) {
				for k, place := range c.streamed {
					if n, ok := doc.Int([]byte(e.data), place...); ok && n > 0 {
						seen[k] = n
					}
				}
			}
			require.Equal(t, [2]int64{row.Usage.Prompt, row.Usage.Completion}, seen, got.body)
			if c.name == "openai" {
				require.True(t, strings.HasSuffix(got.body, "data: [DONE]\n\n"), got.body)
				require.Equal(t, 1, strings.Count(got.body, `"usage":{`), got.body)
			}

			got = w.post(path, c.body)
			require.Equal(t, 200, got.status, got.body)
			row = w.row(got.header.Get("x-request-id"))
			require.True(t, row.Usage.Estimated)
			if !c.marked { // passed on as it came
				require.Empty(t, got.header.Get("x-omniroute-estimated"))
				return
			}
			require.Equal(t, "usage", got.header.Get("x-omniroute-estimated"))
			for k, want := range []int64{row.Usage.Prompt, row.Usage.Completion} {
				n, _ := doc.Int([]byte(got.body), c.whole[k]...)
				require.Equal(t, want, n, got.body)
			}
		})
	}
	t.Run("nobody asked", func(t *testing.T) {
		got := w.post("/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"user","content":"hello there"}],"stream":true}`)
		require.NotContains(t, got.body, `"usage":{`)
	})
}
