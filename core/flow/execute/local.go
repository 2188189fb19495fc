package execute

import (
	"context"
	"io"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/sdk/abi"
)

// local serves an answer that the executor made without any upstream.
func (a *attempt) local(l *host.Local) *fault.Error {
	a.plan, a.decoded = &host.Plan{}, true
	a.status = l.Status
	if a.status == 0 {
		a.status = 200
	}
	if a.status >= 300 {
		w := newWatch(a.request.dialect)
		w.body(l.Body)
		failure := w.broken
		if failure == nil {
			failure = fault.Upstream(a.status, "")
		}
		failure.Status = a.status
		failure.Reason = fault.ReasonOf(a.status, failure.Message)
		if failure.RetryAfter < 0 {
			get := func(name string) string { return headerMap(l.Header)[name] }
			failure.RetryAfter = fault.RetryAfter(get, l.Body, a.l.s.Now())
		}
		return a.blamed(failure)
	}
	if len(l.Frames) == 0 {
		return a.whole(a.named(l.Body))
	}
	in := &paced{ctx: a.c.Ctx, frames: l.Frames}
	for i := range in.frames {
		in.frames[i].Payload = a.named(in.frames[i].Payload)
	}
	if !a.c.Stream {
		body, failure := a.fold(in.Next)
		if failure != nil {
			return failure
		}
		a.deliver(body)
		return nil
	}
	ch, failure := a.chain(false)
	if failure != nil {
		return failure
	}
	return a.commit(&live{a: a, in: in, chain: ch, watch: newWatch(a.c.Dialect)})
}

// named makes an answer of the gateway's own tell the model that the client asked for,
// as translated ones do (I-2); only an upstream's own words pass as they are.
func (a *attempt) named(data []byte) []byte {
	if _, ok := doc.String(data, "model"); !ok || a.answerDialect() != a.c.Dialect {
		return data
	}
	model, ok := doc.String(a.c.Source, "model")
	if !ok {
		model = a.c.Model
	}
	data, _ = doc.Set(nil, data, doc.Quote(nil, model), "model")
	return data
}

// paced yields prepared frames at the pace they ask for.
type paced struct {
	ctx    context.Context
	frames []abi.Frame
	at     int
}

// Next returns the frames up to the next pause.
func (p *paced) Next() ([]abi.Frame, error) {
	if p.at == len(p.frames) {
		return nil, io.EOF
	}
	if d := time.Duration(p.frames[p.at].DelayMS) * time.Millisecond; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			return nil, fault.From(contextCause(p.ctx))
		}
	}
	from := p.at
	for p.at++; p.at < len(p.frames) && p.frames[p.at].DelayMS == 0; p.at++ {
	}
	return p.frames[from:p.at], nil
}
