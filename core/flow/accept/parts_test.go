package accept

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/sdk/abi"
)

func TestCanonicalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/v1/chat/completions":                 "/v1/chat/completions",
		"/api/v1/chat/completions":             "/v1/chat/completions",
		"/v1/v1/messages":                      "/v1/messages",
		"/api/v1/v1/messages":                  "/v1/messages",
		"/chat/completions":                    "/v1/chat/completions",
		"/responses":                           "/v1/responses",
		"/models":                              "/v1/models",
		"/codex":                               "/v1/responses",
		"/codex/responses":                     "/v1/responses",
		"/v1":                                  "/v1/models",
		"/api/v1":                              "/v1/models",
		"/api/v1beta/models/x:generateContent": "/v1beta/models/x:generateContent",
		"/v1/v1beta/models/x:generateContent":  "/v1beta/models/x:generateContent",
		"/V1/messages":                         "/V1/messages",
		"/codexx":                              "/codexx",
		"/api/v1x":                             "/api/v1x",
		"/":                                    "/",
	} {
		require.Equal(t, want, canonicalPath(in, ""), in)
	}
	require.Equal(t, "/v1/messages", canonicalPath("/llm/v1/messages", "/llm"))
	require.Equal(t, "/llmx/v1", canonicalPath("/llmx/v1", "/llm"))
}

func TestClientIPTrustsOnlyProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}
	peer := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	header := func(lines ...string) (h call.Header) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			h = append(h, abi.Header{Name: name, Value: value})
		}
		return h
	}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.9", "1.2.3.4", "203.0.113.9"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", "1.2.3.4", "1.2.3.4"},
		{"10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"},
		{"10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"},
		{"127.0.0.1", "nonsense", "127.0.0.1"},
		{"127.0.0.1", "[2001:db8::1]:443", "2001:db8::1"},
		{"127.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"},
		{"10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"},
	} {
		require.Equal(t, c.want, clientIP(peer(c.peer), header("X-Forwarded-For: "+c.forwarded), trusted, nil).String(), "%+v", c)
	}
	// A proxy that adds a line of its own behind a forged one.
	forged := header("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.2.3.4")
	require.Equal(t, "1.2.3.4", clientIP(peer("10.0.0.1"), forged, trusted, nil).String())
	named := header("CF-Connecting-IP: 6.6.6.6", "CF-Connecting-IP: 5.6.7.8", "X-Forwarded-For: 1.2.3.4")
	cf := []string{"cf-connecting-ip"}
	require.Equal(t, "1.2.3.4", clientIP(peer("10.0.0.1"), named, trusted, nil).String(), "not asked for")
	require.Equal(t, "5.6.7.8", clientIP(peer("10.0.0.1"), named, trusted, cf).String(), "the proxy's own")
	require.Equal(t, "203.0.113.9", clientIP(peer("203.0.113.9"), named, trusted, cf).String(), "not from anybody")
	require.Equal(t, "1.2.3.4", clientIP(peer("10.0.0.1"), header("CF-Connecting-IP: x", "X-Forwarded-For: 1.2.3.4"), trusted, cf).String())
}

func TestClientKeyPlaces(t *testing.T) {
	h := func(name, value string) call.Header { return call.Header{{Name: name, Value: value}} }
	require.Equal(t, "k", clientKey(h("Authorization", "Bearer k"), ""))
	require.Equal(t, "k", clientKey(h("authorization", "bearer  k "), ""))
	require.Equal(t, "k", clientKey(h("X-Api-Key", "k"), ""))
	require.Equal(t, "k", clientKey(h("x-goog-api-key", "k"), "other"))
	require.Equal(t, "q", clientKey(nil, "q"))
	require.Equal(t, "", clientKey(h("Authorization", "Basic abc"), ""))
}

func TestAsksForStream(t *testing.T) {
	require.True(t, asksForStream([]byte(`{"stream" : true}`)))
	require.True(t, asksForStream([]byte(`{"a":{"stream":false},"stream":true}`)))
	require.False(t, asksForStream([]byte(`{"stream":false}`)))
	require.False(t, asksForStream([]byte(`{"x":"stream"}`)))
}

