package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

// plain500 is what clients see of a failure that leaves an account of a login alone.
var plain500 = map[int]refusal{500: {500, "server_error", ""}}

// codeRows are the subscriptions of coding tools whose executors are code.
func codeRows() []*providerRow {
	return []*providerRow{antigravityRow(), codexRow(), githubRow(), geminiCLIRow()}
}

const (
	assistWhole  = "/v1internal:generateContent"
	assistStream = "/v1internal:streamGenerateContent?alt=sse"
	// hiContents is the conversation of simple behind a system instruction.
	hiContents = `"contents":[{"role":"user","parts":[{"text":"hi"}]}]`
)

func antigravityRow() *providerRow {
	always := map[string]string{"Accept": "text/event-stream"}
	return &providerRow{
		id: "antigravity", alias: "ag", auth: "oauth", refusals: plain500, data: map[string]string{"projectId": "useful-wave-1a2b3"},
		grant:   &fake.IssuerOptions{ClientSecret: "operators-own"},
		headers: map[string]string{"Authorization": "Bearer secret-antigravity", "User-Agent": "antigravity/1.104.0 darwin/arm64"},
		asks: []providerAsk{
			{model: "gemini-2.5-flash", in: simple, path: assistWhole, stream: assistStream},
			{name: "with everything", model: "gemini-2.5-flash", in: everything, path: assistWhole, stream: assistStream},
			{name: "of a Claude model", model: "claude-sonnet-4-5", in: simple, path: assistStream, headers: always},
			{name: "of Gemini 3 Pro", model: "gemini-3-pro-low", in: simple, path: assistStream, headers: always},
		},
		steps: map[string]func(*testing.T, *providerWorld){"envelope": antigravityEnvelope},
		note:  "several hosts, one after the other",
	}
}

// antigravityEnvelope compares whole bodies; the request id is random.
func antigravityEnvelope(t *testing.T, w *providerWorld) {
	sentFor := func(model, in string) string {
		before := len(w.up.Requests())
		got := w.chat(t, model, in, false)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		sent := w.completions(before)
		require.Len(t, sent, 1)
		all := membersOf(t, string(sent[0].Body))
		require.Regexp(t, "^agent-[0-9a-f-]{36}$", all["requestId"])
		delete(all, "requestId")
		out, err := json.Marshal(all)
		require.NoError(t, err)
		return string(out)
	}
	require.JSONEq(t, `{"project":"useful-wave-1a2b3","model":"gemini-2.5-flash","userAgent":"antigravity","requestType":"agent","request":{
		"sessionId":"-1756278180214341157","contents":[{"role":"user","parts":[{"text":"Hello"}]}],
		"systemInstruction":{"role":"user","parts":[{"text":"Be brief."}]},"generationConfig":{"maxOutputTokens":16384}}}`,
		sentFor("gemini-2.5-flash", `{"max_tokens":60000,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]}`))
	long := strings.Repeat("a long question ", 40)
	first := sentFor("claude-sonnet-4-5", `{"messages":[{"role":"user","content":"`+long+`"}],"tools":[`+weatherTool+`]}`)
	v := parsed(t, first)
	require.Equal(t, "4096", v.Str("request.generationConfig.maxOutputTokens"))
	require.Equal(t, "1", v.Str("request.generationConfig.temperature"))
	require.Equal(t, "VALIDATED", v.Str("request.toolConfig.functionCallingConfig.mode"))
	again := parsed(t, sentFor("claude-sonnet-4-5", `{"messages":[{"role":"user","content":"`+long+`"},{"role":"assistant","content":"x"},{"role":"user","content":"go on"}]}`))
	require.Equal(t, v.Str("request.sessionId"), again.Str("request.sessionId"), "one conversation, one session")
}

func codexRow() *providerRow {
	const path = "/backend-api/codex/responses"
	return &providerRow{
		id: "codex", alias: "cx", base: "/backend-api/codex", auth: "oauth", data: map[string]string{"chatgptAccountId": "acc-1"},
		grant: &fake.IssuerOptions{}, forced: true, refusals: plain500,
		headers: map[string]string{
			"Authorization": "Bearer secret-codex", "Chatgpt-Account-Id": "acc-1", "Version": "0.92.0", "Openai-Beta": "responses=experimental",
			"User-Agent": "codex-cli/0.92.0 (Windows 10.0.26100; x64)", "Originator": "codex_cli_rs", "Session_id": "re:[0-9a-f-]{36}",
		},
		asks: []providerAsk{
			{model: "gpt-5.2-codex", in: simple, path: path, want: `{"model":"gpt-5.2-codex","instructions":"Be brief.","store":false,
				"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],
				"reasoning":{"effort":"medium","summary":"auto"},"include":["reasoning.encrypted_content"]}`},
			{name: "with everything", model: "gpt-5.1-codex-mini-high", in: everything, path: path},
		},
		steps: map[string]func(*testing.T, *providerWorld){"own clients": codexClients},
	}
}

