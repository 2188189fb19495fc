package policy

import (
	"sync"
	"sync/atomic"
)

// Holder keeps the Set in force. A request calls Current once and keeps what it
// got until its stream ends, so it never sees a mix of two sets.
type Holder struct {
	current atomic.Pointer[Set]
	last    atomic.Pointer[[]Diagnostic]
	failed  atomic.Bool

	reload  sync.Mutex // one reload at a time
	onError func(RuleError)
}

// NewHolder returns a holder serving set. onError, which may be nil, is called
// when a rule cannot be evaluated, at most once a minute for each rule.
func NewHolder(set *Set, onError func(RuleError)) *Holder {
	h := &Holder{onError: onError}
	set.OnRuleError(onError)
	h.current.Store(set)
	return h
}

// Current returns the set in force.
func (h *Holder) Current() *Set { return h.current.Load() }

// Reload loads layers and puts the result in force. When it has errors, the old
// set stays and the diagnostics are kept for Problems. Equal content is a no-op.
// Expressions that did not change are not compiled again.
func (h *Holder) Reload(layers ...Layer) (swapped bool, diags []Diagnostic) {
	h.reload.Lock()
	defer h.reload.Unlock()
	old := h.Current()
	set, diags := LoadAfter(old, layers...)
	h.last.Store(&diags)
	h.failed.Store(set == nil)
	if set == nil || set.Hash() == old.Hash() {
		return false, diags
	}
	set.OnRuleError(h.onError)
	h.current.Store(set)
	return true, diags
}

// LoadAfter is Load, reusing what old compiled already.
func LoadAfter(old *Set, layers ...Layer) (*Set, []Diagnostic) {
	l := &loader{}
	if old != nil {
		l.known = old.expressions.fresh
	}
	return l.load(layers)
}

// Problems returns the diagnostics of the last Reload.
func (h *Holder) Problems() []Diagnostic {
	if d := h.last.Load(); d != nil {
		return *d
	}
	return nil
}

// Stale tells that the last Reload failed, so that the set in force is not what
// the files say.
func (h *Holder) Stale() bool { return h.failed.Load() }
