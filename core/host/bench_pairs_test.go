package host

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// The formats on the two sides of the gateway, with a model of each provider's.
var (
	benchClients   = []string{"openai", "openai-responses", "claude", "gemini"}
	benchProviders = []struct{ format, model string }{
		{"openai", "gpt-4o"}, {"openai-responses", "gpt-5"}, {"claude", "claude-sonnet-4-5"}, {"gemini", "gemini-3-pro"},
		{"gemini-cli", "gemini-3-pro"}, {"antigravity", "gemini-3-pro"}, {"kiro", "claude-sonnet-4-5"}, {"cursor", "gpt-5"}, {"ollama", "llama3"},
	}
)

// benchProse is text of about n bytes, quoted.
func benchProse(seed, n int) string {
	words := strings.Fields("the quick brown fox reads file main.go and finds func handler that returns err when ctx is done so we change it")
	var b strings.Builder
	for k := 0; b.Len() < n; k++ {
		b.WriteString(words[(seed*7+k*3)%len(words)])
		b.WriteByte(" \n"[k%11/10])
	}
	return string(doc.Quote(nil, b.String()))
}

// benchTurns is an agent's conversation in a client's format: a system prompt, 18
// tools, and turns of a call and its result, which has size bytes.
func benchTurns(format string, turns, size int) []byte {
	var b bytes.Buffer
	list := func(n int, each string, args func(k int) []any) {
		for k := range n {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, each, args(k)...)
		}
	}
	const schema = `{"type":"object","properties":{"path":{"type":"string","description":"absolute path of the file"},"offset":{"type":"integer"},"limit":{"type":"integer","minimum":1}},"required":["path"]}`
	tool := func(k int) []any { return []any{k, benchProse(k, 1800), schema} }
	turn := func(k int) []any { return []any{k, k, k, k, benchProse(k, size)} }
	system := benchProse(1, 14000)
	switch format {
	case "claude":
		b.WriteString(`{"model":"m","max_tokens":32000,"system":[{"type":"text","text":` + system + `}],"tools":[`)
		list(18, `{"name":"tool_%d","description":%s,"input_schema":%s}`, tool)
		b.WriteString(`],"messages":[{"role":"user","content":"go"},`)
		list(turns, `{"role":"assistant","content":[{"type":"text","text":"Let me look at file %d."},{"type":"tool_use","id":"toolu_%d","name":"tool_1","input":{"path":"/src/pkg%d/main.go"}}]},`+
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":%s}]}`, turn)
	case "gemini":
		b.WriteString(`{"systemInstruction":{"parts":[{"text":` + system + `}]},"tools":[{"functionDeclarations":[`)
		list(18, `{"name":"tool_%d","description":%s,"parameters":%s}`, tool)
		b.WriteString(`]}],"contents":[{"role":"user","parts":[{"text":"go"}]},`)
		list(turns, `{"role":"model","parts":[{"text":"Let me look at file %d."},{"functionCall":{"id":"toolu_%d","name":"tool_1","args":{"path":"/src/pkg%d/main.go"}}}]},`+
			`{"role":"user","parts":[{"functionResponse":{"id":"toolu_%d","name":"tool_1","response":{"output":%s}}}]}`, turn)
	case "openai-responses":
		b.WriteString(`{"model":"m","instructions":` + system + `,"tools":[`)
		list(18, `{"type":"function","name":"tool_%d","description":%s,"parameters":%s}`, tool)
		b.WriteString(`],"input":[{"role":"user","content":"go"},`)
		list(turns, `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Let me look at file %d."}]},`+
			`{"type":"function_call","call_id":"toolu_%d","name":"tool_1","arguments":"{\"path\":\"/src/pkg%d/main.go\"}"},`+
			`{"type":"function_call_output","call_id":"toolu_%d","output":%s}`, turn)
	default:
		b.WriteString(`{"model":"m","tools":[`)
		list(18, `{"type":"function","function":{"name":"tool_%d","description":%s,"parameters":%s}}`, tool)
		b.WriteString(`],"messages":[{"role":"system","content":` + system + `},{"role":"user","content":"go"},`)
		list(turns, `{"role":"assistant","content":"Let me look at file %d.","tool_calls":[{"id":"toolu_%d","type":"function","function":{"name":"tool_1","arguments":"{\"path\":\"/src/pkg%d/main.go\"}"}}]},`+
			`{"role":"tool","tool_call_id":"toolu_%d","content":%s}`, turn)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// BenchmarkPairRequest is what a translated request costs from the client's bytes to the
// provider's, long strings taken out and put back: a coding agent's of 220 KB, a long one
// of 1 MB, and one of 1 MB whose strings are all too short to be taken out.
func BenchmarkPairRequest(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	for _, kind := range []struct {
		name        string
		turns, size int
	}{{"220KB", 30, 5200}, {"1MB", 175, 5200}, {"1MB-short", 2100, 200}} {
		for _, from := range benchClients {
			body := benchTurns(from, kind.turns, kind.size)
			for _, to := range benchProviders {
				b.Run(kind.name+"/"+from+"-"+to.format, func(b *testing.B) {
					if from == to.format {
						b.Skip("the body is not translated")
					}
					b.ReportAllocs()
					b.SetBytes(int64(len(body)))
					var out []byte
					for b.Loop() {
						d, err := doc.Elide(body, doc.Options{})
						if err != nil {
							b.Fatal(err)
						}
						res, err := g.Request(context.Background(), Translation{From: from, To: to.format, Model: to.model, Body: d.Skeleton(), Blobs: d, Seed: 1})
						if err != nil {
							b.Fatal(err)
						}
						if out, err = d.Inflate(out[:0], res.Body, 0); err != nil {
							b.Fatal(err)
						}
						d.Release()
					}
				})
			}
		}
	}
}

// benchAnswer is an answer of about 6 KB with text, reasoning and a call, and a stream's
// beginning and its piece of text, by provider format.
func benchAnswer(format string) (body, first, event string) {
	text, thought := benchProse(2, 4000), benchProse(3, 1500)
	const args = `{"path":"/src/main.go","text":"some words"}`
	gemini := `{"candidates":[{"content":{"role":"model","parts":[{"text":` + thought + `,"thought":true},{"text":` + text + `},{"functionCall":{"name":"read","args":` + args + `}}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":9,"totalTokenCount":18},"modelVersion":"m","responseId":"r"}`
	chunk := `{"candidates":[{"content":{"role":"model","parts":[{"text":" some words of text"}]},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"m","responseId":"r"}`
	switch format {
	case "claude":
		return `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":` + thought + `,"signature":"c2ln"},{"type":"text","text":` + text + `},{"type":"tool_use","id":"toolu_1","name":"read","input":` + args + `}],"stop_reason":"tool_use","usage":{"input_tokens":9,"output_tokens":9}}`,
			`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" some words of text"}}`
	case "openai-responses":
		return `{"id":"resp_1","object":"response","status":"completed","model":"m","created_at":1,"output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":` + thought + `}]},{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":` + text + `,"annotations":[]}]},{"type":"function_call","id":"fc_1","call_id":"call_1","name":"read","arguments":` + string(doc.Quote(nil, args)) + `}],"usage":{"input_tokens":9,"output_tokens":9,"total_tokens":18}}`,
			`{"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","created_at":1,"output":[]},"sequence_number":0}`,
			`{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":" some words of text","sequence_number":9,"logprobs":[]}`
	case "gemini":
		return gemini, chunk, chunk
	case "gemini-cli", "antigravity":
		return `{"response":` + gemini + `}`, `{"response":` + chunk + `}`, `{"response":` + chunk + `}`
	case "ollama":
		return `{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":` + text + `,"thinking":` + thought + `,"tool_calls":[{"function":{"name":"read","arguments":` + args + `}}]},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":9}`,
			`{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"a"},"done":false}`,
			`{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":" some words of text"},"done":false}`
	case "kiro":
		return "", `{"assistantResponseEvent":{"content":"a"}}`, `{"content":" some words of text"}`
	}
	return `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":` + text + `,"reasoning_content":` + thought + `,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"read","arguments":` + string(doc.Quote(nil, args)) + `}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`,
		`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
		`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" some words of text"},"logprobs":null,"finish_reason":null}]}`
}

// BenchmarkPairResponse is one whole answer of about 6 KB in wasm.
func BenchmarkPairResponse(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	for _, from := range benchProviders {
		body, _, _ := benchAnswer(from.format)
		for _, to := range benchClients {
			b.Run(from.format+"-"+to, func(b *testing.B) {
				if from.format == to || body == "" {
					b.Skip("there is no such translation")
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					if _, err := g.Response(context.Background(), Translation{From: from.format, To: to, Body: []byte(body), Seed: 1}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPairEvent is one piece of text of a stream in wasm, decoded and encoded.
func BenchmarkPairEvent(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	for _, from := range benchProviders {
		_, first, event := benchAnswer(from.format)
		for _, to := range benchClients {
			b.Run(from.format+"-"+to, func(b *testing.B) {
				if from.format == to {
					b.Skip("the events are not translated")
				}
				ctx := context.Background()
				emit := func(abi.Frame) error { return nil }
				frames := func(payload string) []abi.Frame {
					name, _ := doc.String([]byte(payload), "type")
					if from.format == "kiro" {
						name = "assistantResponseEvent"
					}
					return []abi.Frame{{Name: name, Payload: []byte(payload)}}
				}
				start := func() *Stream {
					s, err := g.OpenStream(ctx, Translation{From: from.format, To: to, Stream: true, Seed: 1})
					require.NoError(b, err)
					require.NoError(b, s.Data(ctx, frames(first), emit))
					if from.format == "claude" {
						require.NoError(b, s.Data(ctx, frames(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`), emit))
					}
					return s
				}
				s, in := start(), frames(event)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if n%10000 == 9999 { // some formats keep the text of an item until its end
						_ = s.End(ctx, abi.EndClientGone, emit)
						s = start()
					}
					if err := s.Data(ctx, in, emit); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				_ = s.End(ctx, abi.EndClientGone, emit)
			})
		}
	}
}
