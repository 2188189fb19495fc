package account

import (
	"context"
	"time"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Key is a client key without its secret.
type Key struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Preview   string            `json:"preview"` // first 8 and last 4 characters
	Scopes    []string          `json:"scopes"`  // inference, admin, …; empty = inference
	Team      string            `json:"team,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Meta      map[string]string `json:"meta,omitempty"`
	Models    []string          `json:"models,omitempty"`    // globs; empty = all
	Providers []string          `json:"providers,omitempty"` // globs; empty = all
	Accounts  []string          `json:"accounts,omitempty"`  // account ids; empty = all
	Limits    Limits            `json:"limits"`
	Enabled   bool              `json:"enabled"`
	NoLog     bool              `json:"no_log,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at,omitzero"`
	LastUsed  time.Time         `json:"last_used,omitzero"`
	Rev       int64             `json:"rev"`
	// FromFile keys are declared in omniroute.yaml and are read-only.
	FromFile bool `json:"from_file,omitempty"`
}

// Limits of a key; -1 = unlimited.
type Limits struct {
	DailyUSD    float64 `json:"daily_usd"`
	WeeklyUSD   float64 `json:"weekly_usd"`
	MonthlyUSD  float64 `json:"monthly_usd"`
	TotalUSD    float64 `json:"total_usd"`
	WarnAt      float64 `json:"warn_at"`
	RPM         int64   `json:"rpm"`
	TPM         int64   `json:"tpm"`
	RPD         int64   `json:"rpd"`
	Concurrency int64   `json:"concurrency"`
}

// Unlimited is the value of Limits that limits nothing.
func Unlimited() Limits { panic("api") }

// KeysOptions configure Keys.
type KeysOptions struct {
	// Secret signs the check part of a key.
	Secret string
	// MachineID is the raw machine id; MachineSalt is hashed with it.
	MachineID, MachineSalt string
	// AcceptLegacy admits two-part keys ("sk-xxxxxxxx").
	AcceptLegacy bool
	// Reveal keeps the key itself (the store encrypts it), so that it can be
	// shown again; false keeps only its hash.
	Reveal bool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Keys is the table of client keys.
type Keys struct{}

// OpenKeys loads the keys of the store.
func OpenKeys(ctx context.Context, s state.Store, opt KeysOptions) (*Keys, error) { panic("api") }

// SetFile replaces the keys declared in omniroute.yaml. A name that exists in
// the store, or a key declared twice, is a diagnostic and changes nothing.
func (k *Keys) SetFile(keys []config.Key) []fault.Diagnostic { panic("api") }

// Create issues a key from the fields of want (ID, Preview, CreatedAt and Rev
// are set here) and returns the secret, once.
func (k *Keys) Create(ctx context.Context, want Key) (secret string, key *Key, err error) {
	panic("api")
}

// Verify finds the key a client presented: AUTH_002 for an unknown, revoked or
// disabled key, AUTH_003 for an expired one. It never blocks on the store. The
// result is shared and must not be changed.
func (k *Keys) Verify(presented string) (*Key, error) { panic("api") }

// Get returns a key by id or name.
func (k *Keys) Get(id string) (*Key, bool) { panic("api") }

// List returns all keys by creation time.
func (k *Keys) List() []*Key { panic("api") }

// Count is the number of usable keys.
func (k *Keys) Count() int { panic("api") }

// Update changes a stored key through edit.
func (k *Keys) Update(ctx context.Context, id string, edit func(*Key) error) (*Key, error) {
	panic("api")
}

// Revoke removes a stored key by id or name.
func (k *Keys) Revoke(ctx context.Context, id string) error { panic("api") }

// Reveal returns the key itself if it was kept.
func (k *Keys) Reveal(ctx context.Context, id string) (string, error) { panic("api") }

// Touch notes a use of a key.
func (k *Keys) Touch(id string) { panic("api") }

// Status of an account.
type Status string

// The statuses. The last three are terminal: no cooldown overwrites them.
const (
	StatusActive  Status = "active"
	StatusUnavail Status = "unavailable"
	StatusError   Status = "error"
	StatusExpired Status = "expired"
	StatusBanned  Status = "banned"
	StatusCredits Status = "credits_exhausted"
)

// Account is one credential of a provider, without its secret.
type Account struct {
	ID        string            `json:"id"`
	Provider  string            `json:"provider"`
	Auth      string            `json:"auth"` // apikey | oauth | none
	Name      string            `json:"name"`
	Email     string            `json:"email,omitempty"`
	Subject   string            `json:"subject,omitempty"` // stable id of the owner at the provider
	Priority  int               `json:"priority"`          // 1 first, dense per provider
	Enabled   bool              `json:"enabled"`
	Plan      string            `json:"plan,omitempty"`
	Billing   string            `json:"billing,omitempty"` // "" = the provider's
	Proxy     string            `json:"proxy,omitempty"`   // "" = inherit, "direct" = none
	Tags      []string          `json:"tags,omitempty"`
	Models    []string          `json:"models,omitempty"`         // globs; empty = all
	Exclude   []string          `json:"exclude_models,omitempty"` // globs
	NoCooling bool              `json:"no_cooling,omitempty"`
	ExpiresAt time.Time         `json:"expires_at,omitzero"` // of the access token
	Data      map[string]string `json:"data,omitempty"`      // provider-specific, not secret
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	Preview   string            `json:"preview,omitempty"` // of the secret
	Rev       int64             `json:"rev"`
	// FromFile accounts are declared in omniroute.yaml and are read-only.
	FromFile bool `json:"from_file,omitempty"`

	State Condition `json:"state"`
}

// Condition is what the gateway learnt about an account.
type Condition struct {
	Status      Status    `json:"status"`
	CoolUntil   time.Time `json:"cool_until,omitzero"`
	Backoff     int       `json:"backoff,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	ErrorCode   int       `json:"error_code,omitempty"`
	ErrorType   string    `json:"error_type,omitempty"`
	LastUsed    time.Time `json:"last_used,omitzero"`
	Uses        int       `json:"uses,omitempty"` // consecutive
	LastTested  time.Time `json:"last_tested,omitzero"`
}

