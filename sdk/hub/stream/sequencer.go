package stream

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// maxCalls bounds the call numbers a stream may use.
const maxCalls = 4096

// Sequencer orders the chunks of an answer for a client format. What it emits keeps
// these promises, whatever comes in:
//
//   - a call starts once, with id and name; starts are numbered 0, 1, 2, …
//   - ChunkCallArgs carries Text only; joined it is a JSON object, unless the finish
//     is length;
//   - every started call ends with a ChunkCallEnd whose Text is all its arguments;
//   - unless Parallel, nothing stands between start and end of a call but its own
//     arguments; what arrives meanwhile waits.
type Sequencer struct {
	// Parallel lets calls overlap each other and other output.
	Parallel bool

	ctx   *hub.Ctx
	emit  func(*hub.Chunk)
	calls []*call // by upstream number, nil = not seen
	order []*call // in order of arrival
	next  int     // first call of order that may not be closed yet
	open  *call   // the call being sent, unless Parallel
	count int     // calls started
	held  []hub.Chunk
	out   hub.Chunk
	done  bool
	cut   bool // arguments that were sent already turned out to be broken
}

type call struct {
	id, name string
	sig      jsn.Str
	custom   bool
	index    int // number at the client
	started  bool
	ended    bool // upstream said so
	closed   bool

	args  jsn.Str // everything so far, escaped
	sent  int
	check jsn.Checker
	bad   bool // not an object: sent wrapped at the end
}

// NewSequencer returns a sequencer that passes on to emit.
func NewSequencer(c *hub.Ctx, emit func(*hub.Chunk)) *Sequencer {
	return &Sequencer{ctx: c, emit: emit}
}

// Feed takes the next chunk.
func (s *Sequencer) Feed(ch *hub.Chunk) {
	if s.done {
		return
	}
	switch ch.Kind {
	case hub.ChunkCallStart:
		if k := s.call(ch.Call); k != nil {
			k.start(ch)
			s.pump()
		}
	case hub.ChunkCallArgs:
		if k := s.call(ch.Call); k != nil && !k.closed {
			s.args(k, ch)
			s.pump()
		}
	case hub.ChunkCallEnd:
		if k := s.call(ch.Call); k != nil {
			k.ended = true
			s.pump()
		}
	case hub.ChunkFinish:
		s.finish(ch)
	case hub.ChunkError:
		s.done = true
		s.emit(ch)
	case hub.ChunkStart:
		s.emit(ch)
	default:
		if s.open == nil && len(s.held) == 0 {
			s.emit(ch)
			return
		}
		s.hold(ch)
		s.pump()
	}
}

func (s *Sequencer) call(n int) *call {
	if n < 0 || n >= maxCalls {
		return nil
	}
	for len(s.calls) <= n {
		s.calls = append(s.calls, nil)
	}
	if s.calls[n] == nil {
		s.calls[n] = &call{}
		s.order = append(s.order, s.calls[n])
	}
	return s.calls[n]
}

// start takes id and name; repeated ones are ignored (WC-3).
func (k *call) start(ch *hub.Chunk) {
	if k.id == "" {
		k.id = strings.Clone(ch.CallID)
	}
	if k.name == "" {
		k.name = strings.Clone(ch.Name)
	}
	if len(ch.Sig) > 0 && len(k.sig) == 0 {
		k.sig = append(jsn.Str{}, ch.Sig...)
	}
	k.custom = k.custom || ch.Custom
}

// args takes a fragment of arguments, or all of them at once.
func (s *Sequencer) args(k *call, ch *hub.Chunk) {
	frag := ch.Text
	if len(ch.Raw) > 0 {
		frag = jsn.Tokens{}.AppendQuoted(nil, ch.Raw)
	}
	if len(frag) == 0 {
		return
	}
	if k.placeholder() {
		k.args, k.check = k.args[:0], jsn.Checker{}
	}
	if k.bad {
		k.args = append(k.args, frag...)
		return
	}
	text := []byte(frag)
	if bytes.IndexByte(frag, '\\') >= 0 {
		text = jsn.AppendDecoded(make([]byte, 0, len(frag)), frag)
	}
	if n := k.check.Feed(text); n < len(text) {
		switch {
		case k.sent == 0:
			k.bad = true
		case k.check.Complete(): // what stands behind the object is ignored
			frag = jsn.AppendEscaped(nil, string(text[:n]))
		default:
			s.cut = true
			return
		}
	}
	k.args = append(k.args, frag...)
}

