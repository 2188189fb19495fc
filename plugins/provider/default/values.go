package executor

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// The readers below copy: a profile's bytes are gone after CONFIGURE.

func list(v sdk.JSON) []string {
	var out []string
	v.Each(func(e sdk.JSON) { out = append(out, e.Text()) })
	return out
}

func texts(v sdk.JSON) []pair {
	var out []pair
	v.Members(func(name string, e sdk.JSON) { out = append(out, pair{name, e.Text()}) })
	return out
}

func raws(v sdk.JSON) []pair {
	var out []pair
	v.Members(func(name string, e sdk.JSON) { out = append(out, pair{name, string(e)}) })
	return out
}

func dict(v sdk.JSON) map[string]string {
	out := map[string]string{}
	v.Members(func(name string, e sdk.JSON) { out[name] = e.Text() })
	return out
}

func clone(v sdk.JSON) sdk.JSON { return append(sdk.JSON(nil), v...) }

// ends returns the two elements of a [low, high] pair.
func ends(v sdk.JSON) (lo, hi sdk.JSON) {
	k := 0
	v.Each(func(e sdk.JSON) {
		if k == 0 {
			lo = clone(e)
		} else if k == 1 {
			hi = clone(e)
		}
		k++
	})
	return lo, hi
}

func number(n int64) sdk.JSON { return strconv.AppendInt(nil, n, 10) }

// less compares two JSON numbers; an absent one compares as equal.
func less(a, b sdk.JSON) bool {
	x, ok1 := jsn.Float(a)
	y, ok2 := jsn.Float(b)
	return ok1 && ok2 && x < y
}

// modelMatches compares a model id, or its last path segment, with a glob in
// which * stands for anything. Case does not matter.
func modelMatches(glob, id string) bool {
	glob, id = strings.ToLower(glob), strings.ToLower(id)
	if globMatches(glob, id) {
		return true
	}
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		return globMatches(glob, id[i+1:])
	}
	return false
}

func globMatches(glob, s string) bool {
	head, rest, star := strings.Cut(glob, "*")
	if !star {
		return glob == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		var part string
		part, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
}
