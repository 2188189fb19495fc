package policy

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"
)

// Record holds the facts one request was decided on. It is kept
// with the request log, and is enough to decide again: offline, under the same
// rules or others. Its JSON uses the names expressions use and leaves out what
// is unknown or usual.
type Record struct {
	// At is when the request was decided; Now in JSON is its RFC 3339 form.
	At time.Time
	// Req is the request before any rule changed it.
	Req   *Req
	Key   *Key
	Sys   *Sys
	Cfg   *Cfg
	Guard *Guard
	Combo *Combo
	// Routes are the model names that were looked up, in order: the requested
	// one, then those that rules put in its place.
	Routes []Route
	// Targets are the candidates of the last route, Accounts and Profiles what
	// belongs to each by target id.
	Targets  []*Target
	Accounts map[string][]*Account
	Profiles map[string]*Profile
	Attempt  *Attempt
	// Spend, Requests and Tokens hold look-ups by "scope/window".
	Spend, Requests, Tokens map[string]float64
	Banned                  []string
	// Budgets holds counters by "scope/unit/period", followed by "@model" where
	// rules had put another model in place; Locks by subject.
	Budgets map[string]BudgetState
	Locks   map[string]Lock
	// Failures are the failed attempts in order; Usage is that of the success.
	Failures []Failure
	Usage    *Usage
	// KeepTexts has JSON hold the body and the texts of the request too. Without
	// it a record tells nothing of what was said. Credentials among the headers
	// are never written.
	KeepTexts bool
	// Served is the target and account that answered.
	Served, ServedAccount string
	// Lookup tells what is known today of a model name the record does not hold,
	// as the Routes, Combo, Cfg, Targets, Accounts and Profiles of another record.
	// It may be nil, or return nil: then nothing that follows from that model is
	// decided. It is not part of the JSON.
	Lookup func(model string) *Record
	// CostUSD is what the request cost, Costs what it would cost by target.
	CostUSD float64
}

// Route is a model name that was looked up.
type Route struct {
	Model string `json:"model"`
	// Tags come from the name: of its alias, its combo or its suffix.
	Tags []string `json:"tags,omitempty"`
	// Chain is the pattern of the fallback chain whose targets come last.
	Chain string `json:"chain,omitempty"`
	// Missing tells that nobody knows the name.
	Missing bool `json:"missing,omitempty"`
}

// Failure is a failed attempt.
type Failure struct {
	Target, Account string
	Err             *Err
	Breaker         *BreakerState
	Attempt         *Attempt
}

// factLog records the look-ups a request makes.
type factLog struct {
	Facts
	mu  sync.Mutex
	rec *Record
}

// Observe returns facts that answer as f does and write each answer into the
// record.
func (r *Record) Observe(f Facts) Facts { return &factLog{Facts: f, rec: r} }

func (l *factLog) put(table *map[string]float64, scope, window string, v float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *table == nil {
		*table = map[string]float64{}
	}
	(*table)[scope+"/"+window] = v
}

func (l *factLog) Spend(scope, window string) float64 {
	v := l.Facts.Spend(scope, window)
	l.put(&l.rec.Spend, scope, window, v)
	return v
}

func (l *factLog) Requests(scope, window string) int {
	v := l.Facts.Requests(scope, window)
	l.put(&l.rec.Requests, scope, window, float64(v))
	return v
}

func (l *factLog) Tokens(scope, window string) int {
	v := l.Facts.Tokens(scope, window)
	l.put(&l.rec.Tokens, scope, window, float64(v))
	return v
}

func (l *factLog) Banned(ip string) bool {
	v := l.Facts.Banned(ip)
	if v {
		l.mu.Lock()
		l.rec.Banned = append(l.rec.Banned, ip)
		l.mu.Unlock()
	}
	return v
}

// ObserveBudget returns a budget look-up that writes each answer into the
// record, as one about the last of its routes.
func (r *Record) ObserveBudget(look func(BudgetQuery) BudgetState) func(BudgetQuery) BudgetState {
	return func(q BudgetQuery) BudgetState {
		v := look(q)
		if r.Budgets == nil {
			r.Budgets = map[string]BudgetState{}
		}
		key := q.key()
		if n := len(r.Routes); n > 1 {
			key += "@" + r.Routes[n-1].Model
		}
		r.Budgets[key] = v
		return v
	}
}

func (q BudgetQuery) key() string { return q.Scope + "/" + q.Unit + "/" + q.Period }

// budget answers a look-up about a model from the record.
func (r *Record) budget(q BudgetQuery, model string) BudgetState {
	if v, ok := r.Budgets[q.key()+"@"+model]; ok {
		return v
	}
	return r.Budgets[q.key()]
}

// route finds the look-up of a model name.
func (r *Record) route(model string) (route Route, ok bool) {
	for _, x := range r.Routes {
		if x.Model == model {
			return x, true
		}
	}
	return Route{}, false
}

// resolved tells whether Targets are those of a model name. A record without
// routes says of no other name.
func (r *Record) resolved(model string) bool {
	if n := len(r.Routes); n > 0 {
		return r.Routes[n-1].Model == model
	}
	return len(r.Targets) > 0
}

