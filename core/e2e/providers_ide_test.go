package e2e

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fake"
)

const (
	uuidPattern = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
	kiroPath    = "/generateAssistantResponse"
	cursorPath  = "/aiserver.v1.ChatService/StreamUnifiedChatWithTools"
)

// ideRows are the subscriptions of editors whose services speak binary frames.
func ideRows() []*providerRow { return []*providerRow{kiroRow(), cursorRow()} }

func kiroRow() *providerRow {
	return &providerRow{
		id: "kiro", alias: "kr", auth: "oauth", forced: true, refusals: plain500, list: "/",
		data: map[string]string{"profileArn": "arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE"},
		headers: map[string]string{
			"Authorization": "Bearer secret-kiro", "Accept": "application/vnd.amazon.eventstream",
			"X-Amz-Target": "AmazonCodeWhispererStreamingService.GenerateAssistantResponse",
			"User-Agent":   "AWS-SDK-JS/3.0.0 kiro-ide/1.0.0", "X-Amz-User-Agent": "aws-sdk-js/3.0.0 kiro-ide/1.0.0",
			"Amz-Sdk-Request": "attempt=1; max=3", "Amz-Sdk-Invocation-Id": "re:" + uuidPattern,
		},
		asks: []providerAsk{
			{model: "claude-sonnet-4.5", in: simple, path: kiroPath},
			{name: "with everything", model: "claude-haiku-4.5", in: everything, path: kiroPath},
		},
		steps: map[string]func(*testing.T, *providerWorld){"body": kiroBody, "counts": kiroCounts, "bytes": byteByByte},
		note:  "an event stream; the editor's endpoint, then that of the command line",
	}
}

// kiroBody compares a whole body; the conversation's id and the time vary.
func kiroBody(t *testing.T, w *providerWorld) {
	before := len(w.up.Requests())
	got := w.chat(t, "claude-sonnet-4.5", `{"max_tokens":100,"temperature":1,"top_p":0.9,"messages":[{"role":"system","content":"Be brief."},
		{"role":"user","content":"hi"},{"role":"assistant","content":"hello","tool_calls":[{"id":"tooluse_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},
		{"role":"tool","tool_call_id":"tooluse_1","content":"21 C"},{"role":"user","content":"And now?"}],"tools":[`+weatherTool+`]}`, false)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	sent := w.completions(before)
	require.Len(t, sent, 1)
	v := parsed(t, string(sent[0].Body))
	id, text := v.Str("conversationState.conversationId"), v.Str("conversationState.currentMessage.userInputMessage.content")
	require.Regexp(t, "^"+uuidPattern+"$", id)
	require.Regexp(t, `^\[Context: Current time is \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]\n\nAnd now\?$`, text)
	body := strings.NewReplacer(id, "ID", text[:strings.Index(text, "]")], "[Context: NOW").Replace(string(sent[0].Body))
	require.JSONEq(t, `{"conversationState":{"chatTriggerType":"MANUAL","conversationId":"ID",
		"currentMessage":{"userInputMessage":{"content":"[Context: NOW]\n\nAnd now?","modelId":"claude-sonnet-4.5","origin":"AI_EDITOR","userInputMessageContext":{
			"tools":[{"toolSpecification":{"name":"get_weather","description":"of a city","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}}],
			"toolResults":[{"toolUseId":"tooluse_1","status":"success","content":[{"text":"21 C"}]}]}}},
		"history":[{"userInputMessage":{"content":"<system-reminder>\nBe brief.\n</system-reminder>\n\nhi","modelId":"claude-sonnet-4.5","origin":"AI_EDITOR"}},
			{"assistantResponseMessage":{"content":"hello","toolUses":[{"toolUseId":"tooluse_1","name":"get_weather","input":{"city":"Rome"}}]}}]},
		"profileArn":"arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE","inferenceConfig":{"maxTokens":100,"temperature":1,"topP":0.9}}`, body)
}

// kiroCounts: where the service does not count, the share of the context tells.
func kiroCounts(t *testing.T, w *providerWorld) {
	for _, stream := range []bool{false, true} {
		w.up.Push(fake.Reply{Text: "Hi", UsageStyle: fake.UsageNone})
		got := w.chat(t, "claude-sonnet-4.5", simple, stream)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		whole := wholeAnswer(t, got, stream)
		require.Equal(t, "3000", whole.Str("usage.prompt_tokens"), got.Body)
		require.Equal(t, "1", whole.Str("usage.completion_tokens"))
	}
}

