package account

import (
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Quota is what a provider says an account may still use.
type Quota struct {
	Plan         string            `json:"plan,omitempty"`
	LimitReached bool              `json:"limit_reached,omitempty"`
	Windows      map[string]Window `json:"windows,omitempty"`
	// Message stands for numbers where a provider has none.
	Message string `json:"message,omitempty"`
	// FetchedAt is when the provider was asked; zero = all is from responses.
	FetchedAt time.Time `json:"fetched_at,omitzero"`
}

// Window is one allowance: a time span, a resource, or a model.
type Window struct {
	Display   string    `json:"display,omitempty"`
	Left      float64   `json:"left"` // percent, 0..100
	Used      float64   `json:"used,omitempty"`
	Total     float64   `json:"total,omitempty"`
	Unlimited bool      `json:"unlimited,omitempty"`
	ResetAt   time.Time `json:"reset_at,omitzero"` // zero = unknown
	// Told windows come from responses to requests: the provider counts each of
	// them against every request, so that one that is used up stops the account.
	Told   bool      `json:"told,omitempty"`
	SeenAt time.Time `json:"seen_at,omitzero"`
}

const (
	quotaKept  = 8 * 24 * time.Hour // how long the last known quota of an account is kept
	quotaStale = 10 * time.Minute   // how long a window counts that does not say when it begins anew
	quotaRest  = 5 * time.Minute    // how long an account rests whose window does not say so
)

// over reports a window that has begun anew since, or that tells nothing any more.
func (w *Window) over(now time.Time) bool {
	if w.ResetAt.IsZero() {
		return now.Sub(w.SeenAt) > quotaStale
	}
	return !now.Before(w.ResetAt)
}

// standing sums up the windows: what is left, in percent (-1 unknown), when the
// scarcest begins anew, and whether a policy keeps the rest back.
func (q *Quota) standing(now time.Time, policy map[string]float64) (left float64, reset time.Time, kept bool, until time.Time) {
	left = -1
	empty, counted := 0, 0
	scarcest := 101.0
	for name, w := range q.Windows {
		if w.Unlimited || w.over(now) {
			continue
		}
		counted++
		if floor, ok := floorOf(policy, name); ok && w.Left <= floor {
			kept = true
			until = later(until, w.ResetAt)
		}
		if w.Left <= 0 && w.Told {
			return 0, w.ResetAt, kept, until
		}
		if w.Left <= 0 {
			empty++
			if scarcest > 100 {
				reset = w.ResetAt
			}
			continue
		}
		if w.Left < scarcest {
			scarcest, reset = w.Left, w.ResetAt
		}
	}
	switch {
	case counted == 0:
	case empty == counted:
		left = 0
	default:
		left = scarcest
	}
	return left, reset, kept, until
}

// quotaFacts fills in what choosers see of the quota. An account whose policy
// keeps the rest back cools until the window begins anew.
func (m *member) quotaFacts(v *View, now time.Time) {
	if len(m.allowance.Windows) == 0 {
		return
	}
	left, reset, kept, until := m.allowance.standing(now, m.info.QuotaPolicy)
	v.QuotaLeft = left
	if left >= 0 && !reset.IsZero() {
		v.QuotaResetMS = ceilMS(reset.Sub(now))
	}
	if kept {
		if until.IsZero() {
			until = now.Add(quotaRest)
		}
		v.Cooling, v.CooldownMS = true, max(v.CooldownMS, ceilMS(until.Sub(now)))
	}
}

// floorOf is what a policy keeps back of a window.
func floorOf(policy map[string]float64, window string) (float64, bool) {
	floor, ok := policy[window]
	if !ok {
		floor, ok = policy["*"]
	}
	return floor, ok && floor > 0
}

// SetQuota takes over what a provider answered when it was asked. Windows that
// responses told of stay.
func (p *Pool) SetQuota(id string, q Quota) {
	p.quota(id, func(now time.Time, old *Quota) bool {
		windows := maps.Clone(q.Windows)
		if windows == nil {
			windows = map[string]Window{}
		}
		for name, w := range windows {
			w.SeenAt, w.Told = now, old.Windows[name].Told
			windows[name] = w
		}
		for name, w := range old.Windows {
			if _, fresh := windows[name]; !fresh && w.Told && !w.over(now) {
				windows[name] = w
			}
		}
		q.Windows, q.FetchedAt = windows, now
		*old = q
		return true
	})
}

// NoteQuota takes over what a response told of windows.
func (p *Pool) NoteQuota(id string, windows map[string]Window) {
	p.quota(id, func(now time.Time, old *Quota) bool {
		changed := false
		fresh := maps.Clone(old.Windows)
		if fresh == nil {
			fresh = map[string]Window{}
		}
		for name, w := range windows {
			was := fresh[name]
			changed = changed || was.Left != w.Left || !was.ResetAt.Equal(w.ResetAt) || now.Sub(was.SeenAt) > time.Minute
			w.Display, w.Told, w.SeenAt = was.Display, true, now
			fresh[name] = w
		}
		old.Windows = fresh
		return changed
	})
}

// quota changes what is known of an account's quota, and queues the write.
func (p *Pool) quota(id string, change func(now time.Time, q *Quota) bool) {
	p.mu.RLock()
	m := p.byID[id]
	p.mu.RUnlock()
	if m == nil {
		return
	}
	now := p.opt.Now()
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	if !change(now, &m.allowance) {
		return
	}
	if raw, err := json.Marshal(&m.allowance); err == nil {
		p.write(state.Key(kindQuota, id), raw, quotaKept)
	}
}

// Quota tells what is known of an account's quota.
func (p *Pool) Quota(id string) (Quota, bool) {
	p.mu.RLock()
	m := p.find(id)
	p.mu.RUnlock()
	if m == nil {
		return Quota{}, false
	}
	m.home.mu.Lock()
	defer m.home.mu.Unlock()
	q := m.allowance
	q.Windows = maps.Clone(q.Windows)
	return q, len(q.Windows) > 0 || q.Message != "" || !q.FetchedAt.IsZero()
}

// restoreQuota reads the stored form.
func (m *member) restoreQuota(raw []byte, now time.Time) {
	var q Quota
	if json.Unmarshal(raw, &q) != nil {
		return
	}
	maps.DeleteFunc(q.Windows, func(_ string, w Window) bool { return w.over(now) || w.SeenAt.After(now.Add(maxSkew)) })
	m.allowance = q
}

// inUse is how long after its last request an account counts as in use.
const inUse = time.Hour

// polled lists the accounts whose quota is worth asking for: logins in use, whose
// responses have told nothing lately, and those that are stopped by it.
func (p *Pool) polled(fresh time.Duration) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	now := p.opt.Now()
	var out []string
	for id, m := range p.byID {
		if !m.info.Enabled || m.info.Auth != AuthOAuth {
			continue
		}
		m.home.mu.Lock()
		var v View
		v.QuotaLeft = -1
		m.quotaFacts(&v, now)
		wanted := !m.told(now, fresh) && (now.Sub(m.cond.LastUsed) < inUse || v.QuotaLeft == 0 || v.Cooling)
		m.home.mu.Unlock()
		if wanted {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// told reports an account whose responses told of its quota lately.
func (m *member) told(now time.Time, fresh time.Duration) bool {
	for _, w := range m.allowance.Windows {
		if w.Told && now.Sub(w.SeenAt) < fresh {
			return true
		}
	}
	return false
}
