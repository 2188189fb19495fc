package repair

import (
	"slices"

	"github.com/omniroute/omniroute/sdk/hub"
)

// ToolOptions steer [Tools].
type ToolOptions struct {
	WebSearch  bool // the target has a hosted web search (T-4)
	AllowLists bool // the target knows allow lists with a required choice (T-5)
}

// Tools settles definitions and choice: nameless and repeated tools go (T-1), hosted
// ones the target lacks go (T-4), allow lists are applied (T-5), and without function
// tools the choice goes too (T-7).
func Tools(c *hub.Ctx, r *hub.Request, o ToolOptions) {
	seen := make(map[string]bool, len(r.Tools))
	out := r.Tools[:0]
	functions := 0
	for _, t := range r.Tools {
		switch {
		case t.Hosted != "":
			if !o.WebSearch || t.Hosted != "web_search" {
				c.Drop("tools")
				continue
			}
		case t.Name == "" || seen[t.Name]:
			c.Drop("tools")
			continue
		default:
			seen[t.Name] = true
			functions++
		}
		out = append(out, t)
	}
	clear(r.Tools[len(out):])
	r.Tools = out
	if ch := &r.Choice; len(ch.Names) > 0 && ch.Mode != hub.ChoiceNamed && (ch.Mode != hub.ChoiceRequired || !o.AllowLists) {
		r.Tools = slices.DeleteFunc(r.Tools, func(t hub.ToolDef) bool {
			return t.Hosted == "" && !slices.Contains(ch.Names, t.Name)
		})
		ch.Names = nil
		functions = 0
		for i := range r.Tools {
			if r.Tools[i].Hosted == "" {
				functions++
			}
		}
	}
	if functions == 0 {
		if r.Choice.Mode != "" {
			c.Drop("tool_choice")
		}
		if r.Parallel != hub.Unset {
			c.Drop("parallel_tool_calls")
		}
		r.Choice, r.Parallel = hub.Choice{}, hub.Unset
	}
}
