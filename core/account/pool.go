package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Kinds of stored entries.
const (
	kindAccount = "acct"
	kindCool    = "d/cool"
	kindLock    = "d/mlock"
	kindQuota   = "d/quota"
)

// Times of the pool.
const (
	affinityTTL = 30 * time.Minute
	probeTime   = 10 * time.Second // how long one request may probe a recovering account alone
	forgetAfter = 10 * time.Minute // failures this old no longer count, or 4 cooldowns
	lockMemory  = 30 * time.Minute // how long the level of a model lock outlives it
	useEvery    = time.Second      // how often uses of one account are written
	maxSkew     = 24 * time.Hour   // a later time of ours comes from a clock that was wrong
)

// Pool is the table of accounts. Each provider has its own lock, held while an
// account is read, chosen and marked.
type Pool struct {
	store state.Store
	opt   PoolOptions

	// edit is held while an account is changed, on disk as well. It is taken before
	// mu, which requests need: that is held only while the change is put in place.
	edit      sync.Mutex
	mu        sync.RWMutex // guards the maps, and with a provider's lock the info and credential of members
	providers map[string]*provider
	byID      map[string]*member
}

// PoolOptions configure a Pool.
type PoolOptions struct {
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// AffinityTTL is how long a session stays with its account; 0 = 30 min.
	AffinityTTL time.Duration
	// Writer takes writes whose loss is harmless; nil writes synchronously.
	Writer *state.Writer
}

// ProviderSettings is what the pool needs to know of a provider.
type ProviderSettings struct {
	ID      string
	Billing string // metered | subscription | free
	Cooling bool
	// NoAuth providers get a standing account "none".
	NoAuth bool
}

// provider is the accounts of one provider with their state.
type provider struct {
	id     string
	active atomic.Bool

	mu        sync.Mutex
	settings  ProviderSettings
	members   []*member // by priority
	coolUntil time.Time // of the provider as a whole
	coolText  string
	binding   map[string]binding // by session
}

// member is one account. Everything below is guarded by its provider's lock;
// info is replaced, never changed.
type member struct {
	info     *Account
	cred     *Credential
	home     *provider
	standing bool // made by a provider without accounts

	cond     Condition
	epoch    uint64 // counts failures that were applied
	token    uint64 // counts changes of the credential
	probing  time.Time
	inflight int
	locks    map[string]*modelLock

	allowance  Quota
	useWritten time.Time
}

// modelLock keeps one model away from one account.
type modelLock struct {
	Until  time.Time `json:"until"`
	Level  int       `json:"level"`
	Reason string    `json:"reason,omitempty"`
}

// accountRecord is the stored form.
type accountRecord struct {
	Account
	Credential Credential `json:"credential"`
}

// OpenPool loads the accounts of the store and what was learnt about accounts.
func OpenPool(ctx context.Context, s state.Store, opt PoolOptions) (*Pool, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.AffinityTTL <= 0 {
		opt.AffinityTTL = affinityTTL
	}
	p := &Pool{store: s, opt: opt, providers: map[string]*provider{}, byID: map[string]*member{}}
	prefix := state.Prefix(kindAccount)
	err := s.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		var r accountRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return fmt.Errorf("account: the stored account %s cannot be read: %w", strings.TrimPrefix(e.Key, prefix), err)
		}
		m := newMember(&r.Account, &r.Credential)
		p.join(m)
		return p.restore(ctx, m)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func newMember(info *Account, cred *Credential) *member {
	info.State = Condition{}
	return &member{info: info, cred: cred, cond: Condition{Status: StatusActive}}
}

// provider finds or makes the table of a provider.
func (p *Pool) provider(id string) *provider {
	h := p.providers[id]
	if h == nil {
		h = &provider{id: id, settings: ProviderSettings{ID: id, Billing: "metered", Cooling: true}, binding: map[string]binding{}}
		p.providers[id] = h
	}
	return h
}

// join adds a member; p.mu is held.
func (p *Pool) join(m *member) {
	h := p.provider(m.info.Provider)
	m.home = h
	p.byID[m.info.ID] = m
	h.mu.Lock()
	h.members = append(h.members, m)
	h.sort()
	h.mu.Unlock()
}

