package dialect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/plugins/dialect/antigravity"
	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/cursor"
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/plugins/dialect/geminicli"
	"github.com/omniroute/omniroute/plugins/dialect/kiro"
	"github.com/omniroute/omniroute/plugins/dialect/ollama"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/plugins/dialect/openairesponses"
	"github.com/omniroute/omniroute/sdk/hub"
)

// benchBlobs stands for strings of 2 KB behind body tokens.
type benchBlobs struct{}

func (benchBlobs) Len(int) int { return 2048 }

func (benchBlobs) Read(_, _ int, dst []byte) int {
	for i := range dst {
		dst[i] = 'x'
	}
	return len(dst)
}

const benchNonce = "k3v9q1zx"

// agentRequest is what a guest sees of a coding agent's request of about 220 KB in a
// client format: 18 tools, 52 turns of calls and results, long strings behind tokens.
func agentRequest(format string) []byte {
	id := 0
	token := func() string {
		id++
		return fmt.Sprintf("~b%s.%d~", benchNonce, id)
	}
	list := func(n int, each func(i int) string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = each(i)
		}
		return strings.Join(out, ",")
	}
	schema := func() string {
		return `{"type":"object","properties":{` + list(6, func(k int) string {
			return fmt.Sprintf(`"param_%d":{"type":"string","description":"Describes the parameter."}`, k)
		}) + `},"required":["param_0"],"additionalProperties":false}`
	}
	switch format {
	case "claude":
		return []byte(`{"model":"m","max_tokens":32000,"system":[{"type":"text","text":"` + token() + `"}],"tools":[` + list(18, func(i int) string {
			return fmt.Sprintf(`{"name":"tool_%d","description":"%s","input_schema":%s}`, i, token(), schema())
		}) + `],"messages":[{"role":"user","content":"go"},` + list(52, func(i int) string {
			return fmt.Sprintf(`{"role":"assistant","content":[{"type":"text","text":"I will look."},{"type":"tool_use","id":"toolu_%016d","name":"tool_1","input":{"path":"a/b_%d.go","content":"%s"}}]},`+
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%016d","content":[{"type":"text","text":"%s"}]}]}`, i, i, token(), i, token())
		}) + `]}`)
	case "gemini":
		return []byte(`{"systemInstruction":{"parts":[{"text":"` + token() + `"}]},"tools":[{"functionDeclarations":[` + list(18, func(i int) string {
			return fmt.Sprintf(`{"name":"tool_%d","description":"%s","parameters":%s}`, i, token(), schema())
		}) + `]}],"contents":[{"role":"user","parts":[{"text":"go"}]},` + list(52, func(i int) string {
			return fmt.Sprintf(`{"role":"model","parts":[{"text":"I will look."},{"functionCall":{"id":"call_%016d","name":"tool_1","args":{"path":"a/b_%d.go","content":"%s"}}}]},`+
				`{"role":"user","parts":[{"functionResponse":{"id":"call_%016d","name":"tool_1","response":{"output":"%s"}}}]}`, i, i, token(), i, token())
		}) + `]}`)
	}
	if format == "openai" {
		return []byte(`{"model":"m","tools":[` + list(18, func(i int) string {
			return fmt.Sprintf(`{"type":"function","function":{"name":"tool_%d","description":"%s","parameters":%s}}`, i, token(), schema())
		}) + `],"messages":[{"role":"system","content":"` + token() + `"},{"role":"user","content":"go"},` + list(52, func(i int) string {
			return fmt.Sprintf(`{"role":"assistant","content":"I will look.","tool_calls":[{"id":"call_%016d","type":"function","function":{"name":"tool_1","arguments":"%s"}}]},`+
				`{"role":"tool","tool_call_id":"call_%016d","content":"%s"}`, i, token(), i, token())
		}) + `]}`)
	}
	return []byte(`{"model":"m","instructions":"` + token() + `","tools":[` + list(18, func(i int) string {
		return fmt.Sprintf(`{"type":"function","name":"tool_%d","description":"%s","parameters":%s}`, i, token(), schema())
	}) + `],"input":[{"role":"user","content":"go"},` + list(52, func(i int) string {
		return fmt.Sprintf(`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I will look."}]},{"type":"function_call","call_id":"call_%016d","name":"tool_1","arguments":"%s"},`+
			`{"type":"function_call_output","call_id":"call_%016d","output":"%s"}`, i, token(), i, token())
	}) + `]}`)
}

// targets are the formats of providers with a model of each.
var targets = []struct {
	dialect hub.Dialect
	model   string
}{
	{openai.New(), "gpt-4o"}, {openairesponses.New(), "gpt-5"}, {claude.New(), "claude-sonnet-4-5"}, {gemini.New(), "gemini-3-pro"},
	{geminicli.New(), "gemini-3-pro"}, {antigravity.New(), "gemini-3-pro"}, {kiro.New(), "claude-sonnet-4-5"}, {cursor.New(), "gpt-5"}, {ollama.New(), "llama3"},
}

// BenchmarkOwnRequest is a coding agent's request between the formats, without the way
// into a guest and back.
func BenchmarkOwnRequest(b *testing.B) {
	for _, from := range []hub.Dialect{openai.New(), openairesponses.New(), claude.New(), gemini.New()} {
		body := agentRequest(from.Name())
		for _, to := range targets {
			b.Run(from.Name()+"-"+to.dialect.Name(), func(b *testing.B) {
				var arena hub.Arena
				var out []byte
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					arena.Reset()
					c := &hub.Ctx{Model: to.model, Nonce: benchNonce, Blobs: benchBlobs{}, Arena: &arena}
					var err error
					if out, err = hub.TranslateRequest(from, to.dialect, c, out[:0], body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkOwnStreamText is one piece of text, decoded and encoded.
func BenchmarkOwnStreamText(b *testing.B) {
	texts := map[string]string{
		"openai":           `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" world of words"},"finish_reason":null}]}`,
		"openai-responses": `{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":" world of words","sequence_number":9,"logprobs":[]}`,
		"gemini":           `{"candidates":[{"content":{"parts":[{"text":" world of words"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"m","responseId":"R1"}`,
	}
	for _, p := range []struct{ from, to hub.Dialect }{
		{openai.New(), openairesponses.New()}, {openai.New(), gemini.New()},
		{openairesponses.New(), claude.New()}, {gemini.New(), openai.New()},
	} {
		b.Run(p.from.Name()+"-"+p.to.Name(), func(b *testing.B) {
			emit := func(hub.Event) {}
			ev := hub.Event{Data: []byte(texts[p.from.Name()])}
			s := hub.NewStream(p.from, p.to, &hub.Ctx{})
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%10000 == 9999 { // the text of an item is kept until its end
					s = hub.NewStream(p.from, p.to, &hub.Ctx{})
				}
				if err := s.Feed(ev, emit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
