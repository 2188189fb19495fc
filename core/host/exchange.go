package host

import (
	"context"
	"crypto/sha256"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// exchangeLead is how long before its end an exchanged token is not used any
// more, and exchangeLife how long one serves whose end nobody told.
const (
	exchangeLead = 5 * time.Minute
	exchangeLife = 10 * time.Minute
	// exchangeRest is how old a token has to be before a guest may call it bad:
	// of many requests that were refused at once, the first gets the next one.
	exchangeRest = time.Second
)

// exchanges keeps short-lived tokens that were obtained with a credential, and
// what the reply says beside them, in memory alone.
type exchanges struct {
	flight singleflight.Group
	mu     sync.Mutex
	have   map[[sha256.Size]byte]exchanged
}

// exchanged is the result of an exchange: the reply without its secrets, and
// these by name.
type exchanged struct {
	reply   *Reply
	secrets map[string]string
	made    time.Time
	until   time.Time
}

func (e *exchanges) find(key [sha256.Size]byte, now time.Time, fresh bool) (exchanged, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.have[key]
	return v, ok && now.Before(v.until) && !(fresh && now.Sub(v.made) >= exchangeRest)
}

func (e *exchanges) keep(key [sha256.Size]byte, v exchanged, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.have) >= maxTokens {
		maps.DeleteFunc(e.have, func(_ [sha256.Size]byte, old exchanged) bool { return !now.Before(old.until) })
	}
	if e.have == nil || len(e.have) >= maxTokens {
		e.have = map[[sha256.Size]byte]exchanged{}
	}
	e.have[key] = v
}

// effect performs one plan of a NEED. The secrets that it obtained are put into
// minted; the guest is shown the reply without them.
func (x *Executor) effect(ctx context.Context, p *Plan, in *runInput, minted map[string]string) (*Reply, error) {
	switch {
	case len(p.tokens) > 0:
		v, err := x.exchange(ctx, p, in)
		if err != nil {
			return nil, err
		}
		maps.Copy(minted, v.secrets)
		return v.reply, nil
	case p.Poll.Until != "":
		return poll(ctx, p, in.effects)
	}
	return in.effects(ctx, p)
}

// poll sends a plan again until the reply says that the operation is done.
func poll(ctx context.Context, p *Plan, effects Effects) (*Reply, error) {
	every := min(max(p.Poll.Every, minPoll), maxPollPause)
	for n := 1; ; n++ {
		reply, err := effects(ctx, p)
		if err != nil || reply.Status >= 300 || n >= min(p.Poll.Max, maxPolls) {
			return reply, err
		}
		if done, _ := doc.Bool(reply.Body, strings.Split(p.Poll.Until, ".")...); done {
			return reply, nil
		}
		timer := time.NewTimer(every)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fault.From(context.Cause(ctx))
		}
	}
}

// Bounds of polling.
const (
	maxPolls     = 20
	minPoll      = 100 * time.Millisecond
	maxPollPause = 30 * time.Second
)

// exchange obtains tokens for a credential, once for all who ask with the same
// request, unless it did so before and they still serve.
func (x *Executor) exchange(ctx context.Context, p *Plan, in *runInput) (exchanged, error) {
	var used []string
	filled, err := Fill(ctx, p, func(name string) (v string, ok bool) {
		if in.secrets != nil {
			if v, ok = in.secrets(name); ok {
				used = append(used, v)
			}
		}
		return v, ok
	}, p.Body, in.effects)
	if err != nil {
		return exchanged{}, err
	}
	key := filled.digest()
	store := &x.mod.host.exchanges
	if v, ok := store.find(key, x.mod.host.now(), p.Fresh); ok {
		return v, nil
	}
	v, err, _ := store.flight.Do(string(key[:]), func() (any, error) {
		now := x.mod.host.now()
		if v, ok := store.find(key, now, p.Fresh); ok {
			return v, nil
		}
		reply, err := in.effects(context.WithoutCancel(ctx), p) // others may wait for it too
		if err != nil {
			return nil, err
		}
		v := p.exchanged(reply, used, now)
		if len(v.secrets) > 0 {
			store.keep(key, v, now)
		}
		return v, nil
	})
	if err != nil {
		return exchanged{}, err
	}
	return v.(exchanged), nil
}

// exchanged takes the secrets out of a reply.
func (p *Plan) exchanged(r *Reply, used []string, now time.Time) exchanged {
	v := exchanged{made: now, until: now.Add(exchangeLife)}
	hide := used
	if r.Status < 300 {
		fields := (&Renewal{Tokens: p.tokens}).Fields(r.Body)
		if end := TokenEnd(fields, r.Header, now); !end.IsZero() {
			v.until = end.Add(-exchangeLead)
		}
		delete(fields, "expires_in")
		delete(fields, "expires_at")
		v.secrets = fields
		for _, s := range fields {
			hide = append(hide, s)
		}
	}
	c := Conceal(hide...)
	v.reply = &Reply{Status: r.Status, Body: []byte(c.Text(string(r.Body)))}
	for _, t := range p.tokens {
		path := strings.Split(t.Path, ".")
		if _, secret := v.secrets[t.Field]; !secret {
			continue
		}
		if _, ok := doc.Get(v.reply.Body, path...); ok { // one too short to be searched for
			v.reply.Body, _ = doc.Set(nil, v.reply.Body, []byte(`"`+concealed+`"`), path...)
		}
	}
	for _, h := range r.Header {
		if !strings.EqualFold(h.Name, "set-cookie") {
			v.reply.Header = append(v.reply.Header, abi.Header{Name: h.Name, Value: c.Text(h.Value)})
		}
	}
	return v
}

// digest stands for a request with its credential.
func (r *Request) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	part := func(s string) { h.Write([]byte(s)); h.Write([]byte{0}) }
	part(r.Method)
	for _, u := range r.URLs {
		part(u)
	}
	for _, f := range r.Header {
		part(f.Name)
		part(f.Value)
	}
	h.Write(r.Body)
	return [sha256.Size]byte(h.Sum(nil))
}
