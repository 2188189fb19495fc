package execute

import (
	"log/slog"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
)

// Deps are what attempts are made with.
type Deps struct {
	Upstream *upstream.Client
	Pool     *account.Pool
	Health   *health.Health
	Ledger   *ledger.Ledger
	Renewer  Renewer // nil = no credential can be renewed
	Log      *slog.Logger
	Now      func() time.Time
}

// Stage executes.
type Stage struct{ Deps }

// New returns the stage.
func New(d Deps) *Stage { return &Stage{d} }

// Run gets an answer for a call that decide has let through. Afterwards c has an
// answer or an error.
func (s *Stage) Run(c *call.Call) {
	switch {
	case c.Answer != nil:
		return
	case c.Canned != "":
		s.canned(c)
		return
	}
	if err := s.source(c); err != nil {
		c.Fail(err)
		return
	}
	c.Stages.Request(capture.Source, "", nil, inflated(c, c.Source))
	if c.Endpoint == call.EndpointCountTokens {
		s.count(c)
		return
	}
	l := &loop{s: s, c: c}
	l.run()
}

// inflated is a skeleton with its long strings put back, for the stage log; nil
// when nothing is kept.
func inflated(c *call.Call, skeleton []byte) []byte {
	if c.Stages == nil || c.Doc == nil || c.Doc.Blobs() == 0 {
		return skeleton
	}
	body, err := c.Doc.Inflate(nil, skeleton, 0)
	if err != nil {
		return skeleton // what there is says more than nothing
	}
	return body
}
