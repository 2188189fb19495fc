package sdk

import (
	"slices"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

// translator is the side of a module that serves TR_*. It hangs on the module
// by an interface, so that a plugin without a dialect does not link the
// translation machinery: it would be half of its size.
type translator interface {
	add(d hub.Dialect)
	translate(op abi.Op, handle uint32, in []byte) error
}

// translations implements translator.
type translations struct {
	m        *Module
	dialects []hub.Dialect
	ctx      hub.Ctx // of stateless calls
	drops    []string
	arena    hub.Arena // of stateless calls
}

func (t *translations) add(d hub.Dialect) { t.dialects = append(t.dialects, d) }

// dialect finds a format; the hub form, in which the halves of a translation
// travel between two modules, is always there.
func (t *translations) dialect(name string) (hub.Dialect, error) {
	for _, d := range t.dialects {
		if d.Name() == name {
			return d, nil
		}
	}
	if form := (chat.Hub{}); form.Name() == name {
		return form, nil
	}
	return nil, pluginError("no translator for the format " + name)
}

// translation is the decoded input of a TR_* call. Everything aliases the
// input.
type translation struct {
	from, to      hub.Dialect
	body, request []byte
	err           abi.ErrorRecord
}

func (x *translations) read(c *hub.Ctx, in []byte) (t translation, err error) {
	*c = hub.Ctx{Blobs: blobs{x.m.env}, Rand: x.m.env.Rand, NowUnix: x.m.nowUnix, Degraded: x.degraded}
	x.drops = x.drops[:0]
	var from, to string
	r := abi.Read(in)
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagFrom:
			from = f.Text()
		case abi.TagTo:
			to = f.Text()
		case abi.TagModel:
			c.Model = f.Text()
		case abi.TagProvider:
			c.Provider = f.Text()
		case abi.TagProject:
			c.Project = f.Text()
		case abi.TagStream:
			c.Stream = f.Bool()
		case abi.TagCollect:
			c.Collect = f.Bool()
		case abi.TagCount:
			c.Count = f.Bool()
		case abi.TagRebuild:
			c.Rebuild = f.Bool()
		case abi.TagStatus:
			c.Status = int(f.Uint())
		case abi.TagHeader:
			err = setPair(&c.Headers, f)
		case abi.TagToolName:
			err = setPair(&c.Names, f)
		case abi.TagBody:
			t.body = f.Value
		case abi.TagNonce:
			c.Nonce = f.Text()
		case abi.TagRequest:
			t.request = f.Value
		default:
			if !t.err.Set(f) {
				r.Unknown()
			}
		}
		if err != nil {
			return t, err
		}
	}
	if err = r.Err(); err != nil {
		return t, err
	}
	if c.Nonce == "" {
		c.Blobs = nil
	}
	c.Request = t.request
	if to != "" {
		if t.to, err = x.dialect(to); err != nil {
			return t, err
		}
	}
	if from != "" {
		t.from, err = x.dialect(from)
	}
	return t, err
}

func (x *translations) translate(op abi.Op, handle uint32, in []byte) error {
	c := &x.ctx
	if op == abi.OpTrOpen {
		c = new(hub.Ctx)
	}
	t, err := x.read(c, in)
	if err != nil {
		return err
	}
	if t.to == nil || t.from == nil && op != abi.OpTrError {
		return pluginError(op.String() + " needs the formats to translate between")
	}
	switch op {
	case abi.OpTrRequest:
		return x.request(c, &t)
	case abi.OpTrResponse:
		return x.response(c, &t)
	case abi.OpTrError:
		x.renderError(c, &t)
		return nil
	}
	return x.open(handle, c, &t)
}

func (x *translations) request(c *hub.Ctx, t *translation) error {
	x.arena.Reset()
	c.Arena = &x.arena
	w := &x.m.out
	mark := w.Open(abi.TagBody)
	out, err := hub.TranslateRequest(t.from, t.to, c, w.Buf, t.body)
	if err != nil {
		return err
	}
	w.Buf = out
	w.Close(mark)
	x.m.writeNames(c.Names)
	x.writeDrops()
	return nil
}

// writeNames writes the tool name map in a fixed order: equal inputs have equal
// outputs.
func (m *Module) writeNames(names map[string]string) {
	if len(names) == 0 {
		return
	}
	upstream := make([]string, 0, len(names))
	for n := range names {
		upstream = append(upstream, n)
	}
	slices.Sort(upstream)
	for _, n := range upstream {
		m.out.Pair(abi.TagToolName, n, names[n])
	}
}

func (x *translations) response(c *hub.Ctx, t *translation) error {
	w := &x.m.out
	mark := w.Open(abi.TagBody)
	out, resp, err := hub.TranslateResponse(t.from, t.to, c, w.Buf, t.body)
	if err != nil {
		return err
	}
	w.Buf = out
	w.Close(mark)
	x.writeOutcome(resp)
	return nil
}

