package execute

import (
	"bytes"
	"io"
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// answered reads a good answer, in the form in which it came: as a stream or
// whole, for a client that wants the one or the other.
func (a *attempt) answered() *fault.Error {
	streamed := a.c.Media == nil && a.streams()
	v, err := a.executor.Result(a.c.Ctx, host.ResultInput{
		Profile: a.profile(), Endpoint: a.endpoint(), Model: a.t.Upstream, Stream: streamed,
		Status: a.resp.Status, Header: a.resp.Header, AuthKind: authKind(a.lease.Account().Auth), Effects: a.effects,
	})
	switch {
	case err != nil:
		return a.pluginFault(err)
	case v.Err != nil:
		return a.blamed(v.Err)
	case a.c.Media != nil:
		return a.media()
	case streamed && a.c.Stream:
		return a.live()
	case streamed:
		return a.collect()
	}
	body, err := a.resp.ReadAll(0)
	if err != nil {
		return a.broken(err)
	}
	a.c.Stages.Response(capture.Provider, a.resp.Status, call.Captured(a.resp.Header), body)
	if looksLikeEvents(body) {
		return a.refold(body)
	}
	return a.whole(body)
}

// answerDialect is what the provider's answer is written in.
func (a *attempt) answerDialect() string {
	if a.plan != nil && a.plan.Dialect != "" {
		return a.plan.Dialect
	}
	return a.request.dialect
}

// verbatim reports whether an answer in a dialect goes to the client as it is:
// it speaks that dialect, no tool was renamed on the way there, and nothing has
// to be cleaned up.
func (a *attempt) verbatim(dialect string) bool {
	return dialect == a.c.Dialect && len(a.request.names) == 0 && !a.sanitized(dialect)
}

// sanitized reports whether an answer is written anew for a chat client because
// its provider mixes in what is not of that API.
func (a *attempt) sanitized(dialect string) bool {
	return a.t.Provider.Sanitize && (a.c.Key == nil || !a.c.Key.Verbatim) && dialect == "openai" && a.c.Dialect == "openai"
}

// streams reports whether the answer on the wire is a stream.
func (a *attempt) streams() bool {
	if !a.c.Stream && !a.plan.ForceStream {
		return isEventStream(a.resp.Get("content-type"))
	}
	switch a.plan.Framing {
	case "", "sse":
		return !isJSON(a.resp.Get("content-type"))
	}
	return true
}

func isEventStream(contentType string) bool {
	return strings.HasPrefix(strings.TrimSpace(strings.ToLower(contentType)), "text/event-stream")
}

func isJSON(contentType string) bool {
	t, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	t = strings.TrimSpace(t)
	return t == "application/json" || strings.HasSuffix(t, "+json")
}

// looksLikeEvents tells SSE text from JSON by its first character.
func looksLikeEvents(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n\ufeff")
	return bytes.HasPrefix(body, []byte("data:")) || bytes.HasPrefix(body, []byte("event:")) || bytes.HasPrefix(body, []byte(": "))
}

// whole serves a complete body.
func (a *attempt) whole(body []byte) *fault.Error {
	dialect := a.answerDialect()
	w := newWatch(dialect)
	if len(bytes.TrimSpace(body)) == 0 {
		return a.empty()
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] != '{' && first[0] != '[' {
		return a.blamed(fault.Upstream(502, "The provider's answer is not JSON"))
	}
	w.body(body)
	switch {
	case w.broken != nil:
		return a.blamed(w.broken)
	case !w.content && w.finish == "":
		return a.empty()
	}
	a.read(w)
	if a.c.Stream {
		return a.spread(body, dialect)
	}
	out := body
	if !a.verbatim(dialect) {
		translated, err := a.c.Plugins.Response(a.c.Ctx, a.translation(dialect, a.c.Dialect, body))
		if err != nil {
			return a.translationFault(err)
		}
		out = translated.Body
		a.take(&translated)
	}
	a.deliver(out)
	return nil
}

// deliver makes out the answer of the call and ends the attempt.
func (a *attempt) deliver(out []byte) {
	a.first = a.l.s.Now()
	a.phase(telemetry.PhaseStream)
	a.served()
	a.c.Answer = &call.Answer{Status: 200, Body: out}
	if !a.usage.Known && !a.verbatim(a.answerDialect()) {
		a.c.Answer.Body = withUsage(out, a.c.Dialect, false, a.c.Estimate(a.c.OutputChars))
		a.c.Answer.Header = append(a.c.Answer.Header, estimatedHeader)
	}
	a.succeed()
}

// read takes over what a watch learnt.
func (a *attempt) read(w *watch) {
	if w.usage.Known {
		a.usage = w.usage
	}
	if w.finish != "" {
		a.finish = w.finish
	}
	a.c.OutputChars = w.chars
}

// take takes over what a translator reported.
func (a *attempt) take(t *host.Translated) {
	if t.Usage.Known {
		a.usage = t.Usage
	}
	if t.Finish != "" {
		a.finish = t.Finish
	}
	a.degrade(t.Degraded)
}

// degrade adds to the list of what could not be carried.
func (a *attempt) degrade(fields []string) {
next:
	for _, f := range fields {
		for _, have := range a.request.degraded {
			if have == f {
				continue next
			}
		}
		a.request.degraded = append(a.request.degraded, f)
	}
	if a.c.Served != nil {
		a.c.Degraded = a.request.degraded // too late for the header, not for the books
	}
}

// translation is the input of an answer's translation.
func (a *attempt) translation(from, to string, body []byte) host.Translation {
	t := host.Translation{
		From: from, To: to, Model: a.c.Model, Provider: a.t.Provider.ID, Body: body,
		Request: clientRequest(a.c), Names: a.request.names, Status: a.status, Stream: a.c.Stream,
		Traits:  a.t.Provider.Traits,
		Rebuild: a.sanitized(from) && to == a.c.Dialect,
	}
	if a.c.Doc != nil && a.c.Doc.Blobs() > 0 {
		t.Blobs = a.c.Doc
	}
	if a.resp != nil {
		t.Headers = a.resp.Header
	}
	return t
}

// clientRequest is the client's request as translators of answers want it: with
// the model it asked for, also where the dialect has that in the URL (I-2).
func clientRequest(c *call.Call) []byte {
	if c.Dialect != "gemini" {
		return c.Source
	}
	out, _ := doc.Set(nil, c.Source, doc.Quote(nil, c.Model), "model")
	return out
}

// translationFault is the failure to translate an answer: the provider's if it
// said something that means failure, else the plugin's.
func (a *attempt) translationFault(err error) *fault.Error { return a.pluginFault(err) }

// empty is the failure of an answer without content.
func (a *attempt) empty() *fault.Error {
	e := fault.New(fault.Provider, "The provider sent an empty answer")
	e.Status, e.Reason, e.Retryable = 502, fault.ReasonEmptyOutput, true
	return a.blamed(e)
}

// broken is the failure to read an answer.
func (a *attempt) broken(err error) *fault.Error {
	if a.c.Ctx.Err() != nil {
		return cancelled(a.c)
	}
	return a.blamed(fault.From(err))
}

// collect serves a client that wants a whole answer from a stream (CX-2).
func (a *attempt) collect() *fault.Error {
	in, err := a.resp.Stream(framing(a.plan.Framing))
	if err != nil {
		return a.broken(err)
	}
	body, failure := a.fold(in.Next)
	if failure != nil {
		return failure
	}
	a.deliver(body)
	return nil
}

// refold serves a client that wants a whole answer from event text that came
// without its content type.
func (a *attempt) refold(body []byte) *fault.Error {
	if a.c.Stream {
		return a.blamed(fault.Upstream(502, "The provider's answer is not a stream that can be read"))
	}
	var frames []abi.Frame
	f, _ := newFramer(framing(a.plan.Framing))
	keep := func(fr abi.Frame) {
		fr.Payload = bytes.Clone(fr.Payload)
		frames = append(frames, fr)
	}
	if err := f.Feed(body, keep); err != nil {
		return a.broken(err)
	}
	if err := f.End(keep); err != nil {
		return a.broken(err)
	}
	given := false
	folded, failure := a.fold(func() ([]abi.Frame, error) {
		if given || len(frames) == 0 {
			return nil, io.EOF
		}
		given = true
		return frames, nil
	})
	if failure != nil {
		return failure
	}
	a.deliver(folded)
	return nil
}

// fold runs a stream through the translator that collects it into one body.
func (a *attempt) fold(next func() ([]abi.Frame, error)) ([]byte, *fault.Error) {
	chain, failure := a.chain(true)
	if failure != nil {
		return nil, failure
	}
	w := newWatch(a.answerDialect())
	var rest []abi.Frame
	keep := func(f abi.Frame) error {
		w.event(f.Payload)
		if w.content && a.resp != nil {
			a.resp.MarkEvent()
		}
		rest = append(rest, f)
		return nil
	}
	for {
		frames, err := next()
		a.captured(frames)
		rest = rest[:0]
		if err == nil {
			err = chain.decode(a.c.Ctx, frames, keep)
		} else if err == io.EOF {
			if err = chain.decodeEnd(a.c.Ctx, abi.EndEOF, keep); err == nil {
				err = io.EOF
			}
		}
		if len(rest) > 0 {
			if terr := chain.translate(a.c.Ctx, rest, discard); terr != nil {
				err = terr
			}
		}
		switch {
		case w.broken != nil:
			chain.abandon(abi.EndUpstreamError)
			return nil, a.blamed(w.broken)
		case err == io.EOF:
			return a.folded(chain, w)
		case err != nil:
			chain.abandon(abi.EndUpstreamError)
			return nil, a.broken(err)
		}
	}
}

// folded ends a collected stream.
func (a *attempt) folded(chain *chain, w *watch) ([]byte, *fault.Error) {
	if err := chain.translateEnd(a.c.Ctx, abi.EndEOF, discard); err != nil {
		return nil, a.broken(err)
	}
	if !w.content && w.finish == "" {
		return nil, a.empty()
	}
	a.read(w)
	chain.report(a)
	body := chain.body()
	if len(body) == 0 {
		return nil, a.empty()
	}
	return body, nil
}

// captured keeps frames of the provider in the stage log.
func (a *attempt) captured(frames []abi.Frame) {
	if a.c.Stages == nil {
		return
	}
	for i := range frames {
		a.c.Stages.Chunk(capture.Provider, upstream.AppendFrame(nil, frames[i]))
	}
}

func discard(abi.Frame) error { return nil }
