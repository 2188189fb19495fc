package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/flow/call"
)

// maxDecisions bounds the header that names the rules behind an answer.
const maxDecisions = 2048

// decisions names, hook by hook, the rules that decided: what x-omniroute-policy
// tells keys tagged debug.
func decisions(c *call.Call) string {
	var hooks []string
	rules := map[string][]string{}
	for _, e := range c.Trace.Entries {
		if e.Shadow || !e.Matched || e.Error != "" || e.Hook == "budget" || e.Hook == "meter" {
			continue
		}
		switch e.Hook {
		case "filter":
			if !e.Dropped {
				continue
			}
		case "accounts":
			if e.Candidate != "" { // who may be chosen is not who chose
				continue
			}
		}
		if !slices.Contains(hooks, e.Hook) {
			hooks = append(hooks, e.Hook)
		}
		if !slices.Contains(rules[e.Hook], e.Rule) {
			rules[e.Hook] = append(rules[e.Hook], e.Rule)
		}
	}
	parts := make([]string, 0, len(hooks)+1)
	for _, h := range hooks {
		parts = append(parts, h+"="+strings.Join(rules[h], ","))
	}
	if b := c.Budget; b.Action != "" {
		parts = append(parts, fmt.Sprintf("budget=%s:%d%%", b.Action, budgetShare(c)))
	}
	out := oneLine(strings.Join(parts, ";"))
	return out[:min(len(out), maxDecisions)]
}
