package policy

import "time"

// Set is a compiled, immutable policy set. All methods are safe for concurrent
// use; the environments and traces passed to them belong to one goroutine.
type Set struct{}

// Load composes and compiles layers. It returns all problems found; the Set is
// nil if one of them is an error. Presets named by a layer are added below it.
func Load(layers ...Layer) (*Set, []Diagnostic) { panic("not yet") }

// Hash identifies the content of the set; equal sources give equal hashes.
func (s *Set) Hash() string { panic("not yet") }

// Needs tells whether a loaded rule reads a fact: "req.body",
// "target.stats.p95_ms", "guard" … A prefix asks for everything below it. Facts
// nobody needs need not be computed.
func (s *Set) Needs(path string) bool { panic("not yet") }

// Clock returns the wall-clock facts for a moment, in the set's time zone.
func (s *Set) Clock(now time.Time) *Clock { panic("not yet") }

// IP asks whether an address may talk to the gateway.
func (s *Set) IP(env *IPEnv, tr *Trace) GateVerdict { panic("not yet") }

// Lockout asks all lockout rules about an event; look returns the state of a
// subject. Any subject that is locked and not exempt refuses the request.
func (s *Set) Lockout(env *LockoutEnv, look func(subject string) Lock, tr *Trace) []LockoutRule {
	panic("not yet")
}

// Gate asks whether the request is admitted.
func (s *Set) Gate(env *GateEnv, tr *Trace) GateVerdict { panic("not yet") }

// Bypass asks whether the request is answered without a model.
func (s *Set) Bypass(env *GateEnv, tr *Trace) BypassVerdict { panic("not yet") }

// Rewrite runs all rewrite rules, each seeing the result of the ones before.
// env.Req is left as it was; apply the verdict.
func (s *Set) Rewrite(env *GateEnv, tr *Trace) RewriteVerdict { panic("not yet") }

// Cache asks how the response cache treats the request.
func (s *Set) Cache(env *GateEnv, tr *Trace) CacheVerdict { panic("not yet") }

// Log asks what is kept of the request.
func (s *Set) Log(env *GateEnv, tr *Trace) LogVerdict { panic("not yet") }

// Budget asks all budget rules; look returns the state of the counter a rule
// speaks of. env.Budget is scratch space and may be nil.
func (s *Set) Budget(env *BudgetEnv, look func(BudgetQuery) BudgetState, tr *Trace) BudgetVerdict {
	panic("not yet")
}

// Filter returns the indices of the targets that remain, in order.
func (s *Set) Filter(env *TargetEnv, targets []*Target, tr *Trace) []int { panic("not yet") }

// Order returns the indices of all targets in the order they should be tried.
func (s *Set) Order(env *TargetEnv, targets []*Target, tr *Trace) []int { panic("not yet") }

// Accounts picks an account. ok is false when none is eligible.
func (s *Set) Accounts(env *AccountEnv, accounts []*Account, tr *Trace) (idx int, ok bool) {
	panic("not yet")
}

// Limits returns the tightest limits by scope.
func (s *Set) Limits(env *AccountEnv, tr *Trace) []Limit { panic("not yet") }

// Learn asks what a response head teaches about the account's limits.
func (s *Set) Learn(env *LearnEnv, tr *Trace) LearnVerdict { panic("not yet") }

// System returns the system prompts to inject, in order.
func (s *Set) System(env *TargetEnv, tr *Trace) []SystemText { panic("not yet") }

// Thinking asks what happens to the client's reasoning parameters.
func (s *Set) Thinking(env *TargetEnv, tr *Trace) ThinkOp { panic("not yet") }

// Context asks how a prompt that may not fit the target is treated.
func (s *Set) Context(env *TargetEnv, tr *Trace) ContextVerdict { panic("not yet") }

// Timeouts returns the clocks of the upstream request.
func (s *Set) Timeouts(env *TargetEnv, tr *Trace) Timeouts { panic("not yet") }

// OnError asks what follows a failed attempt.
func (s *Set) OnError(env *ErrorEnv, tr *Trace) Decision { panic("not yet") }

// OnExhausted asks what follows when a target has no account left to try.
func (s *Set) OnExhausted(env *ErrorEnv, tr *Trace) Decision { panic("not yet") }

// Breaker asks what an outcome means for the provider's breaker.
func (s *Set) Breaker(env *BreakerEnv, tr *Trace) BreakerVerdict { panic("not yet") }

// Meter asks what a finished request is charged.
func (s *Set) Meter(env *MeterEnv, tr *Trace) MeterVerdict { panic("not yet") }
