package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// lab translates single documents through the plugins, as the gateway would: requests as skeletons, streams by
// handle. It is the translator behind `omniroute translate`.
type lab struct {
	gen *host.Generation
	// degraded is told what a translation could not carry; nil = nobody asks.
	degraded func(fields []string)
}

var _ cases.Translator = (*lab)(nil)

func (l *lab) translation(j cases.Job) host.Translation {
	return host.Translation{
		From: j.From, To: j.To, Model: j.Ctx.Model, Provider: j.Ctx.Provider, Project: j.Ctx.Project,
		Status: j.Ctx.Status, Request: j.Ctx.Request, Collect: j.Ctx.Collect,
	}
}

func (l *lab) report(fields []string) {
	if l.degraded != nil && len(fields) > 0 {
		l.degraded(fields)
	}
}

// Request implements cases.Translator.
func (l *lab) Request(ctx context.Context, j cases.Job) ([]byte, error) {
	d, err := doc.Elide(j.Body, doc.Options{})
	if err != nil {
		return nil, l.failure(ctx, j.From, fault.Wrap(fault.InvalidBody, err, err.Error()))
	}
	defer d.Release()
	t := l.translation(j)
	t.Body, t.Blobs = d.Skeleton(), d
	t.Stream, _ = doc.Bool(j.Body, "stream")
	out, err := l.gen.Request(ctx, t)
	if err != nil {
		return nil, l.failure(ctx, j.From, err)
	}
	l.report(out.Degraded)
	return d.Inflate(nil, out.Body, math.MaxInt32)
}

// Response implements cases.Translator.
func (l *lab) Response(ctx context.Context, j cases.Job) ([]byte, error) {
	t := l.translation(j)
	t.Body = j.Body
	d, err := doc.Elide(j.Body, doc.Options{})
	if err == nil { // else it is not JSON, and the translator says what that means
		defer d.Release()
		t.Body, t.Blobs = d.Skeleton(), d
	}
	out, err := l.gen.Response(ctx, t)
	if err != nil {
		return nil, l.failure(ctx, j.To, err)
	}
	l.report(out.Degraded)
	if t.Blobs == nil {
		return out.Body, nil
	}
	return d.Inflate(nil, out.Body, math.MaxInt32)
}

// Stream implements cases.Translator.
func (l *lab) Stream(ctx context.Context, j cases.Job) ([]cases.Event, error) {
	t := l.translation(j)
	t.Stream = true
	out := []cases.Event{}
	_, err := l.run(ctx, t, j, func(f abi.Frame) error {
		if f.Kind == abi.FrameData {
			out = append(out, cases.Event{Name: f.Name, Data: asJSON(f.Payload)})
		}
		return nil
	})
	if err != nil && len(out) == 0 {
		return nil, l.failure(ctx, j.To, err)
	}
	return out, err
}

// Collect implements cases.Translator.
func (l *lab) Collect(ctx context.Context, j cases.Job) ([]byte, error) {
	t := l.translation(j)
	t.Collect = true
	s, err := l.run(ctx, t, j, func(abi.Frame) error { return nil })
	if err != nil {
		return nil, l.failure(ctx, j.To, err)
	}
	return s.Body(), nil
}

// run feeds the events of a job to a stream of the plugins until its end.
func (l *lab) run(ctx context.Context, t host.Translation, j cases.Job, emit func(abi.Frame) error) (*host.Stream, error) {
	s, err := l.gen.OpenStream(ctx, t)
	if err != nil {
		return nil, err
	}
	err = l.feed(ctx, s, j, emit)
	reason := abi.EndEOF
	if err != nil {
		reason = abi.EndUpstreamError
	}
	err = errors.Join(err, s.End(ctx, reason, emit))
	l.report(s.Degraded())
	return s, err
}

func (l *lab) feed(ctx context.Context, s *host.Stream, j cases.Job, emit func(abi.Frame) error) error {
	if j.Chunks == nil {
		for _, e := range j.Events {
			if err := s.Data(ctx, []abi.Frame{{Name: e.Name, Payload: bareText(e.Data)}}, emit); err != nil {
				return err
			}
		}
		return nil
	}
	framing := "sse"
	if j.From == "ollama" {
		framing = "ndjson"
	}
	f, _ := upstream.NewFramer(framing)
	var frames []abi.Frame
	take := func(fr abi.Frame) {
		fr.Payload = bytes.Clone(fr.Payload)
		frames = append(frames, fr)
	}
	for _, piece := range j.Chunks {
		frames = frames[:0]
		if err := f.Feed(piece, take); err != nil {
			return err
		}
		if err := s.Data(ctx, frames, emit); err != nil {
			return err
		}
	}
	frames = frames[:0]
	if err := f.End(take); err != nil {
		return err
	}
	return s.Data(ctx, frames, emit)
}

// failure is what a client of the dialect would receive for an error.
func (l *lab) failure(ctx context.Context, dialect string, err error) error {
	e := fault.As(err)
	if e == nil {
		return err
	}
	body, failed := l.gen.RenderError(ctx, dialect, e)
	if failed != nil {
		return failed
	}
	f := &cases.Failure{Status: e.Status, Body: body, Headers: map[string]string{}}
	if f.Status == 529 && dialect != "claude" { // only that dialect knows the status
		f.Status = 503
	}
	if e.RetryAfter > 0 {
		f.Headers["Retry-After"] = strconv.FormatInt(int64(math.Ceil(e.RetryAfter.Seconds())), 10)
	}
	return f
}

// bareText is the text of a data line: a JSON string stands for its content.
func bareText(data []byte) []byte {
	if len(data) > 0 && data[0] == '"' {
		if text, ok := doc.Unquote(nil, data); ok {
			return text
		}
	}
	return data
}

// asJSON is the inverse: what is no JSON value becomes a string.
func asJSON(payload []byte) []byte {
	if json.Valid(payload) {
		return slices.Clone(payload)
	}
	return doc.Quote(nil, string(payload))
}
