package host

import (
	"maps"
	"slices"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Plan is an HTTP request a guest wants sent. It holds no secret: places for
// secrets are marked {{secret:name}} and Auth names the directive; see [Fill].
type Plan struct {
	Method      string
	URLs        []string // first choice first; further ones serve when it is down or busy
	Header      []abi.Header
	Body        []byte // skeleton; nil = the translated body
	Edits       []Edit // to apply to the body, in order; see ApplyEdits
	Auth        string // auth directive
	Framing     string // of a streamed answer
	Dialect     string // of the answer, when it is not the provider's own; "" = same
	Timeouts    PlanTimeouts
	HTTP        string // "1.1", "2", "2-required"; "" = 1.1
	Redirect    string // "none" (also ""), RedirectSameHost, RedirectGranted
	Expect      []string
	Duplex      bool
	Idempotent  bool
	ForceStream bool // upstream streams even when the client did not ask: collect
	CostHint    uint32
	Judge       bool // an answer 429 is judged by the executor before another URL is tried
	Poll        Poll // in a NEED
	Fresh       bool // in a NEED: the token obtained before is not good any more

	tokens []Token           // that the reply of a NEED's plan has
	minted map[string]string // secrets that exchanges have obtained for this plan

	by    *Executor // whose plan it is; nil = the gateway's own
	reach *reach    // where it may go; nil = anywhere
}

// mayUse reports whether the plan may be given a secret: the enforcement point
// of the capability secrets.use.
func (p *Plan) mayUse(name string) bool {
	if p.by == nil || p.by.mod.grants == nil {
		return true
	}
	g := p.by.mod.grants
	return slices.Contains(g.Use, name) || slices.Contains(g.Reveal, name)
}

// Poll is how a long-running operation is waited for.
type Poll struct {
	Until string // dotted path of the member that becomes true; "" = no polling
	Every time.Duration
	Max   int
}

// Minted are the secrets that were obtained for this plan alone, for taking them
// out of texts that leave the gateway.
func (p *Plan) Minted() []string { return slices.Collect(maps.Values(p.minted)) }

// PlanTimeouts are clocks a guest asks for; 0 = the caller's own.
type PlanTimeouts struct{ Connect, FirstByte, Idle, Total time.Duration }

// Edit is one change of the request body.
type Edit struct {
	Op    abi.EditOp
	Path  []string
	Value []byte // JSON; for EditRename the new name, plain
}

// Local is an answer a guest makes without any upstream.
type Local struct {
	Status int
	Header []abi.Header
	Body   []byte      // of a plain answer
	Frames []abi.Frame // of a streamed answer; DelayMS is the pause before each
}

// Planned is what EX_PLAN answered: exactly one of the first four members is set.
type Planned struct {
	Send    *Plan
	Local   *Local
	Refresh bool   // refresh the credential, then plan again
	Reshape string // translate the request into this dialect, then plan again

	Learned map[string]string // attributes of the account to keep
}
