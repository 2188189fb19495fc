package execute

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/sdk/hub/caps"
)

func TestWithSystemKeepsWhatIsThere(t *testing.T) {
	const user = `{"role":"user","content":"hi"}`
	for _, c := range []struct{ position, messages, want string }{
		{"append", user, `{"role":"system","content":"NEW"},` + user},
		{"append", `{"role":"system","content":"old"},` + user, `{"role":"system","content":"old\n\nNEW"},` + user},
		{"prepend", `{"role":"developer","content":"old"},` + user, `{"role":"developer","content":"NEW\n\nold"},` + user},
		{"append", `{"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},` + user,
			`{"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"NEW"}]},` + user},
		{"prepend", `{"role":"system","content":"a"},{"role":"system","content":"b"},` + user,
			`{"role":"system","content":"NEW\n\na"},{"role":"system","content":"b"},` + user},
		{"append", `{"role":"system","content":"a"},{"role":"system","content":"b"},` + user,
			`{"role":"system","content":"a"},{"role":"system","content":"b\n\nNEW"},` + user},
		{"replace", `{"role":"system","content":"old"},` + user, `{"role":"system","content":"NEW"},` + user},
		{"last_user", `{"role":"user","content":"a"},` + user,
			`{"role":"user","content":"a"},{"role":"user","content":"hi\n\n<system-reminder>\nNEW\n</system-reminder>"}`},
	} {
		got := withSystem([]byte(`{"model":"m","messages":[`+c.messages+`]}`), policy.SystemText{Text: "NEW", Position: c.position})
		require.JSONEq(t, `{"model":"m","messages":[`+c.want+`]}`, string(got), c.position+" "+c.messages)
	}
}

func TestWithThinkingWritesTheWish(t *testing.T) {
	base := []byte(`{"reasoning_effort":"low","messages":[]}`)
	for _, c := range []struct {
		op   policy.ThinkOp
		want string
	}{
		{policy.ThinkOp{Op: "budget", Budget: 4096}, `{"messages":[],"reasoning_effort":"medium","x_omni":{"thinking":{"mode":"budget","budget":4096}}}`},
		{policy.ThinkOp{Op: "budget"}, `{"messages":[],"reasoning_effort":"none","x_omni":{"thinking":{"mode":"off"}}}`},
		{policy.ThinkOp{Op: "effort", Effort: "high"}, `{"messages":[],"reasoning_effort":"high","x_omni":{"thinking":{"mode":"effort","effort":"high"}}}`},
		{policy.ThinkOp{Op: "effort", Effort: "auto"}, `{"messages":[],"x_omni":{"thinking":{"mode":"auto"}}}`},
	} {
		require.JSONEq(t, c.want, string(withThinking(base, c.op)))
	}
}

func TestRuledThinkingGetsRoomOnClaude(t *testing.T) {
	for _, c := range []struct {
		model, in, op, want string
		budget              int
	}{
		{"claude-sonnet-4-5", `{"max_tokens":4000}`, "budget", `{"max_tokens":18192}`, 10000},
		{"claude-sonnet-4-5", `{"max_tokens":20000}`, "budget", `{"max_tokens":20000}`, 10000},
		{"claude-opus-4-1", `{"max_tokens":4000}`, "budget", `{"max_tokens":32000}`, 31000},
		{"claude-sonnet-4-5", `{"max_tokens":1000}`, "high", `{"max_tokens":32768}`, 0},
		{"claude-sonnet-4-5", `{"max_tokens":255}`, "budget", `{"max_tokens":255}`, 10000},
		{"claude-sonnet-4-5", `{}`, "budget", `{}`, 10000},
		{"claude-opus-4-6", `{"max_tokens":4000}`, "budget", `{"max_tokens":4000}`, 10000},
		{"gpt-5", `{"max_tokens":4000}`, "budget", `{"max_tokens":4000}`, 10000},
	} {
		op := policy.ThinkOp{Op: "budget", Budget: c.budget}
		if c.budget == 0 {
			op = policy.ThinkOp{Op: "effort", Effort: c.op}
		}
		require.Equal(t, c.want, string(withRoom([]byte(c.in), op, caps.Default().Lookup(c.model))), c.model+c.in)
	}
}

