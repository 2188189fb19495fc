package accept

import (
	"net"
	"net/netip"
	"strings"
)

// clientIP tells who asked. It is the peer of the socket, unless that peer is a
// trusted proxy: then X-Forwarded-For is walked from right to left past the
// trusted hops, and the first untrusted address counts. What stands left of it
// was written by the client and proves nothing.
func clientIP(peer net.Addr, forwarded string, trusted []netip.Prefix) netip.Addr {
	ip := addrOf(peer)
	if forwarded == "" || !contains(trusted, ip) {
		return ip
	}
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
