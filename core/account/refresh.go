package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Tokens is a renewed credential. Empty fields leave the old value.
type Tokens struct {
	Access, Refresh, ID, APIKey string
	// ExpiresAt is the end of the access token; zero = unknown.
	ExpiresAt time.Time
	// Extra are further secrets, Data what is not secret; both are merged into
	// what is there.
	Extra, Data map[string]string
}

// String keeps tokens out of logs.
func (Tokens) String() string { return "(tokens)" }

// GoString does so for %#v.
func (Tokens) GoString() string { return "(tokens)" }

// Token is how the credential of an account stands.
type Token struct {
	ID, Provider string
	// Version counts changes of the credential within this process.
	Version    uint64
	Refresh    bool // there is a refresh token
	IssuedAt   time.Time
	ExpiresAt  time.Time     // zero = unknown
	Every      time.Duration // between looks of the background; 0 = never
	CheckedAt  time.Time
	RenewFails int
	RenewAt    time.Time
}

// checkEvery is how often the background looks after a credential by default.
const checkEvery = time.Hour

// renewWaits are the pauses before renewing is tried again that the provider has
// refused for good; after the last one only a person can help.
var renewWaits = [...]time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute}

// Token tells how the credential of an account stands.
func (p *Pool) Token(id string) (Token, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	m := p.byID[id]
	if m == nil {
		return Token{}, false
	}
	return m.tokenState(), true
}

// Tokens lists the credentials of enabled accounts that have a refresh token.
func (p *Pool) Tokens() []Token {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []Token
	for _, m := range p.byID {
		if m.info.Enabled && m.cred.RefreshToken != "" {
			out = append(out, m.tokenState())
		}
	}
	slices.SortFunc(out, func(a, b Token) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// tokenState reads the credential's state.
func (m *member) tokenState() Token {
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	t := Token{
		ID: m.info.ID, Provider: m.info.Provider, Version: m.token, Refresh: m.cred.RefreshToken != "" && !m.info.FromFile,
		IssuedAt: m.info.IssuedAt, ExpiresAt: m.info.ExpiresAt, Every: checkEvery, CheckedAt: m.cond.CheckedAt,
		RenewFails: m.cond.RenewFails, RenewAt: m.cond.RenewAt,
	}
	if m.info.CheckEvery != nil {
		t.Every = *m.info.CheckEvery
	}
	return t
}

// Secrets gives the secrets of a stored account, for a request in its name.
func (p *Pool) Secrets(id string) (info *Account, secret func(name string) (string, bool), all []string, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	m := p.byID[id]
	if m == nil {
		return nil, nil, nil, fmt.Errorf("%w: account %q", ErrNotFound, id)
	}
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	cred := m.cred
	return m.info, cred.secret, cred.all(), nil
}

// Renewed stores a renewed credential, on disk before it returns, and puts it in
// place. What failed requests left on the account stays, but for the states that
// a bad credential causes. With an error the new credential serves all the same:
// the old one may be worth nothing any more.
func (p *Pool) Renewed(ctx context.Context, id string, t Tokens) error {
	p.edit.Lock()
	defer p.edit.Unlock()
	m, err := p.stored(id)
	if err != nil {
		return err
	}
	now := p.opt.Now().UTC()
	info, cred := *m.info, *m.cred
	info.State = Condition{}
	info.IssuedAt, info.ExpiresAt, info.UpdatedAt, info.Rev = now, t.ExpiresAt, now, info.Rev+1
	info.Data = merged(info.Data, t.Data)
	keep := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	keep(&cred.AccessToken, t.Access)
	keep(&cred.RefreshToken, t.Refresh)
	keep(&cred.IDToken, t.ID)
	keep(&cred.APIKey, t.APIKey)
	cred.Extra = merged(cred.Extra, t.Extra)
	info.Preview = cred.shown()
	err = p.save(ctx, &info, &cred)
	if err != nil && p.opt.Writer != nil { // until the store works again
		if raw, merr := json.Marshal(accountRecord{Account: info, Credential: cred}); merr == nil {
			p.opt.Writer.Put(state.Key(kindAccount, info.ID), raw, 0)
		}
	}
	h := m.home
	p.mu.Lock()
	h.mu.Lock()
	m.info, m.cred = &info, &cred
	m.token++
	m.cond.RenewFails, m.cond.RenewAt, m.cond.RenewError, m.cond.CheckedAt = 0, time.Time{}, "", now
	if m.cond.Status == StatusExpired {
		m.cond.anew()
		m.epoch++
	}
	cond := m.cond
	h.sort()
	h.mu.Unlock()
	p.mu.Unlock()
	p.writeCondition(info.ID, &cond)
	return err
}

func merged(old, fresh map[string]string) map[string]string {
	if len(fresh) == 0 {
		return old
	}
	out := maps.Clone(old)
	if out == nil {
		out = make(map[string]string, len(fresh))
	}
	maps.Copy(out, fresh)
	return out
}

// RenewFailed notes that the provider refuses to renew a credential for good.
// The refresh token stays, and the access token serves until its end, unless the
// provider rejected that as well.
func (p *Pool) RenewFailed(id, text string, rejected bool) {
	p.mu.RLock()
	m := p.byID[id]
	p.mu.RUnlock()
	if m == nil {
		return
	}
	now := p.opt.Now()
	h := m.home
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &m.cond
	c.RenewAt = time.Time{}
	if c.RenewFails < len(renewWaits) {
		c.RenewAt = now.Add(renewWaits[c.RenewFails])
	}
	c.RenewFails++
	c.RenewError, c.CheckedAt = cutText(text), now
	if rejected && c.Status != StatusBanned {
		c.Status = StatusExpired
		c.LastError, c.LastErrorAt = c.RenewError, now
		m.epoch++
		h.sort()
	}
	p.writeConditionNow(m.info.ID, c)
}

// Checked notes that the background looked after a credential.
func (p *Pool) Checked(id string) {
	p.mu.RLock()
	m := p.byID[id]
	p.mu.RUnlock()
	if m == nil {
		return
	}
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	m.cond.CheckedAt = p.opt.Now()
	p.writeCondition(m.info.ID, &m.cond)
}

// reread takes over a credential that another gateway has stored since; it
// reports whether there was one.
func (p *Pool) reread(ctx context.Context, id string) bool {
	raw, err := p.store.Get(ctx, state.Key(kindAccount, id))
	if err != nil {
		return false
	}
	var r accountRecord
	if json.Unmarshal(raw, &r) != nil {
		return false
	}
	p.edit.Lock()
	defer p.edit.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.byID[id]
	if m == nil || r.Rev <= m.info.Rev || sameCredential(&r.Credential, m.cred) {
		return false
	}
	h := m.home
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Account.State = Condition{}
	m.info, m.cred = &r.Account, &r.Credential
	m.token++
	m.cond.anew()
	m.epoch++
	h.sort()
	return true
}

// Rejected notes that a provider does not take the access token of an account
// whose credential cannot be renewed: only a person can help.
func (p *Pool) Rejected(id string) {
	p.mu.RLock()
	m := p.byID[id]
	p.mu.RUnlock()
	if m == nil {
		return
	}
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	if c := &m.cond; !c.Status.terminal() {
		c.Status = StatusExpired
		m.epoch++
		m.home.sort()
		p.writeConditionNow(m.info.ID, c)
	}
}
