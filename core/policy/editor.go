package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/fault"
	"go.yaml.in/yaml/v3"
)

// ExprResult is what the editor shows about one expression.
type ExprResult struct {
	OK          bool         `json:"ok"`
	Type        string       `json:"type,omitempty"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
	References  []string     `json:"references,omitempty"`
	// Native tells that the expression runs as native code, not in the VM.
	Native bool    `json:"native"`
	Result any     `json:"result,omitempty"`
	US     float64 `json:"took_us,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// CheckExpr compiles the text of one payload field as the loader would. vars
// and lists are those of the set.
func (s *Set) CheckExpr(hook, fieldName, src string) ExprResult {
	r, _ := s.compileField(hook, fieldName, src)
	return r
}

// EvalExpr is CheckExpr and evaluates the field; given changes facts by path as
// in inline tests.
func (s *Set) EvalExpr(hook, fieldName, src string, given map[string]any) ExprResult {
	out, v := s.compileField(hook, fieldName, src)
	if v == nil {
		return out
	}
	w := newWorld(s)
	for _, k := range sortedKeys(given) {
		if err := w.set(k, given[k]); err != nil {
			out.OK, out.Error = false, err.Error()
			return out
		}
	}
	f, done := s.bindWorld(hook, w)
	defer done()
	start := time.Now()
	result, err := v.evaluate(f)
	out.US = float64(time.Since(start).Nanoseconds()) / 1e3
	if err != nil {
		out.OK, out.Error = false, err.Error()
		return out
	}
	out.Result = presentable(result)
	return out
}

func (s *Set) compileField(hook, fieldName, src string) (ExprResult, *value) {
	h := hookNamed(hook)
	if h == nil {
		return ExprResult{Error: fmt.Sprintf("unknown hook %q", hook)}, nil
	}
	fd, ok := h.field(fieldName)
	if !ok {
		return ExprResult{Error: fmt.Sprintf("a %s rule has no field %q", hook, fieldName)}, nil
	}
	if fd.kind == fieldNumbers {
		fd.kind = fieldNumber // the editor checks one key at a time
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: src, Line: 1, Column: 1, Style: yaml.LiteralStyle}
	var diags []Diagnostic
	c := &fieldCompiler{
		x: newExpressions(s.expressions.consts), env: h.env, w: where{hook: hook, field: fieldName},
		src: &source{layer: Layer{File: hook + "." + fieldName, Data: []byte(src)}, diags: &diags, lines: append([]string{""}, strings.Split(src, "\n")...)},
	}
	v := c.value(fd, node)
	for i := range diags {
		diags[i].Line = max(diags[i].Line-1, 1) // the literal begins in the line after its head
		diags[i].Excerpt = fault.Excerpt([]byte(src), diags[i].Line, diags[i].Column)
	}
	out := ExprResult{OK: v != nil, Diagnostics: diags, Type: fd.kind.String()}
	if v != nil && v.prog != nil {
		out.References, out.Native = slices.Compact(slices.Sorted(slices.Values(v.prog.refs))), v.prog.isNative
	}
	return out, v
}

// bindWorld prepares a frame for a single evaluation.
func (s *Set) bindWorld(hook string, w *world) (*frame, func()) {
	env := w.errorEnv()
	bound := any(&env)
	switch hook {
	case "ip":
		bound = &env.IPEnv
	case "lockout":
		bound = &LockoutEnv{IPEnv: env.IPEnv, Lock: w.lock, Event: w.event}
	case "budget":
		bound = &BudgetEnv{GateEnv: env.GateEnv, Budget: w.budget}
	case "gate", "bypass", "rewrite", "cache", "log":
		bound = &env.GateEnv
	case "filter", "order", "system", "thinking", "context", "timeouts":
		bound = &env.TargetEnv
	case "accounts", "limits":
		bound = &env.AccountEnv
	case "learn":
		bound = &LearnEnv{AccountEnv: env.AccountEnv, Hdr: w.hdr}
	case "breaker":
		bound = &BreakerEnv{TargetEnv: env.TargetEnv, Breaker: w.breaker, Err: w.err}
	case "meter":
		bound = &MeterEnv{AccountEnv: env.AccountEnv, Usage: w.usage}
	}
	f := s.acquire(bound, noHook)
	f.bindAccount(&env.AccountEnv)
	f.bindFailure(&env.Breaker, &env.Err)
	for i, n := range slotNames() {
		if n == "lock" || n == "event" || n == "budget" || n == "hdr" || n == "usage" {
			f.slots[i] = reflect.ValueOf(w.facts(n)).Elem()
		}
	}
	root := bound.(interface{ root() *IPEnv }).root()
	root.run = f
	f.base = root
	return f, func() { s.release(f) }
}
