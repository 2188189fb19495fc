package claude_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/sdk/hub"
)

// blobs stands for strings of 2 KB behind body tokens.
type blobs struct{}

func (blobs) Len(int) int { return 2048 }

func (blobs) Read(_, _ int, dst []byte) int {
	for i := range dst {
		dst[i] = 'x'
	}
	return len(dst)
}

const nonce = "k3v9q1zx"

// skeleton is what a guest sees of a coding agent's request of about 220 KB: 18 tools,
// 52 turns of calls and results, long strings behind tokens.
func skeleton() []byte {
	id := 0
	token := func() string {
		id++
		return fmt.Sprintf("~b%s.%d~", nonce, id)
	}
	var b strings.Builder
	b.WriteString(`{"model":"claude-sonnet-4-5","max_tokens":32000,"stream":true,"metadata":{"user_id":"user_0123456789abcdef"},`)
	fmt.Fprintf(&b, `"system":[{"type":"text","text":"%s","cache_control":{"type":"ephemeral"}}],"tools":[`, token())
	for i := range 18 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"tool_%d","description":"%s","input_schema":{"type":"object","properties":{`, i, token())
		for k := range 6 {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"param_%d":{"type":"string","description":"Describes the parameter."}`, k)
		}
		b.WriteString(`},"required":["param_0"],"additionalProperties":false}}`)
	}
	b.WriteString(`],"messages":[{"role":"user","content":"go"}`)
	for i := range 52 {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":"I will look at the file first."},`+
			`{"type":"tool_use","id":"toolu_%016d","name":"tool_1","input":{"path":"core/pkg/file_%d.go","content":"%s"}}]},`+
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%016d","content":[{"type":"text","text":"%s"}]}]}`,
			i, i, token(), i, token())
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// BenchmarkRequest is a coding agent's request on its way to an OpenAI upstream.
func BenchmarkRequest(b *testing.B) {
	body := skeleton()
	from, to := claude.New(), openai.New()
	var out []byte
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c := &hub.Ctx{Model: "gpt-4o", Nonce: nonce, Blobs: blobs{}}
		var err error
		if out, err = hub.TranslateRequest(from, to, c, out[:0], body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStreamText is one text delta, decoded and encoded.
func BenchmarkStreamText(b *testing.B) {
	emit := func(hub.Event) {}
	for _, pair := range []struct {
		name     string
		from, to hub.Dialect
		event    string
	}{
		{"openai-claude", openai.New(), claude.New(), `{"id":"chatcmpl-u1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" world of words"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"abcdef"}`},
		{"claude-openai", claude.New(), openai.New(), `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" world of words"}}`},
	} {
		b.Run(pair.name, func(b *testing.B) {
			s := hub.NewStream(pair.from, pair.to, &hub.Ctx{})
			_ = s.Feed(hub.Event{Data: []byte(`{"type":"message_start","message":{"id":"msg_1","model":"m"}}`)}, emit)
			_ = s.Feed(hub.Event{Data: []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)}, emit)
			ev := hub.Event{Data: []byte(pair.event)}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Feed(ev, emit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
