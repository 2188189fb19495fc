package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// Dialect reads and writes one wire format. Implementations hold no state between
// calls; everything about a call is in its [Ctx].
type Dialect interface {
	// Name is the format name, such as "openai" or "claude".
	Name() string
	// ParseRequest reads a client request. It returns an *[Error] for requests the
	// format itself forbids or that cannot be carried.
	ParseRequest(c *Ctx, body []byte) (*Request, error)
	// AppendRequest writes r for an upstream of this format, applying every rule of
	// the target: repair, names and ids, media, tools, thinking, limits. It may
	// change r.
	AppendRequest(c *Ctx, dst []byte, r *Request) ([]byte, error)
	// ParseResponse reads an upstream answer. It returns an *[Error] for error
	// bodies, including those that came with HTTP status 200.
	ParseResponse(c *Ctx, body []byte) (*Response, error)
	// AppendResponse writes an answer for a client of this format.
	AppendResponse(c *Ctx, dst []byte, r *Response) ([]byte, error)
	// NewDecoder reads an upstream stream of this format.
	NewDecoder(c *Ctx) Decoder
	// NewEncoder writes a stream for a client of this format.
	NewEncoder(c *Ctx) Encoder
	// ParseError reads the body of an upstream error; Ctx.Status is its HTTP status.
	ParseError(c *Ctx, body []byte) *Error
	// AppendError writes the body of a plain error for a client of this format.
	AppendError(c *Ctx, dst []byte, e *Error) []byte
}

// Passthrough is implemented by dialects whose requests may go through unchanged
// when client and provider speak the same format.
type Passthrough interface {
	// AppendPassthrough copies body with the model name replaced, without a client's
	// x_omni and without reasoning that another provider signed.
	AppendPassthrough(c *Ctx, dst, body []byte) ([]byte, error)
}

// Event is one event of a stream: an SSE event, an NDJSON line or a decoded frame.
// Data is its payload (JSON, or the text [DONE]); Name is empty for formats whose
// events have no name.
type Event struct {
	Name  string
	Data  []byte
	Valid bool // Data is known to be one valid JSON document
}

// JSON tells whether the event's data is one valid JSON document.
func (ev *Event) JSON() bool { return ev.Valid || jsn.Valid(ev.Data) == nil }

// Decoder turns upstream events into chunks. Chunks are valid during the call of
// emit only. A decoder emits exactly one Finish or Error chunk, as the last one.
type Decoder interface {
	Decode(ev Event, emit func(*Chunk))
	// End tells that the connection ended. It does nothing after the last chunk.
	End(emit func(*Chunk))
}

// Encoder turns chunks into client events. Events are valid during the call of
// emit only.
type Encoder interface {
	// Encode takes one chunk. For an Error chunk that arrives before any event was
	// emitted it returns that error, which the caller answers as a plain HTTP
	// error; later errors become events of the stream. After a Finish or Error
	// chunk everything is ignored.
	Encode(ch *Chunk, emit func(Event)) error
}
