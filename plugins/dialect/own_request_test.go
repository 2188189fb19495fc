package dialect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/native"
	"github.com/omniroute/omniroute/plugins/dialect/cursor"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

func allCases(t testing.TB, kind string) []*cases.Case {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	var out []*cases.Case
	for _, file := range files {
		list, err := cases.LoadFile(file)
		require.NoError(t, err)
		for _, c := range list {
			if c.Kind == kind {
				out = append(out, c)
			}
		}
	}
	return out
}

// Every request of the vectors, sent to every target, is the same body whether its
// texts were there or stood behind body tokens.
func TestTokensChangeNothing(t *testing.T) {
	full := native.New(all()...)
	ctx := context.Background()
	for _, c := range allCases(t, cases.KindRequest) {
		for _, to := range all() {
			for _, at := range []int{32, 64} {
				tokens := native.New(all()...)
				tokens.ElideAt = at
				for _, model := range []string{"gemini-3-pro", "claude-opus-4-7", "gpt-4o"} {
					job := cases.Job{From: c.From, To: to.Name(), Body: c.Input, Ctx: cases.Ctx{Model: model, Provider: c.Ctx.Provider}}
					what := fmt.Sprintf("%s -> %s, %s, tokens from %d", c.ID, to.Name(), model, at)
					want, err1 := full.Request(ctx, job)
					got, err2 := tokens.Request(ctx, job)
					var f1, f2 *cases.Failure
					if errors.As(err1, &f1) || errors.As(err2, &f2) {
						require.Equal(t, err1 == nil, err2 == nil, what)
						continue
					}
					require.NoError(t, err1, what)
					require.NoError(t, err2, what)
					require.Equal(t, meaning(t, want), meaning(t, got), what)
				}
			}
		}
	}
}

// meaning is a document as lines with texts decoded, without ids that are made up.
func meaning(t *testing.T, body []byte) string {
	t.Helper()
	v, err := cases.Parse(body)
	require.NoError(t, err, "%s", body)
	var b strings.Builder
	var walk func(v cases.Value, path string)
	walk = func(v cases.Value, path string) {
		for _, m := range v.Members {
			if m.Key != "conversationId" {
				walk(m.Value, path+"."+m.Key)
			}
		}
		for i, item := range v.Items {
			walk(item, fmt.Sprintf("%s[%d]", path, i))
		}
		switch {
		case v.Kind == cases.String:
			fmt.Fprintf(&b, "%s = %q\n", path, v.Text)
		case len(v.Members) == 0 && len(v.Items) == 0:
			fmt.Fprintf(&b, "%s = %s\n", path, v.Raw)
		}
	}
	walk(v, "")
	return b.String()
}

// Two streams that run at once know nothing of each other.
func TestStreamsShareNothing(t *testing.T) {
	for _, c := range allCases(t, cases.KindStream) {
		var from hub.Dialect
		for _, d := range all() {
			if d.Name() == c.From {
				from = d
			}
		}
		for _, to := range clients() {
			if to.Name() == c.From {
				continue
			}
			open := func(canary string) (func(cases.Event), func() string) {
				s := hub.NewStream(from, to, &hub.Ctx{Provider: c.Ctx.Provider})
				var out bytes.Buffer
				emit := func(ev hub.Event) { fmt.Fprintf(&out, "%s|%s\n", ev.Name, ev.Data) }
				feed := func(ev cases.Event) {
					data := bytes.ReplaceAll(ev.Data, []byte("up"), []byte(canary))
					if ev.Done() {
						data = []byte("[DONE]")
					}
					_ = s.Feed(hub.Event{Name: ev.Name, Data: data}, emit)
					clear(data) // the bytes of an event are gone behind the call
				}
				return feed, func() string {
					_ = s.End(emit)
					return out.String()
				}
			}
			alone, end := open("canary1")
			for _, ev := range c.Events {
				alone(ev)
			}
			want := end()
			one, endOne := open("canary1")
			two, endTwo := open("canary2")
			for _, ev := range c.Events {
				one(ev)
				two(ev)
			}
			what := c.ID + " -> " + to.Name()
			require.Equal(t, want, endOne(), what)
			require.NotContains(t, endTwo(), "canary1", what)
		}
	}
}

