package execute

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/hub"
)

// step is one event and what the watch knows after it.
type step struct {
	data    string
	content bool
	finish  string
}

func TestWatchFindsTheCommitPoint(t *testing.T) {
	for name, c := range map[string]struct {
		dialect string
		steps   []step
		usage   hub.Usage
	}{
		"openai": {"openai", []step{
			{`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`, false, ""},
			{`{"choices":[{"delta":{}}]}`, false, ""},
			{`{"choices":[{"delta":{"content":"Hi"}}],"usage":null}`, true, ""},
			{`{"choices":[{"delta":{},"finish_reason":"length"}]}`, true, "length"},
			{`{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}`, true, "length"},
			{`[DONE]`, true, "length"},
		}, hub.Usage{Prompt: 10, Completion: 2, CachedRead: 4, Total: 12, Known: true}},
		"openai tools": {"openai", []step{
			{`{"choices":[{"delta":{"tool_calls":[]}}]}`, false, ""},
			{`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}`, true, ""},
			{`{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":1}}}`, true, "tool_calls"},
		}, hub.Usage{Prompt: 3, Completion: 1, Total: 4, Known: true}},
		"claude": {"claude", []step{
			{`{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":20,"output_tokens":1}}}`, false, ""},
			{`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, false, ""},
			{`{"type":"ping"}`, false, ""},
			{`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`, true, ""},
			{`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}`, true, "tool_calls"},
			{`{"type":"message_stop"}`, true, "tool_calls"},
		}, hub.Usage{Prompt: 25, Completion: 7, CachedRead: 20, Total: 32, Known: true}},
		"claude thinking": {"claude", []step{
			{`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`, true, ""},
		}, hub.Usage{}},
		"responses": {"openai-responses", []step{
			{`{"type":"response.created","response":{"id":"resp_1"}}`, false, ""},
			{`{"type":"response.output_item.added","item":{"type":"message"}}`, false, ""},
			{`{"type":"response.output_text.delta","delta":"Hi"}`, true, ""},
			{`{"type":"response.completed","response":{"status":"completed","output":[{"type":"message"}],"usage":{"input_tokens":2,"output_tokens":1}}}`, true, "stop"},
		}, hub.Usage{Prompt: 2, Completion: 1, Total: 3, Known: true}},
		"ollama": {"ollama", []step{
			{`{"model":"m","message":{"role":"assistant","content":""},"done":false}`, false, ""},
			{`{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}`, true, ""},
			{`{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}`, true, ""},
			{`{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":6,"eval_count":2}`, true, "tool_calls"},
		}, hub.Usage{Prompt: 6, Completion: 2, Total: 8, Known: true}},
		"ollama, an older one": {"ollama", []step{
			{`{"message":{"role":"assistant","content":"Hi"},"done":false}`, true, ""},
			{`{"message":{"role":"assistant","content":""},"done":true}`, true, "stop"},
		}, hub.Usage{}},
		"gemini-cli": {"gemini-cli", []step{
			{`{"response":{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}}`, true, ""},
			{`{"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1}},"traceId":"t"}`, true, "stop"},
		}, hub.Usage{Prompt: 4, Completion: 1, Total: 5, Known: true}},
		"gemini": {"gemini", []step{
			{`{"candidates":[{"content":{"parts":[{"text":""}]}}]}`, false, ""},
			{`{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}`, true, ""},
			{`{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"thoughtsTokenCount":3,"totalTokenCount":9}}`, true, "stop"},
		}, hub.Usage{Prompt: 4, Completion: 5, Reasoning: 3, Total: 9, Known: true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(c.dialect)
			for _, s := range c.steps {
				w.event([]byte(s.data))
				require.Equal(t, s.content, w.content, s.data)
				require.Equal(t, s.finish, w.finish, s.data)
			}
			require.Nil(t, w.broken)
			require.Equal(t, c.usage, w.usage)
		})
	}
}

func TestWatchSeesErrorsWithinAnswers(t *testing.T) {
	for _, c := range []struct {
		dialect, data string
		status        int
	}{
		{"openai", `{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`, 429},
		{"openai", `{"error":{"message":"boom","code":503}}`, 503},
		{"openai", `{"error":"plain text"}`, 502},
		{"claude", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 503},
		{"openai-responses", `{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}`, 500},
		{"openai-responses", `{"type":"error","code":"rate_limit_exceeded","message":"x"}`, 429},
		{"gemini", `{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}`, 429},
	} {
		w := newWatch(c.dialect)
		w.event([]byte(c.data))
		require.NotNil(t, w.broken, c.data)
		require.Equal(t, c.status, w.broken.Status, c.data)
		require.False(t, w.content)
	}
}

func TestWatchOfWholeAnswers(t *testing.T) {
	w := newWatch("openai")
	w.body([]byte(`{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}`))
	require.False(t, w.content)
	require.Equal(t, "stop", w.finish, "an empty answer with a finish reason is valid")

	w = newWatch("openai")
	w.body([]byte(`{"choices":[]}`))
	require.False(t, w.content)
	require.Empty(t, w.finish)

	w = newWatch("claude")
	w.body([]byte(`{"type":"message","content":[{"type":"tool_use"}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}`))
	require.True(t, w.content)
	require.Equal(t, "tool_calls", w.finish)
	require.Equal(t, int64(3), w.usage.Total)
}

func FuzzWatch(f *testing.F) {
	f.Add(`{"choices":[{"delta":{"content":[]},"finish_reason":7}],"usage":[],"error":{}}`)
	f.Add(`{"type":"message_delta","delta":null,"usage":"x"}`)
	f.Fuzz(func(t *testing.T, data string) {
		for _, d := range []string{"openai", "claude", "openai-responses", "gemini", "ollama"} {
			w := newWatch(d)
			w.event([]byte(data))
			w.body([]byte(data))
		}
	})
}

func BenchmarkWatchChunk(b *testing.B) {
	for name, c := range map[string][2]string{
		"openai": {"openai", `{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}`},
		"claude": {"claude", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`},
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(c[1])
			w := newWatch(c[0])
			b.ReportAllocs()
			for b.Loop() {
				w.event(data)
			}
		})
	}
}
