package account

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/omniroute/omniroute/core/fault"
)

// binding ties a session to an account.
type binding struct {
	account string
	until   time.Time
}

// maxBindings bounds the sessions remembered per provider.
const maxBindings = 50_000

// viewPool holds the lists choosers look at.
var viewPool = sync.Pool{New: func() any { return new(scratch) }}

type scratch struct {
	views   []View
	members []*member
}

// Lease is a chosen account, held by one attempt. Its methods are safe for
// concurrent use.
type Lease struct {
	pool    *Pool
	m       *member
	held    atomic.Pointer[held]
	view    View
	model   string
	session string
	epoch   uint64
	probe   time.Time // set when this lease probes a recovering account
	once    sync.Once
}

// held is what a lease gives of its account at one moment.
type held struct {
	info  *Account
	cred  *Credential
	token uint64
}

// Reserve lets choose pick an account of the provider. choose gets every
// account that serves the model, penalised ones included (see View), and
// returns an index or -1; nil takes the first that is usable. It runs inside
// the provider's critical section: it must be quick and must not call the pool.
// The error is *NoneError.
func (p *Pool) Reserve(q Query, choose func([]View) int) (*Lease, error) {
	h := p.lookup(q.Provider)
	if h == nil {
		return nil, &NoneError{Provider: q.Provider}
	}
	if choose == nil {
		choose = firstUsable
	}
	s := viewPool.Get().(*scratch)
	defer func() {
		clear(s.views)
		clear(s.members)
		viewPool.Put(s)
	}()
	now := p.opt.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	s.views, s.members = h.views(&q, now, s.views[:0], s.members[:0])
	i := -1
	if len(s.views) > 0 {
		i = choose(s.views)
	}
	if i < 0 || i >= len(s.views) || s.views[i].Tried {
		return nil, h.none(now)
	}
	m := s.members[i]
	l := &Lease{pool: p, m: m, view: s.views[i], model: q.Model, session: q.Session, epoch: m.epoch}
	l.held.Store(&held{m.info, m.cred, m.token})
	l.view.Backoff = m.level(q.Model, now)
	if m.recovering(now) {
		l.probe = now.Add(probeTime)
		m.probing = l.probe
	}
	p.used(h, m, now)
	m.inflight++
	if q.Session != "" {
		h.bind(q.Session, m.info.ID, now, p.opt.AffinityTTL)
	}
	return l, nil
}

func firstUsable(views []View) int {
	return slices.IndexFunc(views, func(v View) bool { return v.usable() })
}

// used writes the counters of a pick.
func (p *Pool) used(h *provider, m *member, now time.Time) {
	for _, other := range h.members {
		if other != m && other.cond.LastUsed.After(m.cond.LastUsed) {
			m.cond.Uses = 0 // another one came between
			break
		}
	}
	m.cond.Uses++
	m.cond.LastUsed = now
	if now.Sub(m.useWritten) >= useEvery {
		m.useWritten = now
		p.writeCondition(m.info.ID, &m.cond)
	}
}

// bind notes the account of a session; expired ones go when the table is full.
func (h *provider) bind(session, account string, now time.Time, ttl time.Duration) {
	if len(h.binding) >= maxBindings {
		for s, b := range h.binding {
			if now.After(b.until) || len(h.binding) >= maxBindings {
				delete(h.binding, s)
			}
		}
	}
	h.binding[session] = binding{account: account, until: now.Add(ttl)}
}

// views appends what choosers see; h.mu is held.
func (h *provider) views(q *Query, now time.Time, views []View, members []*member) ([]View, []*member) {
	bound := ""
	if q.Session != "" {
		if b, ok := h.binding[q.Session]; ok && now.Before(b.until) {
			bound = b.account
		}
	}
	current := -1
	for _, m := range h.members {
		if !m.info.Enabled || !m.serves(q.Model) || len(q.Allowed) > 0 && !slices.Contains(q.Allowed, m.info.ID) {
			continue
		}
		v := m.view(h, q.Model, now)
		v.Tried = slices.Contains(q.Tried, m.info.ID)
		v.Bound = bound == m.info.ID
		if q.Fallback {
			v.Uses = 0
		}
		if v.LastUsedMS >= 0 && v.usable() && (current < 0 || m.cond.LastUsed.After(members[current].cond.LastUsed)) {
			current = len(views)
		}
		views, members = append(views, v), append(members, m)
	}
	if current >= 0 {
		views[current].Current = true
	}
	distinct(views, members)
	return views, members
}

