package decide

import (
	"time"

	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
)

// Address asks only whether the address of a call may talk to the gateway.
func (s *Stage) Address(c *call.Call) {
	s.begin(c)
	s.ip(c)
}

// Locked tells how long the address of a call is locked out yet at another door than the model API; 0 = it is not.
func (s *Stage) Locked(c *call.Call, source string) (wait time.Duration) {
	s.begin(c)
	for _, r := range s.lockRules(c, policy.Event{Source: source, Kind: "check"}) {
		if !r.Exempt && r.State.Locked {
			wait = max(wait, ms(r.State.RemainingMS))
		}
	}
	return wait
}

// Tell lets the lockout rules learn of an event at another door than the model API.
func (s *Stage) Tell(c *call.Call, ev policy.Event) {
	s.begin(c)
	s.tell(c, ev)
}
