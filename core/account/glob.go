package account

import "strings"

// globAny reports whether a name fits one of the patterns: "*" any run, "?" one
// character, case ignored.
func globAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if glob(strings.ToLower(p), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

func glob(p, s string) bool {
	pi, si, star, from := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, from = pi, si
			pi++
		case pi < len(p) && (p[pi] == '?' || p[pi] == s[si]):
			pi++
			si++
		case star >= 0:
			from++
			pi, si = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(p[pi:], "*") == ""
}
