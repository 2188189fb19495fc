package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client that is closed at the end of the test.
func newClient(t testing.TB, opt Options) *Client {
	c := New(opt)
	t.Cleanup(func() { c.Close() })
	return c
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// rawServer answers each connection with handle.
func rawServer(t testing.TB, handle func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); handle(c) })
		}
	})
	return l.Addr().String()
}

func get(url string) *Request { return &Request{URL: url, AllowPrivate: true} }

func faultOf(t *testing.T, err error) *fault.Error {
	t.Helper()
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	return e
}

func TestDo(t *testing.T) {
	body := bytes.Repeat([]byte("request body "), 20_000)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Thing", "yes")
		w.Header().Set("Connection", "keep-alive")
		fmt.Fprintf(w, "%s %s %s %d %s %s", r.Method, r.URL.RequestURI(), r.Host, len(got), r.Header.Get("X-In"), r.Header.Get("User-Agent"))
	})
	c := newClient(t, Options{})
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c2 := range []struct {
		req  *Request
		want string
	}{
		{&Request{URL: s.URL}, "GET / " + host + " 0  omniroute"},
		{&Request{URL: s.URL + "/a%2Fb?q=1%20", Body: []byte("hi"), Header: []Header{{Name: "x-in", Value: "v"}, {Name: "User-Agent", Value: "me"}}}, "POST /a%2Fb?q=1%20 " + host + " 2 v me"},
		{&Request{URL: s.URL, Body: body, Header: []Header{{Name: "Host", Value: "example.com"}, {Name: "Content-Length", Value: "3"}, {Name: "Connection", Value: "close"}}}, "POST / example.com " + strconv.Itoa(len(body)) + "  omniroute"},
		{&Request{URL: s.URL, Method: "PUT", BodyReader: io.MultiReader(bytes.NewReader(body), strings.NewReader("x"))}, "PUT / " + host + " " + strconv.Itoa(len(body)+1) + "  omniroute"},
		{&Request{URL: s.URL, Method: "DELETE"}, "DELETE / " + host + " 0  omniroute"},
	} {
		c2.req.AllowPrivate = true
		resp, err := c.Do(context.Background(), c2.req)
		require.NoError(t, err)
		require.Equal(t, 200, resp.Status)
		require.Equal(t, "yes", resp.Get("X-Thing"))
		require.Empty(t, resp.Get("connection"), "hop-by-hop fields end here")
		got, err := resp.ReadAll(0)
		require.NoError(t, err)
		require.Equal(t, c2.want, string(got))
		require.NoError(t, resp.Close())
	}
	require.Len(t, c.pool.all, 1, "one connection served them all")
}

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
			}, time.Second, time.Millisecond, "the connection is gone")
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	l.Close()
	_, err = newClient(t, Options{}).Do(context.Background(), get("http://"+addr))
	e := faultOf(t, err)
	require.Equal(t, []any{502, fault.ClassTransport, fault.ReasonNetwork, true}, []any{e.Status, e.Class, e.Reason, e.Retryable})
	require.Contains(t, e.Message, "connection refused")
}

