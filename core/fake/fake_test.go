package fake

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/cases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is one dialect as a client sees it: path, a minimal body and headers.
type target struct {
	dialect, path, streamPath, body, streamBody string
	header                                      map[string]string
}

var targets = []target{
	{"openai", "/v1/chat/completions", "", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`, map[string]string{"Authorization": "Bearer k"}},
	{"openai-responses", "/v1/responses", "", `{"model":"o3","input":"hi","include":["reasoning.encrypted_content"]}`, `{"model":"o3","input":"hi","stream":true}`, map[string]string{"Authorization": "Bearer k"}},
	{"claude", "/v1/messages", "", `{"model":"m","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","stream":true,"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"hi"}]}`, map[string]string{"x-api-key": "k", "anthropic-version": "2023-06-01"}},
	{"gemini", "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse", `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`, `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`, map[string]string{"x-goog-api-key": "k"}},
	{"ollama", "/api/chat", "", `{"model":"m","stream":false,"think":true,"messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","think":true,"messages":[{"role":"user","content":"hi"}]}`, nil},
}

func (tg target) send(t *testing.T, s *Server, ctx context.Context, stream bool, body string) (*http.Response, error) {
	t.Helper()
	path := tg.path
	if stream && tg.streamPath != "" {
		path = tg.streamPath
	}
	if body == "" {
		if body = tg.body; stream {
			body = tg.streamBody
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range tg.header {
		req.Header.Set(k, v)
	}
	tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	return tr.RoundTrip(req)
}

func start(t *testing.T, opt Options) *Server {
	t.Helper()
	s := Start(opt)
	t.Cleanup(s.Close)
	return s
}

var full = Reply{
	Thinking: []Thought{{Text: "let me think"}}, Text: "I will look. äöü",
	Calls: []Call{{"call_a", "f", `{"city":"Oslo","n":12345678901234567890}`}, {"call_b", "g", ""}},
	Usage: Usage{Prompt: 100, Completion: 20, Cached: 40, Reasoning: 5},
}

func TestStreamsObeyTheirGrammar(t *testing.T) {
	s := start(t, Options{})
	for _, tg := range targets {
		for _, reply := range []Reply{full, {Text: "hello"}, {Text: "cut", Finish: "length"}, {Calls: full.Calls}} {
			s.Push(reply)
			resp, err := tg.send(t, s, context.Background(), true, "")
			require.NoError(t, err)
			wire, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, string(wire))
			events := cases.ParseWire(tg.dialect, wire)
			require.NotEmpty(t, events)
			if cases.HasGrammar(tg.dialect) {
				kept := events[:0]
				for _, e := range events {
					if e.Name != "ping" {
						kept = append(kept, e)
					}
				}
				require.Empty(t, cases.CheckGrammar(tg.dialect, kept, []byte(tg.streamBody)), "%s: %s", tg.dialect, wire)
			}
		}
	}
	require.Empty(t, s.Violations())
}

func TestPlainBodies(t *testing.T) {
	s := start(t, Options{})
	want := map[string]string{
		"openai":           `{"choices":[{"message":{"content":"I will look. äöü","reasoning_content":"let me think","tool_calls":[{"id":"call_a","function":{"arguments":{"$json":{"n":12345678901234567890}}}},{"function":{"arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":40}}}`,
		"openai-responses": `{"status":"completed","output":[{"type":"reasoning","encrypted_content":{"$prefix":"fakesign"}},{"type":"message"},{"type":"function_call","call_id":"call_a"},{"call_id":"call_b"}],"usage":{"total_tokens":120}}`,
		"claude":           `{"content":[{"type":"thinking","signature":{"$prefix":"fakesign"}},{"type":"text"},{"type":"tool_use","input":{"n":12345678901234567890}},{"type":"tool_use","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":60,"cache_read_input_tokens":40}}`,
		"gemini":           `{"candidates":[{"content":{"parts":[{"thought":true},{"text":"I will look. äöü"},{"functionCall":{"name":"f"},"thoughtSignature":{"$prefix":"fakesign"}},{"functionCall":{"args":{}}}]},"finishReason":"STOP"}],"usageMetadata":{"thoughtsTokenCount":5,"totalTokenCount":120}}`,
		"ollama":           `{"message":{"content":"I will look. äöü","thinking":"let me think","tool_calls":[{"function":{"arguments":{"city":"Oslo"}}},{}]},"done":true,"eval_count":20}`,
	}
	for _, tg := range targets {
		s.Push(full)
		resp, err := tg.send(t, s, context.Background(), false, "")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		p, err := cases.ParsePattern([]byte(want[tg.dialect]))
		require.NoError(t, err)
		v, err := cases.Parse(body)
		require.NoError(t, err, string(body))
		require.Nil(t, cases.Match(p, v, &cases.Captures{}), "%s: %s", tg.dialect, body)
	}
	require.Empty(t, s.Violations())
	require.Len(t, s.Requests(), len(targets))
}

func TestOpenAIHabits(t *testing.T) {
	s := start(t, Options{})
	tests := []struct {
		reply    Reply
		contains string
	}{
		{Reply{Text: "a", UsageStyle: UsageXGroq}, `"x_groq"`},
		{Reply{Text: "a", UsageStyle: UsageDeepSeek, Usage: Usage{Prompt: 9, Completion: 1, Cached: 4}}, `"prompt_cache_hit_tokens":4`},
		{Reply{Text: "a", UsageStyle: UsageEveryChunk}, `"usage"`},
		{Reply{Text: "a", UsageStyle: UsageInChoice}, `"usage"`},
		{Reply{Text: "a", Thinking: full.Thinking, ThinkStyle: ThinkReasoning}, `"reasoning":"let "`},
		{Reply{Text: "a", Thinking: full.Thinking, ThinkStyle: ThinkTags}, `ink\u003elet me`},
	}
	for _, tt := range tests {
		s.Push(tt.reply)
		resp, err := targets[0].send(t, s, context.Background(), true, "")
		require.NoError(t, err)
		wire, _ := io.ReadAll(resp.Body)
		require.Contains(t, string(wire), tt.contains)
	}
	s.Push(Reply{Text: "a", UsageStyle: UsageNone})
	resp, err := targets[0].send(t, s, context.Background(), true, "")
	require.NoError(t, err)
	wire, _ := io.ReadAll(resp.Body)
	require.NotContains(t, string(wire), "usage")
}

func TestRequestsAreChecked(t *testing.T) {
	tool := `{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}`
	call := `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	tests := []struct{ target, body, want string }{
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a"}],"top_k":1}`, "unknown parameter: 'top_k'"},
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a","cache_control":{}}]}`, "messages[0].cache_control"},
		{"openai", `{"model":"m","messages":[{"role":"tool","tool_call_id":"x","content":"a"}]}`, "must be a response to a preceding"},
		{"openai", `{"model":"m","messages":[` + call + `,{"role":"user","content":"b"}],"tools":[` + tool + `]}`, "must be followed by tool messages"},
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a"}],"tool_choice":"auto"}`, "only allowed when 'tools'"},
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a"}],"stream_options":{"include_usage":true}}`, "only allowed when 'stream'"},
		{"openai", `{"model":"gpt-5","messages":[{"role":"user","content":"a"}],"max_tokens":5}`, "use 'max_completion_tokens'"},
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a"}],"x_omni":{}}`, "left the house"},
		{"openai", `{"model":"m","messages":[{"role":"user","content":"a"}`, "invalid JSON"},
		{"openai-responses", `{"model":"m","input":[{"type":"function_call_output","call_id":"x","output":"1"}]}`, "no tool call found"},
		{"openai-responses", `{"model":"m","input":[{"type":"function_call","id":"bad","call_id":"x","name":"f","arguments":"{}"}]}`, "begins with 'fc'"},
		{"openai-responses", `{"model":"m","input":"a","messages":[]}`, "unknown parameter: 'messages'"},
		{"claude", `{"model":"m","messages":[{"role":"user","content":"a"}]}`, "max_tokens"},
		{"claude", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":" "}]}`, "non-empty"},
		{"claude", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`, "must alternate"},
		{"claude", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":"b"}]}`, "without `tool_result`"},
		{"claude", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}]}`, "unexpected `tool_use_id`"},
		{"claude", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"bad"}]},{"role":"user","content":"b"}]}`, "Invalid `signature`"},
		{"claude", `{"model":"m","max_tokens":1024,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"a"}]}`, "must be greater than"},
		{"claude", `{"model":"m","max_tokens":2000,"temperature":0.5,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"a"}]}`, "may only be set to 1"},
		{"claude", `{"model":"claude-sonnet-4-5","max_tokens":5,"temperature":0.5,"top_p":0.5,"messages":[{"role":"user","content":"a"}]}`, "cannot both be specified"},
		{"gemini", `{"contents":[{"role":"user","parts":[{"text":"a"}]}],"model":"m"}`, `Unknown name "model"`},
		{"gemini", `{"contents":[{"role":"user","parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string","const":"x"}}}}]}]}`, `Unknown name "const"`},
		{"gemini", `{"contents":[{"role":"user","parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"object","properties":{}}}]}]}`, "should be non-empty"},
		{"gemini", `{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`, "number of function response parts"},
		{"gemini", `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":"{}"}}]}]}`, "expected object"},
		{"ollama", `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}`, "expected object"},
	}
	s := start(t, Options{})
	byName := map[string]target{}
	for _, tg := range targets {
		byName[tg.dialect] = tg
	}
	for _, tt := range tests {
		s.Reset()
		resp, err := byName[tt.target].send(t, s, context.Background(), false, tt.body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, tt.body)
		require.Contains(t, strings.Join(s.Violations(), "\n"), tt.want, tt.body)
	}
}

