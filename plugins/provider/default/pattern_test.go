package executor

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatternAgreesWithRegexp(t *testing.T) {
	subjects := []string{"", "gpt-5", "gpt-5.1-mini", "o3", "o1-preview", "o-3", "gpt-4o", "abcdefghi", "abcdefghij", "call_1234", "aXb", "aab", "a.b", "x" + "y"}
	for _, src := range []string{
		`^(gpt-5|o[0-9])`, `gpt-5|o[134]-`, `^[A-Za-z0-9]{9}$`, `a.b`, `a\.b`, `^$`, `[^a-z]`, `(a|b)+$`, `^a*b?`, `x?y`, `\d`, `^(?:a|o)`, `[]x]`, `(a*)*b`,
	} {
		p, err := compilePattern(src)
		require.NoError(t, err, src)
		want := regexp.MustCompile(src)
		for _, s := range subjects {
			require.Equal(t, want.MatchString(s), p.find(s), "%s on %q", src, s)
		}
	}
	for _, src := range []string{`(a`, `a)`, `[a`, `*a`, `a{x}`, `a\`, `a{1,2}`} {
		_, err := compilePattern(src)
		require.Error(t, err, src)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("^(a|b)+[x-z]?$", "abx")
	f.Fuzz(func(t *testing.T, src, s string) {
		if len(s) > 16 || len(src) > 24 {
			return
		}
		if p, err := compilePattern(src); err == nil {
			p.find(s)
		}
	})
}

func TestModelMatches(t *testing.T) {
	for _, c := range []struct {
		glob, id string
		want     bool
	}{
		{"grok-4*", "grok-4-fast", true}, {"grok-4*", "grok-3", false}, {"glm*", "zai-org/glm-4.6", true},
		{"*", "x", true}, {"a*c*e", "abcde", true}, {"a*c*e", "abcd", false}, {"x", "x", true}, {"x", "y/x", true}, {"a*a", "a", false},
	} {
		require.Equal(t, c.want, modelMatches(c.glob, c.id), "%s %s", c.glob, c.id)
	}
}
