package upstream

import (
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Header is one header field. Requests keep the order and the spelling of
// their fields; names of responses are lower case.
type Header = abi.Header

// Request is one outbound call.
type Request struct {
	Method string // "" = POST with a body, GET without
	URL    string // http or https, absolute
	Header []Header

	Body       []byte    // sent with its length
	BodyReader io.Reader // sent chunked in place of Body; such a request is never repeated

	Timeouts Timeouts
	HTTP     Version // "" = HTTP/1.1

	// Proxy is the URL of a proxy: http://, https:// (CONNECT) or socks5://,
	// socks5h:// with optional user and password. "" = none.
	Proxy string

	// AllowPrivate lets the call reach loopback and private addresses. It is
	// for hosts that the operator declared.
	AllowPrivate bool

	// Redirects is the number of redirects to follow; 0 hands a 3xx answer to
	// the caller. Neither credentials nor AllowPrivate follow to another host.
	Redirects int

	// MayFollow is asked before each redirect; its error ends the call. nil =
	// any host.
	MayFollow func(to *url.URL) error

	// MaxBody bounds the decoded response body in bytes; 0 = Options.MaxBody.
	MaxBody int64
}

// Version chooses the protocol version of a request.
type Version string

// The versions.
const (
	HTTP1     Version = "1.1"        // HTTP/1.1, also the zero value
	HTTP2     Version = "2"          // HTTP/2 if the server offers it by ALPN, else HTTP/1.1
	HTTP2Only Version = "2-required" // HTTP/2 or an error; cleartext for http:// URLs
)

// Timeouts are the clocks of one call. A zero clock does not run.
type Timeouts struct {
	Connect    time.Duration // a connection with TLS stands, or one of the pool is free
	Headers    time.Duration // from there until the response headers are here
	FirstEvent time.Duration // from there until MarkEvent
	Idle       time.Duration // longest silence in the body; any byte resets it
	Total      time.Duration // the whole call until the body is read
}

// The names of the clocks, as they stand in fault.Error.Clock.
const (
	ClockConnect    = "connect"
	ClockHeaders    = "headers"
	ClockFirstEvent = "first_event"
	ClockIdle       = "idle"
	ClockTotal      = "total"
)

// DefaultTimeouts returns the clocks to use where no policy sets others.
func DefaultTimeouts(stream bool) Timeouts {
	t := Timeouts{
		Connect: 10 * time.Second,
		Headers: 600 * time.Second,
		Idle:    300 * time.Second,
		Total:   30 * time.Minute,
	}
	if stream {
		t.Headers = 60 * time.Second
		t.FirstEvent = 90 * time.Second
	}
	return t
}

// HeaderValue returns the first value of a header, "" if there is none. Case
// does not matter.
func HeaderValue(headers []Header, name string) string {
	for i := range headers {
		if strings.EqualFold(headers[i].Name, name) {
			return headers[i].Value
		}
	}
	return ""
}
