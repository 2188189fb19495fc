package accept

import (
	"net"
	"net/netip"
	"strings"

	"github.com/omniroute/omniroute/core/flow/call"
)

// clientIP tells who asked. It is the peer of the socket, unless that peer is a
// trusted proxy: then X-Forwarded-For is walked from right to left past the
// trusted hops, and the first untrusted address counts. What stands left of it
// was written by the client and proves nothing. Fields in which some proxies name
// the client by itself count where the operator says so, and from a trusted peer
// only.
func clientIP(peer net.Addr, header call.Header, trusted []netip.Prefix, named []string) netip.Addr {
	ip := addrOf(peer)
	if !contains(trusted, ip) {
		return ip
	}
	for _, name := range named {
		list := values(header, name)
		if len(list) == 0 {
			continue
		}
		// The proxy's own comes last.
		if a, err := parseHop(strings.TrimSpace(list[len(list)-1])); err == nil && a.IsValid() {
			return a
		}
	}
	// Some proxies add a line of their own behind the client's: all of them are one
	// list (RFC 9110, section 5.3).
	forwarded := strings.Join(values(header, "x-forwarded-for"), ",")
	for forwarded != "" {
		var hop string
		if i := strings.LastIndexByte(forwarded, ','); i >= 0 {
			forwarded, hop = forwarded[:i], forwarded[i+1:]
		} else {
			forwarded, hop = "", forwarded
		}
		a, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return ip
		}
		ip = a
		if !contains(trusted, a) {
			return a
		}
	}
	return ip
}

// behindUnknown reports a peer of this machine or network that passes on for
// others while no proxy is trusted at all. Who comes from afar and only claims so
// is not believed.
func behindUnknown(peer netip.Addr, header call.Header, trusted []netip.Prefix) bool {
	near := peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast()
	return near && len(trusted) == 0 && (header.Get("x-forwarded-for") != "" || header.Get("forwarded") != "")
}

// values of a field, in the order of the request.
func values(h call.Header, name string) []string {
	var out []string
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			out = append(out, h[i].Value)
		}
	}
	return out
}

// parseHop reads one X-Forwarded-For entry: an address, bare or with a port.
func parseHop(s string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), nil
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err
}

func addrOf(peer net.Addr) netip.Addr {
	switch p := peer.(type) {
	case *net.TCPAddr:
		return p.AddrPort().Addr().Unmap().WithZone("")
	case nil:
		return netip.Addr{}
	}
	a, _ := parseHop(peer.String())
	return a
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