func TestReadUpToTrustsNoLength(t *testing.T) {
	body, err := readUpTo(strings.NewReader("abc"), 1<<40, 1<<41)
	require.NoError(t, err)
	require.Equal(t, "abc", string(body))
	require.LessOrEqual(t, cap(body), firstRead+1)
	_, err = readUpTo(strings.NewReader("abcd"), 0, 3)
	require.ErrorIs(t, err, errTooLong)
	body, err = readUpTo(strings.NewReader("abc"), 3, 3)
	require.NoError(t, err)
	require.Equal(t, "abc", string(body))
}

func TestPipeCarriesWholeEventsAndBeatsBetweenThem(t *testing.T) {
	gone := false
	p := newPipe(func() { gone = true })
	p.beat = []byte(": beat\n\n")
	p.beatEvery.Store(int64(time.Millisecond))
	buf := make([]byte, 64)
	n, err := p.Read(buf)
	require.NoError(t, err)
	require.Equal(t, ": beat\n\n", string(buf[:n]))
	_, err = p.Write([]byte("data: 1\n\n"))
	require.NoError(t, err)
	_, err = p.Write([]byte("data: 2\n\n"))
	require.NoError(t, err)
	n, err = p.Read(buf[:4])
	require.NoError(t, err)
	rest := string(buf[:n])
	n, err = p.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "data: 1\n\ndata: 2\n\n", rest+string(buf[:n]))
	p.finish()
	_, err = p.Read(buf)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, p.Close())
	require.False(t, gone)
}

func TestPipeHoldsAFastWriterAndFreesItWhenTheReaderLeaves(t *testing.T) {
	gone := make(chan struct{})
	p := newPipe(func() { close(gone) })
	block := make([]byte, pipeLimit)
	_, err := p.Write(block)
	require.NoError(t, err)
	failed := make(chan error)
	go func() {
		_, err := p.Write(block)
		failed <- err
	}()
	select {
	case <-failed:
		t.Fatal("the writer was not held")
	case <-time.After(20 * time.Millisecond):
	}
	require.NoError(t, p.Close())
	require.Error(t, <-failed)
	<-gone
}

func TestWatcherSeesAClientLeave(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dial := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		server, err = l.Accept()
		require.NoError(t, err)
		return client, server
	}
	stay, stayServer := dial()
	leave, leaveServer := dial()
	defer func() { stay.Close(); stayServer.Close(); leaveServer.Close() }()
	_, err = stay.Write([]byte("pipelined"))
	require.NoError(t, err)

	w := newWatcher()
	gone, wrong := make(chan struct{}), make(chan struct{}, 1)
	stop := w.watch(stayServer, func() { wrong <- struct{}{} })
	w.watch(leaveServer, func() { close(gone) })
	require.NoError(t, leave.Close())
	select {
	case <-gone:
	case <-time.After(time.Second):
		t.Fatal("nobody noticed")
	}
	stop()
	require.Empty(t, wrong)
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.running }, time.Minute, 10*time.Millisecond)
	got := make([]byte, 9)
	_, err = io.ReadFull(stayServer, got)
	require.NoError(t, err)
	require.Equal(t, "pipelined", string(got), "looking takes no bytes")
}

// A neighbour that passes on for others is an unknown proxy as long as none is
// known; who comes from afar may not claim to be one.
func TestUnknownProxies(t *testing.T) {
	known := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		peer, field string
		trusted     []netip.Prefix
		want        bool
	}{
		{"127.0.0.1", "x-forwarded-for", nil, true},
		{"172.17.0.1", "x-forwarded-for", nil, true},
		{"fe80::1", "forwarded", nil, true},
		{"127.0.0.1", "x-title", nil, false},
		{"203.0.113.9", "x-forwarded-for", nil, false},
		{"172.17.0.1", "x-forwarded-for", known, false},
	} {
		h := call.Header{{Name: c.field, Value: "198.51.100.7"}}
		require.Equal(t, c.want, behindUnknown(netip.MustParseAddr(c.peer), h, c.trusted), "%+v", c)
	}
}