// leave removes a member; p.mu is held.
func (p *Pool) leave(m *member) {
	delete(p.byID, m.info.ID)
	h := m.home
	h.mu.Lock()
	h.members = slices.DeleteFunc(h.members, func(x *member) bool { return x == m })
	h.sort()
	h.mu.Unlock()
}

// sort orders by priority, then newest change; h.mu is held.
func (h *provider) sort() {
	slices.SortStableFunc(h.members, func(a, b *member) int {
		return cmp.Or(cmp.Compare(rank(a.info.Priority), rank(b.info.Priority)), b.info.UpdatedAt.Compare(a.info.UpdatedAt))
	})
	h.active.Store(slices.ContainsFunc(h.members, func(m *member) bool { return m.info.Enabled && !m.cond.Disabled }))
}

func rank(priority int) int {
	if priority <= 0 {
		return 999
	}
	return priority
}

// Configure replaces what the file and the catalogue say: the accounts declared
// in omniroute.yaml and the settings of providers. What was learnt about
// accounts that stay is kept. A name that is also taken by a stored account is
// a diagnostic that names the place, and then nothing changes.
func (p *Pool) Configure(providers []ProviderSettings, file map[string]config.Provider) []fault.Diagnostic {
	p.edit.Lock()
	defer p.edit.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	var diags []fault.Diagnostic
	var fresh []*member
	for id, c := range file {
		for i := range c.Accounts {
			a := &c.Accounts[i]
			for _, m := range p.byID {
				if !m.info.FromFile && !m.standing && m.info.Provider == id && m.info.Name == a.Name {
					diags = append(diags, at(a.Pos, "account %s/%s is declared here and in the data directory (id %s); remove that one or rename this", id, a.Name, m.info.ID))
				}
			}
			if a.Enabled {
				fresh = append(fresh, fileMember(id, a, i))
			}
		}
	}
	if len(diags) > 0 {
		slices.SortFunc(diags, func(a, b fault.Diagnostic) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return diags
	}
	for _, s := range providers {
		h := p.provider(s.ID)
		h.mu.Lock()
		h.settings = s
		empty := len(h.members) == 0
		h.mu.Unlock()
		if s.NoAuth && empty && !slices.ContainsFunc(fresh, func(m *member) bool { return m.info.Provider == s.ID }) {
			fresh = append(fresh, standingMember(s.ID))
		}
	}
	p.replaceFile(fresh, providers)
	return nil
}

// replaceFile swaps the members of the file; p.mu is held.
func (p *Pool) replaceFile(fresh []*member, providers []ProviderSettings) {
	old := map[string]*member{}
	for id, m := range p.byID {
		if m.info.FromFile {
			old[id] = m
		}
		if m.standing && !slices.ContainsFunc(providers, func(s ProviderSettings) bool { return s.ID == m.info.Provider && s.NoAuth }) {
			p.leave(m)
		}
	}
	for _, m := range fresh {
		was := old[m.info.ID]
		if was == nil {
			p.join(m)
			p.restore(context.Background(), m) // learnt facts are worth no failure of a reload
			continue
		}
		delete(old, m.info.ID)
		h := was.home
		h.mu.Lock()
		if m.cred.APIKey != was.cred.APIKey || m.cred.AccessToken != was.cred.AccessToken {
			was.cond.anew() // a new credential starts afresh
			was.epoch++
			was.token++
		}
		was.info, was.cred = m.info, m.cred
		h.sort()
		h.mu.Unlock()
	}
	for _, m := range old {
		p.leave(m)
	}
}

// fileMember is an account of the file. Its id is made of names, so that what
// was learnt survives a restart.
func fileMember(providerID string, a *config.Account, index int) *member {
	cred := &Credential{APIKey: a.APIKey, AccessToken: a.AccessToken}
	auth := AuthKey
	switch {
	case a.APIKey == "none":
		auth, cred.APIKey = AuthNone, ""
	case a.AccessToken != "":
		auth = AuthOAuth
	}
	priority := a.Priority
	if priority == 0 {
		priority = index + 1
	}
	return newMember(&Account{
		ID: providerID + "/" + a.Name, Provider: providerID, Auth: auth, Name: a.Name, Priority: priority, Enabled: true,
		Plan: a.Plan, Billing: a.Billing, Proxy: a.Proxy, Tags: a.Tags, Models: a.Models, Exclude: a.Exclude,
		NoCooling: a.Cooling != nil && !*a.Cooling, QuotaPolicy: a.QuotaPolicy, Data: a.Data, Preview: cred.shown(), FromFile: true,
	}, cred)
}

func standingMember(providerID string) *member {
	m := newMember(&Account{ID: providerID + "/none", Provider: providerID, Auth: AuthNone, Name: "none", Priority: 1, Enabled: true, NoCooling: true}, &Credential{})
	m.standing = true
	return m
}

// Add stores a new account. One that has the same subject, the same e-mail or,
// for keys, the same name is replaced: its id, priority and history stay.
func (p *Pool) Add(ctx context.Context, a Account, c Credential) (*Account, error) {
	if a.Provider == "" {
		return nil, errors.New("account: an account needs a provider")
	}
	if c.empty() && a.Auth != AuthNone {
		return nil, errors.New("account: an account needs a credential")
	}
	p.edit.Lock()
	defer p.edit.Unlock()
	now := p.opt.Now().UTC()
	if old := p.same(&a); old != nil {
		if old.info.FromFile {
			return nil, fmt.Errorf("%w: account %s", ErrFromFile, old.info.ID)
		}
		info := *old.info
		info.Auth, info.Email, info.Subject, info.ExpiresAt = a.Auth, cmp.Or(a.Email, info.Email), cmp.Or(a.Subject, info.Subject), a.ExpiresAt
		info.IssuedAt, info.Plan = a.IssuedAt, cmp.Or(a.Plan, info.Plan)
		info.Enabled, info.Data = true, merged(info.Data, a.Data)
		return p.replace(ctx, old, &info, &c, now)
	}
	if a.Name == "" {
		a.Name = cmp.Or(a.Email, fmt.Sprintf("account %d", p.count(a.Provider)+1))
	}
	a.ID, a.Rev, a.FromFile, a.CreatedAt, a.UpdatedAt = "acc_"+randomID(10), 1, false, now, now
	if a.Priority <= 0 {
		a.Priority = p.count(a.Provider) + 1
	}
	a.Preview = c.shown()
	m := newMember(&a, &c)
	if err := p.save(ctx, m.info, m.cred); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.join(m)
	p.mu.Unlock()
	return p.copyOf(m), nil
}

// same finds the account that a new one would replace; p.edit is held.
func (p *Pool) same(a *Account) *member {
	for _, m := range p.byID {
		if m.info.Provider != a.Provider || m.standing {
			continue
		}
		switch {
		case a.Subject != "" && m.info.Subject != "":
			if a.Subject == m.info.Subject {
				return m
			}
		case a.Email != "" && m.info.Email != "":
			if a.Email == m.info.Email {
				return m
			}
		case a.Name != "" && a.Name == m.info.Name:
			return m
		}
	}
	return nil
}

func (p *Pool) count(provider string) int {
	n := 0
	for _, m := range p.byID {
		if m.info.Provider == provider && !m.standing {
			n++
		}
	}
	return n
}

// save writes an account and its credential, on disk before it returns.
func (p *Pool) save(ctx context.Context, info *Account, cred *Credential) error {
	raw, err := json.Marshal(accountRecord{Account: *info, Credential: *cred})
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key(kindAccount, info.ID), raw, 0)
	return p.store.Apply(ctx, &b)
}

