package host

import (
	"errors"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// need is a guest's wish for HTTP before it can answer.
type need struct {
	plans        []*Plan
	continuation []byte
}

// readNeed returns the NEED of an output, nil when it is a final answer.
func readNeed(rec []byte, lim *Limits) (*need, error) {
	f, ok := abi.Find(rec, abi.TagNeed)
	if !ok {
		return nil, nil
	}
	n := &need{}
	r := f.Record()
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagPlan:
			p, err := readPlan(f)
			if err != nil {
				return nil, err
			}
			n.plans = append(n.plans, p)
		case abi.TagContinuation:
			n.continuation = append([]byte(nil), f.Value...)
		default:
			r.Unknown()
		}
	}
	switch {
	case r.Err() != nil:
		return nil, r.Err()
	case len(n.plans) == 0 || len(n.plans) > lim.RoundPlans:
		return nil, errors.New("it asked for no or too many HTTP requests at once")
	case len(n.continuation) > lim.Continuation:
		return nil, errors.New("its continuation is too large")
	}
	return n, nil
}

func readPlanned(rec []byte) (*Planned, error) {
	out := &Planned{}
	var err error
	r := abi.Read(rec)
	for r.Next() && err == nil {
		switch f := r.Field(); f.Tag {
		case abi.TagPlan:
			out.Send, err = readPlan(f)
		case abi.TagLocal:
			out.Local, err = readLocal(f)
		case abi.TagRefresh:
			out.Refresh = f.Bool()
		case abi.TagReshape:
			out.Reshape = f.Text()
		case abi.TagLearned:
			var name, value string
			if name, value, err = f.Pair(); err == nil {
				if out.Learned == nil {
					out.Learned = map[string]string{}
				}
				out.Learned[name] = value
			}
		default:
			r.Unknown()
		}
	}
	if err == nil {
		err = r.Err()
	}
	if err == nil && out.Send == nil && out.Local == nil && !out.Refresh && out.Reshape == "" {
		err = errNoPlan
	}
	return out, err
}

func readPlan(f abi.Field) (*Plan, error) {
	p := &Plan{Method: "POST", Auth: "none"}
	r := f.Record()
	for r.Next() {
		f := r.Field()
		known, err := p.set(f)
		if err != nil {
			return nil, err
		}
		if !known {
			r.Unknown()
		}
	}
	return p, r.Err()
}

func (p *Plan) set(f abi.Field) (known bool, err error) {
	switch f.Tag {
	case abi.TagPlanMethod:
		p.Method = f.Text()
	case abi.TagPlanURL:
		p.URLs = append(p.URLs, f.Text())
	case abi.TagPlanHeader:
		err = appendHeader(&p.Header, f)
	case abi.TagPlanBody:
		p.Body = append([]byte{}, f.Value...)
	case abi.TagPlanEdit:
		var e Edit
		e, err = readEdit(f)
		p.Edits = append(p.Edits, e)
	case abi.TagPlanAuth:
		p.Auth = f.Text()
	case abi.TagPlanFraming:
		p.Framing = f.Text()
	case abi.TagPlanDialect:
		p.Dialect = f.Text()
	case abi.TagPlanConnectMS:
		p.Timeouts.Connect = millis(f)
	case abi.TagPlanFirstByteMS:
		p.Timeouts.FirstByte = millis(f)
	case abi.TagPlanIdleMS:
		p.Timeouts.Idle = millis(f)
	case abi.TagPlanTotalMS:
		p.Timeouts.Total = millis(f)
	case abi.TagPlanHTTP:
		p.HTTP = f.Text()
	case abi.TagPlanRedirect:
		p.Redirect = f.Text()
	case abi.TagPlanExpect:
		p.Expect = append(p.Expect, f.Text())
	case abi.TagPlanDuplex:
		p.Duplex = f.Bool()
	case abi.TagPlanIdempotent:
		p.Idempotent = f.Bool()
	case abi.TagPlanForced:
		p.ForceStream = f.Bool()
	case abi.TagPlanCostHint:
		p.CostHint = uint32(f.Uint())
	case abi.TagPlanJudge:
		p.Judge = f.Bool()
	case abi.TagPlanPoll:
		p.Poll.Until = f.Text()
	case abi.TagPlanPollMS:
		p.Poll.Every = millis(f)
	case abi.TagPlanPollMax:
		p.Poll.Max = int(uint32(f.Uint()))
	case abi.TagPlanFresh:
		p.Fresh = f.Bool()
	case abi.TagPlanToken:
		var t Token
		t.Field, t.Path, err = f.Pair()
		p.tokens = append(p.tokens, t)
	default:
		return false, nil
	}
	return true, err
}

func millis(f abi.Field) time.Duration { return time.Duration(uint32(f.Uint())) * time.Millisecond }

func appendHeader(hs *[]abi.Header, f abi.Field) error {
	name, value, err := f.Pair()
	*hs = append(*hs, abi.Header{Name: name, Value: value})
	return err
}

func readEdit(f abi.Field) (Edit, error) {
	var e Edit
	r := f.Record()
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagEditOp:
			e.Op = abi.EditOp(f.Uint())
		case abi.TagEditPath:
			e.Path = append(e.Path, f.Text())
		case abi.TagValue:
			e.Value = append([]byte{}, f.Value...)
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		return e, err
	}
	if len(e.Path) == 0 || e.Op > abi.EditDeleteEmpty {
		return e, errors.New("it asked for an edit that is not one")
	}
	return e, nil
}

func readLocal(f abi.Field) (*Local, error) {
	l := &Local{Status: 200}
	r := f.Record()
	for r.Next() {
		var err error
		switch f := r.Field(); f.Tag {
		case abi.TagLocalStatus:
			l.Status = int(f.Uint())
		case abi.TagLocalHeader:
			err = appendHeader(&l.Header, f)
		case abi.TagLocalBody:
			l.Body = append([]byte{}, f.Value...)
		case abi.TagFrame:
			var fr abi.Frame
			fr, err = f.Frame()
			fr.Payload = append([]byte{}, fr.Payload...)
			l.Frames = append(l.Frames, fr)
		default:
			r.Unknown()
		}
		if err != nil {
			return nil, err
		}
	}
	if l.Status < 100 || l.Status > 599 {
		return nil, errors.New("its local answer has no valid status")
	}
	return l, r.Err()
}
