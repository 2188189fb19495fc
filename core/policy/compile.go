package policy

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
)

// Limits on the text of one expression, checked before it is parsed.
const (
	maxNodes   = 2000
	maxSource  = 16 << 10
	maxNesting = 64
	maxRange   = 1000
	maxDepth   = 2 // nested predicates
)

// exprError is a problem in an expression; from is its place, in characters.
type exprError struct {
	msg  string
	from int
}

func (e *exprError) Error() string { return e.msg }

// want is the type an expression has to yield.
type want int

const (
	wantAny want = iota
	wantBool
	wantNumber // as float64
	wantInt
	wantDecision
	wantThink
)

// constants are the vars and lists of a set, folded into expressions.
type constants struct {
	vars  map[string]any
	lists map[string][]string
}

// expressions compiles the expressions of a set.
type expressions struct {
	consts constants
	table  map[string]*function
	names  map[reflect.Type]map[string]bool // variables by environment
	// vmOnly switches native code off; tests compare both.
	vmOnly bool
	// known are programs of an earlier set, fresh the ones made now.
	known, fresh map[programKey]*program
}

type programKey struct {
	env    reflect.Type
	want   want
	src    string
	consts string
}

func newExpressions(consts constants) *expressions {
	x := &expressions{
		consts: consts, table: map[string]*function{}, names: map[reflect.Type]map[string]bool{}, fresh: map[programKey]*program{},
	}
	for _, f := range functions() {
		x.table[f.name] = &f
	}
	return x
}

// visible tells whether a function can be called in an environment.
func (x *expressions) visible(f *function, env reflect.Type) bool {
	if f.visible == "" {
		return true
	}
	names := x.names[env]
	if names == nil {
		names = map[string]bool{}
		for _, n := range variableNames(env) {
			names[n] = true
		}
		x.names[env] = names
	}
	return names[f.visible]
}

// config returns a fresh configuration for an environment.
func (x *expressions) config(env reflect.Type, w want) *conf.Config {
	c := conf.CreateNew()
	c.WithEnv(reflect.New(env).Interface())
	c.MaxNodes = maxNodes
	expr.DisableBuiltin("now")(c)
	delete(c.Builtins, "now")
	for name, f := range x.table {
		if !x.visible(f, env) {
			continue
		}
		fn := &builtin.Function{Name: name, Func: f.call}
		for _, t := range f.types {
			fn.Types = append(fn.Types, reflect.TypeOf(t).Elem())
		}
		c.Functions[name] = fn
	}
	switch w {
	case wantBool:
		expr.AsBool()(c)
	case wantNumber:
		expr.AsFloat64()(c)
	case wantInt:
		expr.AsInt()(c)
	}
	return c
}

// compile checks an expression against an environment and translates it.
func (x *expressions) compile(env reflect.Type, src string, w want) (*program, *exprError) {
	key := programKey{env, w, src, x.consts.used(src)}
	if p := x.known[key]; p != nil {
		x.fresh[key] = p
		return p, nil
	}
	if p := x.fresh[key]; p != nil {
		return p, nil
	}
	if err := checkSource(src); err != nil {
		return nil, err
	}
	c := x.config(env, w)
	tree, err := parser.ParseWithConfig(src, c)
	if err != nil {
		return nil, x.explain(env, located(err))
	}
	fold := &folder{x: x, env: env}
	ast.Walk(&tree.Node, fold)
	if fold.err != nil {
		return nil, fold.err
	}
	typ, err := new(checker.Checker).Check(tree, c)
	if err != nil {
		return nil, x.explain(env, located(err))
	}
	if err := checkVerdict(typ, w); err != nil {
		return nil, err
	}
	lim := &limits{}
	lim.walk(tree.Node, 0)
	if lim.err != nil {
		return nil, lim.err
	}
	p := &program{src: src, refs: references(tree.Node), want: w}
	if !x.vmOnly {
		p.native, p.isNative = compileNative(tree.Node, env, w)
	}
	if !p.isNative {
		if perr := p.compileVM(tree, c); perr != nil {
			return nil, perr
		}
	}
	x.fresh[key] = p
	return p, nil
}

