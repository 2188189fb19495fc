package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class says what kind of failure an error is. The values are those of the
// plugin error record.
type Class string

// The classes.
const (
	ClassClient        Class = "client"         // the request itself is at fault
	ClassAuth          Class = "auth"           // a credential was missing or refused
	ClassQuota         Class = "quota"          // a paid or daily allowance is used up
	ClassRate          Class = "rate"           // too many requests for now
	ClassOverloaded    Class = "overloaded"     // the provider has no capacity for now
	ClassNotFound      Class = "not_found"      // no such model, provider or route
	ClassContentFilter Class = "content_filter" // refused for what it says
	ClassTimeout       Class = "timeout"        // a clock ran out
	ClassTransport     Class = "transport"      // the network failed
	ClassUpstream      Class = "upstream"       // the provider failed
	ClassPlugin        Class = "plugin"         // a plugin failed
	ClassInternal      Class = "internal"       // the gateway failed
)

// Scope says how far a failure reaches, so that the fault of one request never
// locks an account and that of one model never locks a provider.
type Scope string

// The scopes, narrow to wide.
const (
	ScopeRequest    Scope = "request"
	ScopeCredential Scope = "credential"
	ScopeModel      Scope = "model"
	ScopeProvider   Scope = "provider"
	ScopePlugin     Scope = "plugin"
)

// Unknown is the value of [Error.RetryAfter] when nobody said how long to wait.
const Unknown time.Duration = -1

// Error is a failure as the whole gateway understands it. Make one with [New],
// [Newf], [Wrap], [Upstream] or [From], then fill in what is known.
type Error struct {
	Code      Code   // catalogue code
	Status    int    // HTTP status for the client
	Class     Class  // what kind
	Scope     Scope  // how far it reaches
	Retryable bool   // trying again may help; drives x-should-retry
	Message   string // for humans; never contains a secret

	Param    string // the offending request field, "" if none
	Provider string // id of the provider that failed, "" if none

	// ProviderCode and ProviderType are the upstream's own words, kept for
	// clients that speak its dialect. Dialect names that; "" = the words are the
	// gateway's.
	ProviderCode, ProviderType, Dialect string

	// RetryAfter is how long to wait before trying again, [Unknown] if nobody
	// said. ResetAt is the same as a moment, zero if nobody said.
	RetryAfter time.Duration
	ResetAt    time.Time

	Reason Reason // what policies see as err.reason

	// Clock names the clock that ran out (connect, headers, first_event, idle,
	// total) in an error of [ClassTimeout] raised by an outbound call.
	Clock string

	Cause error // what lies beneath, for logs only
}

// Error returns the code and the message, and the cause if there is one.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Cause != nil {
		if cause := e.Cause.Error(); !strings.HasSuffix(s, cause) { // often the message is the cause's
			s += ": " + cause
		}
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error with the same code, so that
// errors.Is(err, fault.New(code)) asks for a kind of failure.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Timeout reports whether a clock ran out.
func (e *Error) Timeout() bool { return e.Class == ClassTimeout }

// New returns an error of the given code. Its fields come from the catalogue;
// a message replaces the catalogue's own.
func New(code Code, message ...string) *Error {
	entry := Lookup(code)
	e := &Error{
		Code:       entry.Code,
		Status:     entry.Status,
		Class:      entry.Class,
		Scope:      entry.Scope,
		Retryable:  entry.Retryable,
		Message:    entry.Message,
		Reason:     entry.Reason,
		RetryAfter: Unknown,
	}
	if len(message) > 0 && message[0] != "" {
		e.Message = message[0]
	}
	return e
}

// Newf is [New] with a formatted message.
func Newf(code Code, format string, args ...any) *Error {
	return New(code, fmt.Sprintf(format, args...))
}

// Wrap is [New] with a cause. The cause is for logs; the client sees only the
// message.
func Wrap(code Code, cause error, message ...string) *Error {
	e := New(code, message...)
	e.Cause = cause
	return e
}

// As returns the first *Error in err's chain, nil if there is none.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// From turns any error into an *Error: one in the chain is returned as it is,
// a cancelled context is [ClientClosed], a passed deadline [ProviderTimeout],
// anything else [Internal] with the error as its cause. From(nil) is nil.
func From(err error) *Error {
	switch e := As(err); {
	case err == nil:
		return nil
	case e != nil:
		return e
	case errors.Is(err, context.Canceled):
		return Wrap(ClientClosed, err)
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(ProviderTimeout, err)
	default:
		return Wrap(Internal, err)
	}
}

// Upstream returns the error for an answer of a provider with the given status
// and error text. The text becomes the message, an empty one is replaced by
// the catalogue's. Class, scope and reason follow from both.
func Upstream(status int, text string) *Error {
	reason := ReasonOf(status, text)
	e := New(Provider, text)
	e.Reason = reason
	if status > 0 {
		e.Status = status
	}
	e.Class, e.Scope = blame(status, reason)
	e.Retryable = retryable(status, reason)
	return e
}