func TestKeys(t *testing.T) {
	s := start(t, Options{Keys: []string{"good"}})
	for _, tg := range targets[:4] {
		resp, err := tg.send(t, s, context.Background(), false, "")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		tg.header = maps.Clone(tg.header)
		for _, name := range []string{"Authorization", "x-api-key", "x-goog-api-key"} {
			if v := tg.header[name]; v != "" {
				tg.header[name] = strings.TrimSuffix(v, "k") + "good"
			}
		}
		resp, err = tg.send(t, s, context.Background(), false, "")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, tg.dialect)
	}
}

func TestFaults(t *testing.T) {
	s := start(t, Options{})
	read := func(tg target, stream bool, reply Reply) (int, []byte, error) {
		s.Push(reply)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		resp, err := tg.send(t, s, ctx, stream, "")
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, body, err
	}
	for _, tg := range targets {
		reply := func(kind FaultKind, after int) Reply {
			return Reply{Text: "one two three", Fault: Fault{kind, after}, Error: "boom"}
		}
		_, _, err := read(tg, true, reply(FaultReset, 0))
		require.Error(t, err)
		status, body, err := read(tg, true, reply(FaultEmpty, 0))
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Empty(t, body)
		_, body, err = read(tg, true, reply(FaultCut, 2))
		require.Error(t, err, string(body))
		require.Len(t, cases.ParseWire(tg.dialect, body), 2)
		_, body, err = read(tg, true, reply(FaultEnd, 2))
		require.NoError(t, err)
		require.Len(t, cases.ParseWire(tg.dialect, body), 2)
		_, body, err = read(tg, true, reply(FaultHalfEvent, 1))
		require.Error(t, err)
		require.NotEmpty(t, body)
		_, body, err = read(tg, true, reply(FaultErrorEvent, 2))
		require.NoError(t, err)
		require.Contains(t, string(body), "boom")
		status, body, err = read(tg, false, reply(FaultError200, 0))
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Contains(t, string(body), "boom")
		_, _, err = read(tg, false, reply(FaultWrongLength, 0))
		require.Error(t, err)
		_, body, err = read(tg, false, reply(FaultGzip, 0))
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(body, []byte{0x1f, 0x8b}))
		_, whole, err := read(tg, true, reply(FaultNone, 0))
		require.NoError(t, err)
		_, drops, err := read(tg, true, reply(FaultByteChunks, 0))
		require.NoError(t, err)
		require.Equal(t, string(whole), string(drops))
		status, body, err = read(tg, false, Reply{Status: 529, Error: "busy", Header: http.Header{"X-Test": {"1"}}})
		require.NoError(t, err)
		require.Equal(t, 529, status)
		require.Contains(t, string(body), "busy")
	}
}

