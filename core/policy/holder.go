package policy

import (
	"sync/atomic"
)

// Holder keeps the Set in force. A request calls Current once and keeps what it
// got until its stream ends, so it never sees a mix of two sets.
type Holder struct {
	current atomic.Pointer[Set]
	last    atomic.Pointer[[]Diagnostic]
}

// NewHolder returns a holder serving set.
func NewHolder(set *Set) *Holder {
	h := &Holder{}
	h.current.Store(set)
	return h
}

// Current returns the set in force.
func (h *Holder) Current() *Set { return h.current.Load() }

// Reload loads layers and puts the result in force. When it has errors the old
// set stays and the diagnostics are kept for Problems. Equal content is a no-op.
func (h *Holder) Reload(layers ...Layer) (swapped bool, diags []Diagnostic) {
	set, diags := Load(layers...)
	h.last.Store(&diags)
	if set == nil || set.Hash() == h.Current().Hash() {
		return false, diags
	}
	h.current.Store(set)
	return true, diags
}

// Problems returns the diagnostics of the last Reload.
func (h *Holder) Problems() []Diagnostic {
	if d := h.last.Load(); d != nil {
		return *d
	}
	return nil
}