// replace stores a changed account and puts it in place; p.edit is held.
func (p *Pool) replace(ctx context.Context, m *member, info *Account, cred *Credential, now time.Time) (*Account, error) {
	info.UpdatedAt, info.Rev, info.Preview, info.State = now, m.info.Rev+1, cred.shown(), Condition{}
	if err := p.save(ctx, info, cred); err != nil {
		return nil, err
	}
	h := m.home
	p.mu.Lock()
	h.mu.Lock()
	if !sameCredential(cred, m.cred) || info.Enabled && !m.info.Enabled {
		m.cond.anew() // a new credential or a person's word starts afresh
		m.epoch++
		m.token++
		m.locks = nil
	}
	m.info, m.cred = info, cred
	cond := m.cond
	h.sort()
	h.mu.Unlock()
	p.mu.Unlock()
	p.writeCondition(info.ID, &cond)
	return p.copyOf(m), nil
}

func sameCredential(a, b *Credential) bool {
	return a.APIKey == b.APIKey && a.AccessToken == b.AccessToken && a.RefreshToken == b.RefreshToken
}

// Update changes a stored account through edit, which gets a copy; a nil
// credential keeps the old one.
func (p *Pool) Update(ctx context.Context, id string, edit func(*Account) error, c *Credential) (*Account, error) {
	p.edit.Lock()
	defer p.edit.Unlock()
	m, err := p.stored(id)
	if err != nil {
		return nil, err
	}
	info := *m.info
	if edit != nil {
		if err := edit(&info); err != nil {
			return nil, err
		}
	}
	info.ID, info.Provider, info.CreatedAt, info.FromFile = m.info.ID, m.info.Provider, m.info.CreatedAt, false
	if c == nil {
		c = m.cred
	}
	return p.replace(ctx, m, &info, c, p.opt.Now().UTC())
}

