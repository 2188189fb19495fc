package host

import (
	"context"
	"time"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Profile is the provider an executor works for. Make one per provider with
// [NewProfile] and keep it: a guest is configured once per Profile value.
type Profile struct {
	ID   string
	JSON []byte // provider data in the field names of providers.yaml; no secrets

	hosts []string
}

// PlanInput is the input of EX_PLAN.
type PlanInput struct {
	Profile    *Profile
	Endpoint   string // chat, responses, embeddings, models, …
	Model      string // upstream model id
	Stream     bool
	Body       []byte // translated body (skeleton); the guest gets it only if it asked for it
	Blobs      Blobs
	AuthKind   string            // api_key, oauth, none: of the chosen account
	Attributes map[string]string // non-secret account attributes
	Header     []abi.Header      // client headers an executor may merge (anthropic-beta, …)
	Attempt    int
	Previous   *fault.Error // of the attempt before, nil at first
	Effects    Effects      // performs HTTP a guest needs before it can plan; nil = refuse
	Seed       uint64       // 0 = random
}

// Effects performs a plan on behalf of a guest.
type Effects func(ctx context.Context, p *Plan) (*Reply, error)

// Reply is the answer to a plan of a NEED.
type Reply struct {
	Status int
	Header []abi.Header
	Body   []byte
}

// ResultInput is the input of EX_RESULT.
type ResultInput struct {
	Profile  *Profile
	Endpoint string
	Model    string
	Stream   bool // the answer is a stream of the plan's framing
	Status   int
	Header   []abi.Header
	Body     []byte // at most 64 KiB are shown; nil for a good stream
	AuthKind string
	Attempt  int
	Effects  Effects
}

// Verdict is the answer of EX_RESULT.
type Verdict struct {
	Kind  abi.VerdictKind
	Err   *fault.Error  // with retry, refresh, fallback, error
	After time.Duration // with retry
}
