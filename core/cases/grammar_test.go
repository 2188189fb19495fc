package cases

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stream reads the compact test notation: one event per line; a leading word
// before the JSON is the event name.
func stream(t *testing.T, text string) []Event {
	t.Helper()
	var out []Event
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		name, data := "", line
		if i := strings.IndexAny(line, "{"); i > 0 {
			name, data = strings.TrimSpace(line[:i]), line[i:]
		}
		out = append(out, Event{Name: name, Data: []byte(data)})
	}
	return out
}

// edit is one damage done to a good stream and the complaint it must cause.
type edit struct{ from, to, want string }

func checkGrammar(t *testing.T, format, good, request string, edits []edit) {
	t.Helper()
	require.Empty(t, CheckGrammar(format, stream(t, good), []byte(request)))
	for _, e := range edits {
		require.Contains(t, good, e.from)
		damaged := strings.Replace(good, e.from, e.to, 1)
		problems := CheckGrammar(format, stream(t, damaged), []byte(request))
		require.Contains(t, strings.Join(problems, "\n"), e.want, "%s -> %s", e.from, e.to)
	}
}

const goodClaude = `
message_start {"type":"message_start","message":{"content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":0}}}
ping {"type":"ping"}
content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}
content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}
content_block_stop {"type":"content_block_stop","index":0}
content_block_start {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}
content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}
content_block_delta {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}
content_block_stop {"type":"content_block_stop","index":1}
message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}
message_stop {"type":"message_stop"}`

func TestGrammarClaude(t *testing.T) {
	checkGrammar(t, "claude", goodClaude, "", []edit{
		{`{"type":"ping"}`, `{"type":"pong"}`, `event name "ping" but type "pong"`},
		{`"content":[]`, `"content":[1]`, "empty content"},
		{`"stop_reason":null`, `"stop_reason":"x"`, "stop_reason null"},
		{`"input_tokens":1`, `"input_tokens":null`, "no number"},
		{`"index":1,"content_block"`, `"index":2,"content_block"`, "block index 2, want 1"},
		{`content_block_stop {"type":"content_block_stop","index":0}`, `ping {"type":"ping"}`, "a block starts while block 0 is open"},
		{`"type":"signature_delta"`, `"type":"text_delta"`, "text_delta in a thinking block"},
		{`"input":{}`, `"input":{"a":1}`, "must start with input {}"},
		{`":1}"`, `":1"`, "no JSON object"},
		{`{"stop_reason":"tool_use"}`, `{"stop_reason":null}`, "without stop_reason"},
		{`"usage":{"output_tokens":3}`, `"usage":{}`, "without usage.output_tokens"},
		{`message_stop {"type":"message_stop"}`, `ping {"type":"ping"}`, "the stream ends with ping"},
		{`message_stop {"type":"message_stop"}`, "message_stop {\"type\":\"message_stop\"}\nping {\"type\":\"ping\"}", "after the end"},
		{`ping {"type":"ping"}`, `message_start {"type":"message_start","message":{}}`, "first and only once"},
		{`message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}`, `ping {"type":"ping"}`, "message_stop without message_delta"},
	})
	cut := strings.Replace(strings.Replace(goodClaude, `":1}"`, `":1"`, 1), `"tool_use"},"usage"`, `"max_tokens"},"usage"`, 1)
	require.Empty(t, CheckGrammar("claude", stream(t, cut), nil))
	failed := goodClaude[:strings.Index(goodClaude, "content_block_stop")] + `error {"type":"error","error":{"type":"api_error","message":"m"}}`
	require.Empty(t, CheckGrammar("claude", stream(t, failed), nil))
}

const goodOpenAI = `
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}]}
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":1}}
"[DONE]"`

func TestGrammarOpenAI(t *testing.T) {
	const asked = `{"stream_options":{"include_usage":true}}`
	checkGrammar(t, "openai", goodOpenAI, asked, []edit{
		{`{"id":"c"`, `chunk {"id":"c"`, "has an event name"},
		{`{"content":"hi"}`, `{"role":"assistant","content":"hi"}`, "role again"},
		{`{"role":"assistant","content":""}`, `{"content":""}`, "the first chunk has no role"},
		{`"delta":{"content":"hi"},"finish_reason":null}]}`, `"delta":{"content":"hi"},"finish_reason":null}],"usage":{"total_tokens":1}}`, "usage before the finish chunk"},
		{`{"index":0,"id":"a"`, `{"index":1,"id":"a"`, "tool index 1"},
		{`"id":"a","type":"function",`, `"id":"a",`, "needs id, type and name"},
		{`{"index":0,"function":{"arguments"`, `{"index":0,"id":"a","function":{"arguments"`, "repeats id or name"},
		{`"arguments":"{}"`, `"arguments":"{"`, "no JSON object"},
		{`"object":"chat.completion.chunk","choices":[]`, `"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}]`, "content after finish_reason"},
		{"\n\"[DONE]\"", ``, "does not end with [DONE]"},
		{`"finish_reason":"tool_calls"`, `"finish_reason":null`, "empty choices before finish_reason"},
	})
	require.Contains(t, strings.Join(CheckGrammar("openai", stream(t, goodOpenAI), nil), ""), "did not ask for")
	changed := strings.Replace(goodOpenAI, `{"id":"c","created":1,"model":"m","object":"chat.completion.chunk","choices":[]`, `{"id":"d","created":1,"model":"m","object":"chat.completion.chunk","choices":[]`, 1)
	require.Contains(t, strings.Join(CheckGrammar("openai", stream(t, changed), []byte(asked)), ""), `id changed to "d"`)
	failed := strings.Join(strings.Split(strings.TrimSpace(goodOpenAI), "\n")[:2], "\n") + "\n" + `{"error":{"message":"m"}}` + "\n\"[DONE]\""
	require.Empty(t, CheckGrammar("openai", stream(t, failed), nil))
	require.Contains(t, strings.Join(CheckGrammar("openai", stream(t, failed+"\n\"[DONE]\""), nil), ""), "after [DONE]")
}

