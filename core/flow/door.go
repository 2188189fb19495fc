package flow

import (
	"net/netip"
	"time"

	"github.com/omniroute/omniroute/core/policy"
)

// Door asks the ip and lockout rules on behalf of a way into the gateway that carries no model requests, such as the
// management API. Before the first snapshot everybody may come in.
type Door struct {
	flow   *Flow
	source string
}

// Door returns the door whose lockout events have this source: login or api_key.
func (f *Flow) Door(source string) *Door { return &Door{f, source} }

// visit makes a call that is about an address alone, and ends it.
func (d *Door) visit(ip netip.Addr, path string, ask func(*Call)) {
	if d.flow.Snapshot() == nil {
		return
	}
	c := d.flow.Begin("openai", "admin")
	defer d.flow.end(c)
	c.IP, c.Path = ip, path
	d.flow.canonicalize.Begin(c)
	ask(c)
}

// Allow returns the refusal of an address that the ip rules do not let in; nil for one they do.
func (d *Door) Allow(ip netip.Addr, path string) (err error) {
	d.visit(ip, path, func(c *Call) {
		if d.flow.decide.Address(c); c.Err != nil {
			err = c.Err
		}
	})
	return err
}

// Locked tells how long an address is locked out yet; 0 = it is not.
func (d *Door) Locked(ip netip.Addr) (wait time.Duration) {
	d.visit(ip, "", func(c *Call) { wait = d.flow.decide.Locked(c, d.source) })
	return wait
}

// Failed lets the lockout rules learn of a failure; reason is a word of our own.
func (d *Door) Failed(ip netip.Addr, reason string) {
	d.tell(ip, policy.Event{Source: d.source, Kind: "failure", Status: 401, Reason: reason})
}

// Succeeded lets the lockout rules learn that somebody came in.
func (d *Door) Succeeded(ip netip.Addr, reason string) {
	d.tell(ip, policy.Event{Source: d.source, Kind: "success", Reason: reason})
}

func (d *Door) tell(ip netip.Addr, ev policy.Event) {
	d.visit(ip, "", func(c *Call) { d.flow.decide.Tell(c, ev) })
}
