// Package native runs translation cases in this process over [hub.Dialect]
// values, without a WebAssembly guest in between.
//
//	tr := native.New(claude.Dialect{}, openai.Dialect{})
//	res := cases.Run(ctx, c, tr)
//
// With [Translator.ElideAt] set, request bodies reach the dialects as skeletons
// with body tokens, as they do behind the gateway.
package native

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Translator is a [cases.Translator] over native dialects.
type Translator struct {
	// ElideAt is the string length from which request strings are replaced by
	// body tokens; 0 hands out full bodies.
	ElideAt int

	dialects map[string]hub.Dialect
}

var _ cases.Translator = (*Translator)(nil)

// New makes a translator over the dialects, found by their names.
func New(dialects ...hub.Dialect) *Translator {
	t := &Translator{dialects: map[string]hub.Dialect{}}
	for _, d := range dialects {
		t.dialects[d.Name()] = d
	}
	return t
}

func (t *Translator) pair(j cases.Job) (from, to hub.Dialect, err error) {
	from, to = t.dialects[j.From], t.dialects[j.To]
	if from == nil || to == nil {
		return nil, nil, fmt.Errorf("%w: no dialect for %s -> %s", cases.ErrSkip, j.From, j.To)
	}
	return from, to, nil
}

func hubCtx(j cases.Job) *hub.Ctx {
	return &hub.Ctx{
		Model: j.Ctx.Model, Provider: j.Ctx.Provider, Project: j.Ctx.Project,
		Status: j.Ctx.Status, Request: j.Ctx.Request, Collect: j.Ctx.Collect,
		NowUnix: func() int64 { return 1_700_000_000 },
	}
}

// Request implements [cases.Translator].
func (t *Translator) Request(_ context.Context, j cases.Job) ([]byte, error) {
	from, to, err := t.pair(j)
	if err != nil {
		return nil, err
	}
	c := hubCtx(j)
	if t.ElideAt == 0 {
		out, err := hub.TranslateRequest(from, to, c, nil, j.Body)
		return out, failure(c, from, err)
	}
	d, err := doc.Elide(j.Body, doc.Options{Threshold: t.ElideAt})
	if err != nil {
		return nil, err
	}
	defer d.Release()
	c.Blobs, c.Nonce = blobs{d}, d.Nonce()
	skeleton, err := hub.TranslateRequest(from, to, c, nil, d.Skeleton())
	if err != nil {
		return nil, failure(c, from, err)
	}
	return d.Inflate(nil, skeleton, math.MaxInt32)
}

// blobs shows the elided strings of a document to a dialect.
type blobs struct{ d *doc.Doc }

func (b blobs) Len(id int) int {
	text, ok := b.d.Blob(id)
	if !ok {
		return -1
	}
	return len(text)
}

func (b blobs) Read(id, off int, dst []byte) int {
	text, ok := b.d.Blob(id)
	if !ok || off < 0 || off > len(text) {
		return 0
	}
	return copy(dst, text[off:])
}

// Response implements [cases.Translator].
func (t *Translator) Response(_ context.Context, j cases.Job) ([]byte, error) {
	from, to, err := t.pair(j)
	if err != nil {
		return nil, err
	}
	c := hubCtx(j)
	out, _, err := hub.TranslateResponse(from, to, c, nil, j.Body)
	return out, failure(c, to, err)
}

// Stream implements [cases.Translator].
func (t *Translator) Stream(_ context.Context, j cases.Job) ([]cases.Event, error) {
	from, to, err := t.pair(j)
	if err != nil {
		return nil, err
	}
	c := hubCtx(j)
	c.Stream = true
	var out []cases.Event
	emit := func(e hub.Event) { out = append(out, fromHub(e)) }
	if err := feed(hub.NewStream(from, to, c), j, emit); err != nil {
		return nil, failure(c, to, err)
	}
	return out, nil
}

// Collect implements [cases.Translator].
func (t *Translator) Collect(_ context.Context, j cases.Job) ([]byte, error) {
	from, to, err := t.pair(j)
	if err != nil {
		return nil, err
	}
	c := hubCtx(j)
	c.Collect = true
	s := hub.NewStream(from, to, c)
	if err := feed(s, j, func(hub.Event) {}); err != nil {
		return nil, failure(c, to, err)
	}
	out, _, err := s.Body(nil)
	return out, failure(c, to, err)
}

// feed delivers the stream, event by event or through the framing of the format
// when the job has wire bytes.
func feed(s *hub.Stream, j cases.Job, emit func(hub.Event)) error {
	if j.Chunks == nil {
		for _, e := range j.Events {
			if err := s.Feed(toHub(e), emit); err != nil {
				return err
			}
		}
		return s.End(emit)
	}
	framing := "sse"
	if j.From == "ollama" {
		framing = "ndjson"
	}
	f, ok := upstream.NewFramer(framing)
	if !ok {
		return fmt.Errorf("no framing %s", framing)
	}
	var failed error
	frame := func(fr abi.Frame) {
		if failed == nil && fr.Kind == abi.FrameData {
			failed = s.Feed(hub.Event{Name: fr.Name, Data: fr.Payload}, emit)
		}
	}
	for _, piece := range j.Chunks {
		if err := f.Feed(piece, frame); err != nil {
			return err
		}
	}
	if err := f.End(frame); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return s.End(emit)
}

// toHub gives the dialect what a framing would: the end mark as bare text.
func toHub(e cases.Event) hub.Event {
	if e.Done() {
		return hub.Event{Name: e.Name, Data: []byte("[DONE]")}
	}
	return hub.Event{Name: e.Name, Data: append([]byte(nil), e.Data...)}
}

func fromHub(e hub.Event) cases.Event {
	if string(e.Data) == "[DONE]" {
		return cases.Event{Name: e.Name, Data: []byte(`"[DONE]"`)}
	}
	return cases.Event{Name: e.Name, Data: append([]byte(nil), e.Data...)}
}

// failure turns an error of the hub into what the client would receive.
func failure(c *hub.Ctx, client hub.Dialect, err error) error {
	var e *hub.Error
	if !errors.As(err, &e) {
		return err
	}
	f := &cases.Failure{Status: e.Status, Body: client.AppendError(c, nil, e), Headers: map[string]string{}}
	if f.Status == 529 && client.Name() != "claude" {
		f.Status = http.StatusServiceUnavailable
	}
	if e.RetryAfterMS > 0 {
		f.Headers["Retry-After"] = strconv.FormatInt((e.RetryAfterMS+999)/1000, 10)
	}
	return f
}