// recordJSON is the wire form of a Record as it is read; encode.go writes it.
type recordJSON struct {
	Now      string                      `json:"now,omitempty"`
	Req      map[string]any              `json:"req,omitempty"`
	Key      map[string]any              `json:"key,omitempty"`
	Sys      map[string]any              `json:"sys,omitempty"`
	Cfg      map[string]any              `json:"cfg,omitempty"`
	Guard    map[string]any              `json:"guard,omitempty"`
	Combo    map[string]any              `json:"combo,omitempty"`
	Routes   []Route                     `json:"routes,omitempty"`
	Targets  []map[string]any            `json:"targets,omitempty"`
	Accounts map[string][]map[string]any `json:"accounts,omitempty"`
	Profiles map[string]map[string]any   `json:"profiles,omitempty"`
	Attempt  map[string]any              `json:"attempt,omitempty"`
	Spend    map[string]float64          `json:"spend,omitempty"`
	Requests map[string]float64          `json:"requests,omitempty"`
	Tokens   map[string]float64          `json:"tokens,omitempty"`
	Banned   []string                    `json:"banned,omitempty"`
	Budgets  map[string]budgetJSON       `json:"budgets,omitempty"`
	Locks    map[string]map[string]any   `json:"locks,omitempty"`
	Failures []failureJSON               `json:"failures,omitempty"`
	Usage    *map[string]any             `json:"usage,omitempty"` // present, if empty, for a finished request
	Served   string                      `json:"served,omitempty"`
	Account  string                      `json:"served_account,omitempty"`
	CostUSD  float64                     `json:"cost_usd,omitempty"`
}

type budgetJSON struct {
	Spent    float64 `json:"spent,omitempty"`
	Reserved float64 `json:"reserved,omitempty"`
	Est      float64 `json:"est,omitempty"`
	ResetMS  int     `json:"reset_ms,omitempty"`
}

type failureJSON struct {
	Target  string         `json:"target"`
	Account string         `json:"account,omitempty"`
	Err     map[string]any `json:"err"`
	Breaker map[string]any `json:"breaker,omitempty"`
	Attempt map[string]any `json:"attempt,omitempty"`
}

// isCredential tells whether a header may carry a secret.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "api-key", "apikey", "cookie", "token", "secret"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// UnmarshalJSON reads a record; unknown names are errors.
func (r *Record) UnmarshalJSON(data []byte) error {
	var in recordJSON
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*r = Record{
		Req: NewReq(), Key: NewKey(), Sys: &Sys{}, Cfg: NewCfg(), Guard: &Guard{}, Combo: &Combo{Size: 1}, Attempt: &Attempt{N: 1},
		Routes: in.Routes, Spend: in.Spend, Requests: in.Requests, Tokens: in.Tokens, Banned: in.Banned,
		Served: in.Served, ServedAccount: in.Account, CostUSD: in.CostUSD,
	}
	if in.Now != "" {
		at, err := time.Parse(time.RFC3339Nano, in.Now)
		if err != nil {
			return fmt.Errorf("now: %w", err)
		}
		r.At = at
	}
	var errs []error
	fill := func(what string, into any, m map[string]any) {
		for _, k := range sortedKeys(m) {
			if err := setEntry(reflect.ValueOf(into).Elem(), k, m[k]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
			}
		}
	}
	fill("req", r.Req, in.Req)
	fill("key", r.Key, in.Key)
	fill("sys", r.Sys, in.Sys)
	fill("cfg", r.Cfg, in.Cfg)
	fill("guard", r.Guard, in.Guard)
	fill("combo", r.Combo, in.Combo)
	fill("attempt", r.Attempt, in.Attempt)
	if in.Usage != nil {
		r.Usage = &Usage{}
		fill("usage", r.Usage, *in.Usage)
	}
	for i, m := range in.Targets {
		t := NewTarget()
		t.Position = i
		fill(fmt.Sprintf("targets[%d]", i), t, m)
		if t.Provider == "" {
			t.Provider, t.Model, _ = strings.Cut(t.ID, "/")
		}
		r.Targets = append(r.Targets, t)
	}
	r.fillByID(in, fill)
	for i, f := range in.Failures {
		out := Failure{Target: f.Target, Account: f.Account, Err: NewErr(0), Breaker: &BreakerState{State: "closed"}, Attempt: &Attempt{N: i + 1}}
		fill("failures", out.Err, f.Err)
		fill("failures", out.Breaker, f.Breaker)
		fill("failures", out.Attempt, f.Attempt)
		r.Failures = append(r.Failures, out)
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

func (r *Record) fillByID(in recordJSON, fill func(string, any, map[string]any)) {
	for id, list := range in.Accounts {
		if r.Accounts == nil {
			r.Accounts = map[string][]*Account{}
		}
		for i, m := range list {
			a := NewAccount()
			fill(fmt.Sprintf("accounts.%s[%d]", id, i), a, m)
			r.Accounts[id] = append(r.Accounts[id], a)
		}
	}
	for id, m := range in.Profiles {
		if r.Profiles == nil {
			r.Profiles = map[string]*Profile{}
		}
		kind, _ := m["kind"].(string)
		p := NewProfile(kind)
		fill("profiles."+id, p, m)
		r.Profiles[id] = p
	}
	for k, b := range in.Budgets {
		if r.Budgets == nil {
			r.Budgets = map[string]BudgetState{}
		}
		r.Budgets[k] = BudgetState{Spent: b.Spent, Reserved: b.Reserved, Est: b.Est, ResetMS: b.ResetMS}
	}
	for k, m := range in.Locks {
		if r.Locks == nil {
			r.Locks = map[string]Lock{}
		}
		var l Lock
		fill("locks."+k, &l, m)
		r.Locks[k] = l
	}
}
