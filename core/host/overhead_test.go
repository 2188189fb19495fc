package host

import (
	"context"
	"fmt"
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// BenchmarkMetering compares the built-in plugins as they are with the same
// ones metered, and says how much fuel a call takes.
func BenchmarkMetering(b *testing.B) {
	body := agentBody()
	d, err := doc.Elide(body, doc.Options{})
	require.NoError(b, err)
	request := Translation{From: "claude", To: "openai", Model: "gpt-5", Provider: "openai", Body: d.Skeleton(), Blobs: d, Seed: 1}
	event := []abi.Frame{{Payload: []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" some words of text"},"logprobs":null,"finish_reason":null}]}`)}}
	for _, metered := range []bool{false, true} {
		items := map[string]Item{coreName: {Unmetered: !metered}}
		g := serve(b, core(b), Options{Items: items, Limits: Limits{RecycleCalls: 1 << 40}})
		stats := &g.modules[0].stats
		b.Run(fmt.Sprintf("request/metered=%t", metered), func(b *testing.B) {
			for b.Loop() {
				if _, err := g.Request(context.Background(), request); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(stats.fuel.at(0.5)), "fuel/op")
		})
		b.Run(fmt.Sprintf("event/metered=%t", metered), func(b *testing.B) {
			s, err := g.OpenStream(context.Background(), Translation{From: "openai", To: "claude", Stream: true, Seed: 1})
			require.NoError(b, err)
			for b.Loop() {
				if err := s.Data(context.Background(), event, nothing); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(stats.fuel.at(0.1)), "fuel/op")
			b.StopTimer()
			_ = s.End(context.Background(), abi.EndClientGone, nothing)
		})
	}
}

const coreName = "omniroute/core"