// placeholder tells whether all that came is the {} that some servers send ahead of
// the real arguments (WC-4).
func (k *call) placeholder() bool { return k.sent == 0 && string(k.args) == "{}" }

func (k *call) complete() bool { return !k.bad && k.check.Complete() && !k.placeholder() }

func (s *Sequencer) hold(ch *hub.Chunk) {
	c := *ch
	c.Text, c.Sig = append(jsn.Str(nil), ch.Text...), append(jsn.Str(nil), ch.Sig...)
	c.Provider = strings.Clone(ch.Provider)
	if ch.Media != nil {
		m := *ch.Media
		m.Data, m.URL, m.MIME = append(jsn.Str(nil), m.Data...), append(jsn.Str(nil), m.URL...), strings.Clone(m.MIME)
		c.Media = &m
	}
	s.held = append(s.held, c)
}

// pump sends whatever may be sent now.
func (s *Sequencer) pump() {
	if s.Parallel {
		for _, k := range s.order[s.next:] {
			s.advance(k)
		}
		s.skipClosed()
		return
	}
	for {
		if s.open == nil {
			if s.open = s.startable(); s.open == nil {
				break
			}
		}
		k := s.open
		s.advance(k)
		if !k.closed && k.complete() && s.waiting() {
			s.close(k)
		}
		if !k.closed {
			return
		}
		s.open = nil
	}
	s.skipClosed()
	for i := range s.held {
		s.emit(&s.held[i])
	}
	s.held = s.held[:0]
}

func (s *Sequencer) skipClosed() {
	for s.next < len(s.order) && s.order[s.next].closed {
		s.next++
	}
}

// startable returns the first waiting call whose id and name are known.
func (s *Sequencer) startable() *call {
	for _, k := range s.order[s.next:] {
		if !k.closed && k.id != "" && k.name != "" {
			return k
		}
	}
	return nil
}

// waiting tells whether something waits for the open call's end.
func (s *Sequencer) waiting() bool {
	if len(s.held) > 0 {
		return true
	}
	for _, k := range s.order[s.next:] {
		if k != s.open && !k.closed {
			return true
		}
	}
	return false
}

// advance starts k when it can start, sends the arguments that came, and closes it
// when upstream ended it.
func (s *Sequencer) advance(k *call) {
	if k.closed {
		return
	}
	if !k.started {
		if k.id == "" || k.name == "" {
			return
		}
		k.started = true
		k.index = s.count
		s.count++
		s.out = hub.Chunk{Kind: hub.ChunkCallStart, Call: k.index, CallID: k.id, Name: k.name, Sig: k.sig, Custom: k.custom}
		s.emit(&s.out)
	}
	if !k.bad && k.check.Started() && !k.placeholder() {
		s.send(k)
	}
	if k.ended {
		s.close(k)
	}
}

// send emits the arguments that were not sent yet.
func (s *Sequencer) send(k *call) {
	if k.sent < len(k.args) {
		s.out = hub.Chunk{Kind: hub.ChunkCallArgs, Call: k.index, Text: k.args[k.sent:]}
		k.sent = len(k.args)
		s.emit(&s.out)
	}
}

func (s *Sequencer) close(k *call) {
	switch {
	case k.sent > 0:
		s.cut = s.cut || !k.check.Complete()
	case !k.check.Complete() || k.bad:
		var t jsn.Tokens
		k.args = t.AppendQuoted(nil, hub.ArgsString(k.args).AppendObject(nil, t))
	}
	s.send(k)
	k.closed = true
	s.out = hub.Chunk{Kind: hub.ChunkCallEnd, Call: k.index, Text: k.args}
	s.emit(&s.out)
}

// finish ends every call and passes the finish on. Broken arguments that were sent
// already make it a length finish: the answer is cut.
func (s *Sequencer) finish(ch *hub.Chunk) {
	for _, k := range s.order {
		if k.id == "" {
			k.id = s.ctx.NewID("call_")
		}
		k.ended = true
	}
	for i, k := range s.order {
		if k.name == "" {
			k.name = "tool_" + strconv.Itoa(i)
		}
	}
	s.pump()
	s.done = true
	f := *ch
	if s.cut && (f.Finish == hub.FinishTools || f.Finish == hub.FinishStop) {
		f.Finish = hub.FinishLength
	}
	s.emit(&f)
}
