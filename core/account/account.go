package account

import (
	"fmt"
	"slices"
	"time"
)

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

func (s Status) terminal() bool {
	return s == StatusExpired || s == StatusBanned || s == StatusCredits
}

// Kinds of authentication.
const (
	AuthKey   = "apikey"
	AuthOAuth = "oauth"
	AuthNone  = "none"
)

// Account is one credential of a provider, without its secret. A *Account is
// shared and must not be changed.
type Account struct {
	ID        string    `json:"id"`
	Provider  string    `json:"provider"`
	Auth      string    `json:"auth"` // apikey | oauth | none
	Name      string    `json:"name"`
	Email     string    `json:"email,omitempty"`
	Subject   string    `json:"subject,omitempty"` // stable id of the owner at the provider
	Priority  int       `json:"priority"`          // 1 first, dense per provider
	Enabled   bool      `json:"enabled"`
	Plan      string    `json:"plan,omitempty"`
	Billing   string    `json:"billing,omitempty"` // "" = the provider's
	Proxy     string    `json:"proxy,omitempty"`   // "" = inherit, "direct" = none
	Tags      []string  `json:"tags,omitempty"`
	Models    []string  `json:"models,omitempty"`         // globs; empty = all
	Exclude   []string  `json:"exclude_models,omitempty"` // globs
	NoCooling bool      `json:"no_cooling,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of the access token
	IssuedAt  time.Time `json:"issued_at,omitzero"`  // of the access token
	// CheckEvery is how often the background looks after the credential; nil = an
	// hour, 0 = never.
	CheckEvery *time.Duration `json:"check_every,omitempty"`
	// QuotaPolicy keeps back a part of quotas: by window, the percentage that must
	// be left; "*" stands for windows that are not named.
	QuotaPolicy map[string]float64 `json:"quota_policy,omitempty"`
	Data        map[string]string  `json:"data,omitempty"` // provider-specific, not secret
	CreatedAt   time.Time          `json:"created_at,omitzero"`
	UpdatedAt   time.Time          `json:"updated_at,omitzero"`
	Preview     string             `json:"preview,omitempty"` // of the secret
	Rev         int64              `json:"rev"`
	// FromFile accounts are declared in omniroute.yaml and are read-only.
	FromFile bool `json:"from_file,omitempty"`

	// State is filled in by Get and List.
	State Condition `json:"state,omitzero"`
}

// Condition is what the gateway learnt about an account.
type Condition struct {
	Status      Status    `json:"status,omitempty"`
	Disabled    bool      `json:"disabled,omitempty"` // out of rotation until a person or a probe brings it back
	CoolUntil   time.Time `json:"cool_until,omitzero"`
	Backoff     int       `json:"backoff,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	ErrorCode   int       `json:"error_code,omitempty"`
	ErrorType   string    `json:"error_type,omitempty"`
	// LastCool is the length of the last cooldown.
	LastCool time.Duration `json:"last_cool,omitempty"`
	LastUsed time.Time     `json:"last_used,omitzero"`
	Uses     int           `json:"uses,omitempty"` // consecutive
	// RenewFails counts how often the provider refused to renew the credential for
	// good; RenewAt is the next try, zero when only a person can help.
	RenewFails int       `json:"renew_fails,omitempty"`
	RenewAt    time.Time `json:"renew_at,omitzero"`
	RenewError string    `json:"renew_error,omitempty"`
	// CheckedAt is when the background last looked after the credential.
	CheckedAt time.Time `json:"checked_at,omitzero"`
}

// failing reports whether there is anything a success would clear.
func (c *Condition) failing() bool {
	return c.Disabled || !c.CoolUntil.IsZero() || c.Backoff != 0 || c.LastError != "" || c.ErrorCode != 0 || c.ErrorType != "" ||
		c.Status != StatusActive && c.Status != ""
}