// The report names what was lost as the client calls it, and nothing else (P-5).
func TestOwnDegraded(t *testing.T) {
	byName := map[string]hub.Dialect{}
	for _, d := range all() {
		byName[d.Name()] = d
	}
	for _, c := range []struct{ from, to, model, body, want string }{
		{"openai-responses", "claude", "claude-sonnet-4-5", `{"input":"a","stream":true,"stream_options":{"include_obfuscation":false},"store":false,"include":["reasoning.encrypted_content"],"truncation":"disabled","background":false}`, ""},
		{"openai-responses", "kiro", "x", `{"input":"a","max_output_tokens":9,"text":{"format":{"type":"json_object"},"verbosity":"low"},"reasoning":{"effort":"high"},"truncation":"auto","zz":1,"parallel_tool_calls":false,"tools":[{"type":"function","name":"f"}]}`,
			"text.verbosity,text.format,parallel_tool_calls,reasoning,truncation,zz"},
		{"openai-responses", "openai", "gpt-4o", `{"input":[{"type":"web_search_call"},{"role":"user","content":"a"},{"type":"reasoning","summary":[{"text":"x"}],"encrypted_content":"E"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"top_logprobs":2}`, "input.web_search_call,input.reasoning"},
		{"gemini", "ollama", "x", `{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"topK":1,"seed":2,"candidateCount":2,"thinkingConfig":{"thinkingBudget":9}},"safetySettings":[{}],"toolConfig":{}}`, "generationConfig.candidateCount,safetySettings"},
		{"gemini", "openai-responses", "gpt-4o", `{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"t","thought":true},{"text":"b"}]},{"parts":[{"text":"a"}]}],"generationConfig":{"topK":1,"stopSequences":["x"],"seed":2,"maxOutputTokens":5}}`,
			"contents.parts.thought,generationConfig.topK,generationConfig.seed,generationConfig.stopSequences"},
		{"openai", "gemini", "gemini-2.5-flash", `{"messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{"include_usage":true},"n":1,"logprobs":false,"store":false,"presence_penalty":0,"temperature":1,"max_tokens":5,"user":"u","modalities":["text"],"logit_bias":{}}`, "user"},
		{"openai", "gemini", "gemini-2.5-flash", `{"messages":[{"role":"user","content":"a"}],"logit_bias":{"1":1},"metadata":{"a":"b"},"service_tier":"flex","seed":99999999999,"n":9,"stop":["1","2","3","4","5","6"]}`, "logit_bias,metadata,service_tier,stop,n,seed"},
		{"claude", "gemini", "gemini-2.0-flash", `{"max_tokens":5,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"S"},{"type":"text","text":"b"}]},{"role":"user","content":"a"}],"thinking":{"type":"enabled","budget_tokens":1024}}`, "thinking,cache_control"},
		{"claude", "kiro", "x", `{"max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"stop_sequences":["x"],"top_k":3}`, "top_k,stop_sequences,tool_choice"},
		{"openai", "claude", "claude-sonnet-4-5", `{"messages":[{"role":"user","content":"a"}],"max_tokens":9,"tools":[{"type":"function","function":{"name":"f","strict":true}},{"type":"function","function":{"name":"g","strict":false}}]}`, "tools.strict"},
		{"openai-responses", "gemini", "gemini-2.5-flash", `{"input":"a","tools":[{"type":"function","name":"f","strict":true}]}`, "tools.strict"},
		{"openai-responses", "kiro", "x", `{"input":"a","tools":[{"type":"function","name":"f","strict":true}]}`, "tools.strict"},
		{"openai-responses", "openai", "x", `{"input":"a","tools":[{"type":"function","name":"f","strict":true}]}`, ""},
		{"openai", "openai-responses", "x", `{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","strict":true}}]}`, ""},
		{"claude", "openai", "x", `{"max_tokens":9,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{},"strict":true}]}`, "tools.strict"},
		{"openai", "cursor", "x", `{"messages":[{"role":"user","content":"a"}],"max_tokens":5,"temperature":0,"reasoning_effort":"low"}`, "max_tokens,temperature,reasoning_effort"},
		{"openai", "openai-responses", "gpt-5", `{"messages":[{"role":"user","content":"a"}],"max_tokens":5,"temperature":1,"seed":1,"store":true}`, "seed,store,temperature"},
	} {
		var got []string
		x := &hub.Ctx{Model: c.model, Degraded: func(f string) { got = append(got, f) }}
		_, err := hub.TranslateRequest(byName[c.from], byName[c.to], x, nil, []byte(c.body))
		require.NoError(t, err)
		require.ElementsMatch(t, strings.FieldsFunc(c.want, func(r rune) bool { return r == ',' }), got, "%s -> %s %s", c.from, c.to, c.body)
	}
}

