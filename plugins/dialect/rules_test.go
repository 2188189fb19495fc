package dialect_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// P-5: what is lost is reported once, by the name the client used, also when the two
// halves meet in the hub's JSON form.
func TestDegradeReport(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to hub.Dialect
		model    string
		body     string
		want     []string
	}{
		{"openai to claude", openai.New(), claude.New(), "claude-sonnet-4-5",
			`{"messages":[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}],
			"seed":1,"logit_bias":{"1":2},"vendor":1,"top_p":0.5,"temperature":0.1,"response_format":{"type":"json_object"}}`,
			[]string{"vendor", "system", "response_format", "top_p", "seed", "logit_bias"}},
		{"claude to openai", claude.New(), openai.New(), "gpt-4o",
			`{"max_tokens":9,"top_k":3,"stop_sequences":["1","2","3","4","5"],"thinking":{"type":"enabled"},"container":"c",
			"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"S"},{"type":"text","text":"x"}]}]}`,
			[]string{"container", "thinking", "stop_sequences", "top_k"}},
		{"nothing lost", openai.New(), claude.New(), "claude-sonnet-4-5",
			`{"messages":[{"role":"user","content":"a"}],"max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			report := func(f string) { got = append(got, f) }
			_, err := hub.TranslateRequest(c.from, c.to, &hub.Ctx{Model: c.model, Degraded: report}, nil, []byte(c.body))
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, got)

			got = nil
			mid, err := hub.TranslateRequest(c.from, chat.Hub{}, &hub.Ctx{Degraded: report}, nil, []byte(c.body))
			require.NoError(t, err)
			_, err = hub.TranslateRequest(chat.Hub{}, c.to, &hub.Ctx{Model: c.model, Degraded: report}, nil, mid)
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, got)
		})
	}
}

// CT-1: a counting request has no limits, no thinking, no stream and no stop.
func TestCountRequest(t *testing.T) {
	body := []byte(`{"model":"x","max_tokens":100,"stream":true,"stop":["a"],"temperature":0.5,"reasoning_effort":"high",
		"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f"}}]}`)
	out, err := hub.TranslateRequest(openai.New(), claude.New(), &hub.Ctx{Model: "claude-sonnet-4-5", Count: true}, nil, body)
	require.NoError(t, err)
	var keys []string
	for it := jsn.Object(out); it.Next(); {
		keys = append(keys, string(it.Key()))
	}
	require.ElementsMatch(t, []string{"model", "system", "messages", "tools"}, keys)
}

// N-3: the names of a request come back from AppendRequest and restore an answer's.
func TestNamesTravel(t *testing.T) {
	c := &hub.Ctx{Model: "gpt-4o"}
	_, err := hub.TranslateRequest(claude.New(), openai.New(), c, nil,
		[]byte(`{"max_tokens":9,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"fs.read","input_schema":{}}]}`))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"fs_read": "fs.read"}, c.Names)
	out, _, err := hub.TranslateResponse(openai.New(), claude.New(), &hub.Ctx{Names: c.Names}, nil,
		[]byte(`{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"fs_read","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`))
	require.NoError(t, err)
	require.Contains(t, string(out), `"name":"fs.read"`)
}
