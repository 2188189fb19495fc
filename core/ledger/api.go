package ledger

import (
	"context"
	"time"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Money is an amount in nano-USD.
type Money int64

// Unknown is the cost of a request whose price nobody knows.
const Unknown Money = -1

// USD is the amount in USD, for display and for policies.
func (m Money) USD() float64 { panic("api") }

// FromUSD rounds an amount to nano-USD.
func FromUSD(usd float64) Money { panic("api") }

// CostOptions change the formula.
type CostOptions struct {
	// ReasoningTwice bills reasoning tokens beside output tokens, as the
	// "seed" reasoning mode does.
	ReasoningTwice bool
	Images         int64
}

// Cost prices the usage of one request. Unknown if the price is.
func Cost(u hub.Usage, p catalog.Price, opt CostOptions) Money { panic("api") }

// Estimate prices a request before it is made.
func Estimate(tokensIn, tokensOut int64, p catalog.Price) Money { panic("api") }

// Unit is what a budget counts.
type Unit string

// The units.
const (
	USD      Unit = "usd" // nano-USD
	Tokens   Unit = "tokens"
	Requests Unit = "requests"
)

// Window is a span of time that ends now.
type Window struct {
	// Period is minute, hour, day, week, month, total (also "once"), or ""
	// for a rolling window.
	Period string
	// Rolling is the length of a rolling window.
	Rolling time.Duration
	// ResetHour and ResetMinute move the start of a day, week or month.
	ResetHour, ResetMinute int
	// Location of calendar windows; nil = UTC.
	Location *time.Location
}

// ParseWindow reads "day", "5h", "30m"…
func ParseWindow(s string) (Window, error) { panic("api") }

// Claim asks for a part of a budget.
type Claim struct {
	Scope  string
	Unit   Unit
	Window Window
	// Limit in the unit (USD: nano-USD); negative = none, only the
	// reservation is noted.
	Limit    int64
	Estimate int64
	// Rule names the policy rule, for the denial.
	Rule string
}

// Standing is how far a budget is used.
type Standing struct {
	Spent, Reserved int64
	ResetAt         time.Time // zero for "total" and rolling windows
}

// Denial says which budget refused.
type Denial struct {
	Claim    Claim
	Standing Standing
}

// Reservation holds estimates until the request is settled, 15 minutes at most.
type Reservation struct{}

// Release gives the reservation back without spending. Safe on nil and after
// Settle.
func (r *Reservation) Release() { panic("api") }

// Entry is one finished request: the row of the request log and what the
// counters learn.
type Entry struct {
	ID          string    `json:"id"`   // request id
	Time        time.Time `json:"time"` // start
	Endpoint    string    `json:"endpoint,omitempty"`
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
	// Cost is the list price, Unknown if nobody knows it; Billed is what is
	// charged: 0 for subscriptions and free tiers.
	Cost   Money `json:"cost"`
	Billed Money `json:"billed"`
	Cached bool  `json:"cached,omitempty"` // answered from the response cache
	// Attempts in order.
	Attempts []Attempt `json:"attempts,omitempty"`
	Degraded []string  `json:"degraded,omitempty"` // fields a translation could not carry
	Request  []byte    `json:"request,omitempty"`  // redacted body, if kept
	Response []byte    `json:"response,omitempty"`
	// Scopes the counters add this request to.
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

// Options configure a Ledger.
type Options struct {
	// Location of calendar windows that name none; nil = UTC.
	Location *time.Location
	// Retention of rows by age, MaxBytes by size; 0 = no bound.
	Retention time.Duration
	MaxBytes  int64
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// OnError is told of failed writes; nil drops them.
	OnError func(error)
}

// Ledger is safe for concurrent use.
type Ledger struct{}

// Open loads counters and reservations and starts the writer.
func Open(ctx context.Context, s state.Store, opt Options) (*Ledger, error) { panic("api") }

// Configure changes retention and location while running.
func (l *Ledger) Configure(loc *time.Location, retention time.Duration, maxBytes int64) {
	panic("api")
}

// Spend, Requests and Tokens are what a scope used in a window ("day", "5h");
// an unreadable window counts 0. Spend is in USD.
func (l *Ledger) Spend(scope, window string) float64 { panic("api") }

// Requests counts requests, see Spend.
func (l *Ledger) Requests(scope, window string) int { panic("api") }

// Tokens counts prompt and completion tokens, see Spend.
func (l *Ledger) Tokens(scope, window string) int { panic("api") }

// Standing reads one budget.
func (l *Ledger) Standing(scope string, unit Unit, w Window) Standing { panic("api") }

// Reserve takes all claims or none. The reservation is nil when claims is empty.
func (l *Ledger) Reserve(requestID string, claims []Claim) (*Reservation, *Denial) { panic("api") }

// Receipt tells when an entry is written.
type Receipt struct{}

// Wait returns when the entry is on disk, or why it is not.
func (r Receipt) Wait(ctx context.Context) error { panic("api") }

// Settle books a finished request and ends its reservation (nil = none).
func (l *Ledger) Settle(e *Entry, r *Reservation) Receipt { panic("api") }

// Filter narrows a list; zero fields match everything.
type Filter struct {
	Status   string // error | ok | a code such as 429
	Model    string // substring, as are the next ones
	Provider string
	Account  string
	Key      string
	Combo    bool // only combos
	Search   string
	Since    time.Time
	Until    time.Time
	Limit    int    // 0 = 50, at most 200
	Cursor   string // from Page.Next
}

// Page is one page of rows, newest first.
type Page struct {
	Entries []*Entry
	Next    string // "" at the end
}

// List reads the request log.
func (l *Ledger) List(ctx context.Context, f Filter) (Page, error) { panic("api") }

// Get finds a row by request id; state.ErrNotFound if there is none.
func (l *Ledger) Get(ctx context.Context, requestID string) (*Entry, error) { panic("api") }

// Trace returns the stored trace of a request.
func (l *Ledger) Trace(ctx context.Context, requestID string) ([]byte, error) { panic("api") }

// Prune removes rows beyond the bounds and returns how many.
func (l *Ledger) Prune(ctx context.Context) (int, error) { panic("api") }

// Close writes what is queued and stops.
func (l *Ledger) Close() error { panic("api") }