// TestClocks: each clock ends the call by itself and says its name.
func TestClocks(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		flush := w.(http.Flusher).Flush
		switch r.URL.Path {
		case "/headers":
			<-release
		case "/idle":
			io.WriteString(w, "data: 1\n\n")
			flush()
			<-release
		case "/drip": // bytes, but no event that means anything
			for {
				select {
				case <-release:
					return
				case <-r.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
					io.WriteString(w, ": ping\n\n")
					flush()
				}
			}
		}
	})
	defer close(release)
	silent := rawServer(t, func(c net.Conn) { <-release })
	for _, version := range []Version{HTTP1, HTTP2Only} {
		for _, c := range []struct {
			path, clock string
			limits      Timeouts
			code        fault.Code
		}{
			{"/headers", ClockHeaders, Timeouts{Headers: 50 * time.Millisecond, Total: time.Minute}, fault.ProviderTimeout},
			{"/headers", ClockTotal, Timeouts{Total: 50 * time.Millisecond, Headers: time.Minute}, fault.ProviderTimeout},
			{"/headers", ClockFirstEvent, Timeouts{FirstEvent: 50 * time.Millisecond, Headers: time.Minute}, fault.FirstEventTimeout},
			{"/idle", ClockIdle, Timeouts{Idle: 50 * time.Millisecond, FirstEvent: time.Minute}, fault.StreamStalled},
			{"/drip", ClockFirstEvent, Timeouts{FirstEvent: 80 * time.Millisecond, Idle: time.Minute}, fault.FirstEventTimeout},
			{"/drip", ClockTotal, Timeouts{Total: 80 * time.Millisecond, Idle: time.Minute}, fault.ProviderTimeout},
		} {
			t.Run(string(version)+c.path+"/"+c.clock, func(t *testing.T) {
				client := newClient(t, Options{})
				url := s.URL
				if version == HTTP2Only {
					url = h2cServer(t, s.Config.Handler)
				}
				req := get(url + c.path)
				req.Timeouts, req.HTTP = c.limits, version
				resp, err := client.Do(context.Background(), req)
				if err == nil {
					defer resp.Close()
					var st *Stream
					st, err = resp.Stream("sse")
					for err == nil {
						_, err = st.Next()
					}
				}
				e := faultOf(t, err)
				require.Equal(t, c.clock, e.Clock, "%v", err)
				require.Equal(t, []any{c.code, 504, fault.ClassTimeout}, []any{e.Code, e.Status, e.Class})
			})
		}
	}
	t.Run("connect", func(t *testing.T) {
		client := newClient(t, Options{})
		req := get("https://" + silent) // TLS never answers
		req.Timeouts = Timeouts{Connect: 50 * time.Millisecond}
		_, err := client.Do(context.Background(), req)
		require.Equal(t, ClockConnect, faultOf(t, err).Clock)
	})
	t.Run("connect through proxy", func(t *testing.T) {
		for _, scheme := range []string{"http://", "socks5://"} {
			client := newClient(t, Options{})
			req := get("http://127.0.0.1:1")
			req.Proxy, req.Timeouts = scheme+silent, Timeouts{Connect: 50 * time.Millisecond}
			_, err := client.Do(context.Background(), req)
			e := faultOf(t, err)
			require.Equal(t, []any{fault.ProxyTimeout, ClockConnect}, []any{e.Code, e.Clock}, scheme)
		}
	})
}

// TestIdleClockIsResetByAnyByte: a stream that drips lives on, and MarkEvent
// stops the first-event clock.
func TestIdleClockIsResetByAnyByte(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 12 {
			io.WriteString(w, ": x\n\n")
			w.(http.Flusher).Flush()
			<-time.After(10 * time.Millisecond)
		}
	})
	req := get(s.URL)
	req.Timeouts = Timeouts{Idle: 80 * time.Millisecond, FirstEvent: 60 * time.Millisecond, Headers: time.Minute}
	resp, err := newClient(t, Options{}).Do(context.Background(), req)
	require.NoError(t, err)
	defer resp.Close()
	resp.MarkEvent()
	st, err := resp.Stream("sse")
	require.NoError(t, err)
	n := 0
	for {
		frames, err := st.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		n += len(frames)
	}
	require.Equal(t, 12, n)
}

