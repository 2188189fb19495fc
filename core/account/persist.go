package account

import (
	"context"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// writeCondition queues the condition of an account.
func (p *Pool) writeCondition(id string, c *Condition) {
	raw, err := json.Marshal(c)
	if err != nil {
		return // plain values only
	}
	p.write(state.Key(kindCool, id), raw, 0)
}

// writeConditionNow writes it before it returns. A store that fails does not
// undo the decision: memory is what counts while the process lives.
func (p *Pool) writeConditionNow(id string, c *Condition) {
	raw, err := json.Marshal(c)
	if err != nil {
		return
	}
	if p.opt.Writer != nil {
		p.opt.Writer.Put(state.Key(kindCool, id), raw, 0) // over an older one in the queue, and again if the write fails
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key(kindCool, id), raw, 0)
	_ = p.store.Apply(context.Background(), &b)
}

func (p *Pool) writeLock(id, model string, l *modelLock) {
	key := state.Key(kindLock, id, model)
	if l == nil {
		if p.opt.Writer != nil {
			p.opt.Writer.Delete(key)
			return
		}
		_ = p.store.Delete(context.Background(), key)
		return
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return
	}
	p.write(key, raw, l.Until.Sub(p.opt.Now())+lockMemory)
}

func (p *Pool) write(key string, raw []byte, ttl time.Duration) {
	if p.opt.Writer != nil {
		p.opt.Writer.Put(key, raw, ttl)
		return
	}
	_ = p.store.Put(context.Background(), key, raw, ttl)
}

// restore reads what was learnt about an account. Times far in the future come
// from a clock that was wrong; a cooldown never lasts longer from now than it
// was meant to.
func (p *Pool) restore(ctx context.Context, m *member) error {
	now := p.opt.Now()
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	if raw, err := p.store.Get(ctx, state.Key(kindCool, m.info.ID)); err == nil {
		var c Condition
		if json.Unmarshal(raw, &c) == nil {
			c.CoolUntil = sane(c.CoolUntil, now, max(c.LastCool, 0))
			if c.LastUsed.After(now) {
				c.LastUsed = now
			}
			if c.LastErrorAt.After(now) {
				c.LastErrorAt = now
			}
			if c.Status == "" {
				c.Status = StatusActive
			}
			m.cond = c
		}
	}
	if raw, err := p.store.Get(ctx, state.Key(kindQuota, m.info.ID)); err == nil {
		m.restoreQuota(raw, now)
	}
	prefix := state.Prefix(kindLock, m.info.ID)
	err := p.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		model, ok := state.Segments(prefix, e.Key)
		var l modelLock
		if !ok || len(model) != 1 || json.Unmarshal(e.Value, &l) != nil {
			return nil
		}
		l.Until = sane(l.Until, now, maxSkew)
		if m.locks == nil {
			m.locks = map[string]*modelLock{}
		}
		m.locks[model[0]] = &l
		return nil
	})
	m.home.sort()
	return err
}

// sane bounds a stored end of a penalty by its length.
func sane(until, now time.Time, length time.Duration) time.Time {
	if length > 0 && until.Sub(now) > length {
		return now.Add(length)
	}
	return until
}

// Clear lifts every penalty of an account, terminal ones too.
func (p *Pool) Clear(ctx context.Context, id string) error {
	p.mu.RLock()
	m := p.find(id)
	p.mu.RUnlock()
	if m == nil {
		return fmt.Errorf("%w: account %q", ErrNotFound, id)
	}
	h := m.home
	h.mu.Lock()
	m.cond.heal()
	m.epoch++
	m.probing = time.Time{}
	for model := range m.locks {
		p.writeLock(m.info.ID, model, nil)
	}
	m.locks = nil
	h.coolUntil = time.Time{}
	cond := m.cond
	h.sort()
	h.mu.Unlock()
	raw, err := json.Marshal(&cond)
	if err != nil {
		return err
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key(kindCool, m.info.ID), raw, 0)
	if p.opt.Writer != nil {
		p.opt.Writer.Put(state.Key(kindCool, m.info.ID), raw, 0)
	}
	return p.store.Apply(ctx, &b)
}

// ClearModel lifts model locks and returns how many; "" provider or model = all.
func (p *Pool) ClearModel(provider, model string) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := 0
	now := p.opt.Now()
	for _, m := range p.byID {
		if provider != "" && m.info.Provider != provider {
			continue
		}
		m.home.mu.Lock()
		for name, l := range m.locks {
			if model == "" || name == model {
				if now.Before(l.Until) {
					n++
				}
				delete(m.locks, name)
				p.writeLock(m.info.ID, name, nil)
			}
		}
		m.home.mu.Unlock()
	}
	return n
}

// Lock is one model that is kept away from one account.
type Lock struct {
	Provider, Account, Model, Reason string
	Until                            time.Time
}

// Locks lists the model locks in force.
func (p *Pool) Locks() []Lock {
	p.mu.RLock()
	defer p.mu.RUnlock()
	now := p.opt.Now()
	var out []Lock
	for _, m := range p.byID {
		m.home.mu.Lock()
		for model, l := range m.locks {
			if now.Before(l.Until) {
				out = append(out, Lock{Provider: m.info.Provider, Account: m.info.ID, Model: model, Reason: l.Reason, Until: l.Until})
			}
		}
		m.home.mu.Unlock()
	}
	return out
}