// codexClients speak the Responses API themselves: their words stay, but for what
// the service refuses.
func codexClients(t *testing.T, w *providerWorld) {
	before := len(w.up.Requests())
	got := w.send(t, "/v1/responses", `{"model":"cx/gpt-5.3-codex","reasoning":{"effort":"xhigh"},"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"}]},
		{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"temperature":1,"max_output_tokens":99,"prompt_cache_key":"key-7","metadata":{"a":"b"}}`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, askedText, parsed(t, got.Body).Str("output[0].content[0].text"))
	sent := w.completions(before)
	require.Len(t, sent, 1)
	require.JSONEq(t, `{"model":"gpt-5.3-codex","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"s"}]},
		{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"prompt_cache_key":"key-7","stream":true,"store":false,"instructions":"",
		"reasoning":{"effort":"xhigh","summary":"auto"},"include":["reasoning.encrypted_content"]}`, string(sent[0].Body))
	require.Equal(t, "key-7", sent[0].Header.Get("Session_id"))
	require.Equal(t, "key-7", sent[0].Header.Get("Conversation_id"))

	ids := map[string]bool{}
	for _, user := range []string{"user_a_session_1", "user_a_session_1", "user_b_session_2"} {
		before = len(w.up.Requests())
		got = w.send(t, "/v1/messages", `{"model":"cx/gpt-5.2-codex","max_tokens":50,"metadata":{"user_id":"`+user+`"},"messages":[{"role":"user","content":"hi"}]}`)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		r := w.completions(before)[0]
		require.Equal(t, r.JSON.Str("prompt_cache_key"), r.Header.Get("Session_id"))
		ids[r.Header.Get("Conversation_id")] = true
	}
	require.Len(t, ids, 2, "each conversation has one id")

	before = len(w.up.Requests())
	name := "mcp__server__" + strings.Repeat("x", 60)
	w.up.Push(fake.Reply{Calls: []fake.Call{{ID: "c1", Name: "later", Args: `{}`}}})
	got = w.send(t, "/v1/responses", `{"model":"cx/gpt-5.2-codex","input":"hi","tools":[{"type":"function","name":"`+name+`","parameters":{"type":"object","properties":{}}}]}`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	short, _ := w.completions(before)[0].JSON.Get("tools")
	require.LessOrEqual(t, len(short.Items[0].Str("name")), 64)
	require.Empty(t, w.up.Violations())
}

func githubRow() *providerRow {
	row := &providerRow{
		id: "github", alias: "gh", auth: "oauth", list: "/models", refusals: plain500,
		headers: map[string]string{
			"Authorization": `re:Bearer copilot-\d+`, "Copilot-Integration-Id": "vscode-chat", "Editor-Version": "vscode/1.107.1",
			"Editor-Plugin-Version": "copilot-chat/0.26.7", "User-Agent": "GitHubCopilotChat/0.26.7", "Openai-Intent": "conversation-panel",
			"X-Github-Api-Version": "2025-04-01", "X-Vscode-User-Agent-Library-Version": "electron-fetch", "X-Request-Id": "re:[0-9a-f-]{36}", "X-Initiator": "user",
		},
		asks: []providerAsk{
			{model: "gpt-4.1", in: everything, path: chatPath, want: sent("gpt-4.1", everything)},
			{name: "of a reasoning model", model: "gpt-5-mini", in: `{"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`, path: chatPath,
				want: `{"model":"gpt-5-mini","max_completion_tokens":50,"messages":[{"role":"user","content":"hi"}]}`},
			{name: "of an agent with an image", model: "gpt-4.1", path: chatPath, headers: map[string]string{"X-Initiator": "agent", "Copilot-Vision-Request": "true"},
				in: `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}}]},{"role":"assistant","content":"y"},{"role":"user","content":"z"}]}`},
			{name: "of a Codex model", model: "gpt-5.1-codex", in: simple, path: "/responses", streamed: `{"stream":true}`},
		},
		steps: map[string]func(*testing.T, *providerWorld){"1 exchange": copilotExchange, "learning": copilotLearns, "token refused": copilotRefused, "split choices": copilotSplit},
		note:  "the GitHub token is exchanged for one of Copilot",
	}
	row.start = func(_ testing.TB, w *providerWorld) {
		row.conf = fmt.Sprintf("      - {id: gpt-new, tools: true}\n    paths: {copilot_token: %q}\n", w.up.URL+"/copilot_internal/v2/token")
	}
	return row
}

func exchanges(w *providerWorld) (n int) {
	for _, r := range w.up.Requests() {
		if strings.HasPrefix(r.Path, "/copilot_internal/") {
			n++
		}
	}
	return n
}

// copilotExchange: many requests, one exchange.
func copilotExchange(t *testing.T, w *providerWorld) { require.Equal(t, 1, exchanges(w)) }

// copilotLearns that a model is served by the Responses API alone.
func copilotLearns(t *testing.T, w *providerWorld) {
	w.up.Push(fake.Reply{Status: http.StatusBadRequest,
		Body: []byte(`{"error":{"message":"model gpt-new is not accessible via the /chat/completions endpoint","code":"unsupported_api_for_model"}}`)})
	var paths []string
	for range 2 {
		before := len(w.up.Requests())
		got := w.chat(t, "gpt-new", simple, false)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Equal(t, askedText, parsed(t, got.Body).Str("choices[0].message.content"))
		for _, r := range w.completions(before) {
			paths = append(paths, r.Path)
		}
	}
	require.Equal(t, []string{chatPath, "/responses", "/responses"}, paths)
}

// copilotRefused: a token that is refused does not fail the request.
func copilotRefused(t *testing.T, w *providerWorld) {
	w.up.Push(fake.Reply{Status: http.StatusUnauthorized, Error: "unauthorized: token expired"})
	before := len(w.up.Requests())
	got := w.chat(t, "gpt-4.1", simple, false)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Len(t, w.completions(before), 2)
}

// copilotSplit: text in one choice, a call in another are one answer.
func copilotSplit(t *testing.T, w *providerWorld) {
	for _, stream := range []bool{false, true} {
		w.up.Push(fake.Reply{Events: chunksOf(
			`{"id":"1","object":"chat.completion.chunk","model":"claude-sonnet-4.5","choices":[{"index":0,"delta":{"role":"assistant","content":"Looking."}},{"index":1,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]}}]}`,
			`{"id":"1","object":"chat.completion.chunk","model":"claude-sonnet-4.5","choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"tool_calls"}]}`,
			`[DONE]`)})
		got := w.chat(t, "claude-sonnet-4.5", `{"messages":[{"role":"user","content":"hi"}],"tools":[`+weatherTool+`]}`, stream)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		whole := wholeAnswer(t, got, stream)
		require.Equal(t, "Looking.", whole.Str("choices[0].message.content"))
		require.Equal(t, "get_weather", whole.Str("choices[0].message.tool_calls[0].function.name"))
		require.Equal(t, "tool_calls", whole.Str("choices[0].finish_reason"))
	}
}

// chunksOf are the events of a stream with these payloads.
func chunksOf(payloads ...string) []cases.Event {
	out := make([]cases.Event, len(payloads))
	for k, p := range payloads {
		out[k].Data = []byte(p)
	}
	return out
}

func geminiCLIRow() *providerRow {
	const safety = `"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"},{"category":"HARM_CATEGORY_HATE_SPEECH","threshold":"OFF"},
		{"category":"HARM_CATEGORY_SEXUALLY_EXPLICIT","threshold":"OFF"},{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","threshold":"OFF"},{"category":"HARM_CATEGORY_CIVIC_INTEGRITY","threshold":"OFF"}]`
	return &providerRow{
		id: "gemini-cli", alias: "gc", auth: "oauth", refusals: plain500, data: map[string]string{"projectId": "p-1"},
		grant: &fake.IssuerOptions{ClientSecret: "operators-own"},
		headers: map[string]string{
			"Authorization": "Bearer secret-gemini-cli", "User-Agent": "google-api-nodejs-client/9.15.1", "X-Goog-Api-Client": "gl-node/22.17.0",
			"Client-Metadata": "ideType=IDE_UNSPECIFIED,platform=PLATFORM_UNSPECIFIED,pluginType=GEMINI",
		},
		asks: []providerAsk{
			{model: "gemini-2.5-pro", in: simple, path: assistWhole, stream: assistStream,
				want: `{"model":"gemini-2.5-pro","project":"p-1","request":{` + hiContents + `,"systemInstruction":{"parts":[{"text":"Be brief."}]},` + safety + `}}`},
			{name: "with everything", model: "gemini-2.5-flash", in: everything, path: assistWhole, stream: assistStream},
		},
	}
}
