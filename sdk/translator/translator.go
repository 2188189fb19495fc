package translator

import (
	"slices"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

// Of makes a part of wire formats: with it a module translates between each of
// them, the hub form and every other format of the part.
func Of(dialects ...hub.Dialect) sdk.Part {
	return sdk.NewTranslator(&translations{dialects: dialects})
}

// translations implements sdk.Translator.
type translations struct {
	dialects []hub.Dialect
	env      sdk.Env
	out      *abi.Writer
	ctx      hub.Ctx // of stateless calls
	drops    []string
	arena    hub.Arena // of stateless calls
}

// Provides implements [sdk.Translator].
func (x *translations) Provides() [][]byte {
	list := make([][]byte, len(x.dialects))
	for k, d := range x.dialects {
		q := string(sdk.Quote(d.Name()))
		list[k] = []byte(`{"kind":"translator","id":` + q + `,"dialect":` + q +
			`,"directions":["request","response","stream","error"]}`)
	}
	return list
}

// Serves implements [sdk.Translator].
func (x *translations) Serves(from, to string) bool {
	return x.dialect(from) != nil && x.dialect(to) != nil
}

// dialect finds a format; the hub form, in which the halves of a translation
// travel between two modules, is always there.
func (x *translations) dialect(name string) hub.Dialect {
	for _, d := range x.dialects {
		if d.Name() == name {
			return d
		}
	}
	if form := (chat.Hub{}); form.Name() == name {
		return form
	}
	return nil
}

// translation is the decoded input of a TR_* call. Everything aliases the
// input.
type translation struct {
	from, to      hub.Dialect
	body, request []byte
	err           abi.ErrorRecord
}

func (x *translations) read(c *hub.Ctx, in []byte) (t translation, err error) {
	*c = hub.Ctx{Blobs: blobs{x.env}, Rand: x.env.Rand, NowUnix: x.nowUnix, Degraded: x.degraded}
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
		case abi.TagTrait:
			trait(c, f.Text())
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
	t.from, t.to = x.dialect(from), x.dialect(to)
	return t, nil
}

// Translate implements [sdk.Translator].
func (x *translations) Translate(c *sdk.Translation) error {
	x.env, x.out = c.Env, c.Out
	t, err := x.read(&x.ctx, c.In)
	if err != nil {
		return err
	}
	switch c.Op {
	case abi.OpTrRequest:
		err = x.request(&x.ctx, &t)
	case abi.OpTrResponse:
		err = x.response(&x.ctx, &t)
	default:
		x.renderError(&x.ctx, &t)
	}
	return wire(err)
}

func (x *translations) request(c *hub.Ctx, t *translation) error {
	x.arena.Reset()
	c.Arena = &x.arena
	w := x.out
	mark := w.Open(abi.TagBody)
	out, err := hub.TranslateRequest(t.from, t.to, c, w.Buf, t.body)
	if err != nil {
		return err
	}
	w.Buf = out
	w.Close(mark)
	x.writeNames(c.Names)
	x.writeDrops()
	return nil
}

// writeNames writes the tool name map in a fixed order: equal inputs have equal
// outputs.
func (x *translations) writeNames(names map[string]string) {
	if len(names) == 0 {
		return
	}
	upstream := make([]string, 0, len(names))
	for n := range names {
		upstream = append(upstream, n)
	}
	slices.Sort(upstream)
	for _, n := range upstream {
		x.out.Pair(abi.TagToolName, n, names[n])
	}
}

func (x *translations) response(c *hub.Ctx, t *translation) error {
	w := x.out
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
			usage(resp.Usage).AppendTo(x.out)
		}
		x.out.Text(abi.TagFinish, resp.Finish)
	}
	x.writeDrops()
}

func (x *translations) renderError(c *hub.Ctx, t *translation) {
	w := x.out
	e := toHub(&t.err)
	if e.Status != 0 {
		w.U32(abi.TagStatus, uint32(e.Status))
	}
	mark := w.Open(abi.TagBody)
	w.Buf = t.to.AppendError(c, w.Buf, e)
	w.Close(mark)
}

// trait notes what the configuration knows of the upstream.
func trait(c *hub.Ctx, name string) {
	switch tag, isTag := strings.CutPrefix(name, abi.TraitThink); {
	case isTag:
		c.ThinkTags = append(c.ThinkTags, tag)
	case name == abi.TraitPrefilled:
		c.ThinkPrefilled = true
	case name == abi.TraitDeveloper:
		c.KeepDeveloper = true
	}
}

