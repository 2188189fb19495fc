package policy

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"
)

// rule is a compiled rule.
type rule struct {
	hook   string
	id     string
	shadow bool
	when   *program // nil = always
	values map[string]*value

	// The fields of hooks that are asked for each candidate.
	by                                             []*program
	sample, p2c, front, back, eligible, keep, drop *program
	soft                                           bool
	do                                             *program
	perCandidate                                   bool // when reads target or account

	origin Origin
	node   *yaml.Node

	*counts
	lastError atomic.Pointer[string]

	details     sync.Once
	detailParts []detailField
}

// Origin is where a rule comes from.
type Origin struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Level Level  `json:"level"`
	// Scope is set for rules of an account's, combo's or provider's own block.
	Scope Scope `json:"scope"`
}

// value is a compiled payload field.
type value struct {
	field  field
	prog   *program
	progs  []*program
	text   *template
	texts  []*template
	sets   []setter
	ms     int // literal duration, if prog is nil
	flag   bool
	count  int
	name   string
	shares []float64
}

type setter struct {
	path string
	prog *program
}

func (r *rule) flag(name string) bool {
	v := r.values[name]
	return v != nil && v.flag
}

// word returns a plain text field, or def.
func (r *rule) word(name, def string) string {
	if v := r.values[name]; v != nil {
		return v.name
	}
	return def
}

func (r *rule) amount(name string, def int) int {
	if v := r.values[name]; v != nil {
		return v.count
	}
	return def
}

// text renders a text field; "" if the rule has none.
func (r *rule) text(f *frame, name string) (string, error) {
	v := r.values[name]
	if v == nil {
		return "", nil
	}
	s, err := v.text.render(f)
	return s, wrap(name, err)
}

func (r *rule) texts(f *frame, name string) ([]string, error) {
	v := r.values[name]
	if v == nil {
		return nil, nil
	}
	out := make([]string, len(v.texts))
	for i, t := range v.texts {
		s, err := t.render(f)
		if err != nil {
			return nil, wrap(name, err)
		}
		out[i] = s
	}
	return out, nil
}

// duration evaluates a duration field in milliseconds; Unset if there is none.
// Negative results count as 0.
func (r *rule) duration(f *frame, name string) (int, error) {
	v := r.values[name]
	if v == nil {
		return Unset, nil
	}
	if v.prog == nil {
		return v.ms, nil
	}
	n, err := v.prog.int(f)
	return max(n, 0), wrap(name, err)
}

// integer evaluates a number field as a whole number; Unset if there is none.
func (r *rule) integer(f *frame, name string) (int, error) {
	v := r.values[name]
	if v == nil {
		return Unset, nil
	}
	n, err := v.prog.int(f)
	return n, wrap(name, err)
}

func (r *rule) number(f *frame, name string, def float64) (float64, error) {
	v := r.values[name]
	if v == nil {
		return def, nil
	}
	n, err := v.prog.number(f)
	return n, wrap(name, err)
}

func (r *rule) condition(f *frame, name string) (bool, error) {
	v := r.values[name]
	if v == nil {
		return false, nil
	}
	b, err := v.prog.bool(f)
	return b, wrap(name, err)
}

func wrap(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", field, err)
}

// applies evaluates when.
func (r *rule) applies(f *frame) (bool, error) {
	if r.when == nil {
		return true, nil
	}
	b, err := r.when.bool(f)
	return b, wrap("when", err)
}

// logEvery is the shortest time between two reports about one rule.
const logEvery = time.Minute

// failed counts an evaluation that ended in an error and reports it at most
// once a minute.
func (s *Set) failed(r *rule, tr *Trace, candidate string, err error) {
	r.errors.Add(1)
	msg := err.Error()
	if len(msg) > maxShown {
		msg = msg[:maxShown] + "…" // it may quote a text of the request
	}
	r.lastError.Store(&msg)
	if tr != nil {
		tr.Entries = append(tr.Entries, Entry{Hook: r.hook, Rule: r.id, Candidate: candidate, Shadow: r.shadow, Error: msg})
	}
	if s.onError == nil {
		return
	}
	now := time.Now().UnixNano()
	last := r.lastLog.Load()
	if (last == 0 || now-last >= int64(logEvery)) && r.lastLog.CompareAndSwap(last, now) {
		s.onError(RuleError{Hook: r.hook, Rule: r.id, Origin: r.origin, Message: msg, Count: r.errors.Load()})
	}
}

// RuleError reports a rule that could not be evaluated.
type RuleError struct {
	Hook, Rule string
	Origin     Origin
	Message    string
	// Count is the number of failures since the rule was loaded.
	Count int64
}

// ask evaluates the when of a rule for hooks that are asked once. It counts,
// traces, and hides shadow rules; answer is computed only for rules that apply,
// also shadow ones. ok tells that the rule applies and counts.
func ask[T any](s *Set, f *frame, r *rule, tr *Trace, answer func(*frame, *rule) (T, error)) (v T, ok bool, err error) {
	var start time.Time
	if tr != nil && tr.Detail {
		start = time.Now()
	}
	applies, err := r.applies(f)
	if err == nil && applies {
		v, err = answer(f, r)
	}
	if err != nil {
		s.failed(r, tr, "", err)
		if r.shadow {
			err = nil
		}
		return v, false, err
	}
	if tr != nil {
		e := Entry{Hook: r.hook, Rule: r.id, Matched: applies, Shadow: r.shadow}
		if applies {
			e.Value = v
			if t, ok := any(v).(interface{ traced() any }); ok {
				e.Value = t.traced()
			}
			if tr.capture {
				e.fields = r.fields(f)
			}
		}
		s.note(f, r, tr, e, start)
	}
	if !applies {
		return v, false, nil
	}
	if r.shadow {
		r.shadows.Add(1)
		return v, false, nil
	}
	r.hits.Add(1)
	return v, true, nil
}

// note appends an entry, with the parts that decided if the trace wants detail.
func (s *Set) note(f *frame, r *rule, tr *Trace, e Entry, start time.Time) {
	if tr.Detail {
		e.US = float64(time.Since(start).Nanoseconds()) / 1e3
		e.Parts = s.parts(f, r, e.Matched || e.asked)
	}
	tr.Entries = append(tr.Entries, e)
}