// byteByByte: frames may be cut anywhere.
func byteByByte(t *testing.T, w *providerWorld) {
	for _, stream := range []bool{false, true} {
		w.up.Push(fake.Reply{Thinking: []fake.Thought{{Text: "hmm"}}, Text: askedText, Calls: twoCalls[:1], Fault: fake.Fault{Kind: fake.FaultByteChunks}})
		got := w.chat(t, w.asks[0].model, `{"messages":[{"role":"user","content":"hi"}],"tools":[`+weatherTool+`]}`, stream)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		whole := wholeAnswer(t, got, stream)
		require.Equal(t, askedText, whole.Str("choices[0].message.content"))
		require.Equal(t, "hmm", whole.Str("choices[0].message.reasoning_content"))
		require.JSONEq(t, twoCalls[0].Args, whole.Str("choices[0].message.tool_calls[0].function.arguments"))
		require.Equal(t, "tool_calls", whole.Str("choices[0].finish_reason"))
	}
}

func cursorRow() *providerRow {
	token := "user_01ABC::" + strings.Repeat("test-token.", 6)
	return &providerRow{
		id: "cursor", alias: "cu", auth: "oauth", forced: true, refusals: plain500,
		list: "/aiserver.v1.AiService/AvailableModels",
		cred: &account.Credential{AccessToken: token}, data: map[string]string{"machineId": strings.Repeat("ab", 32)},
		reply: fake.Reply{UsageStyle: fake.UsageNone, Thinking: []fake.Thought{{Text: "hmm, let me see"}}},
		headers: map[string]string{
			"Authorization": "Bearer " + strings.TrimPrefix(token, "user_01ABC::"), "Content-Type": "application/connect+proto", "Accept": "",
			"Connect-Accept-Encoding": "gzip", "Connect-Protocol-Version": "1", "User-Agent": "connect-es/1.6.1",
			"X-Amzn-Trace-Id": "re:Root=" + uuidPattern, "X-Client-Key": "re:[0-9a-f]{64}", "X-Cursor-Checksum": "re:[A-Za-z0-9_-]{8}(ab){32}",
			"X-Cursor-Client-Version": "2.3.41", "X-Cursor-Client-Type": "ide", "X-Cursor-Client-Os": "linux", "X-Cursor-Client-Arch": "x64",
			"X-Cursor-Client-Device-Type": "desktop", "X-Cursor-Config-Version": "re:" + uuidPattern, "X-Request-Id": "re:" + uuidPattern,
			"X-Cursor-Timezone": "UTC", "X-Ghost-Mode": "true", "X-Session-Id": "re:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
		},
		asks: []providerAsk{
			{model: "claude-4.5-sonnet", in: simple, path: cursorPath},
			{name: "with everything", model: "claude-4.5-sonnet", in: everything, path: cursorPath},
		},
		steps: map[string]func(*testing.T, *providerWorld){"message": cursorMessage, "bytes": byteByByte},
		note:  "protobuf in Connect frames; needs the machine id of an installed Cursor; tokens cannot be renewed",
	}
}

// cursorMessage looks at what the message holds; the fake checks its frame, its
// ids and the headers that are made of the token.
func cursorMessage(t *testing.T, w *providerWorld) {
	before := len(w.up.Requests())
	long := strings.Repeat("a long question ", 400)
	got := w.chat(t, "claude-4.5-sonnet", `{"reasoning_effort":"high","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"`+long+`"}],"tools":[`+weatherTool+`]}`, true)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, askedText, wholeAnswer(t, got, true).Str("choices[0].message.content"))
	sent := w.completions(before)
	require.Len(t, sent, 1)
	require.Empty(t, sent[0].Violations)
	v := jsonValue{sent[0].JSON}
	require.Equal(t, "claude-4.5-sonnet", v.Str("model"))
	require.Equal(t, "2", v.Str("mode"))
	require.Equal(t, "2", v.Str("thinking"))
	require.Equal(t, "get_weather", v.Str("tools[0]"))
	require.Equal(t, "[System Instructions]\nBe brief.", v.Str("messages[0].content"))
	require.Equal(t, long, v.Str("messages[1].content"))
}

