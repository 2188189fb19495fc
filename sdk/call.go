package sdk

import (
	"github.com/omniroute/omniroute/sdk/abi"
)

// call is the decoded input of an executor operation.
type call struct {
	Ctx
	resume  abi.Op
	profile []byte
	signing Signing
}

func (m *Module) readCall(in []byte) (*call, error) {
	c := &call{Ctx: Ctx{env: m.env, config: m.config}}
	r := abi.Read(in)
	for r.Next() {
		if err := c.set(r.Field(), &r); err != nil {
			return nil, err
		}
	}
	return c, r.Err()
}

func (c *call) set(f abi.Field, r *abi.Reader) error {
	switch f.Tag {
	case abi.TagPart:
		c.Part = f.Text()
	case abi.TagProvider:
		c.Provider = f.Text()
	case abi.TagEndpoint:
		c.Endpoint = f.Text()
	case abi.TagModel:
		c.Model = f.Text()
	case abi.TagStream:
		c.Stream = f.Bool()
	case abi.TagAuthKind:
		c.AuthKind = f.Text()
	case abi.TagAttempt:
		c.Attempt = int(f.Uint())
	case abi.TagAttributes:
		c.attrs = f.Value
	case abi.TagClientHeader, abi.TagHeader:
		name, value, err := f.Pair()
		if err != nil {
			return err
		}
		c.headers = append(c.headers, abi.Header{Name: name, Value: value})
	case abi.TagBody:
		c.body = f.Value
	case abi.TagNonce:
		c.nonce = f.Text()
	case abi.TagPlanMethod:
		c.signing.Method = f.Text()
	case abi.TagPlanURL:
		c.signing.URL = f.Text()
	case abi.TagPlanHeader:
		name, value, err := f.Pair()
		if err != nil {
			return err
		}
		c.signing.Headers = append(c.signing.Headers, abi.Header{Name: name, Value: value})
	case abi.TagBodyDigest:
		c.signing.BodyDigest = f.Value
	case abi.TagExpiresMS:
		c.expires = f.Int()
	case abi.TagStatus:
		c.status = int(f.Uint())
	case abi.TagPrevious:
		e, err := abi.ReadError(f.Value)
		if err != nil {
			return err
		}
		c.Previous = e
	case abi.TagConfig:
		c.profile = f.Value
	case abi.TagSession:
		c.Session = f.Text()
	case abi.TagDialect:
		c.Dialect = f.Text()
	case abi.TagState:
		c.State = f.Value
	case abi.TagResumeOp:
		c.resume = abi.Op(f.Uint())
	case abi.TagContinuation:
		c.Continuation = f.Value
	case abi.TagReply:
		reply, err := readReply(f)
		if err != nil {
			return err
		}
		c.Replies = append(c.Replies, reply)
	default:
		r.Unknown()
	}
	return nil
}

func readReply(f abi.Field) (Reply, error) {
	var out Reply
	var e abi.ErrorRecord
	r := f.Record()
	for r.Next() {
		switch g := r.Field(); g.Tag {
		case abi.TagStatus:
			out.Status = int(g.Uint())
		case abi.TagHeader:
			name, value, err := g.Pair()
			if err != nil {
				return out, err
			}
			out.Header = append(out.Header, abi.Header{Name: name, Value: value})
		case abi.TagBody:
			out.Body = g.Value
		default:
			if e.Set(g) {
				out.Err = &e
			} else {
				r.Unknown()
			}
		}
	}
	return out, r.Err()
}

func (m *Module) configure(c *call) error {
	if c.Part == "" && c.Provider == "" {
		cfg, err := m.schema.parse(c.profile)
		if err != nil {
			return err
		}
		m.config = cfg
		return nil
	}
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	cf, ok := ex.(Configurer)
	if !ok {
		return nil
	}
	needs, err := cf.Configure(&c.Ctx, c.profile)
	if err != nil {
		return err
	}
	m.out.U8(abi.TagNeeds, uint8(needs))
	return nil
}

func (m *Module) plan(c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	p := &Plan{Body: Body{in: c.body}}
	if err := ex.Plan(&c.Ctx, p); err != nil {
		return err
	}
	w := &m.out
	for _, l := range p.learned {
		w.Pair(abi.TagLearned, l.Name, l.Value)
	}
	switch {
	case p.refresh:
		w.U8(abi.TagRefresh, 1)
	case p.reshape != "":
		w.String(abi.TagReshape, p.reshape)
	case p.local != nil:
		mark := w.Open(abi.TagLocal)
		p.local.appendTo(w)
		w.Close(mark)
	default:
		mark := w.Open(abi.TagPlan)
		p.appendTo(w)
		w.Close(mark)
	}
	return nil
}

func (m *Module) result(c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	v, err := ex.Result(&c.Ctx, &Result{URL: c.signing.URL, Status: c.status, Headers: c.headers, Body: c.body, Stream: c.Stream})
	if err != nil {
		return err
	}
	w := &m.out
	w.U8(abi.TagVerdict, uint8(v.Kind))
	if v.AfterMS > 0 {
		w.I64(abi.TagRetryAfterMS, v.AfterMS)
	}
	if v.State != nil {
		w.Bytes(abi.TagState, v.State)
	}
	if v.Err != nil {
		v.Err.AppendTo(w)
	}
	return nil
}

func (m *Module) writeNeed(op abi.Op, n *Need) {
	w := &m.out
	mark := w.Open(abi.TagNeed)
	for i := range n.Plans {
		p := w.Open(abi.TagPlan)
		n.Plans[i].appendTo(w)
		w.Close(p)
	}
	w.Bytes(abi.TagContinuation, n.Keep)
	w.Close(mark)
}

// executorStream is an open stream of a Streamer.
type executorStream struct {
	handler FrameHandler
	stream  Stream
}

func (m *Module) openExecutor(handle uint32, c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	s, ok := ex.(Streamer)
	if !ok {
		return pluginError("executor " + c.Part + " has no stream of its own")
	}
	c.attrs, c.body, c.State = append([]byte(nil), c.attrs...), append([]byte(nil), c.body...), append([]byte(nil), c.State...)
	h, err := s.OpenStream(&c.Ctx)
	if err != nil {
		return err
	}
	m.streams[handle] = &executorStream{handler: h, stream: Stream{w: &m.out}}
	return nil
}

// Frame implements [StreamState].
func (s *executorStream) Frame(f abi.Frame) error { return s.handler.Frame(&s.stream, f) }

// End implements [StreamState].
func (s *executorStream) End(reason abi.EndReason) error { return s.handler.End(&s.stream, reason) }

// Settle implements [StreamState].
func (s *executorStream) Settle() {}