func (x *translations) writeOutcome(resp *hub.Response) {
	if resp != nil {
		if resp.Usage.Known {
			writeUsage(&x.m.out, resp.Usage)
		}
		x.m.out.Text(abi.TagFinish, resp.Finish)
	}
	x.writeDrops()
}

func (x *translations) renderError(c *hub.Ctx, t *translation) {
	w := &x.m.out
	e := toHub(&t.err)
	if e.Status != 0 {
		w.U32(abi.TagStatus, uint32(e.Status))
	}
	mark := w.Open(abi.TagBody)
	w.Buf = t.to.AppendError(c, w.Buf, e)
	w.Close(mark)
}

func (x *translations) degraded(field string) { x.drops = append(x.drops, field) }

func (x *translations) writeDrops() {
	for _, d := range x.drops {
		x.m.out.String(abi.TagDegraded, d)
	}
	x.drops = x.drops[:0]
}

func (m *Module) nowUnix() int64 { return m.env.NowMS() / 1000 }

// openStream is the state behind a handle.
type openStream interface {
	frame(m *Module, f abi.Frame) error
	end(m *Module, reason abi.EndReason) error
	// settle writes what a call changed beside frames.
	settle(m *Module)
}

type translationStream struct {
	of    *translations
	ctx   *hub.Ctx
	hub   *hub.Stream
	emit  func(hub.Event)
	usage hub.Usage
	fin   string
}

func (x *translations) open(handle uint32, c *hub.Ctx, t *translation) error {
	if t.request != nil { // the input buffer is reused by the next call
		c.Request = append([]byte(nil), t.request...)
	}
	st := &translationStream{of: x, ctx: c, hub: hub.NewStream(t.from, t.to, c)}
	st.emit = func(ev hub.Event) { x.m.out.Frame(abi.Frame{Name: ev.Name, Payload: ev.Data}) }
	x.m.streams[handle] = st
	x.writeDrops()
	return nil
}

func (s *translationStream) frame(m *Module, f abi.Frame) error {
	if f.Kind == abi.FrameComment {
		return nil
	}
	return s.hub.Feed(hub.Event{Name: f.Name, Data: f.Payload, Valid: f.JSON}, s.emit)
}

func (s *translationStream) end(m *Module, reason abi.EndReason) error {
	if reason == abi.EndClientGone {
		return nil
	}
	if err := s.hub.End(s.emit); err != nil {
		return err
	}
	if !s.ctx.Collect {
		return nil
	}
	w := &m.out
	mark := w.Open(abi.TagBody)
	out, resp, err := s.hub.Body(w.Buf)
	if err != nil {
		return err
	}
	w.Buf = out
	w.Close(mark)
	if resp != nil {
		s.hub.Usage, s.hub.Finish = resp.Usage, resp.Finish
	}
	return nil
}

func (s *translationStream) settle(m *Module) {
	if s.hub.Usage.Known && s.hub.Usage != s.usage {
		s.usage = s.hub.Usage
		writeUsage(&m.out, s.usage)
	}
	if s.hub.Finish != s.fin {
		s.fin = s.hub.Finish
		m.out.String(abi.TagFinish, s.fin)
	}
	s.of.writeDrops()
}

func (m *Module) streamData(handle uint32, in []byte) error {
	st, ok := m.streams[handle]
	if !ok {
		return pluginError("no open stream under this handle")
	}
	r := abi.Read(in)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			r.Unknown()
			continue
		}
		fr, err := f.Frame()
		if err != nil {
			return err
		}
		if err := st.frame(m, fr); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	st.settle(m)
	return nil
}

func (m *Module) streamEnd(handle uint32, in []byte) error {
	st, ok := m.streams[handle]
	if !ok {
		return pluginError("no open stream under this handle")
	}
	delete(m.streams, handle)
	var reason abi.EndReason
	if f, ok := abi.Find(in, abi.TagReason); ok {
		reason = abi.EndReason(f.Uint())
	}
	if err := st.end(m, reason); err != nil {
		return err
	}
	st.settle(m)
	return nil
}

// blobs shows the host's body tokens as hub.Blobs.
type blobs struct{ env Env }

// Len implements hub.Blobs.
func (b blobs) Len(id int) int { return b.env.Len(id) }

// Read implements hub.Blobs.
func (b blobs) Read(id, off int, dst []byte) int { return b.env.Read(id, off, dst) }

func setPair(m *map[string]string, f abi.Field) error {
	name, value, err := f.Pair()
	if err != nil {
		return err
	}
	if *m == nil {
		*m = make(map[string]string, 4)
	}
	(*m)[name] = value
	return nil
}
