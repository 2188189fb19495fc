package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fault"
)

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
	require.Equal(t, fault.Denied, faultOf(t, err).Code, "what one host may, another on the same network may not")
	require.Len(t, calls, 1)
	from, _ := url.Parse("https://a.example/x")
	next, _, err := follow(&Request{Body: []byte("{}"), AllowPrivate: true, Header: []Header{{Name: "X-Api-Key", Value: "k"}, {Name: "User-Agent", Value: "u"}}},
		from, 308, "https://b.example/")
	require.NoError(t, err)
	require.Equal(t, []Header{{Name: "User-Agent", Value: "u"}}, next.Header, "keys stay with their host")
	require.False(t, next.AllowPrivate)
	require.Equal(t, "{}", string(next.Body))
	_, _, err = follow(&Request{MayFollow: func(to *url.URL) error { return errors.New(to.Host + " may not be reached") }}, from, 302, "https://c.example/")
	require.ErrorContains(t, err, "c.example may not be reached")
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
