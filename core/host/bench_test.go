package host

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// agentBody is a request of a coding agent in the claude dialect: a long
// system prompt, tools, and turns of file reads, about 220 KB.
func agentBody() []byte {
	prose := func(seed, n int) string {
		words := strings.Fields("the quick brown fox reads file main.go and finds func handler that returns err when ctx is done so we change it")
		var b strings.Builder
		for k := 0; b.Len() < n; k++ {
			b.WriteString(words[(seed*7+k*3)%len(words)])
			b.WriteByte(" \n"[k%11/10])
		}
		return b.String()
	}
	quote := func(s string) string { return string(doc.Quote(nil, s)) }
	var b strings.Builder
	b.WriteString(`{"model":"claude-sonnet-4-5","max_tokens":32000,"stream":true,"system":[{"type":"text","text":` + quote(prose(1, 14000)) + `,"cache_control":{"type":"ephemeral"}}],"tools":[`)
	for k := range 18 {
		if k > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"tool_%d","description":%s,"input_schema":{"type":"object","properties":{"path":{"type":"string","description":"absolute path of the file"},"offset":{"type":"integer"},"limit":{"type":"integer","minimum":1}},"required":["path"]}}`, k, quote(prose(k, 1800)))
	}
	b.WriteString(`],"messages":[{"role":"user","content":` + quote(prose(3, 900)) + `}`)
	for k := range 30 {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":"Let me look at file %d."},{"type":"tool_use","id":"toolu_%d","name":"tool_%d","input":{"path":"/src/pkg%d/main.go","offset":%d}}]}`, k, k, k%18, k, k*10)
		fmt.Fprintf(&b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":%s}]}`, k, quote(prose(k, 5200)))
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkRoundTrip(b *testing.B) {
	g := serve(b, packed(b, echoGuest), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	i, err := g.modules[0].pool.lock(b.Context())
	require.NoError(b, err)
	defer i.mu.Unlock()
	for _, size := range []int{256, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			in := make([]byte, size)
			env := i.freshEnv(nil, 1)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, err := i.call(abi.OpSelfTest, 0, in, env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTranslateAgentRequest(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	body := agentBody()
	d, err := doc.Elide(body, doc.Options{})
	require.NoError(b, err)
	b.Logf("body %d bytes, skeleton %d", len(body), len(d.Skeleton()))
	t := Translation{From: "claude", To: "openai", Model: "gpt-5", Provider: "openai", Body: d.Skeleton(), Blobs: d, Seed: 1}
	b.Run("guest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := g.Request(context.Background(), t); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("elide+guest+inflate", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		var out []byte
		for b.Loop() {
			d, err := doc.Elide(body, doc.Options{})
			if err != nil {
				b.Fatal(err)
			}
			t := t
			t.Body, t.Blobs = d.Skeleton(), d
			res, err := g.Request(context.Background(), t)
			if err != nil {
				b.Fatal(err)
			}
			if out, err = d.Inflate(out[:0], res.Body, 0); err != nil {
				b.Fatal(err)
			}
			d.Release()
		}
	})
}

func BenchmarkStreamEvent(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	for _, pair := range []struct{ from, to, first, event string }{
		{"openai", "claude",
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" some words of text"},"logprobs":null,"finish_reason":null}]}`},
		{"claude", "openai",
			`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" some words of text"}}`},
	} {
		b.Run(pair.from+"-"+pair.to, func(b *testing.B) {
			s, err := g.OpenStream(context.Background(), Translation{From: pair.from, To: pair.to, Stream: true, Seed: 1})
			require.NoError(b, err)
			emit := func(abi.Frame) error { return nil }
			name := func(payload string) string {
				if pair.from == "claude" {
					v, _ := doc.String([]byte(payload), "type")
					return v
				}
				return ""
			}
			send := func(payload string) []abi.Frame { return []abi.Frame{{Name: name(payload), Payload: []byte(payload)}} }
			require.NoError(b, s.Data(context.Background(), send(pair.first), emit))
			if pair.from == "claude" {
				require.NoError(b, s.Data(context.Background(), send(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`), emit))
			}
			in := send(pair.event)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Data(context.Background(), in, emit); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			_ = s.End(context.Background(), abi.EndClientGone, emit)
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	g := serve(b, core(b), Options{Limits: Limits{RecycleCalls: 1 << 40}})
	x, _ := g.Executor("default")
	p := NewProfile("openai", []byte(`{"id":"openai","format":"openai","base_urls":["https://api.openai.com/v1"],"auth":{"api_key":{"header":"Authorization","prefix":"Bearer "}}}`))
	in := PlanInput{Profile: p, Endpoint: "chat", Model: "gpt-5", Stream: true, AuthKind: "api_key", Body: []byte(`{}`), Seed: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Plan(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}
