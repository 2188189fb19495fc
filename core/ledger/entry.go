package ledger

import (
	"time"

	"github.com/omniroute/omniroute/sdk/hub"
)

// Entry is one finished request: the row of the request log and what the
// counters learn.
type Entry struct {
	ID          string    `json:"id"`   // request id
	Time        time.Time `json:"time"` // start
	Endpoint    string    `json:"endpoint,omitempty"`
	Method      string    `json:"method,omitempty"`
	Path        string    `json:"path,omitempty"`
	Client      string    `json:"client,omitempty"`
	IP          string    `json:"ip,omitempty"`
	Format      string    `json:"format,omitempty"` // of the client
	Stream      bool      `json:"stream,omitempty"`
	Model       string    `json:"model,omitempty"` // as requested
	Combo       string    `json:"combo,omitempty"`
	Target      string    `json:"target,omitempty"` // provider/model that served
	Provider    string    `json:"provider,omitempty"`
	Upstream    string    `json:"upstream,omitempty"` // model id sent
	Dialect     string    `json:"dialect,omitempty"`  // of the target
	Account     string    `json:"account,omitempty"`  // id
	AccountName string    `json:"account_name,omitempty"`
	KeyID       string    `json:"key_id,omitempty"`
	KeyName     string    `json:"key_name,omitempty"`
	Team        string    `json:"team,omitempty"`
	User        string    `json:"user,omitempty"`
	Session     string    `json:"session,omitempty"`
	Tags        []string  `json:"tags,omitempty"`
	Status      int       `json:"status"`
	Code        string    `json:"code,omitempty"`   // catalogue code of a failure
	Error       string    `json:"error,omitempty"`  // message of a failure
	Finish      string    `json:"finish,omitempty"` // finish reason
	LatencyMS   int64     `json:"latency_ms"`
	TTFTMS      int64     `json:"ttft_ms,omitempty"`
	Usage       hub.Usage `json:"usage"`
	// Cost is the list price, Unknown if nobody knows it. Billed is what is
	// charged and what budgets count: 0 for subscriptions and free tiers.
	Cost   Money `json:"cost"`
	Billed Money `json:"billed"`
	Cached bool  `json:"cached,omitempty"` // answered from the response cache
	// Attempts in order.
	Attempts []Attempt `json:"attempts,omitempty"`
	Degraded []string  `json:"degraded,omitempty"` // fields a translation could not carry
	Trimmed  int       `json:"trimmed,omitempty"`  // messages left out to make the rest fit
	Request  []byte    `json:"request,omitempty"`  // redacted body, if kept
	Response []byte    `json:"response,omitempty"`
	Bypass   string    `json:"bypass,omitempty"` // rule that answered in the provider's place
	// Unlisted requests are counted and rolled up, but leave no row.
	Unlisted bool `json:"-"`
	// Scopes are the counters this request adds to.
	Scopes []string `json:"-"`
	// Trace is kept beside the row; nil = none.
	Trace []byte `json:"-"`
}

// Attempt is one try at one account.
type Attempt struct {
	Target  string `json:"target"`
	Account string `json:"account,omitempty"` // name
	Status  int    `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Error   string `json:"error,omitempty"`
	MS      int64  `json:"ms"`
}

// maxEntryScopes bounds the counters of one request: tags are the client's.
const maxEntryScopes = 64

// spent is what the counters learn from an entry.
func (e *Entry) spent() amount {
	return amount{usd: max(int64(e.Billed), 0), requests: 1, tokens: max(e.Usage.Prompt, 0) + max(e.Usage.Completion, 0)}
}
