package canonicalize

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/policy"
)

func facts(t testing.TB, dialect, body string) (*policy.Req, *fault.Error) {
	t.Helper()
	d, err := doc.Elide([]byte(body), doc.Options{})
	require.NoError(t, err)
	req := policy.NewReq()
	bad := ReadFacts(dialect, d, Want{Texts: true, Tools: true, Meta: true}, req)
	return req, bad
}

// TestForcedTools: a tool that a client insists on counts among the names.
func TestForcedTools(t *testing.T) {
	for body, dialect := range map[string]string{
		`{"messages":[],"functions":[{"name":"f"}],"function_call":{"name":"g"}}`:                                                                              "openai",
		`{"messages":[],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}}`:                      "openai",
		`{"messages":[],"tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"g"}}`:                                                                      "claude",
		`{"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"g"}}`:                                                  "openai-responses",
		`{"contents":[],"tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["g"]}}}`: "gemini",
	} {
		req, bad := facts(t, dialect, body)
		require.Nil(t, bad)
		require.Equal(t, []string{"f", "g"}, req.ToolNames, body)
		require.Equal(t, 1, req.Tools, body)
	}
	req, _ := facts(t, "openai", `{"messages":[],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}`)
	require.Equal(t, []string{"f"}, req.ToolNames)
}

func TestFactsOfEachDialect(t *testing.T) {
	bodies := map[string]string{
		"openai": `{"model":"m","max_completion_tokens":50,"temperature":0,"top_p":0.5,"n":2,"reasoning_effort":"high","user":"u1",
			"metadata":{"team":"x","n":1},"response_format":{"type":"json_schema"},
			"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
			"messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"hello"},
				{"type":"image_url","image_url":{"url":"https://x/y.png"}},{"type":"file","file":{"file_id":"1"}}]},
				{"role":"assistant","content":null},{"role":"user","content":"last"}]}`,
		"claude": `{"model":"m","max_tokens":50,"temperature":0,"top_p":0.5,"system":"S","thinking":{"type":"enabled","budget_tokens":4096},
			"output_config":{"effort":"high","format":{"type":"json_schema"}},"metadata":{"user_id":"u1","team":"x"},
			"tools":[{"name":"f"},{"name":"g"}],
			"messages":[{"role":"user","content":[{"type":"text","text":"hello"},{"type":"image","source":{"type":"url","url":"https://x"}},
				{"type":"document","source":{"type":"url","url":"https://x"}}]},
				{"role":"assistant","content":"A"},{"role":"user","content":"last"}]}`,
		"openai-responses": `{"model":"m","max_output_tokens":50,"temperature":0,"top_p":0.5,"instructions":"S","reasoning":{"effort":"high"},
			"text":{"format":{"type":"json_schema"}},"user":"u1","metadata":{"team":"x"},"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],
			"input":[{"role":"user","content":[{"type":"input_text","text":"hello"},{"type":"input_image","image_url":"https://x"},
				{"type":"input_file","file_id":"f"}]},{"type":"function_call","name":"f","arguments":"{}"},
				{"type":"message","role":"user","content":"last"}]}`,
		"gemini": `{"systemInstruction":{"parts":[{"text":"S"}]},"generationConfig":{"maxOutputTokens":50,"temperature":0,"topP":0.5,
			"candidateCount":2,"responseSchema":{"type":"object"},"thinkingConfig":{"thinkingLevel":"HIGH"}},
			"tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"}]}],
			"contents":[{"role":"user","parts":[{"text":"hello"},{"inlineData":{"mimeType":"image/png","data":"AA=="}},
				{"fileData":{"mimeType":"application/pdf","fileUri":"gs://x"}}]},{"role":"model","parts":[{"text":"A"}]},
				{"role":"user","parts":[{"text":"last"}]}]}`,
	}
	for _, dialect := range Dialects() {
		t.Run(dialect, func(t *testing.T) {
			req, bad := facts(t, dialect, bodies[dialect])
			require.Nil(t, bad)
			require.Equal(t, 50, req.MaxTokens)
			require.Equal(t, []string{"f", "g"}, req.ToolNames)
			require.Equal(t, 2, req.Tools)
			require.Equal(t, 1, req.Images)
			require.Equal(t, 1, req.Files)
			require.True(t, req.HasSystem)
			require.Equal(t, "schema", req.JSONMode)
			require.True(t, req.Thinking.Requested)
			require.Equal(t, "high", req.Thinking.Effort)
			require.Equal(t, "user", req.LastRole)
			require.Equal(t, "last", req.LastText)
			require.Equal(t, "last", req.LastUserText)
			require.Equal(t, "hello last", req.UserText)
			require.Equal(t, 4, req.LastUserChars)
			require.NotNil(t, req.Temperature)
			require.Zero(t, *req.Temperature)
			require.Equal(t, 0.5, *req.TopP)
			require.Positive(t, req.TokensIn)
			if dialect != "gemini" {
				require.Equal(t, "u1", req.User)
				require.Equal(t, "x", req.Meta["team"])
			}
		})
	}
}

