package policy

import (
	"strings"
	"sync"
	"time"
)

// Set is a compiled, immutable policy set. All methods are safe for concurrent
// use; the environments, facts and traces passed to them belong to one
// goroutine.
type Set struct {
	preset      string
	hash        string
	location    *time.Location
	efforts     map[string]int
	failClosed  bool // of budget rules
	expressions *expressions
	unknown     unknownFacts

	global    *block
	combos    map[string]*block
	providers map[string]*block
	accounts  map[string]*block

	refs    map[string]bool // every fact read, and all prefixes of it
	leaves  map[string]bool // every fact read
	frames  *sync.Pool
	times   *[hookCount]evalTimes // shared with the set that went before
	onError func(RuleError)
}

// hookID numbers the hooks in the order of Hooks.
type hookID int

const (
	hookIP hookID = iota
	hookLockout
	hookGate
	hookBypass
	hookRewrite
	hookCache
	hookBudget
	hookLog
	hookFilter
	hookOrder
	hookAccounts
	hookLimits
	hookLearn
	hookSystem
	hookThinking
	hookContext
	hookTimeouts
	hookOnError
	hookOnExhausted
	hookBreaker
	hookMeter
	hookCount

	noHook = hookCount // an evaluation that answers no request
)

// block holds the rules of one scope, by hook.
type block struct{ rules [hookCount][]*rule }

func (s *Set) addBlock(sc Scope, b *block) {
	put := func(m *map[string]*block, key string) {
		if *m == nil {
			*m = map[string]*block{}
		}
		(*m)[key] = b
	}
	switch sc.kind() {
	case "account":
		put(&s.accounts, sc.Account)
	case "combo":
		put(&s.combos, sc.Combo)
	case "provider":
		put(&s.providers, sc.Provider)
	default:
		s.global = b
	}
}

// rulesFor returns the rules of a hook that concern a request: the account's,
// the combo's, the provider's and the global ones, in the order to ask them.
func (s *Set) rulesFor(h hookID, env *TargetEnv, account string) [4][]*rule {
	var out [4][]*rule
	if b := s.accounts[account]; b != nil {
		out[0] = b.rules[h]
	}
	if s.combos != nil {
		if b := s.combos[env.Combo.Name]; b != nil {
			out[1] = b.rules[h]
		}
	}
	if s.providers != nil {
		if b := s.providers[env.Target.Provider]; b != nil {
			out[2] = b.rules[h]
		}
	}
	out[3] = s.global.rules[h]
	return out
}

// each visits all rules of the set.
func (s *Set) each(visit func(r *rule)) {
	blocks := []*block{s.global}
	for _, m := range []map[string]*block{s.accounts, s.combos, s.providers} {
		for _, k := range sortedKeys(m) {
			blocks = append(blocks, m[k])
		}
	}
	for _, b := range blocks {
		for _, list := range b.rules {
			for _, r := range list {
				visit(r)
			}
		}
	}
}

// Hash identifies the content of the set; equal sources give equal hashes.
func (s *Set) Hash() string { return s.hash }

// Preset names the preset below the set; "" = none.
func (s *Set) Preset() string { return s.preset }

// OnRuleError has fn called, at most once a minute for each rule, when a rule
// cannot be evaluated. Call it before the set is shared.
func (s *Set) OnRuleError(fn func(RuleError)) { s.onError = fn }

// programs visits the expressions of a rule.
func (r *rule) programs(visit func(field string, p *program)) {
	if r.when != nil {
		visit("when", r.when)
	}
	for _, name := range sortedKeys(r.values) {
		v := r.values[name]
		if v.prog != nil {
			visit(name, v.prog)
		}
		for _, p := range v.progs {
			visit(name, p)
		}
		for _, st := range v.sets {
			visit(name+"."+st.path, st.prog)
		}
		for _, t := range append(v.texts, v.text) {
			if t == nil {
				continue
			}
			for _, p := range t.parts {
				if p.hole != nil {
					visit(name, p.hole)
				}
			}
		}
	}
}

// implied are facts the functions and the engine itself read.
func implied(src string) []string {
	var out []string
	for word, fact := range map[string]string{
		"header(": "req.headers", "rand(": "req.id", "cool": "account.backoff",
		"between(": "clock.unix_ms", "hourIn(": "clock.unix_ms", "weekdayIn(": "clock.unix_ms",
		"spend(": "spend", "requests(": "requests", "tokens(": "tokens", "banned(": "banned",
	} {
		if strings.Contains(src, word) {
			out = append(out, fact)
		}
	}
	return out
}

func (s *Set) collectRefs() {
	s.refs, s.leaves = map[string]bool{}, map[string]bool{}
	s.each(func(r *rule) {
		r.programs(func(_ string, p *program) {
			for _, ref := range append(implied(p.src), p.refs...) {
				s.leaves[ref] = true
				for i := range ref {
					if ref[i] == '.' {
						s.refs[ref[:i]] = true
					}
				}
				s.refs[ref] = true
			}
		})
		r.perCandidate = r.when != nil && r.when.reads("target", "account")
	})
}

// reads tells whether an expression reads anything of the variables.
func (p *program) reads(variables ...string) bool {
	for _, ref := range p.refs {
		head, _, _ := strings.Cut(ref, ".")
		for _, v := range variables {
			if head == v {
				return true
			}
		}
	}
	return false
}

// Needs tells whether a loaded rule reads a fact: "req.body",
// "target.stats.p95_ms", "guard" … A prefix asks for everything below it. Facts
// nobody needs need not be computed. The look-ups are called spend, requests,
// tokens and banned.
func (s *Set) Needs(path string) bool {
	if s.refs[path] {
		return true
	}
	for i := range path {
		if path[i] == '.' && s.leaves[path[:i]] {
			return true // a rule reads the whole, like req.body
		}
	}
	return false
}

// Clock returns the wall-clock facts for a moment, in the set's time zone.
func (s *Set) Clock(now time.Time) *Clock {
	t := now.In(s.location)
	return &Clock{
		UnixMS: int(t.UnixMilli()), Hour: t.Hour(), Minute: t.Minute(), Weekday: weekday(t), Day: t.Day(),
		Date: t.Format("2006-01-02"), HHMM: t.Format("15:04"),
	}
}

// RuleInfo is a loaded rule and its counters.
type RuleInfo struct {
	Hook   string `json:"hook"`
	ID     string `json:"id"`
	Origin Origin `json:"origin"`
	Shadow bool   `json:"shadow,omitempty"`
	// Hits counts answers, ShadowHits would-be answers, Errors failed
	// evaluations. A rule keeps its counts over LoadAfter by its hook and id.
	Hits       int64  `json:"hits"`
	ShadowHits int64  `json:"shadow_hits,omitempty"`
	Errors     int64  `json:"errors,omitempty"`
	LastError  string `json:"last_error,omitempty"`
}

// Rules lists the rules in the order they are asked, hook by hook, own blocks
// of accounts, combos and providers last.
func (s *Set) Rules() []RuleInfo {
	var out []RuleInfo
	s.each(func(r *rule) {
		info := RuleInfo{
			Hook: r.hook, ID: r.id, Origin: r.origin, Shadow: r.shadow,
			Hits: r.hits.Load(), ShadowHits: r.shadows.Load(), Errors: r.errors.Load(),
		}
		if e := r.lastError.Load(); e != nil {
			info.LastError = *e
		}
		out = append(out, info)
	})
	return out
}
