package upstream

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/omniroute/omniroute/core/fault"
)

// denied lists the networks that outbound calls may not reach, from the IANA
// special-purpose registries for IPv4 and IPv6.
var denied = func() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20",
		"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// Networks that carry an IPv4 address inside an IPv6 one.
var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	nat64Own  = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour = netip.MustParsePrefix("2002::/16")
	v4Compat  = netip.MustParsePrefix("::/96")
)

// Public reports whether addr is an address on the public internet. An IPv4
// address inside an IPv6 one counts as what it is.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range denied {
		if p.Contains(addr) {
			return false
		}
	}
	if !addr.Is6() {
		return addr.IsValid()
	}
	b := addr.As16()
	switch {
	case nat64Own.Contains(addr):
		return false
	case nat64.Contains(addr), v4Compat.Contains(addr):
		return Public(netip.AddrFrom4([4]byte(b[12:16])))
	case sixToFour.Contains(addr):
		return Public(netip.AddrFrom4([4]byte(b[2:6])))
	}
	return true
}

func privateAddress(host string) *fault.Error {
	e := fault.New(fault.Denied, host+" is a private or local address; set allow_private on the provider to allow it")
	e.Scope = fault.ScopeProvider
	return e
}

// guardControl refuses a connection by the address that is about to be dialled.
// It runs after name resolution, so a name that resolves to something else the
// second time gains nothing.
func guardControl(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !Public(ap.Addr()) {
		return privateAddress(address)
	}
	return nil
}

// guardHost refuses what is plainly private by its name, for calls through a
// proxy, which resolves names itself.
func guardHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if !Public(addr) {
			return privateAddress(host)
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || numericHost(name) {
		return privateAddress(host)
	}
	return nil
}

// numericHost finds the old spellings of IPv4 addresses that resolvers
// understand and parsers do not: 2130706433, 0x7f.1, 017700000001.
func numericHost(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return false
	}
	if strings.HasPrefix(last, "0x") {
		return true
	}
	return strings.Trim(last, "0123456789") == "" && net.ParseIP(name) == nil
}