// TestCancel: the upstream sees the end of the connection at once, and the
// connection is not used again.
func TestCancel(t *testing.T) {
	for _, version := range []Version{HTTP1, HTTP2Only} {
		for _, when := range []string{"before headers", "in the body", "abort"} {
			t.Run(string(version)+" "+when, func(t *testing.T) {
				arrived, gone := make(chan struct{}), make(chan struct{})
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					if when != "before headers" {
						io.WriteString(w, "data: 1\n\n")
						w.(http.Flusher).Flush()
					}
					close(arrived)
					<-r.Context().Done()
					close(gone)
				})
				url := ""
				if version == HTTP2Only {
					url = h2cServer(t, h)
				} else {
					url = serve(t, h).URL
				}
				client := newClient(t, Options{})
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				req := get(url)
				req.Body, req.HTTP = []byte("{}"), version
				result := make(chan error, 1)
				responses := make(chan *Response, 1)
				go func() {
					resp, err := client.Do(ctx, req)
					if err == nil {
						responses <- resp
						_, err = resp.ReadAll(0)
						resp.Close()
					}
					result <- err
				}()
				<-arrived
				if when == "abort" {
					(<-responses).Abort()
				} else {
					cancel()
				}
				select {
				case <-gone:
				case <-time.After(time.Second):
					t.Fatal("upstream was not told")
				}
				e := faultOf(t, <-result)
				require.Equal(t, []any{fault.ClientClosed, 499}, []any{e.Code, e.Status})
				require.Eventually(t, func() bool {
					client.pool.mu.Lock()
					defer client.pool.mu.Unlock()
					return len(client.pool.all) == 0
				}, time.Second, time.Millisecond)
			})
		}
	}
}

func TestContextAlreadyOver(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newClient(t, Options{}).Do(ctx, get("http://127.0.0.1:1"))
	require.Equal(t, fault.ClientClosed, faultOf(t, err).Code)
	ctx, cancel = context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = newClient(t, Options{}).Do(ctx, get("http://127.0.0.1:1"))
	require.Equal(t, fault.ProviderTimeout, faultOf(t, err).Code)
}

// TestCloseKeepsConnectionsThatEnd: a body left unread just before its end
// does not cost the connection; an endless one does.
func TestCloseKeepsConnectionsThatEnd(t *testing.T) {
	next := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: [DONE]\n\n")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/late" {
			<-next
		}
		if r.URL.Path == "/endless" {
			<-r.Context().Done()
		}
	})
	client := newClient(t, Options{})
	idle := func() int {
		client.pool.mu.Lock()
		defer client.pool.mu.Unlock()
		n := 0
		for _, h := range client.pool.hosts {
			n += len(h.idle)
		}
		return n
	}
	read := func(path string) {
		resp, err := client.Do(context.Background(), get(s.URL+path))
		require.NoError(t, err)
		st, err := resp.Stream("sse")
		require.NoError(t, err)
		frames, err := st.Next()
		require.NoError(t, err)
		require.Len(t, frames, 1)
		_, err = st.Next()
		require.Equal(t, io.EOF, err, "[DONE] ends the stream though the connection is open")
		resp.Close()
	}
	read("/done")
	require.Eventually(t, func() bool { return idle() == 1 }, time.Second, time.Millisecond)
	read("/late")
	next <- struct{}{}
	require.Eventually(t, func() bool { return idle() == 1 }, time.Second, time.Millisecond)
	read("/endless")
	require.Eventually(t, func() bool {
		client.pool.mu.Lock()
		defer client.pool.mu.Unlock()
		return len(client.pool.all) == 0
	}, time.Second, time.Millisecond)
}

// TestStaleConnection: the server closes idle connections; the client notices,
// or sends the request again.
func TestStaleConnection(t *testing.T) {
	var requests atomic.Int32
	addr := rawServer(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		requests.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // and then it hangs up
	})
	client := newClient(t, Options{})
	for i := range 20 {
		req := get("http://" + addr)
		req.Body = []byte("{}")
		resp, err := client.Do(context.Background(), req)
		require.NoError(t, err, i)
		got, err := resp.ReadAll(0)
		require.NoError(t, err)
		require.Equal(t, "ok", string(got))
		resp.Close()
	}
	require.EqualValues(t, 20, requests.Load())
}