func TestWithoutReasoning(t *testing.T) {
	out, n := withoutReasoning("claude", []byte(`{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"x"},{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"redacted_thinking"}]},{"role":"user","content":"b"}]}`))
	require.Equal(t, 2, n)
	require.JSONEq(t, `{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]},{"role":"user","content":"b"}]}`, string(out))
	out, _ = withoutReasoning("claude", []byte(`{"thinking":{"type":"enabled"},"messages":[{"role":"assistant","content":[{"type":"thinking"},{"type":"tool_use","id":"t"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}`))
	require.JSONEq(t, `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}`, string(out))
	out, n = withoutReasoning("openai-responses", []byte(`{"input":[{"type":"reasoning"},{"role":"user"}]}`))
	require.Equal(t, 1, n)
	require.JSONEq(t, `{"input":[{"role":"user"}]}`, string(out))
	_, n = withoutReasoning("openai", []byte(`{"messages":[]}`))
	require.Zero(t, n)
}

func callOver(t *testing.T, body string) *call.Call {
	t.Helper()
	d, err := doc.Elide([]byte(body), doc.Options{})
	require.NoError(t, err)
	return &call.Call{Doc: d}
}

func TestTrimDropsWholeOldTurns(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"messages":[{"role":"system","content":"S"},{"role":"user","content":"first question"}`)
	for i := range 10 {
		fmt.Fprintf(&b, `,{"role":"assistant","tool_calls":[{"id":"c%d"}]},{"role":"tool","tool_call_id":"c%d","content":"%s"},{"role":"user","content":"turn %d"}`,
			i, i, strings.Repeat("x", 1000), i)
	}
	b.WriteString(`]}`)
	c := callOver(t, b.String())
	out, bad := trim(c, c.Doc.Skeleton(), 1500)
	require.Nil(t, bad)
	full, err := c.Doc.Inflate(nil, out, 0)
	require.NoError(t, err)
	require.Less(t, len(full)/4, 1500)
	require.Positive(t, c.Trimmed)
	calls, results := map[string]bool{}, map[string]bool{}
	roles := ""
	messages, _ := doc.Get(full, "messages")
	doc.Each(messages, func(_ int, m []byte) bool {
		role, _ := doc.String(m, "role")
		roles += role[:1]
		if id, ok := doc.String(m, "tool_call_id"); ok {
			results[id] = true
		}
		if id, ok := doc.String(m, "tool_calls", "0", "id"); ok {
			calls[id] = true
		}
		return true
	})
	require.Equal(t, calls, results, "calls and results go together")
	require.True(t, strings.HasPrefix(roles, "ssu"), roles)
	require.Contains(t, string(full), "first question")
	require.Contains(t, string(full), "turn 9")
	require.Contains(t, string(full), fmt.Sprintf("%d earlier messages", c.Trimmed))
}

// An agent's conversation is one question and a long loop of calls.
func TestTrimCutsWithinALongLoop(t *testing.T) {
	conversation := func(reasoning string) string {
		var b strings.Builder
		b.WriteString(`{"messages":[{"role":"user","content":"the task"}`)
		for i := range 20 {
			fmt.Fprintf(&b, `,{"role":"assistant",%s"tool_calls":[{"id":"c%d"}]},{"role":"tool","tool_call_id":"c%d","content":"%s"}`,
				reasoning, i, i, strings.Repeat("x", 1000))
		}
		return b.String() + `]}`
	}
	c := callOver(t, conversation(""))
	out, bad := trim(c, c.Doc.Skeleton(), 1500)
	require.Nil(t, bad)
	require.Positive(t, c.Trimmed)
	require.Zero(t, c.Trimmed%2, "pairs go together")
	full, err := c.Doc.Inflate(nil, out, 0)
	require.NoError(t, err)
	for i, want := range map[string]string{"0": "system", "1": "user", "2": "assistant", "3": "tool"} {
		role, _ := doc.String(full, "messages", i, "role")
		require.Equal(t, want, role)
	}
	require.Contains(t, string(full), `"c19"`)
	require.NotContains(t, string(full), `"c0"`)

	// The last turn of the model keeps its signed thoughts whatever comes behind it.
	signed := strings.TrimSuffix(conversation(`"x_omni":{"reasoning":[{"text":"t","sig":"s","provider":"claude"}]},`), "]}") + `,{"role":"user","content":"and?"}]}`
	c = callOver(t, signed)
	out, bad = trim(c, c.Doc.Skeleton(), 700)
	require.Nil(t, bad)
	require.Contains(t, string(out), `"sig":"s"`)
	require.Contains(t, string(out), `"c19"`)
}

func TestTrimCutsLongToolResultsFirst(t *testing.T) {
	c := callOver(t, `{"messages":[{"role":"user","content":"q"},{"role":"tool","content":"`+strings.Repeat("é", 9000)+`"},{"role":"user","content":"go on"}]}`)
	out, bad := trim(c, c.Doc.Skeleton(), 2000)
	require.Nil(t, bad)
	require.Zero(t, c.Trimmed)
	require.Contains(t, string(out), "[truncated]")
	_, bad = trim(callOver(t, `{"messages":[{"role":"user","content":"`+strings.Repeat("x", 9000)+`"}]}`), []byte(`{"messages":[{"role":"user","content":"`+strings.Repeat("x", 9000)+`"}]}`), 100)
	require.NotNil(t, bad)
	require.Equal(t, 400, bad.Status)
}

func TestTrimCutsResultsThatAreParts(t *testing.T) {
	long := strings.Repeat("x", 9000)
	c := callOver(t, `{"messages":[{"role":"user","content":"q"},{"role":"tool","content":[{"type":"text","text":"`+long+`"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"short"}]},{"role":"user","content":"go on"}]}`)
	out, bad := trim(c, c.Doc.Skeleton(), 1000)
	require.Nil(t, bad)
	require.Zero(t, c.Trimmed)
	full, err := c.Doc.Inflate(nil, out, 0)
	require.NoError(t, err)
	require.Contains(t, string(full), `xx\n... [truncated]"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"short"}]`)
	require.Less(t, len(full), 3000)
}

