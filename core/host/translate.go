package host

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// writers keeps the input records of stateless calls.
var writers = sync.Pool{New: func() any { return new(abi.Writer) }}

// withRecord lends a writer that is empty.
func withRecord(f func(w *abi.Writer) error) error {
	w := writers.Get().(*abi.Writer)
	w.Reset()
	defer func() {
		if cap(w.Buf) <= 1<<20 {
			writers.Put(w)
		}
	}()
	return f(w)
}

// Request translates a request body. Errors are *fault.Error.
func (g *Generation) Request(ctx context.Context, t Translation) (Translated, error) {
	return g.translate(ctx, abi.OpTrRequest, t)
}

// Response translates a complete answer. A body that means failure is returned
// as an error of the upstream.
func (g *Generation) Response(ctx context.Context, t Translation) (Translated, error) {
	return g.translate(ctx, abi.OpTrResponse, t)
}

func (g *Generation) translate(ctx context.Context, op abi.Op, t Translation) (Translated, error) {
	hops, err := g.route(t.From, t.To, op == abi.OpTrResponse)
	if err != nil {
		return Translated{}, err
	}
	var out Translated
	body := t.Body
	for k, h := range hops {
		err := withRecord(func(w *abi.Writer) error {
			t.appendTo(w, h, k == len(hops)-1 || op == abi.OpTrRequest)
			w.Bytes(abi.TagBody, body)
			return h.mod.pool.do(ctx, &work{op: op, in: w.Buf, blobs: t.Blobs, seed: t.Seed, use: func(rec []byte) error {
				return out.read(rec, k > 0)
			}})
		})
		if err != nil {
			return Translated{}, err
		}
		body = out.Body
	}
	return out, nil
}

// appendTo writes what a translator is told beside the body. The client's own
// request concerns the guest that writes the client's format.
func (t *Translation) appendTo(w *abi.Writer, h hop, client bool) {
	w.String(abi.TagFrom, h.from)
	w.String(abi.TagTo, h.to)
	w.Text(abi.TagModel, t.Model)
	w.Text(abi.TagProvider, t.Provider)
	w.Text(abi.TagProject, t.Project)
	w.Flag(abi.TagStream, t.Stream)
	w.Flag(abi.TagCollect, t.Collect && client)
	w.Flag(abi.TagCount, t.Count)
	w.Flag(abi.TagRebuild, t.Rebuild)
	for _, trait := range t.Traits {
		w.String(abi.TagTrait, trait)
	}
	if t.Status != 0 && h.from != hubFormat {
		w.U32(abi.TagStatus, uint32(t.Status))
	}
	for _, hd := range t.Headers {
		w.Pair(abi.TagHeader, strings.ToLower(hd.Name), hd.Value)
	}
	if t.Blobs != nil {
		w.Text(abi.TagNonce, t.Blobs.Nonce())
	}
	if t.Request != nil && client {
		w.Bytes(abi.TagRequest, t.Request)
	}
	if client {
		appendNames(w, t.Names) // restored once: a name may itself be what another one was fitted to
	}
}

// appendNames writes the tool name map in a fixed order: equal calls are equal
// bytes.
func appendNames(w *abi.Writer, names map[string]string) {
	if len(names) == 0 {
		return
	}
	keys := make([]string, 0, len(names))
	for k := range names {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		w.Pair(abi.TagToolName, k, names[k])
	}
}

// read takes the output of one hop. Behind the first hop, what an earlier one
// reported stands.
func (t *Translated) read(rec []byte, later bool) error {
	r := abi.Read(rec)
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagBody:
			t.Body = append([]byte(nil), f.Value...)
		case abi.TagUsage:
			u, err := readUsage(f)
			if err != nil {
				return err
			}
			if !later || !t.Usage.Known {
				t.Usage = u
			}
		case abi.TagFinish:
			if !later || t.Finish == "" {
				t.Finish = f.Text()
			}
		case abi.TagDegraded:
			t.Degraded = append(t.Degraded, f.Text())
		case abi.TagToolName:
			upstream, client, err := f.Pair()
			if err != nil {
				return err
			}
			if t.Names == nil {
				t.Names = map[string]string{}
			}
			t.Names[upstream] = client
		default:
			r.Unknown()
		}
	}
	return r.Err()
}