func TestAnswerBeforeTheBodyWasRead(t *testing.T) {
	addr := rawServer(t, func(c net.Conn) {
		bufio.NewReaderSize(c, 64).ReadString('\n')
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	})
	req := get("http://" + addr)
	req.Body = make([]byte, 4<<20)
	resp, err := newClient(t, Options{}).Do(context.Background(), req)
	require.NoError(t, err)
	require.Equal(t, 413, resp.Status)
	resp.Close()
}

func TestPoolBounds(t *testing.T) {
	var now, peak atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		<-time.After(5 * time.Millisecond)
		now.Add(-1)
		io.WriteString(w, "ok")
	})
	client := newClient(t, Options{MaxConnsPerHost: 3, MaxIdlePerHost: 1})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			resp, err := client.Do(context.Background(), get(s.URL))
			if err != nil {
				panic(err)
			}
			if _, err := resp.ReadAll(0); err != nil {
				panic(err)
			}
			resp.Close()
		})
	}
	wg.Wait()
	require.LessOrEqual(t, peak.Load(), int32(3))
	require.LessOrEqual(t, len(client.pool.all), 1)

	// A call that finds no place waits no longer than its connect clock.
	block := make(chan struct{})
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) { <-block })
	one := newClient(t, Options{MaxConnsPerHost: 1})
	go one.Do(context.Background(), get(slow.URL)) //nolint:errcheck // it fails when the client closes
	require.Eventually(t, func() bool {
		one.pool.mu.Lock()
		defer one.pool.mu.Unlock()
		return len(one.pool.all) == 1
	}, time.Second, time.Millisecond)
	req := get(slow.URL)
	req.Timeouts.Connect = 30 * time.Millisecond
	_, err := one.Do(context.Background(), req)
	require.Equal(t, ClockConnect, faultOf(t, err).Clock)
	close(block)
}

func TestIdleConnectionsExpire(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {})
	client := newClient(t, Options{IdleTimeout: 20 * time.Millisecond})
	resp, err := client.Do(context.Background(), get(s.URL))
	require.NoError(t, err)
	resp.Close()
	require.Eventually(t, func() bool {
		client.pool.mu.Lock()
		defer client.pool.mu.Unlock()
		return len(client.pool.all) == 0 && len(client.pool.hosts) == 0
	}, time.Second, 5*time.Millisecond)
}

func TestClosedClient(t *testing.T) {
	client := New(Options{})
	require.NoError(t, client.Close())
	_, err := client.Do(context.Background(), get("http://127.0.0.1:1"))
	require.Error(t, err)
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
			}, time.Second, time.Millisecond, "the connection is kept")
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