// Credential is what an account authenticates with. It has no exported way to
// print itself; see Lease.Secret.
type Credential struct {
	APIKey, AccessToken, RefreshToken, IDToken string
	// Extra are further secrets by name.
	Extra map[string]string
}

// View is an account as a chooser sees it at one moment. Ages and distances are
// in ms; -1 = unknown or never.
type View struct {
	ID, Name, Provider, Auth, Plan string
	Tags                           []string
	Priority                       int // 999 = none
	Active                         bool
	Status                         Status
	Tried                          bool
	Cooling                        bool
	CooldownMS                     int64
	ModelLocked                    bool
	Backoff                        int
	HasError                       bool
	ErrorCode                      int
	ErrorType                      string
	Current                        bool
	Uses                           int
	LastUsedMS                     int64
	Bound                          bool
	Inflight                       int
	QuotaLeft                      float64 // percent, -1 unknown
	QuotaResetMS                   int64
	TokenTTLMS                     int64
	Health                         int // 0..100
	CostRank                       int // 0 subscription, 1 free, 2 metered
}

// Query asks for an account.
type Query struct {
	Provider string
	Model    string
	Session  string // session key for affinity, "" = none
	// Allowed restricts to these account ids; empty = all.
	Allowed []string
	// Tried are the ids already tried by this request.
	Tried []string
	// Fallback is true when an account has failed in this request: stickiness
	// does not count then.
	Fallback bool
}

// NoneError says why there is no account to use.
type NoneError struct {
	Provider string
	// Total and Cooling count the accounts of the provider.
	Total, Enabled, Cooling int
	// Earliest is when the first cooling account returns; zero if none cools.
	Earliest time.Time
	// LastError, Code and Type come from the account that returns first.
	LastError string
	Code      int
	Type      string
}

func (e *NoneError) Error() string { panic("api") }

// Penalty is what a failure costs.
type Penalty struct {
	Scope    string // account | model | provider
	Cooldown time.Duration
	// Level is the new backoff level, -1 = unchanged.
	Level   int
	Reason  string
	Status  int    // HTTP status, 0 = none
	Text    string // error text; the first 100 characters are kept
	Disable bool   // out of rotation until a person or a probe brings it back
	// Terminal puts the account in this status.
	Terminal Status
}