// OpenStream starts the translation of a streamed answer. End it.
func (g *Generation) OpenStream(ctx context.Context, t Translation) (*Stream, error) {
	hops, err := g.route(t.From, t.To, true)
	if err != nil {
		return nil, err
	}
	s := &Stream{middle: make([][]abi.Frame, len(hops))}
	for k, h := range hops {
		err := withRecord(func(w *abi.Writer) error {
			t.appendTo(w, h, k == len(hops)-1)
			return s.add(ctx, h.mod, abi.OpTrOpen, w.Buf, t.Blobs, t.Seed, nil, "")
		})
		if err != nil {
			s.abandon()
			return nil, err
		}
	}
	return s, s.keepAlive(g)
}

// add opens one guest's part of the stream.
func (s *Stream) add(ctx context.Context, m *module, open abi.Op, record []byte, blobs Blobs, seed uint64, profile *Profile, part string) error {
	gs, err := m.openStream(ctx, open, record, blobs, seed, profile, part)
	if err != nil {
		return err
	}
	s.hops = append(s.hops, gs)
	r := abi.Read(gs.out)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			if err := s.note(f, len(s.hops)-1); err != nil {
				return m.fault(err)
			}
			continue
		}
		fr, err := f.Frame()
		if err != nil {
			return m.fault(err)
		}
		fr.Payload = slices.Clone(fr.Payload)
		s.opened = append(s.opened, fr)
	}
	return m.fault(r.Err())
}

// abandon ends the guests' parts of a stream that could not be opened.
func (s *Stream) abandon() {
	for _, gs := range s.hops {
		gs.drop()
	}
}

// keepAlive pins the generation for as long as the stream lives.
func (s *Stream) keepAlive(g *Generation) error {
	if !g.pin() {
		s.abandon()
		return fault.New(fault.Internal, "The plugin generation was released")
	}
	s.gen = g
	return nil
}

// RenderError writes a failure as the error body of a format.
func (g *Generation) RenderError(ctx context.Context, dialect string, e *fault.Error) ([]byte, error) {
	m := g.dialects[dialect]
	if m == nil {
		return nil, fault.Newf(fault.ModelUnavailable, "No active plugin speaks %s", dialect)
	}
	var out Translated
	err := withRecord(func(w *abi.Writer) error {
		w.String(abi.TagTo, dialect)
		fromFault(e).AppendTo(w)
		return m.pool.do(ctx, &work{op: abi.OpTrError, in: w.Buf, use: func(rec []byte) error {
			f, ok := abi.Find(rec, abi.TagBody)
			if !ok {
				return errNoBody
			}
			out.Body = append([]byte(nil), f.Value...)
			return nil
		}})
	})
	return out.Body, err
}

func readUsage(f abi.Field) (hub.Usage, error) {
	u := hub.Usage{Known: true}
	r := f.Record()
	for r.Next() {
		switch v := r.Field(); v.Tag {
		case abi.TagUsagePrompt:
			u.Prompt = v.Int()
		case abi.TagUsageCompletion:
			u.Completion = v.Int()
		case abi.TagUsageCachedRead:
			u.CachedRead = v.Int()
		case abi.TagUsageCacheWrite:
			u.CacheWrite = v.Int()
		case abi.TagUsageReasoning:
			u.Reasoning = v.Int()
		case abi.TagUsageTotal:
			u.Total = v.Int()
		case abi.TagUsageEstimated:
			u.Estimated = v.Bool()
		default:
			r.Unknown()
		}
	}
	return u, r.Err()
}
