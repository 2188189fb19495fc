package upstream

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Options configures a Client. Zero fields take the defaults in brackets.
type Options struct {
	MaxConnsPerHost int           // connections in use and idle per host [4096]
	MaxIdlePerHost  int           // idle connections kept per host [256]
	IdleTimeout     time.Duration // how long an idle connection is kept [90s]
	MaxBody         int64         // default of Request.MaxBody [512 MiB]
	TLS             *tls.Config   // base TLS configuration [system roots, TLS 1.2+]
}

// Client makes outbound calls. It is safe for concurrent use.
type Client struct{}

// New returns a Client.
func New(opt Options) *Client { panic("api") }

// Do sends the request and returns when the response headers are here. Errors
// are *fault.Error. Cancelling ctx ends the call, body included, at once.
func (c *Client) Do(ctx context.Context, req *Request) (*Response, error) { panic("api") }

// Close closes all connections. Calls that run fail.
func (c *Client) Close() error { panic("api") }

// Response is an answer whose body is still to be read. It is for one goroutine.
type Response struct {
	Status int
	Header []Header // end-to-end fields; body encodings are already undone
}

// Get returns the first value of a header, "" if there is none.
func (r *Response) Get(name string) string { return HeaderValue(r.Header, name) }

// Read reads from the decoded body. It returns what is there and waits only if
// nothing is. Errors other than io.EOF are *fault.Error.
func (r *Response) Read(p []byte) (int, error) { panic("api") }

// ReadAll reads the rest of the body, at most limit bytes (0 = MaxBody). It
// stops the first-event clock.
func (r *Response) ReadAll(limit int64) ([]byte, error) { panic("api") }

// ReadPrefix is ReadAll that cuts a longer body at limit bytes in place of failing.
func (r *Response) ReadPrefix(limit int64) ([]byte, error) { panic("api") }

// MarkEvent says that the first meaningful event is here and stops the
// first-event clock.
func (r *Response) MarkEvent() { panic("api") }

// Close ends the call. A connection whose body was read, or ends shortly, goes
// back to the pool; any other is closed. Close does not block.
func (r *Response) Close() error { panic("api") }

// Abort closes the connection at once.
func (r *Response) Abort() { panic("api") }

// Stream reads the body through the framer of the given name.
func (r *Response) Stream(framing string) (*Stream, error) { panic("api") }

// Stream reads frames.
type Stream struct{}

// Next returns the complete frames that one read brought, at least one and at
// most 64 or about 64 KiB. They are valid until the next call. At the end it
// returns io.EOF; any other error is a *fault.Error.
func (s *Stream) Next() ([]abi.Frame, error) { panic("api") }

// Framer cuts a byte stream into frames. Its frames, and the payloads in them,
// are valid only during emit, which must not keep or change them.
type Framer interface {
	// Feed takes the next bytes of the stream.
	Feed(p []byte, emit func(abi.Frame)) error
	// End says that the stream ended; a last frame without its end mark counts.
	End(emit func(abi.Frame)) error
}

// Framings returns the names that NewFramer knows.
func Framings() []string { panic("api") }

// NewFramer returns a framer: sse, sse-raw (whole events, byte for byte, of
// kind raw), ndjson, raw, json-array, len32be, connect, grpc-web,
// aws-eventstream. ok is false for other names.
func NewFramer(name string) (f Framer, ok bool) { panic("api") }

// ParseEvent reads one raw SSE event as sse-raw gives it: its name and its
// data lines joined by line breaks. data aliases event if it is one line, and
// is appended to dst otherwise. comment is true if the event has nothing else.
func ParseEvent(dst, event []byte) (name string, data []byte, comment bool) { panic("api") }

// AppendEvent appends an SSE event; name may be "". Line breaks in data make
// several data lines.
func AppendEvent(dst []byte, name string, data []byte) []byte { panic("api") }

// AppendComment appends an SSE comment.
func AppendComment(dst []byte, text string) []byte { panic("api") }

// AppendFrame appends a frame as SSE: data as an event, a comment as a
// comment, raw bytes as they are.
func AppendFrame(dst []byte, f abi.Frame) []byte { panic("api") }