// compileVM makes the bytecode, with the charges that bound its cost.
func (p *program) compileVM(tree *parser.Tree, c *conf.Config) *exprError {
	h := &hardener{heavy: heavyBuiltins(), config: c}
	h.node(&tree.Node, 0)
	if err := optimizer.Optimize(&tree.Node, c); err != nil {
		return located(err)
	}
	code, err := compiler.Compile(tree, c)
	if err != nil {
		return located(err)
	}
	p.code = code
	return nil
}

func located(err error) *exprError {
	var fe *file.Error
	if errors.As(err, &fe) {
		return &exprError{msg: fe.Message, from: fe.From}
	}
	return &exprError{msg: err.Error()}
}

// checkSource bounds what the parser, which is recursive, is given.
func checkSource(src string) *exprError {
	if strings.TrimSpace(src) == "" {
		return &exprError{msg: "the expression is empty"}
	}
	if len(src) > maxSource {
		return &exprError{msg: fmt.Sprintf("the expression is longer than %d KiB", maxSource>>10)}
	}
	depth, at := 0, 0
	for _, r := range src {
		switch r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth > maxNesting {
			return &exprError{msg: fmt.Sprintf("brackets are nested more than %d deep", maxNesting), from: at}
		}
		at++
	}
	return nil
}

func checkVerdict(got reflect.Type, w want) *exprError {
	var need reflect.Type
	switch w {
	case wantDecision:
		need = reflect.TypeFor[Decision]()
	case wantThink:
		need = reflect.TypeFor[ThinkOp]()
	default:
		return nil
	}
	if got == need {
		return nil
	}
	makers := "cool, coolUp, coolReset, next, retrySame, stop or disable"
	if w == wantThink {
		makers = "keep, strip, think or effort"
	}
	return &exprError{msg: fmt.Sprintf("the expression must yield a %s (made by %s), but yields %s", need.Name(), makers, typeName(got))}
}

func typeName(t reflect.Type) string {
	if t == nil || t.Kind() == reflect.Interface {
		return "a value of unknown type"
	}
	return strings.TrimPrefix(t.String(), "policy.")
}

var (
	reUnknown = regexp.MustCompile(`^unknown name (\w+)`)
	reField   = regexp.MustCompile(`^type \*?policy\.(\w+) has no field (\w+)`)
)

// explain adds to a message of the checker what a person would ask next.
func (x *expressions) explain(env reflect.Type, e *exprError) *exprError {
	e.msg = strings.ReplaceAll(e.msg, "*policy.", "policy.")
	if m := reUnknown.FindStringSubmatch(e.msg); m != nil {
		e.msg += x.hintName(env, m[1])
	}
	if m := reField.FindStringSubmatch(e.msg); m != nil {
		if t := factType(m[1]); t != nil {
			if s := nearest(m[2], fieldNames(t)); s != "" {
				e.msg += fmt.Sprintf(" (did you mean %s?)", s)
			}
		}
	}
	e.msg = strings.ReplaceAll(e.msg, "policy.", "")
	return e
}

func (x *expressions) hintName(env reflect.Type, name string) string {
	if name == "now" {
		return " (not available because it is not repeatable; use clock)"
	}
	var seen []string
	for _, h := range Hooks() {
		f := x.table[name]
		if hasVariable(h.env, name) || f != nil && f.visible != "" && hasVariable(h.env, f.visible) {
			seen = append(seen, h.Name)
		}
	}
	if len(seen) > 0 {
		return " here (visible in " + strings.Join(seen, ", ") + ")"
	}
	names := variableNames(env)
	for n := range x.table {
		names = append(names, n)
	}
	names = append(names, "vars", "lists")
	if s := nearest(name, names); s != "" {
		return fmt.Sprintf(" (did you mean %s?)", s)
	}
	return ""
}

// used returns the part of the constants an expression may depend on, as a key.
func (c constants) used(src string) string {
	if !strings.Contains(src, "vars") && !strings.Contains(src, "lists") {
		return ""
	}
	return c.String()
}

// String is a canonical form of all constants.
func (c constants) String() string {
	var b strings.Builder
	for _, k := range sortedKeys(c.vars) {
		fmt.Fprintf(&b, "%s=%T%q;", k, c.vars[k], fmt.Sprint(c.vars[k]))
	}
	for _, k := range sortedKeys(c.lists) {
		fmt.Fprintf(&b, "%s=%q;", k, c.lists[k])
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