func TestRefusedRequests(t *testing.T) {
	client := newClient(t, Options{})
	for _, c := range []struct {
		req  Request
		text string
	}{
		{Request{URL: "ftp://x"}, "http:// or https://"},
		{Request{URL: "http://"}, "names no host"},
		{Request{URL: "http://user:secret@x"}, "credentials"},
		{Request{URL: "http://x/%zz?key=secret"}, "not valid"},
		{Request{URL: "http://127.0.0.1:1", Method: "GET /x"}, "method"},
		{Request{URL: "http://127.0.0.1:1", HTTP: "3"}, "HTTP version"},
		{Request{URL: "http://127.0.0.1:1", Proxy: "ftp://p"}, "proxy scheme"},
		{Request{URL: "http://127.0.0.1:1", Proxy: "::"}, "proxy URL"},
	} {
		c.req.AllowPrivate = true
		_, err := client.Do(context.Background(), &c.req)
		e := faultOf(t, err)
		require.Contains(t, e.Message, c.text)
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, 500, e.Status)
	}
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, h := range []Header{{Name: "a b", Value: "x"}, {Name: "", Value: "x"}, {Name: "x", Value: "secret\r\nEvil: 1"}, {Name: "x", Value: "\x00"}, {Name: "x:", Value: ""}} {
		for _, version := range []Version{HTTP1, HTTP2Only} {
			req := get(s.URL)
			req.Header, req.HTTP = []Header{h}, version
			_, err := client.Do(context.Background(), req)
			require.Contains(t, faultOf(t, err).Message, "request header")
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

func TestPublic(t *testing.T) {
	for _, addr := range []string{"1.1.1.1", "8.8.8.8", "172.15.255.255", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"} {
		require.True(t, Public(netip.MustParseAddr(addr)), addr)
	}
	for _, addr := range []string{
		"127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"0.0.0.0", "255.255.255.255", "224.0.0.1", "198.18.0.1", "::", "::1", "fc00::1", "fd00::1", "fe80::1%eth0", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::", "::127.0.0.1", "2001::1",
	} {
		require.False(t, Public(netip.MustParseAddr(addr)), addr)
	}
	require.False(t, Public(netip.Addr{}))
}

func TestGuard(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	client := newClient(t, Options{})
	// A connection that an allowed call left idle must not serve a guarded one.
	resp, err := client.Do(context.Background(), get(s.URL))
	require.NoError(t, err)
	resp.Close()
	hits.Store(0)
	for _, version := range []Version{HTTP1, HTTP2Only} {
		for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
			_, err := client.Do(context.Background(), &Request{URL: "http://" + host + ":" + port, HTTP: version})
			e := faultOf(t, err)
			require.Equal(t, fault.Denied, e.Code, "%s %v", host, err)
			require.Contains(t, e.Message, "allow_private")
		}
	}
	require.Zero(t, hits.Load())
	for _, host := range []string{"localhost", "a.localhost.", "127.0.0.1", "::1", "2130706433", "0x7f.1", "127.1", "017700000001"} {
		require.Error(t, guardHost(host), host)
	}
	for _, host := range []string{"api.openai.com", "1.1.1.1", "x1", "a.b2"} {
		require.NoError(t, guardHost(host), host)
	}
}

func TestRedirects(t *testing.T) {
	type seen struct{ method, body, auth, agent, kind string }
	var calls []seen
	var mu sync.Mutex
	record := func(r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, seen{r.Method, string(b), r.Header.Get("X-Api-Key"), r.Header.Get("User-Agent"), r.Header.Get("Content-Type")})
	}
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { record(r); io.WriteString(w, "other") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		record(r)
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
		case "/see":
			http.Redirect(w, r, "/end", http.StatusSeeOther)
		case "/downgrade":
			http.Redirect(w, r, "ftp://x/", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, "end")
		}
	})
	client := newClient(t, Options{})
	do := func(path string, hops int) (*Response, error) {
		calls = nil
		req := get(s.URL + path)
		req.Body, req.Redirects = []byte("{}"), hops
		req.Header = []Header{{Name: "X-Api-Key", Value: "k"}, {Name: "User-Agent", Value: "u"}, {Name: "Content-Type", Value: "application/json"}}
		resp, err := client.Do(context.Background(), req)
		if err == nil {
			t.Cleanup(func() { resp.Close() })
		}
		return resp, err
	}
	resp, err := do("/same", 0)
	require.NoError(t, err)
	require.Equal(t, 307, resp.Status, "off by default")
	resp, err = do("/same", 1)
	require.NoError(t, err)
	require.Equal(t, 200, resp.Status)
	require.Equal(t, seen{"POST", "{}", "k", "u", "application/json"}, calls[1])
	_, err = do("/other", 1)
	require.NoError(t, err)
	require.Equal(t, seen{"POST", "{}", "", "u", "application/json"}, calls[1], "keys stay with their host")
	_, err = do("/see", 1)
	require.NoError(t, err)
	require.Equal(t, seen{"GET", "", "k", "u", ""}, calls[1])
	resp, err = do("/loop", 5)
	require.NoError(t, err)
	require.Equal(t, 307, resp.Status)
	require.Len(t, calls, 6)
	_, err = do("/downgrade", 1)
	require.ErrorContains(t, err, "cannot be followed")
}