const goodResponses = `
response.created {"type":"response.created","sequence_number":0,"response":{}}
response.in_progress {"type":"response.in_progress","sequence_number":1,"response":{}}
response.output_item.added {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"m","type":"message"}}
response.content_part.added {"type":"response.content_part.added","sequence_number":3,"output_index":0,"item_id":"m","part":{"type":"output_text","text":""}}
response.output_text.delta {"type":"response.output_text.delta","sequence_number":4,"output_index":0,"item_id":"m","delta":"he"}
response.output_text.delta {"type":"response.output_text.delta","sequence_number":5,"output_index":0,"item_id":"m","delta":"y"}
response.output_text.done {"type":"response.output_text.done","sequence_number":6,"output_index":0,"item_id":"m","text":"hey"}
response.content_part.done {"type":"response.content_part.done","sequence_number":7,"output_index":0,"item_id":"m","part":{"type":"output_text","text":"hey"}}
response.output_item.done {"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"m","type":"message","content":[{"type":"output_text","text":"hey"}]}}
response.output_item.added {"type":"response.output_item.added","sequence_number":9,"output_index":1,"item":{"id":"f","type":"function_call"}}
response.function_call_arguments.delta {"type":"response.function_call_arguments.delta","sequence_number":10,"output_index":1,"item_id":"f","delta":"{}"}
response.function_call_arguments.done {"type":"response.function_call_arguments.done","sequence_number":11,"output_index":1,"item_id":"f","arguments":"{}"}
response.output_item.done {"type":"response.output_item.done","sequence_number":12,"output_index":1,"item":{"id":"f","type":"function_call","arguments":"{}"}}
response.completed {"type":"response.completed","sequence_number":13,"response":{"status":"completed","output":[{"id":"m","type":"message","content":[{"type":"output_text","text":"hey"}]},{"id":"f","type":"function_call","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}}}`

func TestGrammarResponses(t *testing.T) {
	checkGrammar(t, "openai-responses", goodResponses, "", []edit{
		{`"sequence_number":5`, `"sequence_number":6`, "sequence_number 6, want 5"},
		{`response.in_progress {"type":"response.in_progress"`, `response.queued {"type":"response.queued"`, "response.in_progress must stand"},
		{`response.created {`, `created {`, "event name"},
		{`"delta":"y"`, `"delta":"z"`, "the deltas join to"},
		{`"output_index":1,"item":{"id":"f","type":"function_call"}`, `"output_index":2,"item":{"id":"f","type":"function_call"}`, "output_index 2, want 1"},
		{`"item_id":"m","delta":"y"`, `"item_id":"x","delta":"y"`, `names item "x"`},
		{`"sequence_number":8,"output_index":0,"item":{"id":"m"`, `"sequence_number":8,"output_index":0,"item":{"id":"n"`, "output_item.done has id"},
		{`"status":"completed"`, `"status":"incomplete"`, `status is "incomplete" in completed`},
		{`"status":"completed","output":[{"id":"m"`, `"status":"completed","output":[{"id":"q"`, "final output differs"},
		{`"total_tokens":2,`, ``, "usage.total_tokens"},
		{`"cached_tokens":0`, `"cached":0`, "usage.input_tokens_details.cached_tokens"},
		{`response.completed {"type":"response.completed"`, `response.what {"type":"response.what"`, "no terminal event"},
	})
	after := goodResponses + "\n" + `response.in_progress {"type":"response.in_progress","sequence_number":14}`
	require.Contains(t, strings.Join(CheckGrammar("openai-responses", stream(t, after), nil), ""), "after the terminal event")
	failed := goodResponses[:strings.Index(goodResponses, "response.output_text.done")] + `error {"type":"error","sequence_number":6,"code":"x","message":"m"}
response.failed {"type":"response.failed","sequence_number":7,"response":{"status":"failed","error":{"code":"x","message":"m"}}}`
	require.Empty(t, CheckGrammar("openai-responses", stream(t, failed), nil))
}

const goodGemini = `
{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]}}]}
{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]}}]}
{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":{"totalTokenCount":1}}`

func TestGrammarGemini(t *testing.T) {
	checkGrammar(t, "gemini", goodGemini, "", []edit{
		{`{"candidates"`, `x {"candidates"`, "event name"},
		{`"role":"model",`, ``, "no role model"},
		{`"parts":[{"text":"a"}]`, `"p":1`, "no parts"},
		{`"args":{}`, `"args":"{}"`, "args is no object"},
		{`[{"text":"a"}]}}`, `[{"text":"a"}]},"finishReason":"STOP"}`, "before the last chunk"},
		{`,"finishReason":"STOP"`, ``, "has no finishReason"},
		{`"usageMetadata"`, `"usage"`, "no usageMetadata"},
	})
	require.NotEmpty(t, CheckGrammar("gemini", stream(t, goodGemini+"\n\"[DONE]\""), nil))
	failed := strings.Join(strings.Split(strings.TrimSpace(goodGemini), "\n")[:1], "") + "\n" + `{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}`
	require.Empty(t, CheckGrammar("gemini", stream(t, failed), nil))
	require.NotEmpty(t, CheckGrammar("gemini", nil, nil))
}
