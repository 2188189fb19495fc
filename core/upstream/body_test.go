package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func TestBodies(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", strconv.Itoa(len(long)))
			io.WriteString(w, long)
		case "/chunked":
			for i := 0; i < len(long); i += 777 {
				io.WriteString(w, long[i:min(i+777, len(long))])
				w.(http.Flusher).Flush()
			}
		case "/empty":
			w.WriteHeader(204)
		case "/early":
			w.WriteHeader(103)
			w.WriteHeader(200)
			io.WriteString(w, "late")
		}
	})
	c := newClient(t, Options{})
	for path, want := range map[string]string{"/length": long, "/chunked": long, "/empty": "", "/early": "late"} {
		for range 3 {
			resp, err := c.Do(context.Background(), get(s.URL+path))
			require.NoError(t, err)
			got, err := resp.ReadAll(0)
			require.NoError(t, err)
			require.True(t, want == string(got), path)
			resp.Close()
		}
	}
	head := get(s.URL + "/length")
	head.Method = "HEAD"
	resp, err := c.Do(context.Background(), head)
	require.NoError(t, err)
	got, err := resp.ReadAll(0)
	require.NoError(t, err)
	require.Empty(t, got)
	resp.Close()
	require.Len(t, c.pool.all, 1)
}

func TestBodyUntilClose(t *testing.T) {
	addr := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nall there is")
	})
	c := newClient(t, Options{})
	resp, err := c.Do(context.Background(), get("http://"+addr))
	require.NoError(t, err)
	got, err := resp.ReadAll(0)
	require.NoError(t, err)
	require.Equal(t, "all there is", string(got))
	resp.Close()
	require.Empty(t, c.pool.all)
}

func TestLargeResponseHeader(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("X-Big", strings.Repeat("x", n))
		io.WriteString(w, "ok")
	})
	c := newClient(t, Options{})
	for _, n := range []int{7000, 8100, 20_000, 60_000} {
		resp, err := c.Do(context.Background(), get(fmt.Sprintf("%s?n=%d", s.URL, n)))
		require.NoError(t, err, n)
		require.Len(t, resp.Get("x-big"), n)
		got, err := resp.ReadAll(0)
		require.NoError(t, err)
		require.Equal(t, "ok", string(got))
		resp.Close()
	}
	_, err := c.Do(context.Background(), get(s.URL+"?n=100000"))
	require.ErrorContains(t, err, "header is larger")
}

func TestBrokenAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":        "",
		"half a header":  "HTTP/1.1 200 OK\r\nContent-",
		"half a body":    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"half a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"no last chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"no chunk size":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n",
		"big chunk size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
		"bad chunk end":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
		"unknown coding": "HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 1\r\n\r\na",
		"not gzip":       "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nabcdefghijkl",
		"upgrade":        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			addr := rawServer(t, func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, answer)
			})
			c := newClient(t, Options{})
			resp, err := c.Do(context.Background(), get("http://"+addr))
			if err == nil {
				_, err = resp.ReadAll(0)
				resp.Close()
			}
			e := faultOf(t, err)
			require.Equal(t, 502, e.Status, "%v", err)
			require.Empty(t, e.Clock)
			if strings.Contains(answer, "Encoding: rot13") || strings.Contains(answer, "gzip") {
				return // the message was whole: only its content is broken
			}
			require.Eventually(t, func() bool {
				c.pool.mu.Lock()
				defer c.pool.mu.Unlock()
				return len(c.pool.all) == 0
			}, time.Minute, time.Millisecond, "the connection is gone")
		})
	}
}

func TestContentCodings(t *testing.T) {
	text := strings.Repeat("data: hello\n\n", 3)
	encode := map[string]func(w io.Writer) (io.WriteCloser, func() error){
		"gzip": func(w io.Writer) (io.WriteCloser, func() error) { z := gzip.NewWriter(w); return z, z.Flush },
		"br":   func(w io.Writer) (io.WriteCloser, func() error) { z := brotli.NewWriter(w); return z, z.Flush },
		"zstd": func(w io.Writer) (io.WriteCloser, func() error) {
			z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			return z, z.Flush
		},
		"deflate": func(w io.Writer) (io.WriteCloser, func() error) { z := zlib.NewWriter(w); return z, z.Flush },
	}
	for coding, open := range encode {
		t.Run(coding, func(t *testing.T) {
			seen := make(chan struct{}, 1)
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", coding)
				z, flush := open(w)
				for i := range 3 {
					io.WriteString(z, "data: hello\n\n")
					flush()
					w.(http.Flusher).Flush()
					if i < 2 {
						<-seen // the next event is written when this one was read
					}
				}
				z.Close()
			})
			client := newClient(t, Options{})
			resp, err := client.Do(context.Background(), get(s.URL))
			require.NoError(t, err)
			require.Empty(t, resp.Get("content-encoding"))
			st, err := resp.Stream("sse")
			require.NoError(t, err)
			var got strings.Builder
			for {
				frames, err := st.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				for _, f := range frames {
					got.Write(AppendFrame(nil, f))
				}
				select {
				case seen <- struct{}{}:
				default:
				}
			}
			require.Equal(t, text, got.String())
			resp.Close()
			require.Eventually(t, func() bool {
				client.pool.mu.Lock()
				defer client.pool.mu.Unlock()
				for _, h := range client.pool.hosts {
					return len(h.idle) == 1
				}
				return false
			}, time.Minute, time.Millisecond, "the connection is kept")
		})
	}
}