func TestTrimKeepsWhatIsMarkedForTheCache(t *testing.T) {
	long := strings.Repeat("x", 4000)
	c := callOver(t, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"old one"},{"role":"user","content":"and old two `+strings.Repeat("y", 1200)+`"},
		{"role":"assistant","tool_calls":[{"id":"c1"}]},{"role":"tool","tool_call_id":"c1","cache_control":{"type":"ephemeral"},"content":"kept `+long+`"},
		{"role":"assistant","content":"late"},{"role":"user","content":[{"type":"text","text":"go on","cache_control":{"type":"ephemeral"}}]}]}`)
	out, bad := trim(c, c.Doc.Skeleton(), 1250)
	require.Nil(t, bad)
	full, err := c.Doc.Inflate(nil, out, 0)
	require.NoError(t, err)
	require.Equal(t, 2, c.Trimmed)
	require.NotContains(t, string(full), "[truncated]")
	require.NotContains(t, string(full), "old two")
	require.Contains(t, string(full), "kept "+long)
	require.Equal(t, 2, strings.Count(string(full), "cache_control"))

	_, bad = trim(c, c.Doc.Skeleton(), 500)
	require.NotNil(t, bad, "what is marked does not go to make the rest fit")
}

func TestChunksOfAWholeAnswer(t *testing.T) {
	frames := chunksOf([]byte(`{"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}}`), true)
	require.Len(t, frames, 4)
	require.JSONEq(t, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}`, string(frames[0].Payload))
	require.JSONEq(t, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, string(frames[1].Payload))
	require.JSONEq(t, `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":1}}`, string(frames[2].Payload))
	require.Equal(t, "[DONE]", string(frames[3].Payload))
}

func TestDirectHosts(t *testing.T) {
	names := []string{"example.com", ".internal"}
	require.True(t, direct(names, "https://api.example.com/v1"))
	require.True(t, direct(names, "http://a.internal:8080"))
	require.False(t, direct(names, "https://notexample.com"))
}