func TestStallEndsWithTheClient(t *testing.T) {
	s := start(t, Options{})
	for _, kind := range []FaultKind{FaultStallHeaders, FaultStallFirst, FaultStallMid} {
		s.Reset()
		s.Push(Reply{Text: "a b c", Fault: Fault{kind, 1}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := targets[0].send(t, s, ctx, true, ""); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
		r := s.Wait(0, 5*time.Second)
		require.NotNil(t, r)
		select {
		case <-r.Gone():
			t.Fatal("gone too early")
		default:
		}
		hangup := time.Now()
		cancel()
		select {
		case <-r.Gone():
			require.False(t, r.GoneAt().Before(hangup))
		case <-time.After(5 * time.Second):
			t.Fatal("the hang-up was not noticed")
		}
		<-done
	}
}

func TestToolLoop(t *testing.T) {
	s := start(t, Options{})
	s.Otherwise(ToolLoop(nil, full.Calls, func(results []string) string { return strings.Join(results, "+") }))
	follow := map[string]string{
		"openai":           `{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"y","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"x","content":"r1"},{"role":"tool","tool_call_id":"y","content":[{"type":"text","text":"r2"}]}]}`,
		"openai-responses": `{"model":"m","input":[{"role":"user","content":"a"},{"type":"function_call","call_id":"x","name":"f","arguments":"{}"},{"type":"function_call","call_id":"y","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"x","output":"r1"},{"type":"function_call_output","call_id":"y","output":"r2"}]}`,
		"claude":           `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"x","name":"f","input":{}},{"type":"tool_use","id":"y","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"r1"},{"type":"tool_result","tool_use_id":"y","content":[{"type":"text","text":"r2"}]}]}]}`,
		"gemini":           `{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}},{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"r1"}}},{"functionResponse":{"name":"f","response":{"result":"r2"}}}]}]}`,
		"ollama":           `{"model":"m","stream":false,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"r1"},{"role":"tool","content":"r2"}]}`,
	}
	for _, tg := range targets {
		for body, want := range map[string]string{"": "Oslo", follow[tg.dialect]: "r1+r2"} {
			resp, err := tg.send(t, s, context.Background(), false, body)
			require.NoError(t, err)
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			require.Contains(t, string(got), want, tg.dialect)
		}
	}
	require.Empty(t, s.Violations())
}

func TestRateLimitedStyles(t *testing.T) {
	seen := map[string]bool{}
	for _, style := range RetryStyles() {
		r := RateLimited(style, 7*time.Second)
		require.Equal(t, 429, r.Status)
		key := r.Error + string(r.Body)
		for name := range r.Header {
			key += name
		}
		key += strings.Join(r.Header.Values("Retry-After"), "") + strings.Join(r.Header.Values("X-Ratelimit-Reset"), "")
		require.False(t, seen[key], style)
		seen[key] = true
	}
}