// TestFramesOfEditors: frames as the services send them, good and bad, through the
// gateway. Each failure is on an account of its own.
func TestFramesOfEditors(t *testing.T) {
	t.Parallel()
	var worlds []*providerWorld
	config := "providers:\n"
	for _, row := range ideRows() {
		w := &providerWorld{providerRow: row, up: fake.Start(row.fake)}
		t.Cleanup(w.up.Close)
		config += w.yaml()
		worlds = append(worlds, w)
	}
	g := prepare(t, config+freely)
	seedAccounts(t, g, worlds)
	g.start()
	for _, w := range worlds {
		w.g = g
	}
	kiro, cursor := worlds[0], worlds[1]
	reply := func(frames ...string) fake.Reply {
		body, err := hex.DecodeString(strings.Join(frames, ""))
		require.NoError(t, err)
		return fake.Reply{Body: body, ContentType: "application/octet-stream"}
	}
	const (
		kiroHi     = "0000007c0000005c3bddcf780b3a6576656e742d74797065070016617373697374616e74526573706f6e73654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74223a224869227db02babdc"
		kiroBroken = "0000007c0000005c3bddcf780b3a6576656e742d74797065070016617373697374616e74526573706f6e73654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74223a224868227db02babdc"
		kiroSlow   = "0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d657373616765223a22736c6f7720646f776e227d832ee072"
		cursorHi   = "00000000042a020a00" + "000000000612040a024869"
		cursorCall = "00000000690a6708131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f77656174686572520f7b2263697479223a22526f6d65227d7801da01280a260a0b6765745f776561746865721a0f7b2263697479223a22526f6d65227d2206637573746f6d"
		cursorEnd  = "02000000027b7d"
		limited    = `{"error":{"code":"resource_exhausted","message":"Error","details":[{"type":"aiserver.v1.ErrorDetails","debug":{"error":"ERROR","details":{"title":"Rate limited","detail":"Try later"},"isExpected":true},"value":"CAgSGQoMUmF0ZSBsaW1pdGVkEglUcnkgbGF0ZXI"}]}}`
	)
	trailer := hex.EncodeToString(append([]byte{2, 0, 0, byte(len(limited) >> 8), byte(len(limited) & 0xff)}, limited...))
	for _, c := range []struct {
		name   string
		w      *providerWorld
		model  string
		reply  fake.Reply
		status int
		want   string // of the text, or of the error's message
	}{
		{"kiro's own frames", kiro, "claude-sonnet-4.5", reply(kiroHi), 200, "Hi"},
		{"kiro refuses within the stream", kiro, "fail-429", reply(kiroSlow), 429, "slow down"},
		{"kiro's frame with a wrong checksum", kiro, "fail-404", reply(kiroBroken), 502, ""},
		{"kiro's frame is cut", kiro, "fail-403", reply(kiroHi[:100]), 502, ""},
		{"kiro says nothing", kiro, "fail-401", reply(), 502, ""},
		{"cursor's own frames", cursor, "claude-4.5-sonnet", reply(cursorHi, cursorEnd), 200, "Hi"},
		{"cursor without the last frame", cursor, "claude-4.5-sonnet", reply(cursorHi), 200, "Hi"},
		{"cursor refuses after content", cursor, "claude-4.5-sonnet", reply(cursorHi, trailer), 200, "Hi"},
		{"cursor refuses", cursor, "fail-429", reply(trailer), 429, "Rate limited"},
		{"cursor's frame is cut", cursor, "fail-403", reply(cursorHi[:30]), 502, ""},
		{"cursor's message does not decode", cursor, "fail-404", reply("0000000002ffff"), 502, ""},
		{"cursor says nothing", cursor, "fail-401", reply(cursorEnd), 502, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.up.Push(c.reply)
			got := c.w.chat(t, c.model, `{"messages":[{"role":"user","content":"hi"}]}`, false)
			require.Equal(t, c.status, got.Status, got.Body)
			if c.status == http.StatusOK {
				require.Equal(t, c.want, parsed(t, got.Body).Str("choices[0].message.content"))
				return
			}
			require.Contains(t, parsed(t, got.Body).Str("error.message"), c.want)
		})
	}
	cursor.up.Push(reply(cursorCall, cursorEnd))
	got := cursor.chat(t, "claude-4.5-sonnet", `{"messages":[{"role":"user","content":"hi"}],"tools":[`+weatherTool+`]}`, true)
	whole := wholeAnswer(t, got, true)
	require.Equal(t, "call_1", whole.Str("choices[0].message.tool_calls[0].id"), got.Body)
	require.JSONEq(t, `{"city":"Rome"}`, whole.Str("choices[0].message.tool_calls[0].function.arguments"))
}