// Counting tokens leaves limits, thinking, stream and stop out (CT-1).
func TestOwnCount(t *testing.T) {
	const claude = `{"model":"x","max_tokens":9,"thinking":{"type":"enabled","budget_tokens":1024},"stop_sequences":["x"],"stream":true,"system":"s","messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]}`
	for _, c := range []struct{ from, to, body, want string }{
		{"claude", "gemini", claude, `{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"a"}]}],"systemInstruction":{"parts":[{"text":"s"}]},"tools":[{"functionDeclarations":[{"name":"f","description":"","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}]}]}}`},
		{"gemini", "claude", `{"generateContentRequest":{"model":"models/x","contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"maxOutputTokens":5}}}`, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`},
		{"gemini", "claude", `{"contents":[{"parts":[{"text":"a"}]}]}`, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`},
		{"openai-responses", "claude", `{"model":"x","input":"a","max_output_tokens":5,"reasoning":{"effort":"high"},"stream":true}`, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`},
		{"openai-responses", "gemini", `{"model":"x","input":"a","max_output_tokens":5}`, `{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"a"}]}]}}`},
		{"gemini", "gemini", `{"generateContentRequest":{ "model":"models/x","contents":[] },"x_omni":1}`, `{"generateContentRequest":{ "model":"models/m","contents":[] }}`},
	} {
		var from, to hub.Dialect
		for _, d := range all() {
			if d.Name() == c.from {
				from = d
			}
			if d.Name() == c.to {
				to = d
			}
		}
		got, err := hub.TranslateRequest(from, to, &hub.Ctx{Model: "m", Count: true}, nil, []byte(c.body))
		require.NoError(t, err)
		require.Equal(t, c.want, string(got), "%s -> %s", c.from, c.to)
	}
}

// cursorBlobs are texts behind body tokens: one to keep and one that holds markup.
type cursorBlobs []string

func (b cursorBlobs) Len(id int) int { return len(b[id]) }

func (b cursorBlobs) Read(id, off int, dst []byte) int { return copy(dst, b[id][off:]) }

// CU-2: results are escaped for XML in whatever way the client wrote them; long text
// without markup stays behind its token.
func TestCursorResults(t *testing.T) {
	c := &hub.Ctx{Model: "m", Nonce: "k3v9q1zx", Blobs: cursorBlobs{`a \"b\" \n c`, `if a < b && c\u003e\u0007d {\t}`}}
	body := []byte(`{"messages":[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[
		{"id":"c&1","type":"function","function":{"name":"f<x>","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c&1","content":"~bk3v9q1zx.0~"},{"role":"tool","tool_call_id":"c2","content":"\b~bk3v9q1zx.1~\u007f é\/"}]}`)
	out, err := hub.TranslateRequest(openai.New(), cursor.New(), c, nil, body)
	require.NoError(t, err)
	require.Contains(t, string(out), `<tool_result>\n<tool_name>f&lt;x&gt;</tool_name>\n<tool_call_id>c&amp;1</tool_call_id>\n<result>~bk3v9q1zx.0~</result>\n</tool_result>`)
	require.Contains(t, string(out), `<result>if a &lt; b &amp;&amp; c&gt;d {\t} é\/</result>`)
}

// S-1: the role developer reaches upstreams that know it, from every client format that
// has it; others get system.
func TestDeveloperRole(t *testing.T) {
	byName := map[string]hub.Dialect{}
	for _, d := range all() {
		byName[d.Name()] = d
	}
	for from, body := range map[string]string{
		"openai-responses": `{"input":[{"role":"developer","content":"be brief"},{"role":"user","content":"a"}]}`,
		"hub":              `{"messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"a"}]}`,
	} {
		source := byName[from]
		if from == "hub" {
			source = chat.Hub{}
		}
		for _, c := range []struct {
			provider string
			keep     bool
			role     string
		}{{"openai", false, "developer"}, {"mock", false, "system"}, {"mock", true, "developer"}} {
			out, err := hub.TranslateRequest(source, byName["openai"], &hub.Ctx{Model: "m", Provider: c.provider, KeepDeveloper: c.keep}, nil, []byte(body))
			require.NoError(t, err)
			require.Contains(t, string(out), `{"role":"`+c.role+`","content":"be brief"}`)
		}
	}
}