// Lease is a chosen account, held by one attempt.
type Lease struct{}

// Account is the chosen account; shared, must not be changed.
func (l *Lease) Account() *Account { panic("api") }

// View is the account as it was when chosen.
func (l *Lease) View() View { panic("api") }

// Secret gives a secret by name: api_key, access_token, refresh_token,
// id_token, token (api key, else access token), or a name of Extra.
func (l *Lease) Secret(name string) (string, bool) { panic("api") }

// Succeed clears account and model penalties.
func (l *Lease) Succeed() { panic("api") }

// Fail applies a penalty. If the account (or model, or provider) is already
// cooling the old penalty stays and applied is false; remaining is what is left.
func (l *Lease) Fail(p Penalty) (remaining time.Duration, applied bool) { panic("api") }

// Release ends the use. It may be called more than once.
func (l *Lease) Release() { panic("api") }

// Pool is the table of accounts.
type Pool struct{}

// PoolOptions configure a Pool.
type PoolOptions struct {
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// AffinityTTL is how long a session stays with its account; 0 = 30 min.
	AffinityTTL time.Duration
	// Writer takes writes whose loss is harmless; nil writes synchronously.
	Writer *state.Writer
}

// OpenPool loads the accounts of the store.
func OpenPool(ctx context.Context, s state.Store, opt PoolOptions) (*Pool, error) { panic("api") }

// ProviderSettings is what the pool needs to know of a provider.
type ProviderSettings struct {
	ID      string
	Billing string // metered | subscription | free
	Cooling bool
	// NoAuth providers get a standing account "none".
	NoAuth bool
}

// Configure replaces what the file and the catalogue say: the accounts
// declared in omniroute.yaml and the settings of providers. State learnt about
// accounts that stay is kept. An id that also exists in the store is a
// diagnostic that names both places and changes nothing.
func (p *Pool) Configure(providers []ProviderSettings, file map[string]config.Provider) []fault.Diagnostic {
	panic("api")
}

// Reserve lets choose pick an account of the provider. choose gets every
// account that is enabled and serves the model, penalised ones included, and
// returns an index or -1; nil takes the usable one of the highest priority.
// The error is *NoneError.
func (p *Pool) Reserve(q Query, choose func([]View) int) (*Lease, error) { panic("api") }

// Views is Reserve's list without choosing: a pure read.
func (p *Pool) Views(q Query, dst []View) []View { panic("api") }

// Summary of a provider and model, for target facts.
type Summary struct {
	Total, Ready int
	Cooling      bool // every account that could serve is cooling or locked
	CooldownMS   int64
	QuotaLeft    float64
	QuotaResetMS int64
}

// Summary counts what could serve a model now: a pure read.
func (p *Pool) Summary(provider, model string) Summary { panic("api") }

// Active reports whether the provider has an enabled account.
func (p *Pool) Active(provider string) bool { panic("api") }

// Add stores a new account; one with the same subject, e-mail or name (as fits
// its kind) is replaced.
func (p *Pool) Add(ctx context.Context, a Account, c Credential) (*Account, error) { panic("api") }

// Update changes a stored account; a nil credential keeps the old one.
func (p *Pool) Update(ctx context.Context, id string, edit func(*Account) error, c *Credential) (*Account, error) {
	panic("api")
}

// Remove deletes a stored account.
func (p *Pool) Remove(ctx context.Context, id string) error { panic("api") }

// Get finds an account by id, or by "provider/name".
func (p *Pool) Get(id string) (*Account, bool) { panic("api") }

// List returns the accounts of a provider ("" = all) in order of priority.
func (p *Pool) List(provider string) []*Account { panic("api") }

// Clear lifts every penalty of an account, terminal ones too.
func (p *Pool) Clear(ctx context.Context, id string) error { panic("api") }

// ClearModel lifts model locks; "" provider or model = all.
func (p *Pool) ClearModel(provider, model string) int { panic("api") }

// SetQuota notes how much of its quota an account has left.
func (p *Pool) SetQuota(id string, left float64, reset time.Time) { panic("api") }