// heal clears everything a failed request set.
func (c *Condition) heal() {
	*c = Condition{Status: StatusActive, LastUsed: c.LastUsed, Uses: c.Uses,
		RenewFails: c.RenewFails, RenewAt: c.RenewAt, RenewError: c.RenewError, CheckedAt: c.CheckedAt}
}

// anew is the condition of an account with a new credential.
func (c *Condition) anew() {
	*c = Condition{Status: StatusActive, LastUsed: c.LastUsed, Uses: c.Uses, CheckedAt: c.CheckedAt}
}

// Credential is what an account authenticates with. Printing one shows nothing.
type Credential struct {
	APIKey       string `json:"api_key,omitempty"`
	AccessToken  string `json:"access_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	// Extra are further secrets by name.
	Extra map[string]string `json:"extra,omitempty"`
}

// String keeps credentials out of logs and errors.
func (Credential) String() string { return "(credential)" }

// GoString does so for %#v.
func (Credential) GoString() string { return "(credential)" }

// secret finds a secret by name.
func (c *Credential) secret(name string) (string, bool) {
	var v string
	switch name {
	case "api_key":
		v = c.APIKey
	case "access_token":
		v = c.AccessToken
	case "refresh_token":
		v = c.RefreshToken
	case "id_token":
		v = c.IDToken
	case "token":
		if v = c.APIKey; v == "" {
			v = c.AccessToken
		}
	default:
		v = c.Extra[name]
	}
	return v, v != ""
}

// all are the secrets that there are, in no order.
func (c *Credential) all() []string {
	list := []string{c.APIKey, c.AccessToken, c.RefreshToken, c.IDToken}
	for _, v := range c.Extra {
		list = append(list, v)
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

func (c *Credential) empty() bool {
	return c.APIKey == "" && c.AccessToken == "" && c.RefreshToken == "" && len(c.Extra) == 0
}

// shown is a preview of the main secret.
func (c *Credential) shown() string {
	v, ok := c.secret("token")
	if !ok {
		return ""
	}
	return preview(v)
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
	Current                        bool // most recently used of those that are usable now
	Uses                           int
	LastUsedMS                     int64
	Bound                          bool // the session's account
	Inflight                       int
	QuotaLeft                      float64 // percent, -1 unknown
	QuotaResetMS                   int64
	TokenTTLMS                     int64
	Health                         int // 0..100
	CostRank                       int // 0 subscription, 1 free, 2 metered
}

// usable is the rule of last resort, when no chooser is given.
func (v *View) usable() bool {
	return v.Active && !v.Tried && !v.Cooling && !v.ModelLocked && !v.Status.terminal() && v.QuotaLeft != 0
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
	// Fallback is true when an account has failed in this request: consecutive
	// uses do not count then.
	Fallback bool
}

// NoneError says why there is no account to use.
type NoneError struct {
	Provider string
	// Total, Enabled and Cooling count the accounts of the provider.
	Total, Enabled, Cooling int
	// Earliest is when the first cooling account returns; zero if none cools.
	Earliest time.Time
	// LastError, Code and Type come from the account that returns first.
	LastError string
	Code      int
	Type      string
}

// Error says it in words.
func (e *NoneError) Error() string {
	switch {
	case e.Total == 0:
		return fmt.Sprintf("No credentials for provider: %s", e.Provider)
	case e.Enabled == 0:
		return fmt.Sprintf("All accounts of provider %s are switched off", e.Provider)
	case e.Cooling > 0:
		return fmt.Sprintf("All accounts of provider %s are rate limited", e.Provider)
	default:
		return fmt.Sprintf("No account of provider %s can be used", e.Provider)
	}
}

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

// Summary of a provider and model, for target facts.
type Summary struct {
	Total, Ready int
	Cooling      bool // every account that could serve is cooling or locked
	CooldownMS   int64
	QuotaLeft    float64 // of the best account that is ready; -1 unknown
	QuotaResetMS int64
}
