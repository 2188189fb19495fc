package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/omniroute/omniroute/core/fault"
)

// errAborted is the cause when the caller aborts.
var errAborted = errors.New("call aborted")

// failure turns an error of a call into a *fault.Error. What the watch knows
// goes first: a clock or a cancellation makes all kinds of errors on its way.
func (w *watch) failure(err error, host string, proxied bool) *fault.Error {
	clock, gone := w.verdict()
	switch {
	case clock != "":
		return timeout(clock, err, host, proxied && clock == ClockConnect)
	case gone != nil:
		return cancelled(gone)
	}
	if e := fault.As(err); e != nil {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return cancelled(err) // the context ended, the watch is about to hear of it
	}
	return transport(err, host)
}

func cancelled(cause error) *fault.Error {
	if errors.Is(cause, context.DeadlineExceeded) {
		e := fault.Wrap(fault.ProviderTimeout, cause, "The request's deadline passed")
		e.Clock = ClockTotal
		return e
	}
	return fault.Wrap(fault.ClientClosed, cause)
}

func timeout(clock string, err error, host string, proxy bool) *fault.Error {
	var e *fault.Error
	switch {
	case proxy:
		e = fault.Wrap(fault.ProxyTimeout, err, "The proxy gave no connection to "+host+" in time")
	case clock == ClockConnect:
		e = fault.Wrap(fault.ProviderTimeout, err, "No connection to "+host+" in time")
	case clock == ClockHeaders:
		e = fault.Wrap(fault.ProviderTimeout, err, host+" did not answer in time")
	case clock == ClockFirstEvent:
		e = fault.Wrap(fault.FirstEventTimeout, err, host+" sent no event in time")
	case clock == ClockIdle:
		e = fault.Wrap(fault.StreamStalled, err, host+" stopped sending")
	default:
		e = fault.Wrap(fault.ProviderTimeout, err, "The answer of "+host+" took too long")
	}
	e.Clock = clock
	return e
}

// transport describes a network failure without addresses or secrets.
func transport(err error, host string) *fault.Error {
	var dns *net.DNSError
	text := "the connection failed"
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		text = "the host name does not resolve"
	case errors.As(err, &dns):
		text = "the host name could not be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "the connection was closed before the answer was complete"
	case isTLS(err):
		text = "TLS handshake failed"
	}
	e := fault.Wrap(fault.Provider, err, host+": "+text)
	e.Class, e.Reason = fault.ClassTransport, fault.ReasonNetwork
	return e
}

func isTLS(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if name := fmt.Sprintf("%T", err); strings.Contains(name, "tls.") || strings.Contains(name, "x509.") {
			return true
		}
	}
	return false
}

// badAnswer is for answers that break HTTP or a limit.
func badAnswer(host, text string, cause error) *fault.Error {
	return fault.Wrap(fault.Provider, cause, host+": "+text)
}

// misconfigured is for requests that cannot be made as they are: the fault of
// configuration or of a plugin, not of the client or the provider.
func misconfigured(format string, args ...any) *fault.Error {
	e := fault.Newf(fault.Internal, format, args...)
	e.Scope, e.Retryable = fault.ScopeProvider, false
	return e
}

// proxyFailure is for a proxy that cannot be reached or refuses.
func proxyFailure(err error, text string) *fault.Error {
	return fault.Wrap(fault.ProxyFailed, err, text)
}