func TestProxies(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "through") })
	target := strings.TrimPrefix(s.URL, "http://")
	var asked atomic.Value
	connect := rawServer(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		asked.Store(r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization"))
		if r.Header.Get("Proxy-Authorization") == "" {
			io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		splice(c, target)
	})
	socks5 := rawServer(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		head := make([]byte, 2)
		io.ReadFull(br, head)
		io.ReadFull(br, make([]byte, head[1]))
		c.Write([]byte{5, 0})
		req := make([]byte, 5)
		io.ReadFull(br, req)
		name := make([]byte, req[4])
		if req[3] == 3 {
			io.ReadFull(br, name)
		} else {
			io.ReadFull(br, make([]byte, 3))
		}
		io.ReadFull(br, make([]byte, 2))
		asked.Store("socks " + string(name))
		c.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
		splice(c, target)
	})
	client := newClient(t, Options{})
	ask := func(req *Request) (string, error) {
		resp, err := client.Do(context.Background(), req)
		if err != nil {
			return "", err
		}
		defer resp.Close()
		b, err := resp.ReadAll(0)
		return string(b), err
	}
	got, err := ask(&Request{URL: "http://api.example.com/x", Proxy: "http://user:pw@" + connect})
	require.NoError(t, err)
	require.Equal(t, "through", got)
	require.Equal(t, "CONNECT api.example.com:80 Basic dXNlcjpwdw==", asked.Load())

	got, err = ask(&Request{URL: "http://api.example.com/x", Proxy: "socks5://" + socks5})
	require.NoError(t, err)
	require.Equal(t, "through", got)
	require.Equal(t, "socks api.example.com", asked.Load(), "the proxy resolves the name")

	_, err = ask(&Request{URL: "http://api.example.com/x", Proxy: "http://" + connect})
	e := faultOf(t, err)
	require.Equal(t, fault.ProxyFailed, e.Code)
	require.NotContains(t, err.Error(), "pw")

	_, err = ask(&Request{URL: "http://127.0.0.1:9/", Proxy: "socks5://" + socks5})
	require.Equal(t, fault.Denied, faultOf(t, err).Code, "the guard looks through proxies")

	_, err = ask(&Request{URL: "http://api.example.com/", Proxy: "http://127.0.0.1:1"})
	require.Equal(t, fault.ProxyFailed, faultOf(t, err).Code)
}

// splice joins a connection with a new one to addr.
func splice(c net.Conn, addr string) {
	up, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer up.Close()
	done := make(chan struct{})
	go func() { io.Copy(up, c); up.(*net.TCPConn).CloseWrite(); close(done) }()
	io.Copy(c, up)
	c.Close()
	<-done
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

// h2cServer serves cleartext HTTP/2.
func h2cServer(t testing.TB, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols.SetHTTP1(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
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

// TestReadAcrossChunks: events that came in one packet are handed out together
// though each is a chunk of its own.
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

// TestHammer runs many calls that end in different ways at the same time.
func TestHammer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for range 5 {
			if _, err := io.WriteString(w, "data: x\n\n"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	client := newClient(t, Options{MaxConnsPerHost: 8, MaxIdlePerHost: 4})
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithCancel(context.Background())
				req := get(s.URL)
				req.Body = []byte("{}")
				req.Timeouts = Timeouts{Connect: 10 * time.Second, Headers: 10 * time.Second, Idle: 10 * time.Second}
				resp, err := client.Do(ctx, req)
				if err != nil {
					panic(err)
				}
				switch (g + i) % 4 {
				case 0:
					if b, err := resp.ReadAll(0); err != nil || len(b) != 45 {
						panic(fmt.Sprint(len(b), err))
					}
				case 1:
					cancel()
				case 2:
					resp.Abort()
				}
				resp.Close()
				cancel()
			}
		})
	}
	wg.Wait()
}
