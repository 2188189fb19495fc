package upstream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

func mustURL(t testing.TB, raw string) *url.URL {
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u
}

// fastServer answers with a fixed body and costs as little as possible.
func fastServer(b *testing.B) string {
	answer := bytes.Repeat([]byte("x"), 1000)
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if strings.HasPrefix(string(ctx.Path()), "/sse") {
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				for range 100 {
					_, _ = w.WriteString("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n")
					_ = w.Flush()
				}
			})
			return
		}
		ctx.SetBody(answer)
	}, MaxRequestBodySize: 1 << 30}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Shutdown(); <-done })
	return "http://" + l.Addr().String()
}

func BenchmarkDo(b *testing.B) {
	url := fastServer(b)
	for _, size := range []int{1 << 10, 220 << 10} {
		body := bytes.Repeat([]byte("y"), size)
		name := map[int]string{1 << 10: "1KB", 220 << 10: "220KB"}[size]
		b.Run("omniroute/"+name, func(b *testing.B) {
			client := newClient(b, Options{})
			req := get(url)
			req.Body, req.Timeouts = body, DefaultTimeouts(false)
			req.Header = []Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Value: "Bearer x"}}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Do(context.Background(), req)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := resp.ReadAll(0); err != nil {
					b.Fatal(err)
				}
				resp.Close()
			}
		})
		b.Run("net-http/"+name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Post(url, "application/json", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkStream reads a stream of 100 events that come one by one.
func BenchmarkStream(b *testing.B) {
	url := fastServer(b) + "/sse"
	client := newClient(b, Options{})
	events := 0
	b.ReportAllocs()
	for b.Loop() {
		req := get(url)
		req.Timeouts = DefaultTimeouts(true)
		resp, err := client.Do(context.Background(), req)
		if err != nil {
			b.Fatal(err)
		}
		st, err := resp.Stream("sse")
		if err != nil {
			b.Fatal(err)
		}
		for {
			frames, err := st.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			resp.MarkEvent()
			events += len(frames)
		}
		resp.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