func TestFactsLookUpLongTexts(t *testing.T) {
	long := strings.Repeat("é\\n", 40_000)
	req, bad := facts(t, "openai", `{"messages":[{"role":"user","content":"`+long+`"}]}`)
	require.Nil(t, bad)
	require.LessOrEqual(t, len(req.LastText), maxText)
	require.Greater(t, len(req.LastText), maxText/2)
	require.True(t, utf8.ValidString(req.LastText))
	require.Equal(t, "é\né\n", req.LastText[:6])
	require.Equal(t, 80_000, req.LastUserChars)
}

func TestFactsDoNotCountInlineMediaAsText(t *testing.T) {
	data := strings.Repeat("A", 1<<20)
	req, bad := facts(t, "openai", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+data+`"}}]}]}`)
	require.Nil(t, bad)
	require.Less(t, req.TokensIn, imageTokens+100)
}

func TestFactsNameTheMemberOfAWrongType(t *testing.T) {
	for _, c := range []struct{ dialect, body, param string }{
		{"openai", `{"messages":"x"}`, "messages"},
		{"openai", `{"messages":[1]}`, "messages"},
		{"openai", `{"messages":[{"role":"user","content":7}]}`, "messages.content"},
		{"openai", `{"max_tokens":"many"}`, "max_tokens"},
		{"openai", `{"max_tokens":1.5}`, "max_tokens"},
		{"openai", `{"temperature":"hot"}`, "temperature"},
		{"claude", `{"messages":{}}`, "messages"},
		{"claude", `{"max_tokens":[]}`, "max_tokens"},
		{"openai-responses", `{"input":5}`, "input"},
		{"openai-responses", `{"input":[5]}`, "input"},
		{"gemini", `{"contents":[5]}`, "contents"},
		{"gemini", `{"generationConfig":{"maxOutputTokens":"x"}}`, "generationConfig.maxOutputTokens"},
	} {
		_, bad := facts(t, c.dialect, c.body)
		require.NotNil(t, bad, c.body)
		require.Equal(t, 400, bad.Status)
		require.Equal(t, c.param, bad.Param, c.body)
	}
	_, bad := facts(t, "openai", `[]`)
	require.NotNil(t, bad)
}

func TestTrimEscapeLeavesValidText(t *testing.T) {
	raw := []byte(strings.Repeat(`a\n\u00e9é\ud83d\ude00\\`, 10))
	for n := range raw {
		cut := trimEscape(append([]byte(nil), raw[:n]...))
		quoted := append(append([]byte{'"'}, cut...), '"')
		require.NoError(t, doc.Valid(quoted, doc.Options{}), "cut at %d: %s", n, quoted)
	}
}

func TestClientNames(t *testing.T) {
	require.Equal(t, "claude-cli", clientName("claude-cli/2.0.1 (external, cli)", nil))
	require.Equal(t, "openai-sdk", clientName("OpenAI/Python 1.99", nil))
	require.Equal(t, "", clientName("curl/8.5", nil))
}

func FuzzReadFacts(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":"x"}],"tools":[{}],"metadata":{"a":1}}`)
	f.Add(`{"contents":{"parts":{"text":"x"}},"generationConfig":null}`)
	f.Add(`{"input":[{"type":"function_call_output","output":"x"}],"text":{"format":[]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		d, err := doc.Elide([]byte(body), doc.Options{})
		if err != nil {
			return
		}
		for _, dialect := range Dialects() {
			req := policy.NewReq()
			_ = ReadFacts(dialect, d, Want{Texts: true, Tools: true, Meta: true}, req)
			for _, s := range []string{req.FirstText, req.LastText, req.UserText} {
				if len(s) > maxText {
					t.Fatalf("%s: text of %d bytes", dialect, len(s))
				}
			}
		}
	})
}

func BenchmarkReadFacts(b *testing.B) {
	body := `{"model":"m","messages":[` + strings.Repeat(`{"role":"user","content":"`+strings.Repeat("word ", 200)+`"},`, 200) + `{"role":"user","content":"x"}]}`
	d, err := doc.Elide([]byte(body), doc.Options{})
	require.NoError(b, err)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req := policy.NewReq()
		if bad := ReadFacts("openai", d, Want{}, req); bad != nil {
			b.Fatal(bad)
		}
	}
}
