package call

import (
	"context"
	"net/netip"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Endpoints, in the words that policies use for req.endpoint.
const (
	EndpointChat        = "chat"
	EndpointResponses   = "responses"
	EndpointMessages    = "messages"
	EndpointGemini      = "gemini"
	EndpointCountTokens = "count_tokens"
)

// Call is one request on its way through the gateway.
type Call struct {
	// Filled by accept.

	ID       string
	Began    time.Time
	Ctx      context.Context // ends when the client leaves or the gateway stops
	Cancel   context.CancelCauseFunc
	Snapshot *Snapshot
	Plugins  *host.Generation

	Dialect  string // the client's
	Endpoint string
	Method   string
	Path     string
	Header   Header
	IP       netip.Addr
	Shared   bool             // IP is of a proxy that nobody vouches for: it says nothing about the client
	Secret   telemetry.Secret // the client key as presented, "" if none
	Body     []byte           // owned by the call
	Model    string           // as the client asked for it
	Stream   bool
	Provider string // pinned by the route; "" = any
	Client   Client // the way back of a stream; nil when a whole answer is wanted
	Array    bool   // a Gemini stream travels as one JSON array
	Media    *Media // nil for chat

	// Filled by canonicalize.

	Doc      *doc.Doc
	Req      *policy.Req
	Guard    *policy.Guard                       // what the input guard found; nil = nobody asked it
	HasInput bool                                // the body carries a conversation
	Hub      func(context.Context) (*Hub, error) // the hub document, made at the first call

	// What is measured and kept on the way.

	Phases telemetry.Phases
	Active *telemetry.Active // among the requests that run
	Stages *capture.Recorder // nil = the stages are not kept

	// Filled by decide.

	Env         policy.ErrorEnv // facts of every hook, embedded in one another
	Trace       *policy.Trace
	Record      *policy.Record // the facts behind the Trace, to decide again from
	Key         *account.Key   // nil in open local mode
	Route       string         // the model name that is resolved: Model, or what rules put in its place
	Set         []policy.SetField
	Canned      string // text of a bypass reply
	Resolution  *catalog.Resolution
	Targets     []*Target // in the order in which they are tried
	Reservation *ledger.Reservation
	Log         policy.LogVerdict
	CacheKey    string // under which the answer may be stored; "" = not
	CacheTTL    time.Duration
	CacheTools  bool // answers that call tools may be stored
	CacheHit    bool
	CacheState  string // MISS or BYPASS; "" when no rule spoke of the cache
	Budget      policy.BudgetVerdict
	Releases    []func(used int64)           // limiter places to give back, with the tokens really used
	Idempotent  func(*health.CachedResponse) // ends an idempotency claim; nil = none
	Flight      func(*health.CachedResponse) // lets those who wait for this answer go on; nil = none wait
	Bypass      string                       // id of the rule that answered
	Warnings    []policy.Note

	// Filled by execute.

	Source   []byte // skeleton of the request as rules changed it
	Attempts []ledger.Attempt
	Served   *Served
	Degraded []string
	Trimmed  int // messages that were left out to make the rest fit
	Answer   *Answer

	// Filled by whoever ends the call.

	Err         *fault.Error // why there is no good answer
	Usage       hub.Usage
	OutputChars int // of visible output, for an estimate
	Finish      string
	FirstAt     time.Time // of the first content; zero if there was none

	// Filled by settle.

	Settled bool

	// Filled by render.

	Sent Reply  // a whole answer, for accept to write
	Kept []byte // rendered answer, if somebody wants to store it
	Keep bool   // render shall fill Kept
}

// Fail ends the call with an error unless one ended it before.
func (c *Call) Fail(err error) {
	if c.Err == nil && err != nil {
		c.Err = fault.From(err)
	}
}

// Gone reports whether the client went away.
func (c *Call) Gone() bool {
	return context.Cause(c.Ctx) == ErrClientGone
}

// ErrClientGone is the cause with which a call is cancelled when its client
// closed the connection.
var ErrClientGone = fault.New(fault.ClientClosed)

// Hub is the client's request in the hub form.
type Hub struct {
	Body     []byte // skeleton over Call.Doc
	Names    map[string]string
	Degraded []string
}

// Target is a candidate with its facts.
type Target struct {
	catalog.Target
	Facts   *policy.Target
	Profile *policy.Profile
}

// Served tells who answered.
type Served struct {
	Target  *Target
	Account *account.Account
}

// Answer is what execute leaves for render: a whole body or a stream, both in
// the client's dialect.
type Answer struct {
	Status int
	Header []abi.Header
	Body   []byte
	Events Events // nil for a whole body
	Raw    bool   // the frames of Events are pieces of a body, not events
}

// Events is a stream of client events that is pulled.
type Events interface {
	// Next returns the next frames, at least one. They are valid until the next
	// call. It returns io.EOF after a proper end; any other error is a
	// *fault.Error and means that the answer broke off.
	Next() ([]abi.Frame, error)
	// Close ends the stream. It may be called at any time and more than once.
	Close()
}

// Client takes the bytes of a streamed answer. Its methods are called by one
// goroutine.
type Client interface {
	// Whole says that a whole answer is wanted after all.
	Whole()
	// Begin fixes status and header fields. It reports false if that happened
	// already, because the client had to wait too long for its first event.
	Begin(status int, header []abi.Header) bool
	// Pace sets the silence after which the client gets a heartbeat.
	Pace(silence time.Duration)
	// Begun reports whether status and header fields are fixed.
	Begun() bool
	// Write takes whole events. It waits while the client is behind and fails
	// when it is gone.
	Write(events []byte) (int, error)
}

// Reply is a whole HTTP answer.
type Reply struct {
	Status int
	Header []abi.Header
	Body   []byte
}
