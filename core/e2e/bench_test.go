package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// agentBody is a request as a coding agent sends it: a long system text, many
// tools, and a conversation of calls and results, about size bytes in all.
func agentBody(model string, size int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":%q,"max_tokens":8000,"system":[{"type":"text","text":%q}],"tools":[`, model, strings.Repeat("You are a careful engineer. Read before you write. ", 300))
	for i := range 18 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"tool_%d","description":%q,"input_schema":{"type":"object","properties":{"path":{"type":"string","description":"absolute path"},"offset":{"type":"integer"},"mode":{"type":"string","enum":["a","b"]}},"required":["path"]}}`, i, strings.Repeat("Reads a file and returns its lines. ", 12))
	}
	b.WriteString(`],"messages":[{"role":"user","content":[{"type":"text","text":"Fix the failing test."}]}`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":"I will look at file %d."},{"type":"tool_use","id":"toolu_%d","name":"tool_%d","input":{"path":"/src/file_%d.go","offset":%d}}]}`, i, i, i%18, i, i)
		fmt.Fprintf(&b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":%q}]}`, i, strings.Repeat("func f() error {\n\treturn nil // nothing \"special\"\n}\n", 70))
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// BenchmarkLoopback is a whole request through the built binary, one after the
// other over one connection; "direct" is the same request to the fake provider
// alone, so that the difference is what the gateway adds.
func BenchmarkLoopback(b *testing.B) {
	up := fake.Start(fake.Options{Lenient: true})
	defer up.Close()
	up.Otherwise(func(*fake.Request) fake.Reply {
		up.Reset()
		return fake.Reply{Text: "done"}
	})
	g := serve(b, providers(node{id: "lab", dialect: "openai", url: up.OpenAIBase(), models: []string{"m"}})+freely)
	small := fmt.Appendf(nil, `{"model":"lab/m","messages":[{"role":"user","content":%q}]}`, strings.Repeat("a word ", 130))
	agent := agentBody("lab/m", 220_000)
	client := &http.Client{Transport: &http.Transport{}}
	for _, bench := range []struct {
		name, url string
		body      []byte
	}{
		{"1KB/direct", up.OpenAIBase() + "/chat/completions", small},
		{"1KB/openai-openai", g.URL + "/v1/chat/completions", small},
		{"220KB/direct", up.URL + "/v1/messages", agent},
		{"220KB/claude-openai", g.URL + "/v1/messages", agent},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.body)))
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				req, err := http.NewRequest(http.MethodPost, bench.url, bytes.NewReader(bench.body))
				require.NoError(b, err)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer k")
				req.Header.Set("anthropic-version", "2023-06-01")
				resp, err := client.Do(req)
				require.NoError(b, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				require.Equal(b, http.StatusOK, resp.StatusCode)
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		})
	}
}
