// Package guest runs translation cases through the WebAssembly parts of a
// [host.Host], the way a request passes them: bodies as skeletons, streams in
// the frames that the upstream framing makes of the bytes.
//
//	<-h.Ready()
//	res := cases.Run(ctx, c, guest.New(h))
package guest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// maxBody bounds an inflated result.
const maxBody = math.MaxInt32

// Translator is a [cases.Translator] over the current parts of a host.
type Translator struct {
	// ElideAt is the string length above which request strings are replaced by
	// body tokens; 0 means the host's usual threshold.
	ElideAt int
	// Degraded, when set, is told which fields a translation dropped or weakened,
	// in the client's names.
	Degraded func(fields []string)

	host *host.Host
}

var _ cases.Translator = (*Translator)(nil)

// New makes a translator over a host that is ready.
func New(h *host.Host) *Translator { return &Translator{host: h} }

func translation(j cases.Job) host.Translation {
	return host.Translation{
		From: j.From, To: j.To, Model: j.Ctx.Model, Provider: j.Ctx.Provider, Project: j.Ctx.Project,
		Request: j.Ctx.Request, Status: j.Ctx.Status, Collect: j.Ctx.Collect,
	}
}

// Request implements [cases.Translator].
func (t *Translator) Request(ctx context.Context, j cases.Job) ([]byte, error) {
	gen := t.host.Current()
	defer gen.Release()
	d, err := doc.Elide(j.Body, doc.Options{Threshold: t.ElideAt})
	switch {
	case errors.Is(err, doc.ErrTooLarge):
		return nil, failure(ctx, gen, j.From, fault.Wrap(fault.BodyTooLarge, err, err.Error()))
	case err != nil:
		return nil, failure(ctx, gen, j.From, fault.Wrap(fault.InvalidBody, err, err.Error()))
	}
	defer d.Release()
	tr := translation(j)
	tr.Body, tr.Blobs = d.Skeleton(), d
	out, err := gen.Request(ctx, tr)
	if err != nil {
		return nil, failure(ctx, gen, j.From, err)
	}
	t.degraded(out.Degraded)
	return d.Inflate(nil, out.Body, maxBody)
}

// Response implements [cases.Translator].
func (t *Translator) Response(ctx context.Context, j cases.Job) ([]byte, error) {
	gen := t.host.Current()
	defer gen.Release()
	tr := translation(j)
	tr.Body = j.Body
	out, err := gen.Response(ctx, tr)
	if err != nil {
		return nil, failure(ctx, gen, j.To, err)
	}
	t.degraded(out.Degraded)
	return out.Body, nil
}

func (t *Translator) degraded(fields []string) {
	if t.Degraded != nil && len(fields) > 0 {
		t.Degraded(fields)
	}
}

// Stream implements [cases.Translator].
func (t *Translator) Stream(ctx context.Context, j cases.Job) ([]cases.Event, error) {
	var out []cases.Event
	_, err := t.stream(ctx, j, func(f abi.Frame) error {
		if f.Kind == abi.FrameData {
			out = append(out, event(f))
		}
		return nil
	})
	return out, err
}

// Collect implements [cases.Translator].
func (t *Translator) Collect(ctx context.Context, j cases.Job) ([]byte, error) {
	return t.stream(ctx, j, func(abi.Frame) error { return nil })
}

// stream feeds the upstream stream and returns what was collected.
func (t *Translator) stream(ctx context.Context, j cases.Job, emit func(abi.Frame) error) ([]byte, error) {
	gen := t.host.Current()
	defer gen.Release()
	tr := translation(j)
	tr.Stream = !j.Ctx.Collect
	s, err := gen.OpenStream(ctx, tr)
	if err != nil {
		return nil, failure(ctx, gen, j.To, err)
	}
	err = feed(j, func(frames []abi.Frame) error { return s.Data(ctx, frames, emit) })
	reason := abi.EndEOF
	if err != nil {
		reason = abi.EndUpstreamError
	}
	if ended := s.End(ctx, reason, emit); err == nil {
		err = ended
	}
	if err != nil {
		return nil, failure(ctx, gen, j.To, err)
	}
	t.degraded(s.Degraded())
	return s.Body(), nil
}

// feed delivers one frame for each event, or whatever frames each piece of wire completes.
func feed(j cases.Job, data func([]abi.Frame) error) error {
	if j.Chunks == nil {
		for _, e := range j.Events {
			f := abi.Frame{Name: e.Name, Payload: e.Data}
			if e.Done() {
				f.Payload = []byte("[DONE]")
			}
			if err := data([]abi.Frame{f}); err != nil {
				return err
			}
		}
		return nil
	}
	framing := "sse"
	if j.From == "ollama" {
		framing = "ndjson"
	}
	framer, ok := upstream.NewFramer(framing)
	if !ok {
		return fmt.Errorf("no framing %s", framing)
	}
	var failed error
	take := func(f abi.Frame) {
		if failed == nil {
			failed = data([]abi.Frame{f})
		}
	}
	for _, piece := range j.Chunks {
		if err := errors.Join(framer.Feed(piece, take), failed); err != nil {
			return err
		}
	}
	return errors.Join(framer.End(take), failed)
}

func event(f abi.Frame) cases.Event {
	e := cases.Event{Name: f.Name, Data: append([]byte(nil), f.Payload...)}
	if string(e.Data) == "[DONE]" {
		e.Data = []byte(`"[DONE]"`)
	}
	return e
}

// failure turns a fault into what a client of the format would receive.
func failure(ctx context.Context, gen *host.Generation, client string, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Class == fault.ClassPlugin && e.Scope == fault.ScopePlugin {
		return e
	}
	body, rerr := gen.RenderError(ctx, client, e)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	f := &cases.Failure{Status: e.Status, Body: body, Headers: map[string]string{}}
	if f.Status == 529 && client != "claude" {
		f.Status = http.StatusServiceUnavailable
	}
	if e.RetryAfter > 0 {
		f.Headers["Retry-After"] = strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10)
	}
	return f
}
