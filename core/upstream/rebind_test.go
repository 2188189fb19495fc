package upstream

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/omniroute/omniroute/core/fault"
)

// changingNames is a resolver whose server gives each question the address that
// is current, for no time at all.
func changingNames(t *testing.T, current *atomic.Pointer[netip.Addr]) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		go func() {
			defer far.Close()
			for answerDNS(far, *current.Load()) == nil {
			}
		}()
		return near, nil
	}}
}

// answerDNS answers one question in the form that TCP carries it
// (RFC 1035 section 4.2.2).
func answerDNS(c net.Conn, addr netip.Addr) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: addr.As4()},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// A name that led to a public address when somebody looked, and leads inside
// when it is dialled, is refused at the dial; a redirect to it likewise, and a
// connection that somebody else may have is not borrowed.
func TestRebindingNamesAreRefused(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	u.Host = net.JoinHostPort("rebind.example.com", u.Port())
	public, inside := netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("127.0.0.1")

	for _, version := range []Version{HTTP1, HTTP2} {
		var current atomic.Pointer[netip.Addr]
		resolver := changingNames(t, &current)
		c := newClient(t, Options{Resolver: resolver})

		current.Store(&public)
		seen, err := resolver.LookupHost(t.Context(), u.Hostname())
		require.NoError(t, err)
		require.Equal(t, []string{public.String()}, seen)
		require.True(t, Public(netip.MustParseAddr(seen[0])))

		current.Store(&inside)
		refuse := func() {
			t.Helper()
			_, err := c.Do(t.Context(), &Request{URL: u.String(), HTTP: version})
			require.Error(t, err)
			require.Equal(t, fault.Denied, fault.As(err).Code, "%v", err)
		}
		before := asked.Load()
		refuse()
		require.Equal(t, before, asked.Load(), "nothing arrived")

		res, err := c.Do(t.Context(), get(u.String()))
		require.NoError(t, err, "a provider that may be private is reached by the same name")
		_, err = res.ReadAll(1 << 10)
		require.NoError(t, err)
		refuse()
		require.Equal(t, before+1, asked.Load(), "the idle connection of the private provider is not borrowed")
	}
}