// distinct makes ages differ that are the same in milliseconds: rules that take
// the one that rested the longest shall see which that is, also under load.
func distinct(views []View, members []*member) {
	var room [16]int
	order := room[:0]
	for i := range views {
		if views[i].LastUsedMS >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return members[b].cond.LastUsed.Compare(members[a].cond.LastUsed) })
	last := int64(-1)
	for _, i := range order {
		views[i].LastUsedMS = max(views[i].LastUsedMS, last+1)
		last = views[i].LastUsedMS
	}
}

// serves applies the account's own model lists.
func (m *member) serves(model string) bool {
	if model == "" {
		return true
	}
	if len(m.info.Models) > 0 && !globAny(m.info.Models, model) {
		return false
	}
	return !globAny(m.info.Exclude, model)
}

// view is one account at one moment; the lock of its provider is held.
func (m *member) view(h *provider, model string, now time.Time) View {
	c := &m.cond
	v := View{
		ID: m.info.ID, Name: m.info.Name, Provider: m.info.Provider, Auth: m.info.Auth, Plan: m.info.Plan, Tags: m.info.Tags,
		Priority: rank(m.info.Priority), Active: !c.Disabled, Status: c.Status, Backoff: m.decayed(model, now),
		HasError: c.LastError != "", ErrorCode: c.ErrorCode, ErrorType: c.ErrorType, Uses: c.Uses, LastUsedMS: -1,
		Inflight: m.inflight, QuotaLeft: -1, QuotaResetMS: -1, TokenTTLMS: -1, CostRank: costRank(h.settings.Billing, m.info.Billing),
	}
	until := later(c.CoolUntil, h.coolUntil)
	switch {
	case now.Before(until):
		v.Cooling, v.CooldownMS = true, ceilMS(until.Sub(now))
	case now.Before(m.probing): // one request tries; the others wait for its answer
		v.Cooling, v.CooldownMS = true, ceilMS(m.probing.Sub(now))
	case c.Status == StatusCredits && !c.CoolUntil.IsZero():
		v.Status = StatusActive // due for a probe
	}
	if c.RenewFails > 0 && !m.info.ExpiresAt.IsZero() && !now.Before(m.info.ExpiresAt) {
		v.Status = StatusExpired // what could not be renewed served until its own end
	}
	if l := m.locks[model]; l != nil && now.Before(l.Until) {
		v.ModelLocked = true
		v.CooldownMS = max(v.CooldownMS, ceilMS(l.Until.Sub(now)))
	}
	if !c.LastUsed.IsZero() {
		v.LastUsedMS = max(now.Sub(c.LastUsed).Milliseconds(), 0)
	}
	m.quotaFacts(&v, now)
	if !m.info.ExpiresAt.IsZero() {
		v.TokenTTLMS = max(m.info.ExpiresAt.Sub(now).Milliseconds(), 0)
	}
	v.Health = health(&v)
	return v
}

// health is the score the health page shows.
func health(v *View) int {
	n := 100 - 10*v.Backoff
	if v.HasError {
		n -= 20
	}
	if v.Cooling {
		n -= 30
	}
	return max(n, 0)
}

