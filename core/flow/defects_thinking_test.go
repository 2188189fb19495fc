package flow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// A turn that brings the results of tools is thought about like any other, and
// the signed thinking before it stays.
func TestThinkingStaysOnToolResultTurns(t *testing.T) {
	w := newWorld(t, quick+"  system: [{id: kind, text: Be kind}]\n") // so that the body is written anew
	w.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "served"} })
	const claude = `{"model":"ant/claude-sonnet-4-5","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000},
		"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"go"},
		{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2lnbmVk"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"42"}]}]}`
	a := w.post("/v1/messages", claude)
	require.Equal(t, 200, a.status, a.body)
	sent := string(w.ant.Last().Body)
	require.Contains(t, sent, "Be kind")
	require.Contains(t, sent, `"budget_tokens":2000`)
	require.Contains(t, sent, `"signature":"c2lnbmVk"`)
}

// The signature of a stream's thinking reaches its client, although the event has
// neither text nor thinking in it.
func TestSignaturesOfStreamsReachTheClient(t *testing.T) {
	w := newWorld(t, quick)
	w.ant.Otherwise(func(*fake.Request) fake.Reply {
		return fake.Reply{Thinking: []fake.Thought{{Text: "hm", Signature: "c2lnbmVk"}}, Text: "served"}
	})
	thinking := strings.Replace(claudeStream, `"max_tokens":50`, `"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000}`, 1)
	a := w.post("/v1/messages", thinking)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, `"signature":"c2ln"`)
	require.Contains(t, a.body, `"signature":"bmVk"`, "the provider sends it in two parts")
}
