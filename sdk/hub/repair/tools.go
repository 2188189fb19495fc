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
	var seen names
	n, functions := 0, 0
	for i := range r.Tools {
		t := &r.Tools[i]
		switch {
		case t.Hosted != "":
			if !o.WebSearch || t.Hosted != "web_search" {
				c.Drop("tools")
				continue
			}
		case t.Name == "" || !seen.add(t.Name):
			c.Drop("tools")
			continue
		default:
			functions++
		}
		if n != i {
			r.Tools[n] = *t
		}
		n++
	}
	clear(r.Tools[n:])
	r.Tools = r.Tools[:n]
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

// names is a set of names. While there are few it has no need of a map.
type names struct {
	marks uint64 // a bit per length and ends of a name in the set
	list  []string
	index map[string]bool
}

const fewNames = 64

// add puts name into the set and reports whether it is new there.
func (s *names) add(name string) bool {
	if s.index == nil && len(s.list) == fewNames {
		s.index = make(map[string]bool, 2*fewNames)
		for _, n := range s.list {
			s.index[n] = true
		}
	}
	if s.index != nil {
		old := s.index[name]
		s.index[name] = true
		return !old
	}
	n := len(name)
	mark := uint64(1) << ((n + 7*int(name[0]) + 31*int(name[n-1]) + 13*int(name[n/2])) & 63)
	if s.marks&mark != 0 && slices.Contains(s.list, name) {
		return false
	}
	if s.list == nil {
		s.list = make([]string, 0, fewNames)
	}
	s.marks |= mark
	s.list = append(s.list, name)
	return true
}
