package policy

// Unset marks a number in a verdict about which no rule spoke.
const Unset = -1

// Decision is what on_error and on_exhausted answer.
type Decision struct {
	// To is where the attempt loop goes next: account, target, same or client.
	To string `expr:"to" json:"to" doc:"account, target, same or client"`
	// Fallback tells that another account or target may be tried.
	Fallback bool `expr:"fallback" json:"fallback" doc:"another account or target may be tried"`
	// Retry and WaitMS: wait, then repeat with the same account.
	Retry  bool `expr:"retry" json:"retry,omitempty" doc:"repeat with the same account"`
	WaitMS int  `expr:"wait_ms" json:"wait_ms,omitempty" doc:"wait before that"`
	// CooldownMS penalises Scope (account, model or provider) and sets the
	// backoff level; 0 = no penalty.
	CooldownMS int    `expr:"cooldown_ms" json:"cooldown_ms,omitempty" doc:"penalty; 0 = none"`
	Scope      string `expr:"scope" json:"scope,omitempty" doc:"what the penalty hits: account, model or provider"`
	Level      int    `expr:"level" json:"level,omitempty" doc:"new backoff level"`
	Reason     string `expr:"reason" json:"reason,omitempty" doc:"why"`
	// Disable takes the account out of rotation until it is enabled again.
	Disable bool `expr:"disable" json:"disable,omitempty" doc:"the account leaves rotation"`

	// Rule is the id of the rule that answered; "" = the built-in answer.
	Rule string `expr:"-" json:"rule,omitempty"`
}

// ThinkOp is what thinking answers.
type ThinkOp struct {
	Op     string `expr:"op" json:"op" doc:"keep, strip, budget or effort"`
	Budget int    `expr:"budget" json:"budget,omitempty" doc:"token budget for op budget"`
	Effort string `expr:"effort" json:"effort,omitempty" doc:"level for op effort"`

	Rule string `expr:"-" json:"rule,omitempty"`
}

// Note is a text a rule attached to the request.
type Note struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// GateVerdict is what ip and gate answer.
type GateVerdict struct {
	Allowed bool   `json:"allowed"`
	Rule    string `json:"rule,omitempty"`
	// Message, Code (error catalogue) and Status describe a denial; Code and
	// Status have defaults (ACCESS_001/403, ACCESS_002/403 for ip).
	Message string `json:"message,omitempty"`
	Code    string `json:"code,omitempty"`
	Status  int    `json:"status,omitempty"`
	// RetryAfterMS is Unset when the rule gave none.
	RetryAfterMS int `json:"retry_after_ms,omitempty"`
	// Failed tells that the denial is the failure answer of the hook.
	Failed   bool     `json:"failed,omitempty"`
	Warnings []Note   `json:"warnings,omitempty"`
	Tags     []string `json:"tags,omitempty"`
}

// LockoutRule is what one lockout rule says about its subject. The mechanism
// counts, clears or locks the subject accordingly; a request whose subject is
// locked is refused unless Exempt.
type LockoutRule struct {
	Rule     string `json:"rule"`
	Subject  string `json:"subject"`
	Count    bool   `json:"count,omitempty"`
	Clear    bool   `json:"clear,omitempty"`
	Exempt   bool   `json:"exempt,omitempty"`
	Max      int    `json:"max"`
	WindowMS int    `json:"window_ms"`
	LockMS   int    `json:"lock_ms"`
	// State is the look-up the rule was evaluated with.
	State Lock `json:"-"`
}

// BypassVerdict answers a request without a model, or sends it elsewhere.
type BypassVerdict struct {
	Rule  string `json:"rule,omitempty"`
	Reply string `json:"reply,omitempty"`
	Route string `json:"route,omitempty"`
	// Hit is false when no rule matched.
	Hit bool `json:"hit"`
}

// SetField is one field a rewrite rule puts into the body.
type SetField struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// RewriteVerdict is the sum of all rewrite rules that matched.
type RewriteVerdict struct {
	// Model replaces the requested model; "" = unchanged.
	Model string     `json:"model,omitempty"`
	Set   []SetField `json:"set,omitempty"`
	Tags  []string   `json:"tags,omitempty"`
	Rules []string   `json:"rules,omitempty"`
}

// CacheVerdict tells how the response cache treats the request.
type CacheVerdict struct {
	Rule       string `json:"rule,omitempty"`
	Read       bool   `json:"read"`
	Write      bool   `json:"write"`
	TTLMS      int    `json:"ttl_ms,omitempty"` // Unset = as configured
	Scope      string `json:"scope,omitempty"`
	AllowTools bool   `json:"allow_tools,omitempty"`
	// Preset tells that a preset's rule answered: the configured life of entries
	// is over its ttl.
	Preset bool `json:"-"`
}

// BudgetQuery names the counter a budget rule speaks of.
type BudgetQuery struct {
	Scope, Unit, Period, TZ, ResetAt string
}

