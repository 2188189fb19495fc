package settle

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
)

// notices remembers which budgets have been spoken of in their present period, so
// that each is told once.
type notices struct {
	mu   sync.Mutex
	told map[notice]time.Time // until when
}

type notice struct {
	rule, scope, period, action string
}

// maxNotices bounds the memory; scopes may be names that clients choose.
const maxNotices = 10_000

// first reports whether this is the first time in the period that ends at until.
func (n *notices) first(what notice, now, until time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if end, ok := n.told[what]; ok && now.Before(end) {
		return false
	}
	if len(n.told) >= maxNotices {
		for w, end := range n.told {
			if !now.Before(end) {
				delete(n.told, w)
			}
		}
		if len(n.told) >= maxNotices {
			return false
		}
	}
	if n.told == nil {
		n.told = map[notice]time.Time{}
	}
	n.told[what] = until
	return true
}

// forever is the period of a budget that has none.
const forever = 100 * 365 * 24 * time.Hour

// look counts what budget rules said about a call, and writes the first warning
// and the first refusal of each period into the audit log.
func (n *notices) look(s *Stage, c *call.Call) {
	refused := c.Err != nil && c.Err.Code == fault.BudgetExceeded
	for i := range c.Budget.Checks {
		b := &c.Budget.Checks[i]
		switch {
		case refused && (i == c.Budget.Deciding || c.Budget.Deciding == policy.Unset && b.Action == "deny" && b.Spent+b.Reserved+b.Est > b.Limit):
			n.note(s, c, b, audit.BudgetDeny)
		case b.Warn:
			n.note(s, c, b, audit.BudgetWarn)
		}
	}
}

func (n *notices) note(s *Stage, c *call.Call, b *policy.BudgetCheck, action audit.Action) {
	s.meters.budgets.Add(1, b.Rule, string(action))
	now := s.Now()
	until := now.Add(forever)
	if b.ResetMS > 0 {
		until = now.Add(time.Duration(b.ResetMS) * time.Millisecond)
	}
	if s.Audit == nil || !n.first(notice{b.Rule, b.Scope, b.Period, string(action)}, now, until) {
		return
	}
	amount := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	s.Audit.Write(context.WithoutCancel(c.Ctx), audit.Record{
		Action: action, Target: audit.Target{Type: "budget", ID: b.Scope}, Request: c.ID,
		Details: map[string]any{"rule": b.Rule, "unit": b.Unit, "period": b.Period, "limit": amount(b.Limit), "spent": amount(b.Spent), "reserved": amount(b.Reserved)},
	})
}