// stored finds an account that may be changed; p.edit is held.
func (p *Pool) stored(id string) (*member, error) {
	m := p.find(id)
	if m == nil {
		return nil, fmt.Errorf("%w: account %q", ErrNotFound, id)
	}
	if m.info.FromFile || m.standing {
		return nil, fmt.Errorf("%w: account %s", ErrFromFile, m.info.ID)
	}
	return m, nil
}

// find looks up by id, or by "provider/name"; p.mu or p.edit is held.
func (p *Pool) find(id string) *member {
	if m := p.byID[id]; m != nil {
		return m
	}
	for _, m := range p.byID {
		if m.info.Provider+"/"+m.info.Name == id {
			return m
		}
	}
	return nil
}

// Remove deletes a stored account and all that was learnt about it.
func (p *Pool) Remove(ctx context.Context, id string) error {
	p.edit.Lock()
	defer p.edit.Unlock()
	m, err := p.stored(id)
	if err != nil {
		return err
	}
	b := state.Batch{Durable: true}
	b.Delete(state.Key(kindAccount, m.info.ID))
	b.Delete(state.Key(kindCool, m.info.ID))
	b.Delete(state.Key(kindQuota, m.info.ID))
	m.home.mu.Lock()
	for model := range m.locks {
		b.Delete(state.Key(kindLock, m.info.ID, model))
	}
	m.home.mu.Unlock()
	if err := p.store.Apply(ctx, &b); err != nil {
		return err
	}
	p.mu.Lock()
	p.leave(m)
	p.mu.Unlock()
	return nil
}

// Get finds an account by id, or by "provider/name".
func (p *Pool) Get(id string) (*Account, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	m := p.find(id)
	if m == nil {
		return nil, false
	}
	return p.copyOf(m), true
}

// copyOf is an account with its condition.
func (p *Pool) copyOf(m *member) *Account {
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	a := *m.info
	a.State = m.cond
	return &a
}

// List returns the accounts of a provider ("" = all) in order of priority. The
// standing accounts of providers that need none are left out.
func (p *Pool) List(provider string) []*Account {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []*Account
	for _, m := range p.byID {
		if (provider == "" || m.info.Provider == provider) && !m.standing {
			out = append(out, p.copyOf(m))
		}
	}
	slices.SortFunc(out, func(a, b *Account) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(rank(a.Priority), rank(b.Priority)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Active reports whether the provider has an account in rotation.
func (p *Pool) Active(provider string) bool {
	h := p.lookup(provider)
	return h != nil && h.active.Load()
}

func (p *Pool) lookup(id string) *provider {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.providers[id]
}
