package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/config"
)

// alias is another name, or a pattern of names, for something else.
type alias struct {
	name   string
	lower  string // pattern in lower case
	target string
	set    map[string]any
	tags   []string
}

// maxHops bounds how many aliases may follow each other.
const maxHops = 5

func isPattern(name string) bool { return strings.ContainsAny(name, "*?") }

// addAliases checks the aliases and orders the patterns.
func (b *builder) addAliases() {
	for _, name := range slices.Sorted(maps.Keys(b.in.Stored.Aliases)) {
		b.alias(name, b.in.Stored.Aliases[name])
	}
	if c := b.in.Config; c != nil {
		for _, name := range byPos(c.Aliases, func(a config.Alias) config.Pos { return a.Pos }) {
			a := c.Aliases[name]
			if _, both := b.in.Stored.Aliases[name]; both {
				b.problem(name, a.Pos, "alias %q is declared here and in the data directory; remove one of them", name)
				continue
			}
			b.alias(name, a)
		}
	}
	order := specificityModern
	if b.in.Classic {
		order = specificityClassic
	}
	slices.SortStableFunc(b.cat.wildcards, func(x, y *alias) int { return order(y.name, x.name) })
}

func (b *builder) alias(name string, a config.Alias) {
	entry := &alias{name: name, lower: strings.ToLower(name), target: a.Target, set: a.Set, tags: a.Tags}
	stars := strings.Count(name, "*")
	for i := 0; i+1 < len(a.Target); i++ {
		if a.Target[i] == '$' && a.Target[i+1] >= '1' && a.Target[i+1] <= '9' && int(a.Target[i+1]-'0') > stars {
			b.problem(name, a.Pos, "alias %q: the target uses $%c but the pattern has %d stars", name, a.Target[i+1], stars)
			return
		}
	}
	if prefix, _, found := strings.Cut(a.Target, "/"); found && !strings.Contains(prefix, "$") &&
		b.cat.names[prefix] == nil && !b.declared(a.Target) {
		b.missing(prefix, a.Pos, "alias %q: there is no provider %q", name, prefix)
		b.lose(name)
		return
	}
	if isPattern(name) {
		b.cat.wildcards = append(b.cat.wildcards, entry)
		return
	}
	b.cat.aliases[name] = entry
}

// declared reports whether a name is a combo or an alias of any source.
func (b *builder) declared(name string) bool {
	if _, ok := b.in.Stored.Combos[name]; ok {
		return true
	}
	if _, ok := b.in.Stored.Aliases[name]; ok {
		return true
	}
	if b.in.Config == nil {
		return false
	}
	_, combo := b.in.Config.Combos[name]
	_, other := b.in.Config.Aliases[name]
	return combo || other
}

// score is the classic specificity of a pattern.
func score(pattern string) int {
	stars, marks, slashes := strings.Count(pattern, "*"), strings.Count(pattern, "?"), strings.Count(pattern, "/")
	n := len([]rune(pattern))
	return 10*(n-stars-marks-slashes) - 50*stars - 5*marks + n
}

func specificityClassic(a, b string) int { return cmp.Compare(score(a), score(b)) }

// specificityModern prefers the longest literal prefix, then the most literal
// characters, then the fewest stars.
func specificityModern(a, b string) int {
	return cmp.Or(
		cmp.Compare(literalPrefix(a), literalPrefix(b)),
		cmp.Compare(literals(a), literals(b)),
		cmp.Compare(strings.Count(b, "*"), strings.Count(a, "*")),
	)
}

func literalPrefix(p string) int {
	if i := strings.IndexAny(p, "*?"); i >= 0 {
		return i
	}
	return len(p)
}

func literals(p string) int { return len(p) - strings.Count(p, "*") - strings.Count(p, "?") }

// match compares a name with a pattern, ignoring case. The captures are what
// the stars stood for, in the name's own spelling.
func (a *alias) match(name string) (captures []string, ok bool) {
	lower := strings.ToLower(name)
	if len(lower) != len(name) {
		lower = name // folding changed the length: offsets would not fit
	}
	spans, ok := wildcard(a.lower, lower)
	if !ok {
		return nil, false
	}
	for _, s := range spans {
		captures = append(captures, name[s[0]:s[1]])
	}
	return captures, true
}

// wildcard matches greedily from the left with backtracking to the last star
// only, which is enough for "*" and "?" and takes at most len(p)*len(s) steps.
// Each star takes as little as it can, the last one the rest.
func wildcard(p, s string) (spans [][2]int, ok bool) {
	pi, si := 0, 0
	star, from := -1, 0
	var starts [][2]int // one span per star met so far
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, from = pi, si
			starts = append(starts, [2]int{si, si})
			pi++
		case pi < len(p) && p[pi] == '?':
			pi++
			si += runeLen(s[si:])
		case pi < len(p) && p[pi] == s[si]:
			pi++
			si++
		case star >= 0:
			from++
			starts[len(starts)-1][1] = from
			pi, si = star+1, from
		default:
			return nil, false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		starts = append(starts, [2]int{len(s), len(s)})
		pi++
	}
	return starts, pi == len(p)
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// fill puts captures into a target: $1..$9.
func fill(target string, captures []string) string {
	if !strings.Contains(target, "$") {
		return target
	}
	var b strings.Builder
	for i := 0; i < len(target); i++ {
		if target[i] == '$' && i+1 < len(target) && target[i+1] >= '1' && target[i+1] <= '9' {
			if n := int(target[i+1] - '1'); n < len(captures) {
				b.WriteString(captures[n])
				i++
				continue
			}
		}
		b.WriteByte(target[i])
	}
	return b.String()
}
