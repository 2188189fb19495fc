package catalog

import (
	"slices"
	"strconv"
	"strings"
)

// suffixes is what the end of a model name asked for.
type suffixes struct {
	base     string // the name without them
	thinking Thinking
	long     bool
	tags     []string
	found    bool
}

var levels = []string{"none", "auto", "minimal", "low", "medium", "high", "xhigh", "max"}

// routeTags are the endings after ":" that choose how to route. Other endings
// belong to the name ("llama3:8b").
var routeTags = map[string]string{
	"free": "tier:free", "nitro": "sort:throughput", "floor": "sort:price", "online": "online",
}

// maxBudget bounds a thinking budget given in a name.
const maxBudget = 1 << 20

// cutSuffixes takes at most one suffix of each kind off a name, from the right:
// "(8000)" or "(high)", "-thinking", "[1m]", ":floor".
func cutSuffixes(name string) suffixes {
	s := suffixes{base: name}
	var budget, think, long, tag bool
	for {
		switch rest, kind := cutOne(s.base, &s, !budget, !think, !long, !tag); kind {
		case 'b':
			s.base, budget = rest, true
		case 't':
			s.base, think = rest, true
		case 'l':
			s.base, long = rest, true
		case ':':
			s.base, tag = rest, true
		default:
			s.found = budget || think || long || tag
			return s
		}
	}
}

func cutOne(name string, s *suffixes, budget, think, long, tag bool) (rest string, kind byte) {
	if budget && strings.HasSuffix(name, ")") {
		if i := strings.LastIndexByte(name, '('); i > 0 {
			if t, ok := level(name[i+1 : len(name)-1]); ok {
				s.thinking.Effort, s.thinking.Budget = t.Effort, t.Budget
				return name[:i], 'b'
			}
		}
	}
	if rest, ok := strings.CutSuffix(name, "[1m]"); ok && long && rest != "" {
		s.long = true
		return rest, 'l'
	}
	if rest, ok := strings.CutSuffix(name, "-thinking"); ok && think && rest != "" {
		s.thinking.On = true
		return rest, 't'
	}
	if i := strings.LastIndexByte(name, ':'); i > 0 && tag {
		if t, ok := routeTags[name[i+1:]]; ok {
			s.tags = append(s.tags, t)
			return name[:i], ':'
		}
	}
	return name, 0
}

func level(text string) (Thinking, bool) {
	if slices.Contains(levels, text) {
		return Thinking{Effort: text}, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxBudget {
		return Thinking{}, false
	}
	if n == 0 {
		return Thinking{Effort: "none"}, true
	}
	return Thinking{Budget: n}, true
}

// cutEffort takes an effort ending off a model id, for providers that have them.
func cutEffort(p *Provider, id string) (base, effort string) {
	for _, e := range p.EffortSuffixes {
		if b, ok := strings.CutSuffix(id, "-"+e); ok && b != "" {
			return b, e
		}
	}
	return id, ""
}
