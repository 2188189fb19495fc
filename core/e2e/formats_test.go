package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/stretchr/testify/require"
	"google.golang.org/genai"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

// The clients' own ways to count tokens, at providers that count and at those
// that do not.
func TestCountTokensOfEveryClient(t *testing.T) {
	t.Parallel()
	g := startMatrix(t)
	ctx := context.Background()
	const words = "count these words please, all of them, one after the other"
	tool := anthropic.MessageCountTokensToolUnionParam{OfTool: &anthropic.ToolParam{Name: "get_weather",
		InputSchema: anthropic.ToolInputSchemaParam{Properties: weather["properties"]}}}
	for target, model := range upstreamModels {
		name := "up-" + target + "/" + model
		t.Run(target, func(t *testing.T) {
			t.Run("claude", func(t *testing.T) {
				params := anthropic.MessageCountTokensParams{Model: name,
					Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(words))}}
				plain, err := newClaude(g, ask{}).(*claudeTalk).client.Messages.CountTokens(ctx, params)
				require.NoError(t, err)
				params.Tools = append(params.Tools, tool)
				withTool, err := newClaude(g, ask{}).(*claudeTalk).client.Messages.CountTokens(ctx, params)
				require.NoError(t, err)
				require.Greater(t, plain.InputTokens, int64(10))
				require.Greater(t, withTool.InputTokens, plain.InputTokens)
			})
			t.Run("openai-responses", func(t *testing.T) {
				client := newResponses(g, ask{}).(*responsesTalk).client
				n, err := client.Responses.InputTokens.Count(ctx, responses.InputTokenCountParams{
					Model: openai.String(name), Input: responses.InputTokenCountParamsInputUnion{OfString: openai.String(words)}})
				require.NoError(t, err)
				require.Greater(t, n.InputTokens, int64(10))
			})
			t.Run("gemini", func(t *testing.T) {
				n, err := newGemini(g, ask{}).(*geminiTalk).client.Models.CountTokens(ctx, name, genai.Text(words), nil)
				require.NoError(t, err)
				require.Greater(t, n.TotalTokens, int32(10))
			})
			a := g.post("/v1/messages/count_tokens", `{"model":"`+name+`","messages":[{"role":"user","content":"`+words+`"}]}`, "anthropic-version", "2023-06-01")
			require.Equal(t, http.StatusOK, a.Status, a.Body)
			estimated := a.Header.Get("x-omniroute-estimated") == "tokens"
			require.Equal(t, target != "claude" && target != "gemini", estimated)
		})
	}
}

// A provider whose answers are not quite chat completions: reasoning between
// tags, fields of its own.
func TestSanitizedAnswers(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if !r.Stream {
			return fake.Reply{Body: []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m","x_groq":{"id":"q"},"choices":[{"index":0,"message":{"role":"assistant","content":"<think>step one</think>\nThe answer","extra":1},"native_finish_reason":"STOP","finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9,"queue_time":0.1}}`)}
		}
		var events []cases.Event
		for _, delta := range []string{`"role":"assistant","content":""`, `"content":"<th"`, `"content":"ink>step"`, `"content":" one</th"`, `"content":"ink>\nThe"`, `"content":" answer <think>"`} {
			events = append(events, cases.Event{Data: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","x_groq":{"id":"q"},"choices":[{"index":0,"delta":{` + delta + `},"finish_reason":null}]}`)})
		}
		events = append(events,
			cases.Event{Data: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)},
			cases.Event{Data: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9}}`)},
			cases.Event{Data: []byte("[DONE]")})
		return fake.Reply{Events: events}
	})
	g := serve(t, providers(
		node{id: "clean", dialect: "openai", url: up.URL + "/clean/v1", models: []string{"m"}, extra: "    sanitize: true\n"},
		node{id: "plain", dialect: "openai", url: up.URL + "/plain/v1", models: []string{"m"}})+freely)

	say := func(model string, stream bool) reply {
		r, err := newOpenAI(g, ask{model: model, stream: stream}).say(context.Background(), "hi", nil)
		require.NoError(t, err)
		return r
	}
	whole, streamed := say("clean/m", false), say("clean/m", true)
	require.Equal(t, "step one", whole.Thinking)
	require.Equal(t, "The answer", whole.Text)
	require.Equal(t, "step one", streamed.Thinking)
	require.Equal(t, "The answer <think>", streamed.Text, "a tag behind the start is text")
	require.Equal(t, int64(5), whole.Prompt)
	require.Equal(t, int64(5), streamed.Prompt)

	body := `{"messages":[{"role":"user","content":"hi"}],"model":`
	clean := g.post("/v1/chat/completions", body+`"clean/m"}`)
	for _, own := range []string{"x_groq", "queue_time", "native_finish_reason", `"extra"`} {
		require.NotContains(t, clean.Body, own)
		require.Contains(t, g.post("/v1/chat/completions", body+`"plain/m"}`).Body, own, "by default answers keep every byte")
	}
	require.NotContains(t, g.post("/v1/chat/completions", body+`"clean/m","stream":true}`).Body, "x_groq")
	require.NotContains(t, g.post("/v1/chat/completions", body+`"clean/m","stream":true}`).Body, `"usage":{`, "nobody asked for it")
	require.Contains(t, say("plain/m", true).Text, "<think>step one</think>")
}
