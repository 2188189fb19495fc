package control

import (
	"context"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

// Socket is the name of the control socket within the data directory.
const Socket = "control.sock"

// Desk administers one gateway. Errors that have a catalogue entry are *fault.Error, over the socket too.
type Desk interface {
	// Status tells what is being administered.
	Status(ctx context.Context) (Status, error)
	// Reload loads the configuration anew; problems that kept the old one in force are in Status.
	Reload(ctx context.Context) (Status, error)

	// CreateKey issues a client key. The secret is in the answer and can be asked for never again.
	CreateKey(ctx context.Context, want account.Key) (NewKey, error)
	Keys(ctx context.Context) ([]*account.Key, error)
	// RevokeKey removes a key by id or name.
	RevokeKey(ctx context.Context, id string) error

	// ResetPassword gives the dashboard another password and ends every session.
	ResetPassword(ctx context.Context, password string) error

	// Providers lists those with an account, or the whole catalogue.
	Providers(ctx context.Context, all bool) ([]Provider, error)
	Accounts(ctx context.Context, provider string) ([]*account.Account, error)
	AddAccount(ctx context.Context, want NewAccount) (*account.Account, error)
	// RemoveAccount removes a stored account by id or "provider/name".
	RemoveAccount(ctx context.Context, id string) error
	// TestAccount asks the provider whether it accepts an account (id or "provider/name").
	TestAccount(ctx context.Context, id string) (Test, error)
	// Models lists the models of a provider, "" = of every provider with an account. Live asks the provider.
	Models(ctx context.Context, provider string, live bool) ([]Model, error)

	// Requests reads a page of the request log.
	Requests(ctx context.Context, f ledger.Filter) (ledger.Page, error)
	Logins
	Maintenance
	Recording

	// Request reads one request with its trace.
	Request(ctx context.Context, id string) (Request, error)
	// Candidates tells what a model name means today, as facts that rules can decide on.
	Candidates(ctx context.Context, q Question) (*policy.Record, error)
}

// Question is about a model name, for a request of so many tokens.
type Question struct {
	Model     string `json:"model"`
	TokensIn  int    `json:"tokens_in"`
	MaxTokens int    `json:"max_tokens"`
}

// Status describes a gateway.
type Status struct {
	Version  string             `json:"version"`
	PID      int                `json:"pid"`
	Running  bool               `json:"running"` // false: the store is open, nothing is served
	URL      string             `json:"url,omitempty"`
	DataDir  string             `json:"data_dir"`
	Config   string             `json:"config,omitempty"`
	Started  time.Time          `json:"started,omitzero"`
	Reloaded time.Time          `json:"reloaded,omitzero"` // the configuration in force
	Problems []fault.Diagnostic `json:"problems,omitempty"`
}

// NewKey is a key with its secret.
type NewKey struct {
	Secret string       `json:"secret"`
	Key    *account.Key `json:"key"`
}

// NewAccount is an account to be stored.
type NewAccount struct {
	Provider string            `json:"provider"`
	Name     string            `json:"name,omitempty"` // "" = "main", then "main-2" …
	APIKey   string            `json:"api_key,omitempty"`
	Priority int               `json:"priority,omitempty"` // 0 = last
	Proxy    string            `json:"proxy,omitempty"`
	Tags     []string          `json:"tags,omitempty"`
	Models   []string          `json:"models,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
}

// Provider is one line of the catalogue.
type Provider struct {
	ID       string   `json:"id"`
	Alias    string   `json:"alias,omitempty"`
	Name     string   `json:"name,omitempty"`
	Group    string   `json:"group,omitempty"`
	Dialect  string   `json:"dialect"`
	Auth     []string `json:"auth,omitempty"`
	NoAuth   bool     `json:"no_auth,omitempty"`
	Models   int      `json:"models"`
	Accounts int      `json:"accounts"`
	Ready    int      `json:"ready"`
	Origin   string   `json:"origin"`
	BaseURL  string   `json:"base_url,omitempty"`
}

// Test is the result of a connection test.
type Test struct {
	Account   string    `json:"account"`
	Provider  string    `json:"provider"`
	Valid     bool      `json:"valid"`
	Diagnosis string    `json:"diagnosis"` // ok, upstream_auth_error, upstream_rate_limited, …
	Message   string    `json:"message,omitempty"`
	Status    int       `json:"status,omitempty"` // HTTP
	LatencyMS int64     `json:"latency_ms"`
	TestedAt  time.Time `json:"tested_at"`
}

// Model is one model of the catalogue, or as its provider lists it.
type Model struct {
	ID        string  `json:"id"` // provider/model
	Name      string  `json:"name,omitempty"`
	Context   int64   `json:"context"`    // tokens, -1 unknown
	MaxOutput int64   `json:"max_output"` // tokens, -1 unknown
	Tools     bool    `json:"tools"`
	Vision    bool    `json:"vision"`
	Thinking  bool    `json:"thinking"`
	Input     float64 `json:"input"`  // USD per million tokens, -1 unknown
	Output    float64 `json:"output"` // likewise
}

// Request is one row of the request log with the decision behind it.
type Request struct {
	*ledger.Entry
	Trace json.RawMessage `json:"trace,omitempty"`
}