// BudgetState is the look-up's answer, in the query's unit.
type BudgetState struct {
	Spent, Reserved float64
	// ResetMS is the time until the period ends.
	ResetMS int
	// Est is the estimate for this request; an `est` field of the rule wins.
	Est float64
}

// BudgetCheck is what one budget rule says; the mechanism reserves Est on it.
type BudgetCheck struct {
	Rule        string `json:"rule"`
	BudgetQuery `json:"query"`
	Limit       float64 `json:"limit"`
	Spent       float64 `json:"spent"`
	Reserved    float64 `json:"reserved"`
	Est         float64 `json:"est"`
	ResetMS     int     `json:"reset_ms"`
	Deny        bool    `json:"deny,omitempty"`
	Warn        bool    `json:"warn,omitempty"`
	// Action is what Deny means: deny, downgrade or warn.
	Action      string `json:"action"`
	DowngradeTo string `json:"downgrade_to,omitempty"`
	// Hard tells that a stream ends when it would use more than Limit.
	Hard bool `json:"hard,omitempty"`
}

// BudgetVerdict is the strictest answer of all budget rules.
type BudgetVerdict struct {
	// Action is "" (allow), warn, downgrade or deny.
	Action      string `json:"action,omitempty"`
	Rule        string `json:"rule,omitempty"`
	DowngradeTo string `json:"downgrade_to,omitempty"`
	// Deciding points into Checks; Unset when no rule restricted the request.
	Deciding int           `json:"deciding"`
	Checks   []BudgetCheck `json:"checks,omitempty"`
	// Failed tells that a rule could not be evaluated: raise an alert.
	Failed bool `json:"failed,omitempty"`
}

// LogVerdict tells what is kept of a request.
type LogVerdict struct {
	Rule    string `json:"rule,omitempty"`
	Bodies  string `json:"bodies"`   // none, errors or all
	Stages  string `json:"stages"`   // none, errors or all
	CallLog string `json:"call_log"` // full, counters or none
}

// Limit is the tightest limit of all rules that named Scope; Unset = no limit.
type Limit struct {
	Scope       string   `json:"scope"`
	RPM         int      `json:"rpm"`
	TPM         int      `json:"tpm"`
	RPD         int      `json:"rpd"`
	Concurrency int      `json:"concurrency"`
	GapMS       int      `json:"gap_ms"`
	MaxWaitMS   int      `json:"max_wait_ms"`
	Rules       []string `json:"rules,omitempty"`
}

// LearnVerdict adjusts a limiter after a response head; Unset = leave alone.
type LearnVerdict struct {
	Rule      string `json:"rule,omitempty"`
	GapMS     int    `json:"gap_ms"`
	Reservoir int    `json:"reservoir"`
	Refill    int    `json:"refill"`
	EveryMS   int    `json:"every_ms"`
	// Open lifts a pause that was learnt earlier.
	Open bool `json:"open,omitempty"`
	// Hit is false when nothing was learnt.
	Hit bool `json:"hit"`
}

// SystemText is a piece of system prompt to inject.
type SystemText struct {
	Rule     string `json:"rule"`
	Text     string `json:"text"`
	Position string `json:"position"` // prepend, append, replace or last_user
}

// ContextVerdict tells how a prompt that may not fit is treated.
type ContextVerdict struct {
	Rule    string `json:"rule,omitempty"`
	Mode    string `json:"mode"` // off, fit or strict
	Reserve int    `json:"reserve,omitempty"`
}

// Timeouts are the clocks of one upstream request, in milliseconds; each field
// is the first value any rule gave, or Unset.
type Timeouts struct {
	ConnectMS    int `json:"connect_ms"`
	HeadersMS    int `json:"headers_ms"`
	FirstEventMS int `json:"first_event_ms"`
	IdleMS       int `json:"idle_ms"`
	TotalMS      int `json:"total_ms"`
	HeartbeatMS  int `json:"heartbeat_ms"`
}

// BreakerVerdict is what an outcome means for the provider's breaker. Hit is
// false when no rule matched and the mechanism's built-in behaviour applies.
type BreakerVerdict struct {
	Rule      string `json:"rule,omitempty"`
	Count     bool   `json:"count"`
	Ignore    bool   `json:"ignore,omitempty"`
	Trip      bool   `json:"trip,omitempty"`
	ResetMS   int    `json:"reset_ms"`
	Successes int    `json:"successes,omitempty"` // probes that must succeed; 0 = 1
	Hit       bool   `json:"hit"`
}

// Metered is one counter to increase.
type Metered struct {
	Rule    string  `json:"rule"`
	Counter string  `json:"counter"`
	Add     float64 `json:"add"`
}

// MeterVerdict is what a finished request is charged.
type MeterVerdict struct {
	Counters []Metered `json:"counters,omitempty"`
	// Cost replaces the computed cost when HasCost.
	Cost    float64 `json:"cost,omitempty"`
	HasCost bool    `json:"has_cost,omitempty"`
	Rule    string  `json:"rule,omitempty"`
}