func costRank(provider, account string) int {
	if account != "" {
		provider = account
	}
	switch provider {
	case "subscription":
		return 0
	case "free":
		return 1
	default:
		return 2
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func ceilMS(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// recovering reports an account whose cooldown has run out and that no success
// has cleared yet: one request at a time may use it.
func (m *member) recovering(now time.Time) bool {
	return !m.cond.CoolUntil.IsZero() && !now.Before(m.cond.CoolUntil)
}

// level is the backoff level a new failure starts from: that of the account or
// of the model's lock, forgotten after a quiet time.
func (m *member) level(model string, now time.Time) int {
	n := m.cond.Backoff
	if now.Sub(m.cond.LastErrorAt) > max(4*m.cond.LastCool, forgetAfter) {
		n = 0
	}
	if l := m.locks[model]; l != nil && now.Before(l.Until.Add(lockMemory)) {
		n = max(n, l.Level)
	}
	return n
}

// decayed is the level for choosing: halved once the cooldown is over, so that
// an account that failed often is not starved for ever.
func (m *member) decayed(model string, now time.Time) int {
	n := m.level(model, now)
	if m.recovering(now) {
		n /= 2
	}
	return n
}

// none says why nothing was chosen; h.mu is held.
func (h *provider) none(now time.Time) *NoneError {
	e := &NoneError{Provider: h.id, Total: len(h.members)}
	for _, m := range h.members {
		if !m.info.Enabled || m.cond.Disabled {
			continue
		}
		e.Enabled++
		until := later(later(m.cond.CoolUntil, h.coolUntil), m.probing)
		for _, l := range m.locks {
			until = later(until, l.Until)
		}
		var text string
		if _, _, kept, end := m.allowance.standing(now, m.info.QuotaPolicy); kept {
			if end.IsZero() {
				end = now.Add(quotaRest)
			}
			until, text = later(until, end), "the account's quota policy keeps the rest back"
		}
		if !now.Before(until) {
			continue
		}
		e.Cooling++
		if e.Earliest.IsZero() || until.Before(e.Earliest) {
			e.Earliest, e.LastError, e.Code, e.Type = until, m.cond.LastError, m.cond.ErrorCode, m.cond.ErrorType
			if e.LastError == "" {
				e.LastError = cmp.Or(h.coolText, text)
			}
		}
	}
	return e
}

// Views is Reserve's list without choosing: a pure read. It appends to dst.
func (p *Pool) Views(q Query, dst []View) []View {
	h := p.lookup(q.Provider)
	if h == nil {
		return dst
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	dst, _ = h.views(&q, p.opt.Now(), dst, nil)
	return dst
}

// Summary counts what could serve a model now: a pure read.
func (p *Pool) Summary(provider, model string) Summary {
	s := Summary{QuotaLeft: -1, QuotaResetMS: -1}
	h := p.lookup(provider)
	if h == nil {
		return s
	}
	now := p.opt.Now()
	earliest := int64(-1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.members {
		if !m.info.Enabled || !m.serves(model) {
			continue
		}
		s.Total++
		v := m.view(h, model, now)
		if v.usable() {
			s.Ready++
			if v.QuotaLeft > s.QuotaLeft {
				s.QuotaLeft, s.QuotaResetMS = v.QuotaLeft, v.QuotaResetMS
			}
		} else if v.CooldownMS > 0 && (earliest < 0 || v.CooldownMS < earliest) {
			earliest = v.CooldownMS
		}
	}
	if s.Ready == 0 && earliest > 0 {
		s.Cooling, s.CooldownMS = true, earliest
	}
	return s
}

// Account is the chosen account; shared, must not be changed.
func (l *Lease) Account() *Account { return l.held.Load().info }

// Reload makes the lease give the account's present credential.
func (l *Lease) Reload() {
	h := l.m.home
	h.mu.Lock()
	defer h.mu.Unlock()
	l.held.Store(&held{l.m.info, l.m.cred, l.m.token})
}

// View is the account as it was when chosen, with the full backoff level.
func (l *Lease) View() View { return l.view }

// Secret gives a secret by name: api_key, access_token, refresh_token,
// id_token, token (api key, else access token), or a name of Extra.
func (l *Lease) Secret(name string) (string, bool) { return l.held.Load().cred.secret(name) }

// Secrets are all secrets of the account's credential, for taking them out of
// texts that leave the gateway.
func (l *Lease) Secrets() []string { return l.held.Load().cred.all() }

// Succeed clears what failures left on the account and on this model of it.
// A success of a request that started before the last failure clears nothing.
func (l *Lease) Succeed() {
	h, m := l.m.home, l.m
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.epoch != l.epoch {
		return
	}
	l.unlockModel()
	m.probing = time.Time{}
	if m.cond.failing() {
		m.cond.heal()
		h.sort()
		l.pool.writeCondition(m.info.ID, &m.cond)
	}
}

// Fail applies a penalty. If the account (or model, or provider) is already
// cooling the old penalty stays and applied is false; remaining is what is left
// then. Terminal states are entered in any case.
func (l *Lease) Fail(pen Penalty) (remaining time.Duration, applied bool) {
	h, m, p := l.m.home, l.m, l.pool
	now := p.opt.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.probing.Equal(l.probe) {
		m.probing = time.Time{}
	}
	if pen.Disable || pen.Terminal.terminal() {
		l.retire(&pen, now)
		return 0, true
	}
	if pen.Cooldown <= 0 || l.exempt(&pen) {
		return 0, false
	}
	switch pen.Scope {
	case "provider":
		if left := h.coolUntil.Sub(now); left > 0 {
			return left, false
		}
		h.coolUntil, h.coolText = now.Add(pen.Cooldown), cutText(pen.Text)
		return pen.Cooldown, true
	case "model":
		if l.model == "" {
			return 0, false
		}
		return l.lockModel(&pen, now)
	}
	if left := m.cond.CoolUntil.Sub(now); left > 0 {
		return left, false
	}
	if m.cond.Status.terminal() && m.cond.Status != StatusCredits {
		return 0, false
	}
	if pen.Level >= 0 && m.epoch == l.epoch { // else another failure has already counted
		m.cond.Backoff = pen.Level
	}
	m.epoch++
	m.note(&pen, now)
	m.cond.Status = StatusUnavail
	if pen.Reason == string(fault.ReasonCredits) {
		m.cond.Status = StatusCredits
	}
	m.cond.CoolUntil, m.cond.LastCool = now.Add(pen.Cooldown), pen.Cooldown
	p.writeCondition(m.info.ID, &m.cond)
	return pen.Cooldown, true
}

// exempt reports an account that never cools for passing troubles. Quota and
// credit stops count all the same.
func (l *Lease) exempt(pen *Penalty) bool {
	if !l.m.info.NoCooling && l.m.home.settings.Cooling {
		return false
	}
	return pen.Reason != string(fault.ReasonQuota) && pen.Reason != string(fault.ReasonCredits)
}

// retire takes the account out of rotation until someone brings it back; on
// disk before it returns, because the next start must know.
func (l *Lease) retire(pen *Penalty, now time.Time) {
	m := l.m
	m.epoch++
	m.note(pen, now)
	m.cond.Disabled = m.cond.Disabled || pen.Disable
	m.cond.Status = StatusError
	if pen.Terminal != "" {
		m.cond.Status = pen.Terminal
	}
	m.home.sort()
	l.pool.writeConditionNow(m.info.ID, &m.cond)
}

func (l *Lease) lockModel(pen *Penalty, now time.Time) (time.Duration, bool) {
	m := l.m
	old := m.locks[l.model]
	if old != nil {
		if left := old.Until.Sub(now); left > 0 {
			return left, false
		}
	}
	lock := &modelLock{Until: now.Add(pen.Cooldown), Reason: pen.Reason}
	if old != nil {
		lock.Level = old.Level
	}
	if pen.Level >= 0 {
		lock.Level = pen.Level
	}
	if m.locks == nil {
		m.locks = map[string]*modelLock{}
	}
	for model, x := range m.locks {
		if now.After(x.Until.Add(lockMemory)) {
			delete(m.locks, model)
		}
	}
	m.locks[l.model] = lock
	m.note(pen, now)
	l.pool.writeLock(m.info.ID, l.model, lock)
	return pen.Cooldown, true
}

// unlockModel ends the lock of a model that has served. Its level goes down by
// one step only: a model that fails every other time shall not start afresh.
func (l *Lease) unlockModel() {
	m := l.m
	lock := m.locks[l.model]
	switch {
	case lock == nil:
	case lock.Level <= 1:
		delete(m.locks, l.model)
		l.pool.writeLock(m.info.ID, l.model, nil)
	default:
		left := &modelLock{Until: l.pool.opt.Now(), Level: lock.Level - 1, Reason: lock.Reason}
		m.locks[l.model] = left
		l.pool.writeLock(m.info.ID, l.model, left)
	}
}

// note keeps what the operator wants to see of a failure.
func (m *member) note(pen *Penalty, now time.Time) {
	m.cond.LastError, m.cond.LastErrorAt = cutText(pen.Text), now
	m.cond.ErrorCode, m.cond.ErrorType = pen.Status, pen.Reason
	if m.cond.LastError == "" {
		m.cond.LastError = pen.Reason
	}
}

// cutText keeps the first 100 characters.
func cutText(s string) string {
	if len(s) <= 100 {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > 100 {
			return s[:i]
		}
	}
	if !utf8.ValidString(s) {
		return s[:100]
	}
	return s
}

// Release ends the use. It may be called more than once.
func (l *Lease) Release() {
	l.once.Do(func() {
		h := l.m.home
		h.mu.Lock()
		defer h.mu.Unlock()
		l.m.inflight--
		if !l.probe.IsZero() && l.m.probing.Equal(l.probe) {
			l.m.probing = time.Time{} // ended without a verdict: the next one may try
		}
	})
}