func TestBodyLimits(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(make([]byte, 10<<20)) // a small bomb
		z.Close()
	})
	client := newClient(t, Options{})
	do := func(max int64) *Response {
		req := get(s.URL)
		req.MaxBody = max
		resp, err := client.Do(context.Background(), req)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Close() })
		return resp
	}
	_, err := do(1 << 20).ReadAll(0)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
	_, err = do(0).ReadAll(1000)
	require.ErrorContains(t, err, "larger than 1000 bytes")
	got, err := do(0).ReadPrefix(1000)
	require.NoError(t, err)
	require.Len(t, got, 1000)
	got, err = do(0).ReadAll(0)
	require.NoError(t, err)
	require.Len(t, got, 10<<20)
}

func TestTLSAndHTTP2(t *testing.T) {
	for _, c := range []struct {
		version Version
		offer   bool
		proto   string
	}{
		{HTTP1, true, "HTTP/1.1"}, {HTTP2, true, "HTTP/2.0"}, {HTTP2, false, "HTTP/1.1"}, {HTTP2Only, true, "HTTP/2.0"}, {HTTP2Only, false, ""},
	} {
		t.Run(fmt.Sprint(c.version, c.offer), func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				fmt.Fprintf(z, "%s %s %s", r.Proto, b, r.Header.Get("X-In"))
				z.Close()
			}))
			s.EnableHTTP2 = c.offer
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			client := newClient(t, Options{TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
			for range 2 {
				req := get(s.URL)
				req.HTTP, req.Body, req.Header = c.version, []byte("b"), []Header{{Name: "x-in", Value: "v"}, {Name: "Connection", Value: "close"}}
				resp, err := client.Do(context.Background(), req)
				if c.proto == "" {
					require.Error(t, err)
					return
				}
				require.NoError(t, err)
				got, err := resp.ReadAll(0)
				require.NoError(t, err)
				require.Equal(t, c.proto+" b v", string(got))
				resp.Close()
			}
			s.CloseClientConnections()
		})
	}
	t.Run("unknown authority", func(t *testing.T) {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		_, err := newClient(t, Options{}).Do(context.Background(), get(s.URL))
		require.Contains(t, faultOf(t, err).Message, "TLS")
		var verify *tls.CertificateVerificationError
		require.True(t, errors.As(err, &verify))
	})
}

func TestStreamBatches(t *testing.T) {
	event := "data: " + strings.Repeat("x", 90) + "\n\n"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("data: x\n\n", 500)+"data: "+strings.Repeat("y", 100_000)+"\n\n"+strings.Repeat(event, 2000)+"data: last")
	})
	resp, err := newClient(t, Options{}).Do(context.Background(), get(s.URL))
	require.NoError(t, err)
	defer resp.Close()
	st, err := resp.Stream("sse")
	require.NoError(t, err)
	n, last := 0, ""
	for {
		frames, err := st.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.NotEmpty(t, frames)
		require.LessOrEqual(t, len(frames), 64)
		n += len(frames)
		last = string(frames[len(frames)-1].Payload)
	}
	require.Equal(t, 2502, n)
	require.Equal(t, "last", last)
	_, err = st.Next()
	require.Equal(t, io.EOF, err)
	_, err = resp.Stream("morse")
	require.ErrorContains(t, err, "morse")
}

func TestReadAcrossChunks(t *testing.T) {
	addr := rawServer(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		var b strings.Builder
		b.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 10 {
			b.WriteString("9\r\ndata: x\n\n\r\n")
		}
		b.WriteString("0\r\nTrailer: x\r\n\r\n")
		io.WriteString(c, b.String())
		io.Copy(io.Discard, c)
	})
	client := newClient(t, Options{})
	resp, err := client.Do(context.Background(), get("http://"+addr))
	require.NoError(t, err)
	st, err := resp.Stream("sse")
	require.NoError(t, err)
	frames, err := st.Next()
	require.NoError(t, err)
	require.Len(t, frames, 10)
	resp.Close()
	require.Len(t, client.pool.hosts[keyOf(get("http://"+addr), mustURL(t, "http://"+addr))].idle, 1, "the end was seen with the last event")
	client.Close()
}
