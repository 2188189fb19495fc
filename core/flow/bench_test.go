package flow_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// benchReply is a fixed upstream answer, so that the fake costs little.
var benchReply = []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"fake-model","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`)

func benchPost(b *testing.B, url string, header http.Header, body string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		req, err := http.NewRequest("POST", url, strings.NewReader(body))
		require.NoError(b, err)
		req.Header = header
		resp, err := client.Do(req)
		require.NoError(b, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			b.Fatal(resp.Status)
		}
	}
}

// BenchmarkRequest measures a whole request over loopback: client, gateway and
// fake provider in one process. "direct" is the same without the gateway.
func BenchmarkRequest(b *testing.B) {
	w := newWorld(b, quick)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Body: benchReply} })
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer k"}}
	for name, size := range map[string]int{"1KB": 900, "200KB": 200 << 10} {
		body := `{"model":"oai/fake-model","messages":[{"role":"user","content":"` + strings.Repeat("word ", size/5) + `"}]}`
		b.Run(name+"/direct", func(b *testing.B) {
			benchPost(b, w.oai.OpenAIBase()+"/chat/completions", header, withModel(body, "fake-model"))
			w.oai.Reset()
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Body: benchReply} })
		})
		b.Run(name+"/gateway", func(b *testing.B) {
			benchPost(b, w.url+"/v1/chat/completions", header, body)
			w.oai.Reset()
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Body: benchReply} })
		})
	}
}

// BenchmarkStreamEvent measures one event of a stream from upstream to the
// client, passed through and translated.
func BenchmarkStreamEvent(b *testing.B) {
	w := newWorld(b, quick)
	for name, model := range map[string]string{"passthrough": "oai/fake-model", "translated": "ant/fake-model"} {
		b.Run(name, func(b *testing.B) {
			pieces := make([]string, b.N)
			for i := range pieces {
				pieces[i] = "word "
			}
			reply := func(*fake.Request) fake.Reply { return fake.Reply{Text: "word", Pieces: pieces} }
			w.oai.Otherwise(reply)
			w.ant.Otherwise(reply)
			b.ReportAllocs()
			b.ResetTimer()
			resp := w.open(context.Background(), "/v1/chat/completions", withModel(chatStream, model))
			defer resp.Body.Close()
			n := 0
			for s := bufio.NewScanner(resp.Body); s.Scan(); {
				if data, ok := strings.CutPrefix(s.Text(), "data: "); ok {
					if _, ok := doc.Get([]byte(data), "choices", "0", "delta", "content"); ok {
						n++
					}
				}
			}
			if n < b.N {
				b.Fatalf("%d of %d events", n, b.N)
			}
		})
	}
}
