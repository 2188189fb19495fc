package hub

import (
	"errors"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// TranslateRequest appends the client request body, which is in dialect from, as a
// request of dialect to. The same dialect on both sides is a passthrough (P-1).
// Failures are *[Error] values; nothing was sent upstream yet.
func TranslateRequest(from, to Dialect, c *Ctx, dst, body []byte) ([]byte, error) {
	c.From, c.To = from.Name(), to.Name()
	if c.From == c.To {
		if p, ok := from.(Passthrough); ok {
			return p.AppendPassthrough(c, dst, body)
		}
	}
	r, err := from.ParseRequest(c, body)
	if err != nil {
		return dst, err
	}
	return to.AppendRequest(c, dst, r)
}

// TranslateResponse appends the upstream body, which is in dialect from, as an
// answer for a client of dialect to, and tells usage and finish reason. A body that
// means failure is returned as an *[Error].
func TranslateResponse(from, to Dialect, c *Ctx, dst, body []byte) ([]byte, *Response, error) {
	c.From, c.To = from.Name(), to.Name()
	if c.Status >= 400 {
		return dst, nil, from.ParseError(c, body)
	}
	r, err := from.ParseResponse(c, body)
	if err != nil {
		return dst, nil, err
	}
	if c.From == c.To && !c.rewrites() {
		return append(dst, body...), r, nil
	}
	dst, err = to.AppendResponse(c, dst, r)
	return dst, r, err
}

// rewrites tells whether an answer changes although both sides speak one dialect:
// on request, or because tools were renamed on the way there.
func (c *Ctx) rewrites() bool { return c.Rebuild || len(c.Names) > 0 }

// Stream translates one stream. It is fed with upstream events and emits client
// events; with [Ctx.Collect] it emits none and [Stream.Body] has the answer.
type Stream struct {
	ctx  *Ctx
	from Dialect
	to   Dialect
	dec  Decoder
	enc  Encoder
	col  *Collector
	same bool
	done bool
	err  error

	emit  func(Event)
	chunk func(*Chunk)

	// Usage and Finish are what the stream reported so far.
	Usage  Usage
	Finish string
}

// NewStream starts a translation from upstream dialect from to client dialect to.
// When both are the same, events pass unchanged and are only looked at for usage.
func NewStream(from, to Dialect, c *Ctx) *Stream {
	c.From, c.To = from.Name(), to.Name()
	s := &Stream{ctx: c, from: from, to: to, dec: from.NewDecoder(c), same: c.From == c.To && !c.Collect && !c.rewrites()}
	switch {
	case c.Collect:
		s.col = NewCollector(c)
	case !s.same:
		s.enc = to.NewEncoder(c)
	}
	s.chunk = s.take
	return s
}

// Feed takes one upstream event. An error means that nothing was sent to the
// client and nothing will be: answer it as a plain HTTP error.
func (s *Stream) Feed(ev Event, emit func(Event)) error {
	if s.same {
		emit(ev)
	}
	if s.done {
		return s.err
	}
	s.emit = emit
	s.dec.Decode(ev, s.chunk)
	return s.err
}

// FeedBody takes a whole answer in place of a stream, for an upstream that does not
// stream when it is asked to. It is the only thing to feed.
func (s *Stream) FeedBody(body []byte, emit func(Event)) error {
	if s.done {
		return s.err
	}
	r, err := s.from.ParseResponse(s.ctx, body)
	if err != nil {
		s.done, s.err = true, err
		return err
	}
	if s.enc == nil && s.col == nil { // even between equal dialects the events have to be made
		s.enc = s.to.NewEncoder(s.ctx)
	}
	s.emit = emit
	r.Chunks(s.chunk)
	return s.err
}

// End tells that the upstream connection ended.
func (s *Stream) End(emit func(Event)) error {
	if s.done {
		return s.err
	}
	s.emit = emit
	s.dec.End(s.chunk)
	return s.err
}

// Done tells whether the answer is complete, so that upstream can be closed.
func (s *Stream) Done() bool { return s.done }

func (s *Stream) take(ch *Chunk) {
	switch ch.Kind {
	case ChunkStart:
		if ch.Usage.Known {
			s.Usage = ch.Usage
		}
	case ChunkFinish:
		s.Usage, s.Finish, s.done = ch.Usage, ch.Finish, true
	case ChunkError:
		s.Finish, s.done = FinishError, true
	}
	switch {
	case s.col != nil:
		s.col.Add(ch)
	case s.enc != nil:
		if err := s.enc.Encode(ch, s.emit); err != nil && s.err == nil {
			s.err = err
		}
	}
}

// Body appends the collected answer. It is an error to ask before the end.
func (s *Stream) Body(dst []byte) ([]byte, *Response, error) {
	if s.col == nil {
		return dst, nil, errors.New("hub: stream is not collected")
	}
	r, err := s.col.Response()
	if err != nil {
		return dst, nil, err
	}
	dst, err = s.to.AppendResponse(s.ctx, dst, r)
	return dst, r, err
}

// clone copies bytes that must outlive their chunk; nil stays nil.
func clone(s jsn.Str) jsn.Str {
	if s == nil {
		return nil
	}
	return append(jsn.Str{}, s...)
}
