package dialect_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
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

// P-4: root fields nobody knows come back when a request leaves the hub in its own
// format, and go nowhere else.
func TestUnknownRootFields(t *testing.T) {
	byName := map[string]hub.Dialect{}
	for _, d := range all() {
		byName[d.Name()] = d
	}
	for from, body := range map[string]string{
		"openai":           `{"messages":[{"role":"user","content":"a"}],"vendor":{"n":12345678901234567890}}`,
		"openai-responses": `{"input":"a","vendor":{"n":12345678901234567890}}`,
		"claude":           `{"max_tokens":9,"messages":[{"role":"user","content":"a"}],"vendor":{"n":12345678901234567890}}`,
		"gemini":           `{"contents":[{"parts":[{"text":"a"}]}],"vendor":{"n":12345678901234567890}}`,
	} {
		mid, err := hub.TranslateRequest(byName[from], chat.Hub{}, &hub.Ctx{}, nil, []byte(body))
		require.NoError(t, err)
		for _, to := range all() {
			out, err := hub.TranslateRequest(chat.Hub{}, to, &hub.Ctx{Model: "m"}, nil, mid)
			require.NoError(t, err)
			if to.Name() == from || from == "gemini" && (to.Name() == "gemini-cli" || to.Name() == "antigravity") {
				require.Contains(t, string(out), `"vendor":{"n":12345678901234567890}`, from)
			} else {
				require.NotContains(t, string(out), "vendor", "%s to %s", from, to.Name())
			}
			require.NotContains(t, string(out), "x_omni")
		}
	}
}

// J-1: plain text is no wish. GE-1: everything has its place in a Gemini request.
func TestGeminiShape(t *testing.T) {
	body := []byte(`{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],
		"temperature":0.5,"response_format":{"type":"text"},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}],"tool_choice":"none"}`)
	out, err := hub.TranslateRequest(openai.New(), gemini.New(), &hub.Ctx{Model: "gemini-2.5-flash"}, nil, body)
	require.NoError(t, err)
	require.JSONEq(t, `{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]},{"role":"user","parts":[{"text":"c"}]}],
		"systemInstruction":{"parts":[{"text":"s"}]},"generationConfig":{"temperature":0.5},
		"tools":[{"functionDeclarations":[{"name":"f","description":"","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}]}],
		"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}`, string(out))
	for _, to := range all() {
		out, err := hub.TranslateRequest(openai.New(), to, &hub.Ctx{Model: "claude-sonnet-4-5"}, nil, []byte(`{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"text"}}`))
		require.NoError(t, err)
		if to.Name() != "openai" { // P-1
			require.NotContains(t, string(out), "format", to.Name())
			require.NotContains(t, string(out), "responseMimeType", to.Name())
		}
	}
}

var (
	ruleID    = regexp.MustCompile(`\b[A-Z]{1,2}-\d+\b`)
	ruleRange = regexp.MustCompile(`\b([A-Z]{1,2})-(\d) (?:…|to) [A-Z]{1,2}-(\d)\b`)
)

// ruleIDs are the rule ids that a text names; a range names those between its ends, too.
func ruleIDs(text string) map[string]bool {
	ids := map[string]bool{}
	for _, id := range ruleID.FindAllString(text, -1) {
		ids[id] = true
	}
	for _, m := range ruleRange.FindAllStringSubmatch(text, -1) {
		for n := m[2][0]; n <= m[3][0]; n++ {
			ids[m[1]+"-"+string(rune(n))] = true
		}
	}
	return ids
}

// Every rule of the translation has a case or a test that names it.
func TestEveryRuleHasACase(t *testing.T) {
	page, err := os.ReadFile("../../docs/translation.md")
	require.NoError(t, err)
	var rules strings.Builder
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			rules.WriteString(cells[1] + "\n")
		}
	}
	var cited strings.Builder
	for _, pattern := range []string{"testdata/*.jsonl", "*_test.go", "*/*_test.go", "../../sdk/hub/*/*_test.go", "../../core/flow/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			cited.Write(text)
		}
	}
	documented, tested := ruleIDs(rules.String()), ruleIDs(cited.String())
	require.Greater(t, len(documented), 140)
	for id := range documented {
		require.True(t, tested[id], "no case names rule %s", id)
	}
	for id := range tested {
		require.True(t, documented[id] || strings.HasPrefix(id, "D-"), "a case names rule %s, which is not documented", id)
	}
}
