package upstream

import (
	"io"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// MaxFrame is the largest frame, and the longest line, in bytes.
const MaxFrame = 8 << 20

// Framer cuts a byte stream into frames. It gives the same frames however the
// stream is cut into calls of Feed. A Framer is for one stream.
type Framer interface {
	// Feed takes the next bytes of the stream and calls emit for each frame
	// that they complete. The payloads of the frames alias p or the framer's
	// memory and stay valid until the next call. Errors are *fault.Error.
	Feed(p []byte, emit func(abi.Frame)) error
	// End says that the stream ended and emits what is complete without its
	// end mark; half a frame is an error.
	End(emit func(abi.Frame)) error
}

// framers lists the framings by name.
var framers = []struct {
	name string
	make func() Framer
}{
	{"sse", func() Framer { return &sse{} }},
	{"sse-raw", func() Framer { return &sse{raw: true} }},
	{"ndjson", func() Framer { return &ndjson{} }},
	{"raw", func() Framer { return raw{} }},
	{"json-array", func() Framer { return &jsonArray{} }},
	{"len32be", func() Framer { return &enveloped{header: 4} }},
	{"connect", func() Framer { return &enveloped{header: 5, endFlag: 0x02} }},
	{"grpc-web", func() Framer { return &enveloped{header: 5, endFlag: 0x80} }},
	{"aws-eventstream", func() Framer { return &eventStream{} }},
}

// Framings returns the names that NewFramer knows.
func Framings() []string {
	names := make([]string, len(framers))
	for i, f := range framers {
		names[i] = f.name
	}
	return names
}

// NewFramer returns a framer for one stream; ok is false for an unknown name.
//
//	sse              server-sent events: name, data lines joined by line breaks
//	sse-raw          the same events, each with all its bytes, of kind raw
//	ndjson           one JSON text per line
//	raw              what each read brings, of kind raw
//	json-array       the elements of one JSON array
//	len32be          messages behind a four-byte length
//	connect          Connect envelopes; the last is named "end"
//	grpc-web         gRPC-Web envelopes; the trailer is named "end"
//	aws-eventstream  Amazon event stream messages, named by their event type
func NewFramer(name string) (f Framer, ok bool) {
	for _, e := range framers {
		if e.name == name {
			return e.make(), true
		}
	}
	return nil, false
}

func badFrame(text string) error {
	return fault.New(fault.Provider, "The provider's stream is malformed: "+text)
}

// carry keeps the incomplete tail of a stream between calls of Feed. It has
// two buffers: frames may still alias the one while the tail moves to the other.
type carry struct {
	kept, spare []byte
}

// join returns the bytes kept so far followed by p.
func (c *carry) join(p []byte) []byte {
	if len(c.kept) == 0 {
		return p
	}
	c.kept = append(c.kept, p...)
	return c.kept
}

// keep keeps buf[done:], where buf is what join returned.
func (c *carry) keep(buf []byte, done int) {
	if done == 0 && len(c.kept) > 0 && len(buf) == len(c.kept) {
		return // all of it is in place: no copying again and again
	}
	c.spare = append(c.spare[:0], buf[done:]...)
	c.kept, c.spare = c.spare, c.kept
	if cap(c.spare) > 1<<20 {
		c.spare = nil
	}
}

// raw passes bytes on as they come.
type raw struct{}

func (raw) Feed(p []byte, emit func(abi.Frame)) error {
	if len(p) > 0 {
		emit(abi.Frame{Kind: abi.FrameRaw, Payload: p})
	}
	return nil
}

func (raw) End(func(abi.Frame)) error { return nil }

// Stream reads frames from a response.
type Stream struct {
	resp    *Response
	framer  Framer
	buf     []byte
	frames  []abi.Frame
	emit    func(abi.Frame)
	given   int   // frames already returned
	pending error // to be returned after the frames
}

// streamBuffer is how much one read may bring. Streams are many and their
// events small.
const streamBuffer = 8 << 10

// Limits of one batch of frames.
const (
	maxBatchFrames = 64
	maxBatchBytes  = 64 << 10
)

// Stream reads the body through the framer of the given name.
func (r *Response) Stream(framing string) (*Stream, error) {
	f, ok := NewFramer(framing)
	if !ok {
		return nil, misconfigured("framing %q is not known", framing)
	}
	s := &Stream{resp: r, framer: f, buf: make([]byte, streamBuffer)}
	s.emit = func(f abi.Frame) { s.frames = append(s.frames, f) }
	return s, nil
}

// Next returns the complete frames that one read brought, at least one, at most
// 64 and about 64 KiB, and never waits to fill a batch. They are valid until
// the next call. At the end of the stream, which is also its [DONE] event, it
// returns io.EOF; any other error is a *fault.Error.
func (s *Stream) Next() ([]abi.Frame, error) {
	for s.given == len(s.frames) {
		if s.pending != nil {
			return nil, s.pending
		}
		s.frames, s.given = s.frames[:0], 0
		s.read()
	}
	size, n := 0, s.given
	for n < len(s.frames) && n-s.given < maxBatchFrames && (n == s.given || size+len(s.frames[n].Payload) <= maxBatchBytes) {
		size += len(s.frames[n].Payload)
		n++
	}
	batch := s.frames[s.given:n:n]
	s.given = n
	return batch, nil
}

// read feeds the framer once.
func (s *Stream) read() {
	n, err := s.resp.Read(s.buf)
	if n > 0 {
		if e := s.framer.Feed(s.buf[:n], s.emit); e != nil {
			s.pending = e
			return
		}
		if d, ok := s.framer.(interface{ done() bool }); ok && d.done() {
			s.pending = io.EOF
			return
		}
	}
	switch {
	case err == io.EOF:
		s.pending = err
		if e := s.framer.End(s.emit); e != nil {
			s.pending = e
		}
	case err != nil:
		s.pending = err
	}
}
