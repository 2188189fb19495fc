package host

import (
	"errors"
	"time"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

var (
	errNoBody    = errors.New("it answered without a body")
	errNoVerdict = errors.New("it judged an answer without a verdict")
	errLongState = errors.New("what it keeps between rounds is too large")
	errNoPlan    = errors.New("it planned nothing")
)

// readErrorRecord reads the output of a call whose error flag is set. The
// result is an *abi.ErrorRecord, or says that the record is malformed.
func readErrorRecord(out []byte) error {
	e, err := abi.ReadError(out)
	if err != nil {
		return err
	}
	if e.Message == "" {
		e.Message = "it failed without saying why"
	}
	return e
}

// toFault turns a plugin's error record into an error of the gateway. What the
// record leaves open follows from status and text.
func toFault(e *abi.ErrorRecord, plugin string) *fault.Error {
	var f *fault.Error
	switch {
	case e.Class == "plugin":
		f = fault.New(fault.PluginTrap, "The plugin "+plugin+" failed: "+e.Message)
	case e.Class == "client" && !e.Upstream:
		f = fault.New(fault.InvalidBody, e.Message)
		if e.Fallback {
			f.Scope = fault.ScopeModel
		}
	default:
		f = fault.Upstream(e.Status, e.Message)
		if e.Class != "" {
			f.Class = fault.Class(e.Class)
		}
		if e.Scope != "" {
			f.Scope = fault.Scope(e.Scope)
		}
		f.Retryable = f.Retryable || e.Retryable
	}
	if e.Status != 0 {
		f.Status = e.Status
	}
	f.Param, f.ProviderCode, f.ProviderType = e.Param, e.Code, e.Type
	switch {
	case e.RetryAfterMS > 0:
		f.RetryAfter = time.Duration(e.RetryAfterMS) * time.Millisecond
	case e.CooldownMS > 0:
		f.RetryAfter = time.Duration(e.CooldownMS) * time.Millisecond
	}
	if e.ResetAt > 0 {
		f.ResetAt = time.UnixMilli(e.ResetAt)
	}
	return f
}

// fromFault writes an error of the gateway for a guest.
func fromFault(f *fault.Error) *abi.ErrorRecord {
	e := &abi.ErrorRecord{
		Message: f.Message, Class: string(f.Class), Scope: string(f.Scope), Status: f.Status,
		Code: f.ProviderCode, Type: f.ProviderType, Param: f.Param, Retryable: f.Retryable,
		Upstream: f.Code == fault.Provider,
	}
	if f.RetryAfter > 0 {
		e.RetryAfterMS = f.RetryAfter.Milliseconds()
	}
	if !f.ResetAt.IsZero() {
		e.ResetAt = f.ResetAt.UnixMilli()
	}
	return e
}
