package execute

import (
	"io"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// maxHead bounds the head that is held back before the first content.
const maxHead = 1 << 20

// live is a streamed answer: frames are pulled from upstream, decoded and
// translated as the client takes them. It owns its attempt until the end.
type live struct {
	a     *attempt
	in    source
	chain *chain
	watch *watch // reads along in the client's dialect

	raw     bool        // frames are whole SSE events of the client's own dialect
	out     []abi.Frame // of this pull
	arena   []byte      // their payloads
	scratch []byte
	decoded []abi.Frame // of the executor
	dbuf    []byte

	chunk []byte // a chat client's chunk with the finish reason
	told  bool   // a chat client has its usage chunk

	pulls  int         // since the stream began
	head   []abi.Frame // held back until the commit point
	ended  bool        // upstream is done
	closed bool
}

// source yields the frames of an upstream answer.
type source interface {
	Next() ([]abi.Frame, error)
}

// live starts a streamed answer. It returns when the commit point is reached:
// nil, and the stream is the answer of the call, or the failure that let
// nothing through.
func (a *attempt) live() *fault.Error {
	ch, failure := a.chain(false)
	if failure != nil {
		return failure
	}
	name := framing(a.plan.Framing)
	raw := name == "sse" && ch.executor == nil && ch.translator == nil
	if raw {
		name = "sse-raw"
	}
	in, err := a.resp.Stream(name)
	if err != nil {
		ch.abandon(abi.EndUpstreamError)
		return a.broken(err)
	}
	return a.commit(&live{a: a, in: in, chain: ch, raw: raw, watch: newWatch(a.c.Dialect)})
}

// commit pulls until there is content, an error or the end.
func (a *attempt) commit(l *live) *fault.Error {
	size := 0
	for {
		err := l.pull()
		for _, f := range l.out {
			l.head = append(l.head, f)
			size += len(f.Payload)
		}
		l.arena = nil // the held frames keep it
		switch w := l.watch; {
		case w.broken != nil && !w.content:
			l.drop(abi.EndUpstreamError)
			return a.blamed(w.broken)
		case w.content || w.finish != "" && err == io.EOF:
			l.begin()
			return nil
		case err == io.EOF:
			l.drop(abi.EndEOF)
			return a.empty()
		case err != nil:
			l.drop(abi.EndUpstreamError)
			return a.broken(err)
		case size > maxHead:
			l.begin()
			return nil
		}
	}
}

// begin makes the stream the answer of the call: nothing falls over from here.
func (l *live) begin() {
	a := l.a
	if a.resp != nil {
		a.resp.MarkEvent()
	}
	a.first = a.l.s.Now()
	a.phase(telemetry.PhaseStream)
	a.c.FirstAt = a.first
	a.lease.Succeed()
	a.served()
	a.c.Answer = &call.Answer{Status: 200, Events: l}
}

// Next implements call.Events.
func (l *live) Next() ([]abi.Frame, error) {
	if l.closed {
		return nil, io.EOF
	}
	if l.head != nil {
		head := l.head
		l.head = nil
		return head, nil
	}
	for {
		if l.ended {
			return nil, l.finish()
		}
		err := l.pull()
		switch {
		case err == io.EOF:
		case err != nil:
			l.drop(abi.EndUpstreamError)
			return l.out, l.failed(l.a.broken(err))
		}
		if over := l.overspent(); over != nil {
			return l.out, over
		}
		if len(l.out) > 0 {
			return l.out, nil
		}
	}
}

// weighEvery is after how many pulls a stream is held against hard budgets.
const weighEvery = 16

// overspent ends a stream that passes a hard budget. It is not the provider's
// fault, so nobody is blamed.
func (l *live) overspent() *fault.Error {
	if l.pulls++; l.pulls%weighEvery != 0 || l.ended {
		return nil
	}
	a := l.a
	d, over := a.c.Reservation.Over(func(u ledger.Unit) int64 {
		used := a.c.Estimate(l.watch.chars)
		if u == ledger.Tokens {
			return used.Sum()
		}
		return int64(max(ledger.Cost(used, a.t.Model.Price, ledger.CostOptions{}), 0))
	})
	if !over {
		return nil
	}
	e := fault.Newf(fault.BudgetExceeded, "The answer was cut off: it would use more than the budget of %s (rule %s) allows", d.Claim.Scope, d.Claim.Rule)
	l.drop(abi.EndClientGone)
	a.read(l.watch)
	a.finish, a.c.Finish = hub.FinishLength, hub.FinishLength
	l.closed = true
	a.abort(e)
	return e
}

// pull takes what one read brought through the chain into out.
func (l *live) pull() error {
	l.out, l.arena = l.out[:0], l.arena[:0]
	frames, err := l.in.Next()
	l.a.captured(frames)
	if err != nil && err != io.EOF {
		return err
	}
	ctx := l.a.c.Ctx
	if err == io.EOF {
		l.ended = true
		return l.end()
	}
	if l.chain.executor != nil {
		l.decoded, l.dbuf = l.decoded[:0], l.dbuf[:0]
		if err := l.chain.decode(ctx, frames, l.keepDecoded); err != nil {
			return err
		}
		frames = l.decoded
	}
	return l.through(frames)
}

// through runs decoded frames through the translator, if there is one.
func (l *live) through(frames []abi.Frame) error {
	if l.chain.translator == nil {
		for i := range frames {
			l.pass(&frames[i])
		}
		return nil
	}
	if len(frames) == 0 {
		return nil
	}
	return l.chain.translate(l.a.c.Ctx, frames, l.keep)
}

// end flushes the chain after the last frame.
func (l *live) end() error {
	ctx := l.a.c.Ctx
	l.decoded, l.dbuf = l.decoded[:0], l.dbuf[:0]
	if err := l.chain.decodeEnd(ctx, abi.EndEOF, l.keepDecoded); err != nil {
		return err
	}
	if err := l.through(l.decoded); err != nil {
		return err
	}
	if l.chain.translator != nil {
		if err := l.chain.translateEnd(ctx, abi.EndEOF, l.keep); err != nil {
			return err
		}
	}
	if !l.watch.ended {
		l.chatUsage()
	}
	if len(l.out) > 0 && l.a.c.Answer != nil {
		return nil // what was flushed goes out first
	}
	return io.EOF
}

// keepDecoded copies a frame of the executor.
func (l *live) keepDecoded(f abi.Frame) error {
	at := len(l.dbuf)
	l.dbuf = append(l.dbuf, f.Payload...)
	f.Payload = l.dbuf[at:len(l.dbuf):len(l.dbuf)]
	l.decoded = append(l.decoded, f)
	return nil
}

// keep copies a frame of the translator into out.
func (l *live) keep(f abi.Frame) error {
	at := len(l.arena)
	l.arena = append(l.arena, f.Payload...)
	f.Payload = l.arena[at:len(l.arena):len(l.arena)]
	l.watch.event(f.Payload)
	if l.watch.broken != nil {
		f.Payload = l.a.redactPayload(f.Payload)
	} else {
		f.Payload = l.estimated(f.Payload)
	}
	l.out = append(l.out, f)
	return nil
}

// pass takes a frame that needs no translation. While the head is held it is
// copied; afterwards the client gets the very bytes that came.
func (l *live) pass(f *abi.Frame) {
	data := f.Payload
	if l.raw {
		var comment bool
		_, data, comment = upstream.ParseEvent(l.scratch[:0], f.Payload)
		if comment {
			return // heartbeats are ours
		}
	}
	l.watch.event(data)
	l.remember(data)
	if l.watch.ended {
		l.chatUsage()
	}
	if l.a.request.hidden && l.watch.onlyUse {
		return // the client did not ask for it (L-6)
	}
	if l.a.c.Answer == nil {
		at := len(l.arena)
		l.arena = append(l.arena, f.Payload...)
		f = &abi.Frame{Kind: f.Kind, Name: f.Name, Payload: l.arena[at:len(l.arena):len(l.arena)]}
	}
	l.out = append(l.out, *f)
	if l.watch.broken != nil {
		last := &l.out[len(l.out)-1]
		last.Payload = l.a.redactPayload(last.Payload)
	}
}

// finish judges a stream that came to its end.
func (l *live) finish() error {
	a, w := l.a, l.watch
	a.read(w)
	l.chain.report(a)
	switch {
	case w.broken != nil:
		a.c.Fail(a.blamed(w.broken))
		l.settle(w.broken)
		return io.EOF
	case l.truncated():
		e := fault.New(fault.Provider, "The provider's stream ended before the answer was complete")
		e.Status = 502
		return l.failed(a.blamed(e))
	}
	l.closed = true
	a.succeed()
	return io.EOF
}

// truncated reports whether a passed-through stream lacks the end that its
// dialect demands (W-6); a translator reports that by itself.
func (l *live) truncated() bool {
	w := l.watch
	if w.finish != "" || w.ended {
		return false
	}
	return w.dialect == "claude" || w.dialect == "openai-responses"
}

// failed ends the stream after content: the penalties are applied, the client
// gets an error event from render.
func (l *live) failed(e *fault.Error) error {
	l.a.read(l.watch)
	l.settle(e)
	return e
}

// settle ends the attempt with a failure.
func (l *live) settle(e *fault.Error) {
	l.closed = true
	if e.Code == fault.ClientClosed {
		l.a.abort(call.ErrClientGone)
		return
	}
	l.a.fail(e, true)
}

// drop ends the streams of the chain without a result.
func (l *live) drop(why abi.EndReason) {
	l.chain.report(l.a)
	l.chain.abandon(why)
}

// Close implements call.Events: before the end it means that the client left.
func (l *live) Close() {
	if l.closed {
		return
	}
	l.closed = true
	l.drop(abi.EndClientGone)
	l.a.read(l.watch)
	l.a.abort(call.ErrClientGone)
}
