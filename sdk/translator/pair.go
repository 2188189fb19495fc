package translator

import (
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

// Hub is the form in which documents travel between two translators: OpenAI
// chat completions. A format that is translated to and from it reaches every
// other one.
const Hub = chat.HubName

// Document is a document to translate, or the stream it belongs to.
type Document struct {
	From, To string
	Model    string   // "" is the body's own
	Stream   bool     // the client asked for a stream
	Status   int      // of an answer
	Body     sdk.JSON // valid during the call
	Env      sdk.Env
}

// Format is a wire format of one's own, as functions to and from another one.
// Errors of the request are an *abi.ErrorRecord of class client.
type Format interface {
	// Request writes a request of the other format in this one.
	Request(d *Document) ([]byte, error)
	// Response writes an answer of this format in the other one; s takes usage
	// and finish reason.
	Response(d *Document, s *sdk.Stream) ([]byte, error)
	// Open starts the state of a stream of this format.
	Open(d *Document) Events
}

// Events is the state of a stream that is translated into the other format.
type Events interface {
	// Event takes one event and emits any number.
	Event(s *sdk.Stream, f *sdk.Frame) error
	// End is called exactly once.
	End(s *sdk.Stream) error
}

// Between makes a part that translates requests from one format to another,
// and answers back. Most often the first one is [Hub].
func Between(from, to string, f Format) sdk.Part {
	return sdk.NewTranslator(&pair{from: from, to: to, format: f})
}

type pair struct {
	from, to string
	format   Format
}

// Provides implements [sdk.Translator].
func (p *pair) Provides() [][]byte {
	b := append([]byte(nil), `{"kind":"translator","from":`...)
	b = append(append(b, sdk.Quote(p.from)...), `,"to":`...)
	b = append(append(b, sdk.Quote(p.to)...), `,"directions":["request","response","stream"]}`...)
	return [][]byte{b}
}

// Serves implements [sdk.Translator].
func (p *pair) Serves(from, to string) bool {
	return from == p.from && to == p.to || from == p.to && to == p.from
}

func readDocument(c *sdk.Translation) (d *Document, collect bool, err error) {
	d = &Document{Env: c.Env}
	var e abi.ErrorRecord
	r := abi.Read(c.In)
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagFrom:
			d.From = f.Text()
		case abi.TagTo:
			d.To = f.Text()
		case abi.TagModel:
			d.Model = f.Text()
		case abi.TagStream:
			d.Stream = f.Bool()
		case abi.TagCollect:
			collect = f.Bool()
		case abi.TagStatus:
			d.Status = int(f.Uint())
		case abi.TagBody:
			d.Body = f.Value
		case abi.TagProvider, abi.TagProject, abi.TagNonce, abi.TagRequest, abi.TagCount, abi.TagRebuild, abi.TagHeader, abi.TagToolName:
		default:
			if !e.Set(f) {
				r.Unknown()
			}
		}
	}
	return d, collect, r.Err()
}

// Translate implements [sdk.Translator].
func (p *pair) Translate(c *sdk.Translation) error {
	d, _, err := readDocument(c)
	if err != nil {
		return err
	}
	var body []byte
	var beside abi.Writer
	switch {
	case c.Op == abi.OpTrRequest && d.From == p.from:
		body, err = p.format.Request(d)
	case c.Op == abi.OpTrResponse && d.From == p.to:
		body, err = p.format.Response(d, sdk.NewStream(&beside))
	default:
		return &abi.ErrorRecord{Message: c.Op.String() + " from " + d.From + " to " + d.To + " is not supported by this plugin", Class: "plugin", Scope: "plugin", Status: 501}
	}
	if err != nil {
		return err
	}
	c.Out.Bytes(abi.TagBody, body)
	c.Out.Buf = append(c.Out.Buf, beside.Buf...)
	return nil
}

// Open implements [sdk.Translator].
func (p *pair) Open(c *sdk.Translation) (sdk.StreamState, error) {
	d, collect, err := readDocument(c)
	if err != nil {
		return nil, err
	}
	d.Body = nil
	s := &pairStream{events: p.format.Open(d), out: c.Out, to: sdk.NewStream(c.Out)}
	if collect {
		s.ctx = &hub.Ctx{Collect: true, Rand: c.Env.Rand, NowUnix: func() int64 { return c.Env.NowMS() / 1000 }}
		s.collect = hub.NewStream(chat.Hub{}, chat.Hub{}, s.ctx)
		s.to = sdk.NewStream(&s.chunks)
	}
	return s, nil
}

// pairStream is the state behind a handle. Where the gateway wants one answer
// of a stream, the chunks are collected here, so that formats need not.
type pairStream struct {
	events  Events
	out     *abi.Writer
	to      *sdk.Stream
	ctx     *hub.Ctx
	collect *hub.Stream // nil = frames go out as they are
	chunks  abi.Writer
}

// Frame implements [sdk.StreamState].
func (s *pairStream) Frame(f abi.Frame) error {
	if f.Kind == abi.FrameComment {
		return nil
	}
	if err := s.events.Event(s.to, &sdk.Frame{Frame: f}); err != nil {
		return err
	}
	return s.gather()
}

// gather moves what the format emitted to the answer.
func (s *pairStream) gather() error {
	if s.collect == nil {
		return nil
	}
	defer s.chunks.Reset()
	r := abi.Read(s.chunks.Buf)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			s.out.Bytes(f.Tag, f.Value)
			continue
		}
		fr, err := f.Frame()
		if err != nil {
			return err
		}
		if err := s.collect.Feed(hub.Event{Name: fr.Name, Data: append([]byte(nil), fr.Payload...)}, func(hub.Event) {}); err != nil {
			return wire(err)
		}
	}
	return r.Err()
}

// End implements [sdk.StreamState].
func (s *pairStream) End(reason abi.EndReason) error {
	if reason == abi.EndClientGone {
		return nil
	}
	if err := s.events.End(s.to); err != nil {
		return err
	}
	if err := s.gather(); err != nil || s.collect == nil {
		return err
	}
	if err := s.collect.End(func(hub.Event) {}); err != nil {
		return wire(err)
	}
	mark := s.out.Open(abi.TagBody)
	out, _, err := s.collect.Body(s.out.Buf)
	if err != nil {
		return wire(err)
	}
	s.out.Buf = out
	s.out.Close(mark)
	return nil
}

// Settle implements [sdk.StreamState].
func (s *pairStream) Settle() {}