func (x *translations) degraded(field string) { x.drops = append(x.drops, field) }

func (x *translations) writeDrops() {
	for _, d := range x.drops {
		x.out.String(abi.TagDegraded, d)
	}
	x.drops = x.drops[:0]
}

func (x *translations) nowUnix() int64 { return x.env.NowMS() / 1000 }

// stream is the state behind a handle.
type stream struct {
	of    *translations
	ctx   *hub.Ctx
	hub   *hub.Stream
	usage hub.Usage
	fin   string
}

// Open implements [sdk.Translator].
func (x *translations) Open(c *sdk.Translation) (sdk.StreamState, error) {
	x.env, x.out = c.Env, c.Out
	ctx := new(hub.Ctx)
	t, err := x.read(ctx, c.In)
	if err != nil {
		return nil, err
	}
	if t.request != nil { // the input buffer is reused by the next call
		ctx.Request = append([]byte(nil), t.request...)
	}
	s := &stream{of: x, ctx: ctx, hub: hub.NewStream(t.from, t.to, ctx)}
	x.writeDrops()
	return s, nil
}

func (s *stream) emit(ev hub.Event) { s.of.out.Frame(abi.Frame{Name: ev.Name, Payload: ev.Data}) }

// Frame implements [sdk.StreamState].
func (s *stream) Frame(f abi.Frame) error {
	if f.Kind == abi.FrameComment {
		return nil
	}
	if f.Kind == abi.FrameRaw {
		return wire(s.hub.FeedBody(f.Payload, s.emit))
	}
	return wire(s.hub.Feed(hub.Event{Name: f.Name, Data: f.Payload, Valid: f.JSON}, s.emit))
}

// End implements [sdk.StreamState].
func (s *stream) End(reason abi.EndReason) error {
	if reason == abi.EndClientGone {
		return nil
	}
	if err := s.hub.End(s.emit); err != nil {
		return wire(err)
	}
	if !s.ctx.Collect {
		return nil
	}
	w := s.of.out
	mark := w.Open(abi.TagBody)
	out, resp, err := s.hub.Body(w.Buf)
	if err != nil {
		return wire(err)
	}
	w.Buf = out
	w.Close(mark)
	if resp != nil {
		s.hub.Usage, s.hub.Finish = resp.Usage, resp.Finish
	}
	return nil
}

// Settle implements [sdk.StreamState].
func (s *stream) Settle() {
	if s.hub.Usage.Known && s.hub.Usage != s.usage {
		s.usage = s.hub.Usage
		usage(s.usage).AppendTo(s.of.out)
	}
	if s.hub.Finish != s.fin {
		s.fin = s.hub.Finish
		s.of.out.String(abi.TagFinish, s.fin)
	}
	s.of.writeDrops()
}

func usage(u hub.Usage) sdk.Usage {
	return sdk.Usage{
		Prompt: u.Prompt, Completion: u.Completion, CachedRead: u.CachedRead, CacheWrite: u.CacheWrite,
		Reasoning: u.Reasoning, Total: u.Total, Estimated: u.Estimated,
	}
}

// wire turns an error of a dialect into its record.
func wire(err error) error {
	e, ok := err.(*hub.Error)
	if !ok {
		return err
	}
	r := &abi.ErrorRecord{
		Message: e.Message, Status: e.Status, Type: e.Type, Code: e.Code, Param: e.Param,
		NoCode: e.NoCode, Upstream: e.Upstream, Fallback: e.Fallback,
	}
	if e.RetryAfterMS > 0 {
		r.RetryAfterMS = e.RetryAfterMS
	}
	if !e.Upstream {
		r.Class, r.Scope = "client", string(sdk.ThisRequest)
	}
	return r
}

func toHub(r *abi.ErrorRecord) *hub.Error {
	return &hub.Error{
		Status: r.Status, Type: r.Type, Code: r.Code, Param: r.Param, Message: r.Message,
		NoCode: r.NoCode, Upstream: r.Upstream, Fallback: r.Fallback, RetryAfterMS: r.RetryAfterMS,
	}
}

// blobs shows the host's body tokens as hub.Blobs.
type blobs struct{ env sdk.Env }

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
