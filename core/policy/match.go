package policy

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// glob matches s against a pattern in which * stands for any run of characters
// (also across "/") and ? for exactly one; case is ignored. The cost is bounded
// by len(pattern)*len(s).
func glob(pattern, s string) bool {
	p, t := 0, 0
	star, retry := -1, 0
	for t < len(s) {
		sr, sn := utf8.DecodeRuneInString(s[t:])
		if p < len(pattern) {
			pr, pn := utf8.DecodeRuneInString(pattern[p:])
			switch {
			case pr == '*':
				star, retry = p, t
				p += pn
				continue
			case pr == '?' || pr == sr || unicode.ToLower(pr) == unicode.ToLower(sr):
				p, t = p+pn, t+sn
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[retry:])
		retry += n
		p, t = star+1, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// GlobAny tells whether s matches one of the patterns, as the glob of rules does:
// without regard to case, * crossing slashes, ? one character.
func GlobAny(patterns []string, s string) bool {
	for _, p := range patterns {
		if glob(p, s) {
			return true
		}
	}
	return false
}

// ipIn matches an address against exact addresses, CIDR ranges and patterns like
// 192.168.*.*; v4-mapped v6 addresses count as v4. What cannot be read as an
// address matches nothing.
func ipIn(ip string, list []string) bool {
	addr, err := netip.ParseAddr(strings.TrimSpace(ip))
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, item := range list {
		if addressMatches(addr, strings.TrimSpace(item)) {
			return true
		}
	}
	return false
}

func addressMatches(addr netip.Addr, item string) bool {
	if strings.Contains(item, "*") {
		return addr.Is4() && octetsMatch(addr.As4(), item)
	}
	if strings.Contains(item, "/") {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return false
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		return prefix.Contains(addr)
	}
	other, err := netip.ParseAddr(item)
	return err == nil && other.Unmap().WithZone("") == addr
}

func octetsMatch(addr [4]byte, pattern string) bool {
	for i := range addr {
		part := pattern
		if i < 3 {
			var found bool
			if part, pattern, found = strings.Cut(pattern, "."); !found {
				return false
			}
		}
		if part == "*" {
			continue
		}
		n := 0
		for _, c := range []byte(part) {
			if c < '0' || c > '9' || n > 255 {
				return false
			}
			n = n*10 + int(c-'0')
		}
		if part == "" || n != int(addr[i]) {
			return false
		}
	}
	return true
}

func hasTag(tags []string, wanted ...string) bool {
	for _, t := range tags {
		for _, w := range wanted {
			if t == w {
				return true
			}
		}
	}
	return false
}
