package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
				}, time.Minute, time.Millisecond)
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
	require.Eventually(t, func() bool { return idle() == 1 }, time.Minute, time.Millisecond)
	read("/late")
	next <- struct{}{}
	require.Eventually(t, func() bool { return idle() == 1 }, time.Minute, time.Millisecond)
	read("/endless")
	require.Eventually(t, func() bool {
		client.pool.mu.Lock()
		defer client.pool.mu.Unlock()
		return len(client.pool.all) == 0
	}, time.Minute, time.Millisecond)
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
	}, time.Minute, time.Millisecond)
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
	}, time.Minute, 5*time.Millisecond)
}

func TestClosedClient(t *testing.T) {
	client := New(Options{})
	require.NoError(t, client.Close())
	_, err := client.Do(context.Background(), get("http://127.0.0.1:1"))
	require.Error(t, err)
}

// splice joins a connection with a new one to addr.

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

// TestReadAcrossChunks: events that came in one packet are handed out together

// though each is a chunk of its own.

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
