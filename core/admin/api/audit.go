package api

import (
	"context"
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/fault"
)

// Event is one write, as the audit log keeps it.
type Event struct {
	Action    string // "key.create"
	ActorKind string // session | token | key | open | "" for nobody known
	ActorID   string
	ActorName string
	IP        netip.Addr
	Target    Target
	Before    any // redacted state, nil = none
	After     any
	Result    string // "ok" or the code of the failure
	RequestID string
}

// Target is what a write was about.
type Target struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Audit keeps events; it must not block for long.
type Audit interface {
	Append(ctx context.Context, e Event)
}

type noteKey struct{}

// note is what a handler tells about its write.
type note struct {
	target        Target
	before, after any
	code          fault.Code
}

// Touched tells the audit log what the present request is about, and how it looked before and after (without
// secrets; nil where there is nothing).
func Touched(ctx context.Context, kind, id string, before, after any) {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.target, n.before, n.after = Target{kind, id}, before, after
	}
}

// audit appends the record of one write.
func (r *Router) audit(c *fiber.Ctx, route *Route, w *Who, n *note, err error) {
	e := Event{Action: route.Audit, IP: w.IP, Target: n.target, Before: n.before, After: n.after, Result: "ok", RequestID: w.RequestID}
	if w.Identity != nil {
		e.ActorKind, e.ActorID, e.ActorName = w.Kind, w.ID, w.Subject
	}
	switch {
	case err != nil:
		e.Result = string(answer(err, "").Body.Code)
	case n.code != "":
		e.Result = string(n.code)
	case c.Response().StatusCode() >= fiber.StatusBadRequest:
		e.Result = string(fault.InvalidBody)
	}
	r.conf.Audit.Append(c.UserContext(), e)
}
