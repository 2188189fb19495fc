package policy

// Facts answers the look-ups expressions can make. The ledger and the guards
// implement it; answers must be O(1) and must not block.
type Facts interface {
	// Spend is the USD counted for a scope ("key:k1", "provider:openai" …) in a
	// window: minute, hour, day, week, month, total or rolling like "30m".
	Spend(scope, window string) float64
	// Requests is the number of requests counted for a scope in a window.
	Requests(scope, window string) int
	// Tokens is the number of tokens counted for a scope in a window.
	Tokens(scope, window string) int
	// Banned tells whether an address is temporarily banned.
	Banned(ip string) bool
}

// The environments below are what the expressions of a hook are checked against
// and run with. They embed each other, so one ErrorEnv per request serves every
// hook from gate to on_exhausted: pass &e.GateEnv, &e.TargetEnv, &e.AccountEnv.
// A nil fact pointer stands for "nothing known". An environment is used by one
// goroutine at a time; hooks that iterate swap Target and Account in it.

// IPEnv is the environment of the ip hook and the root of all others.
type IPEnv struct {
	Req   *Req   `expr:"req" doc:"the request"`
	Clock *Clock `expr:"clock" doc:"the wall clock in policies.tz"`
	Sys   *Sys   `expr:"sys" doc:"the gateway process"`
	Cfg   *Cfg   `expr:"cfg" doc:"settings shown in the admin UI"`

	// Facts answers spend(), requests(), tokens() and banned(); nil answers zero.
	Facts Facts `expr:"-"`

	run *frame // the evaluation in progress
}

// LockoutEnv is the environment of the lockout hook.
type LockoutEnv struct {
	IPEnv
	Lock  *Lock  `expr:"lock" doc:"lockout state of the rule's subject"`
	Event *Event `expr:"event" doc:"what happened"`
}

// GateEnv is the environment of gate, bypass, rewrite, cache and log.
type GateEnv struct {
	IPEnv
	Key   *Key   `expr:"key" doc:"the client key"`
	Guard *Guard `expr:"guard" doc:"findings of the input guard"`
}

// BudgetEnv is the environment of the budget hook.
type BudgetEnv struct {
	GateEnv
	Budget *Budget `expr:"budget" doc:"the budget the rule speaks of"`
}

// TargetEnv is the environment of filter, order, system, thinking, context and
// timeouts.
type TargetEnv struct {
	GateEnv
	Combo   *Combo    `expr:"combo" doc:"the combo the request resolved to"`
	Target  *Target   `expr:"target" doc:"the target being asked about"`
	Targets []*Target `expr:"targets" doc:"all targets, as they entered the rule"`
	Attempt *Attempt  `expr:"attempt" doc:"progress of the attempt loop"`
	Profile *Profile  `expr:"profile" doc:"failure profile of the target"`
}

// AccountEnv is the environment of accounts and limits.
type AccountEnv struct {
	TargetEnv
	Account  *Account   `expr:"account" doc:"the account being asked about"`
	Accounts []*Account `expr:"accounts" doc:"all accounts, as they entered the rule"`
}

// LearnEnv is the environment of learn.
type LearnEnv struct {
	AccountEnv
	Hdr *RateHeaders `expr:"hdr" doc:"rate-limit hints of the upstream response"`
}

// ErrorEnv is the environment of on_error and on_exhausted.
type ErrorEnv struct {
	AccountEnv
	Breaker *BreakerState `expr:"breaker" doc:"circuit breaker of the provider"`
	Err     *Err          `expr:"err" doc:"the failure"`
}

// BreakerEnv is the environment of breaker.
type BreakerEnv struct {
	TargetEnv
	Breaker *BreakerState `expr:"breaker" doc:"circuit breaker of the provider"`
	Err     *Err          `expr:"err" doc:"the failure"`
}

// MeterEnv is the environment of meter.
type MeterEnv struct {
	AccountEnv
	Usage *Usage `expr:"usage" doc:"what the request used"`
}
