package decide

import (
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

// Deps are what decisions are made from.
type Deps struct {
	Keys   *account.Keys
	Pool   *account.Pool
	Ledger *ledger.Ledger
	Health *health.Health
	Sys    func() policy.Sys // the state of the process
	Now    func() time.Time
}

// Stage decides.
type Stage struct {
	Deps
	facts facts
}

// New returns the stage.
func New(d Deps) *Stage { return &Stage{Deps: d, facts: facts{d.Ledger, d.Health.Bans}} }

// facts answers the look-ups that expressions make.
type facts struct {
	*ledger.Ledger
	bans *health.Bans
}

// Banned implements policy.Facts.
func (f facts) Banned(ip string) bool { return f.bans.Banned(ip) }

// Run takes the decisions of a call. Afterwards c has targets, an answer, a
// canned reply or an error.
func (s *Stage) Run(c *call.Call) {
	for _, step := range [...]func(*call.Call){
		s.gate, s.idempotency, s.bypass, s.route, s.reserve, s.cache, s.candidates,
	} {
		if step(c); c.Err != nil || c.Answer != nil || c.Canned != "" {
			return
		}
	}
}

// Admit asks who may talk to the gateway at all: address, lockout and client
// key. It comes before the body is looked at.
func (s *Stage) Admit(c *call.Call) {
	s.begin(c)
	for _, step := range [...]func(*call.Call){s.ip, s.lockout, s.auth} {
		if step(c); c.Err != nil {
			return
		}
	}
}

// begin makes the environment in which all rules of the call are asked.
func (s *Stage) begin(c *call.Call) {
	sys := s.Sys()
	c.Trace = &policy.Trace{}
	c.Record = &policy.Record{At: c.Began, Req: c.Req, Sys: &sys}
	env := &c.Env
	env.Req, env.Sys, env.Facts = c.Req, &sys, c.Record.Observe(s.facts)
	env.Clock = c.Snapshot.Policy.Clock(c.Began)
	env.Cfg = c.Settings()
	c.Record.Cfg = env.Cfg
	env.Key, env.Guard = policy.NewKey(), &policy.Guard{}
	env.Attempt = &policy.Attempt{N: 1}
	env.Combo = &policy.Combo{}
	c.Record.Key, c.Record.Combo = env.Key, env.Combo
}
