package policy

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Inline tests: {hook, given, targets, accounts, want}. given changes facts by
// path; want names the rule that answers ("none" if no rule does), the fields
// it answers with, for hooks with several answers a mapping or list of rules,
// and for filter, order and accounts the ids that come out.

// TestResult is the outcome of one inline test.
type TestResult struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Hook    string `json:"hook"`
	Name    string `json:"name,omitempty"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// runTests runs the tests of all layers; failures become diagnostics.
func (l *loader) runTests(s *Set) {
	severity := Error
	for _, d := range l.layers {
		if d.warn == nil {
			continue
		}
		switch d.warn.Value {
		case "warn":
			severity = Warning
		case "reject":
			severity = Error
		default:
			d.src.report(d.warn, Error, where{}, "policies.on_test_failure must be reject or warn")
		}
	}
	for _, d := range l.layers {
		for _, n := range d.tests {
			n = resolve(n)
			if r := runTest(s, d.src.layer.File, n); !r.OK {
				d.src.report(n, severity, where{hook: r.Hook}, "test failed: %s", r.Message)
			}
		}
	}
}

// testCase is an inline test as written.
type testCase struct {
	Name     string           `yaml:"name"`
	Hook     string           `yaml:"hook"`
	Given    map[string]any   `yaml:"given"`
	Targets  []map[string]any `yaml:"targets"`
	Accounts []map[string]any `yaml:"accounts"`
	Want     any              `yaml:"want"`
}

func runTest(s *Set, file string, n *yaml.Node) TestResult {
	r := TestResult{File: file, Line: n.Line}
	var tc testCase
	if err := checkTestKeys(n); err != nil {
		r.Message = err.Error()
		return r
	}
	if err := n.Decode(&tc); err != nil {
		r.Message = err.Error()
		return r
	}
	r.Hook, r.Name = tc.Hook, tc.Name
	if err := tc.run(s); err != nil {
		r.Message = err.Error()
		return r
	}
	r.OK = true
	return r
}

func checkTestKeys(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("a test is a mapping like {hook: …, given: {…}, want: …}")
	}
	known := []string{"name", "hook", "given", "targets", "accounts", "want"}
	wants := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if !slices.Contains(known, key) {
			return fmt.Errorf("unknown field %q%s", key, didYouMean(key, known))
		}
		wants = wants || key == "want"
	}
	if !wants {
		return fmt.Errorf("the test wants nothing")
	}
	return nil
}

func (tc *testCase) run(s *Set) error {
	w := newWorld(s)
	if err := tc.prepare(w); err != nil {
		return err
	}
	tr := &Trace{capture: true}
	switch tc.Hook {
	case "filter", "order", "accounts":
		return tc.checkList(s, w, tr)
	}
	if !askHook(s, tc.Hook, w, tr) {
		names := make([]string, 0, hookCount)
		for _, h := range Hooks() {
			names = append(names, h.Name)
		}
		return fmt.Errorf("unknown hook %q%s", tc.Hook, didYouMean(tc.Hook, names))
	}
	for _, e := range tr.Entries {
		if e.Error != "" {
			return fmt.Errorf("rule %s: %s", e.Rule, e.Error)
		}
	}
	switch tc.Hook {
	case "lockout", "rewrite", "budget", "limits", "system", "timeouts", "meter":
		return tc.checkAll(tr)
	}
	return tc.checkFirst(tr)
}

func (tc *testCase) prepare(w *world) error {
	for _, k := range sortedKeys(tc.Given) {
		if err := w.set(k, tc.Given[k]); err != nil {
			return fmt.Errorf("given %s: %w", k, err)
		}
	}
	for i, fields := range tc.Targets {
		t := NewTarget()
		t.Position = i
		for _, k := range sortedKeys(fields) {
			if err := setPath(reflect.ValueOf(t).Elem(), k, fields[k]); err != nil {
				return fmt.Errorf("target %d: %w", i+1, err)
			}
		}
		w.targets = append(w.targets, t)
	}
	if len(w.targets) > 0 && w.combo.Size == 1 {
		w.combo.Size = len(w.targets)
	}
	for i, fields := range tc.Accounts {
		a := NewAccount()
		for _, k := range sortedKeys(fields) {
			if err := setPath(reflect.ValueOf(a).Elem(), k, fields[k]); err != nil {
				return fmt.Errorf("account %d: %w", i+1, err)
			}
		}
		w.accounts = append(w.accounts, a)
	}
	return nil
}

// askHook asks a hook that does not choose among candidates.
func askHook(s *Set, hook string, w *world, tr *Trace) bool {
	gate, target, account, failure := w.gateEnv(), w.targetEnv(), w.accountEnv(), w.errorEnv()
	switch hook {
	case "ip":
		s.IP(&gate.IPEnv, tr)
	case "lockout":
		s.Lockout(&LockoutEnv{IPEnv: w.ipEnv(), Lock: w.lock, Event: w.event}, nil, tr)
	case "gate":
		s.Gate(&gate, tr)
	case "bypass":
		s.Bypass(&gate, tr)
	case "rewrite":
		s.Rewrite(&gate, tr)
	case "cache":
		s.Cache(&gate, tr)
	case "log":
		s.Log(&gate, tr)
	case "budget":
		s.Budget(&BudgetEnv{GateEnv: gate, Budget: w.budget}, w.budgetState, tr)
	case "limits":
		s.Limits(&account, tr)
	case "learn":
		s.Learn(&LearnEnv{AccountEnv: account, Hdr: w.hdr}, tr)
	case "system":
		s.System(&target, tr)
	case "thinking":
		s.Thinking(&target, tr)
	case "context":
		s.Context(&target, tr)
	case "timeouts":
		s.Timeouts(&target, tr)
	case "on_error":
		s.OnError(&failure, tr)
	case "on_exhausted":
		s.OnExhausted(&failure, tr)
	case "breaker":
		s.Breaker(&BreakerEnv{TargetEnv: target, Breaker: w.breaker, Err: w.err}, tr)
	case "meter":
		s.Meter(&MeterEnv{AccountEnv: account, Usage: w.usage}, tr)
	default:
		return false
	}
	return true
}

func (w *world) budgetState(BudgetQuery) BudgetState {
	return BudgetState{Spent: w.budget.Spent, Reserved: w.budget.Reserved, ResetMS: w.budget.ResetMS, Est: w.budget.Est}
}

func (tc *testCase) checkList(s *Set, w *world, tr *Trace) error {
	var got any
	if tc.Hook == "accounts" {
		env := w.accountEnv()
		got = "none"
		if i, ok := s.Accounts(&env, w.accounts, tr); ok {
			got = w.accounts[i].ID
		}
	} else {
		env := w.targetEnv()
		ask := s.Filter
		if tc.Hook == "order" {
			ask = s.Order
		}
		ids := []any{}
		for _, i := range ask(&env, w.targets, tr) {
			ids = append(ids, w.targets[i].ID)
		}
		got = ids
	}
	for _, e := range tr.Entries {
		if e.Error != "" {
			return fmt.Errorf("rule %s, %s: %s", e.Rule, e.Candidate, e.Error)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(tc.Want) {
		return fmt.Errorf("want %v, got %v", tc.Want, got)
	}
	return nil
}

// answers are the rules that applied, with their fields.
func answers(tr *Trace) []Entry {
	var out []Entry
	for _, e := range tr.Entries {
		if e.Matched && !e.Shadow {
			out = append(out, e)
		}
	}
	return out
}

func (tc *testCase) checkFirst(tr *Trace) error {
	all := answers(tr)
	if len(all) == 0 {
		if tc.Want == "none" {
			return nil
		}
		return fmt.Errorf("want %v, but no rule answered", tc.Want)
	}
	e := all[0]
	if last := all[len(all)-1]; last.fields["deny"] != nil || last.fields["allow"] != nil {
		e = last // a gate rule that decides, after ones that warn or tag
	}
	if id, ok := tc.Want.(string); ok {
		if id != e.Rule {
			return fmt.Errorf("want rule %s, got %s", id, e.Rule)
		}
		return nil
	}
	if diff := differs("", tc.Want, e.fields); diff != "" {
		return fmt.Errorf("rule %s: %s", e.Rule, diff)
	}
	return nil
}

func (tc *testCase) checkAll(tr *Trace) error {
	got := map[string]any{}
	var ids []string
	for _, e := range answers(tr) {
		got[e.Rule] = e.fields
		ids = append(ids, e.Rule)
	}
	switch want := tc.Want.(type) {
	case string:
		if want == "none" && len(ids) == 0 || len(ids) == 1 && ids[0] == want {
			return nil
		}
		return fmt.Errorf("want %s, got %v", want, ids)
	case []any:
		if len(want) != len(ids) {
			return fmt.Errorf("want %v, got %v", want, ids)
		}
		for _, x := range want {
			if !slices.Contains(ids, fmt.Sprint(x)) {
				return fmt.Errorf("want %v, got %v", want, ids)
			}
		}
		return nil
	}
	if diff := differs("", tc.Want, got); diff != "" {
		return fmt.Errorf("%s", diff)
	}
	return nil
}

// differs compares what is wanted with a superset of it and describes the first
// difference.
func differs(path string, want, got any) string {
	if m, ok := want.(map[string]any); ok {
		g, ok := fieldsOf(got)
		if !ok {
			return fmt.Sprintf("want %s%v, got %v", prefix(path), want, got)
		}
		for _, k := range sortedKeys(m) {
			v, present := g[k]
			if !present {
				return fmt.Sprintf("want %s%v, but there is no such answer (answers: %s)", prefix(join(path, k)), m[k], strings.Join(sortedKeys(g), ", "))
			}
			if d := differs(join(path, k), m[k], v); d != "" {
				return d
			}
		}
		return ""
	}
	x, err1 := number(want)
	y, err2 := number(got)
	if err1 == nil && err2 == nil {
		if math.Abs(x-y) < 1e-9 || x == y {
			return ""
		}
	} else if fmt.Sprint(want) == fmt.Sprint(got) {
		return ""
	}
	return fmt.Sprintf("want %s%v, got %v", prefix(path), want, got)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + " = "
}

// fieldsOf views a map or a verdict struct as a map.
func fieldsOf(v any) (map[string]any, bool) {
	if m, ok := v.(map[string]any); ok {
		return m, true
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Struct {
		return nil, false
	}
	out := map[string]any{}
	for i := 0; i < rv.NumField(); i++ {
		if tag := rv.Type().Field(i).Tag.Get("expr"); tag != "" && tag != "-" {
			out[tag] = rv.Field(i).Interface()
		}
	}
	return out, true
}

// fields evaluates everything a rule answers with.
func (r *rule) fields(f *frame) map[string]any {
	out := map[string]any{"id": r.id}
	for name, v := range r.values {
		x, err := v.evaluate(f)
		if err != nil {
			x = "error: " + err.Error()
		}
		out[name] = x
	}
	return out
}

func (v *value) evaluate(f *frame) (any, error) {
	switch v.field.kind {
	case fieldBool:
		return v.prog.bool(f)
	case fieldNumber:
		return v.prog.number(f)
	case fieldDecision:
		return v.prog.decision(f)
	case fieldThink:
		return v.prog.think(f)
	case fieldDuration:
		if v.prog == nil {
			return v.ms, nil
		}
		return v.prog.int(f)
	case fieldText:
		return v.text.render(f)
	case fieldTexts:
		out := make([]any, len(v.texts))
		for i, t := range v.texts {
			s, err := t.render(f)
			if err != nil {
				return nil, err
			}
			out[i] = s
		}
		return out, nil
	case fieldMap:
		out := map[string]any{}
		for _, st := range v.sets {
			x, err := st.prog.value(f)
			if err != nil {
				return nil, err
			}
			out[st.path] = x
		}
		return out, nil
	case fieldFlag:
		return v.flag, nil
	case fieldCount:
		return v.count, nil
	case fieldName:
		return v.name, nil
	}
	return v.shares, nil
}
