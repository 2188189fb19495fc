package policy

import (
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Native code: most expressions of real rule files compare a few fields, and
// running them as Go closures over the frame is several times faster than the
// VM and allocates nothing. The compiler below knows the typed part of the
// language; whatever it does not know (values of unknown type, maps, let …)
// makes it give up, and the whole expression runs in the VM. Both have the same
// meaning, which the tests check expression by expression.

// kind is the static type of a native value.
type kind uint8

const (
	kindBool    kind = iota + 1
	kindInt          // int
	kindFloat        // float64
	kindNumber       // an int or a float64, known only at run time; held as float64
	kindText         // string
	kindTexts        // []string
	kindMaybe        // *float64
	kindTextMap      // map[string]string
	kindRef          // a struct: a variable, a part of one, or an element
	kindTargets
	kindAccounts
	kindDecision
	kindThink
)

// native is a compiled expression; the field that belongs to its kind is set.
type native struct {
	kind kind
	b    func(*frame) bool
	i    func(*frame) int
	n    func(*frame) float64 // kindFloat, kindNumber
	s    func(*frame) string
	l    func(*frame) []string
	p    func(*frame) *float64
	m    func(*frame) map[string]string
	d    func(*frame) Decision
	o    func(*frame) ThinkOp
	ref  ref

	literal any // the value of a constant, else nil
	// fallible marks values which are nil in the VM where native code fails;
	// they must not be compared with ==.
	fallible bool
}

// ref is a place in the frame: a variable or the element of a predicate, and
// the fields to follow from there.
type ref struct {
	slot  slot
	depth int // element of the predicate at this depth, if elem
	elem  bool
	path  []int
	typ   reflect.Type // struct type at the end of path
}

// nativeCompiler holds the predicate scopes while a tree is compiled.
type nativeCompiler struct {
	env    reflect.Type
	scopes []kind // kind of the collection of each predicate around the node
}

// compileNative translates a checked tree; ok is false if it uses anything
// native code does not know.
func compileNative(n ast.Node, env reflect.Type, w want) (v native, ok bool) {
	c := &nativeCompiler{env: env}
	v, ok = c.node(n)
	if !ok {
		return native{}, false
	}
	switch w {
	case wantBool:
		ok = v.kind == kindBool
	case wantNumber, wantInt:
		ok = v.isNumber()
	case wantDecision:
		ok = v.kind == kindDecision
	case wantThink:
		ok = v.kind == kindThink
	case wantAny:
		ok = v.kind == kindBool || v.kind == kindInt || v.kind == kindFloat || v.kind == kindText
	}
	return v, ok
}

func (v native) isNumber() bool {
	return v.kind == kindInt || v.kind == kindFloat || v.kind == kindNumber
}

// float reads any number as float64.
func (v native) float() func(*frame) float64 {
	if v.kind != kindInt {
		return v.n
	}
	i := v.i
	return func(f *frame) float64 { return float64(i(f)) }
}

// integer reads any number as int, truncating as the VM does.
func (v native) integer() func(*frame) int {
	if v.kind == kindInt {
		return v.i
	}
	n := v.n
	return func(f *frame) int { return int(n(f)) }
}

func boolean(b func(*frame) bool) native  { return native{kind: kindBool, b: b} }
func integer(i func(*frame) int) native   { return native{kind: kindInt, i: i} }
func text(s func(*frame) string) native   { return native{kind: kindText, s: s} }
func float(n func(*frame) float64) native { return native{kind: kindFloat, n: n} }

func constant(v any) (native, bool) {
	switch x := v.(type) {
	case bool:
		return native{kind: kindBool, literal: x, b: func(*frame) bool { return x }}, true
	case int:
		return native{kind: kindInt, literal: x, i: func(*frame) int { return x }}, true
	case float64:
		return native{kind: kindFloat, literal: x, n: func(*frame) float64 { return x }}, true
	case string:
		return native{kind: kindText, literal: x, s: func(*frame) string { return x }}, true
	case []string:
		return native{kind: kindTexts, literal: x, l: func(*frame) []string { return x }}, true
	}
	return native{}, false
}

func (c *nativeCompiler) node(n ast.Node) (native, bool) {
	switch x := n.(type) {
	case *ast.BoolNode:
		return constant(x.Value)
	case *ast.IntegerNode:
		return constant(x.Value)
	case *ast.FloatNode:
		return constant(x.Value)
	case *ast.StringNode:
		return constant(x.Value)
	case *ast.ConstantNode:
		return constant(x.Value)
	case *ast.ArrayNode:
		return c.array(x)
	case *ast.IdentifierNode:
		return c.variable(x.Value)
	case *ast.PointerNode:
		return c.element(x)
	case *ast.MemberNode:
		return c.member(x)
	case *ast.UnaryNode:
		return c.unary(x)
	case *ast.BinaryNode:
		return c.binary(x)
	case *ast.ConditionalNode:
		return c.conditional(x)
	case *ast.BuiltinNode:
		return c.builtin(x)
	case *ast.CallNode:
		return c.call(x)
	}
	return native{}, false
}

// array knows lists of literal texts only.
func (c *nativeCompiler) array(a *ast.ArrayNode) (native, bool) {
	list := make([]string, len(a.Nodes))
	for i, n := range a.Nodes {
		s, ok := n.(*ast.StringNode)
		if !ok {
			return native{}, false
		}
		list[i] = s.Value
	}
	return constant(list)
}

func (c *nativeCompiler) variable(name string) (native, bool) {
	switch name {
	case "targets":
		return native{kind: kindTargets}, true
	case "accounts":
		return native{kind: kindAccounts}, true
	}
	for i, s := range slotNames() {
		if s == name {
			field, ok := variableType(c.env, name)
			if !ok {
				return native{}, false
			}
			return native{kind: kindRef, ref: ref{slot: slot(i), typ: field.Elem()}}, true
		}
	}
	return native{}, false
}

func (c *nativeCompiler) element(p *ast.PointerNode) (native, bool) {
	if p.Name != "" || len(c.scopes) == 0 {
		return native{}, false
	}
	depth := len(c.scopes) - 1
	switch c.scopes[depth] {
	case kindTexts:
		return text(func(f *frame) string { return f.elemText[depth] }), true
	case kindTargets:
		return native{kind: kindRef, ref: ref{elem: true, depth: depth, typ: reflect.TypeFor[Target]()}}, true
	case kindAccounts:
		return native{kind: kindRef, ref: ref{elem: true, depth: depth, typ: reflect.TypeFor[Account]()}}, true
	}
	return native{}, false
}

func (c *nativeCompiler) member(m *ast.MemberNode) (native, bool) {
	if m.Optional || m.Method {
		return native{}, false
	}
	base, ok := c.node(m.Node)
	if !ok {
		return native{}, false
	}
	switch base.kind {
	case kindRef:
		if p, ok := m.Property.(*ast.StringNode); ok {
			return base.ref.field(p.Value)
		}
	case kindTextMap:
		if key, ok := c.node(m.Property); ok && key.kind == kindText {
			get, k := base.m, key.s
			return text(func(f *frame) string { return get(f)[k(f)] }), true
		}
	case kindTexts:
		if at, ok := c.node(m.Property); ok && at.kind == kindInt {
			list, index := base.l, at.i
			return text(func(f *frame) string { return itemAt(list(f), index(f)) }), true
		}
	}
	return native{}, false
}

func itemAt(list []string, i int) string {
	if i < 0 {
		i += len(list)
	}
	return list[i]
}

// field compiles the read of one field.
func (r ref) field(name string) (native, bool) {
	for i := 0; i < r.typ.NumField(); i++ {
		sf := r.typ.Field(i)
		if sf.Tag.Get("expr") != name {
			continue
		}
		next := ref{slot: r.slot, depth: r.depth, elem: r.elem, path: append(append([]int(nil), r.path...), i), typ: sf.Type}
		if sf.Type.Kind() == reflect.Struct {
			return native{kind: kindRef, ref: next}, true
		}
		return next.leaf()
	}
	return native{}, false
}

func (r ref) leaf() (native, bool) {
	get := r.getter()
	switch r.typ {
	case reflect.TypeFor[bool]():
		return boolean(func(f *frame) bool { return get(f).Bool() }), true
	case reflect.TypeFor[int]():
		return integer(func(f *frame) int { return int(get(f).Int()) }), true
	case reflect.TypeFor[float64]():
		return float(func(f *frame) float64 { return get(f).Float() }), true
	case reflect.TypeFor[string]():
		return text(func(f *frame) string { return get(f).String() }), true
	case reflect.TypeFor[[]string]():
		return native{kind: kindTexts, l: func(f *frame) []string { return *get(f).Addr().Interface().(*[]string) }}, true
	case reflect.TypeFor[*float64]():
		return native{kind: kindMaybe, p: func(f *frame) *float64 { return *get(f).Addr().Interface().(**float64) }}, true
	case reflect.TypeFor[map[string]string]():
		return native{kind: kindTextMap, m: func(f *frame) map[string]string {
			return *get(f).Addr().Interface().(*map[string]string)
		}}, true
	}
	return native{}, false
}

// getter follows the path of a ref. Paths have one or two steps.
func (r ref) getter() func(*frame) reflect.Value {
	s, d, path := r.slot, r.depth, r.path
	switch {
	case r.elem && len(path) == 1:
		a := path[0]
		return func(f *frame) reflect.Value { return f.elem[d].Field(a) }
	case r.elem:
		return func(f *frame) reflect.Value { return follow(f.elem[d], path) }
	case len(path) == 1:
		a := path[0]
		return func(f *frame) reflect.Value { return f.slots[s].Field(a) }
	case len(path) == 2:
		a, b := path[0], path[1]
		return func(f *frame) reflect.Value { return f.slots[s].Field(a).Field(b) }
	}
	return func(f *frame) reflect.Value { return follow(f.slots[s], path) }
}

func follow(v reflect.Value, path []int) reflect.Value {
	for _, i := range path {
		v = v.Field(i)
	}
	return v
}

func (c *nativeCompiler) unary(u *ast.UnaryNode) (native, bool) {
	v, ok := c.node(u.Node)
	if !ok {
		return native{}, false
	}
	switch {
	case (u.Operator == "not" || u.Operator == "!") && v.kind == kindBool:
		b := v.b
		return boolean(func(f *frame) bool { return !b(f) }), true
	case u.Operator == "+" && v.isNumber():
		return v, true
	case u.Operator == "-" && v.kind == kindInt:
		if x, ok := v.literal.(int); ok {
			return constant(-x)
		}
		i := v.i
		return integer(func(f *frame) int { return -i(f) }), true
	case u.Operator == "-" && v.isNumber():
		n := v.n
		return native{kind: v.kind, fallible: v.fallible, n: func(f *frame) float64 { return -n(f) }}, true
	}
	return native{}, false
}

func (c *nativeCompiler) conditional(x *ast.ConditionalNode) (native, bool) {
	cond, ok := c.node(x.Cond)
	if !ok || cond.kind != kindBool {
		return native{}, false
	}
	yes, ok := c.node(x.Exp1)
	if !ok {
		return native{}, false
	}
	no, ok := c.node(x.Exp2)
	if !ok {
		return native{}, false
	}
	test, fallible := cond.b, yes.fallible || no.fallible
	if yes.kind != no.kind {
		if !yes.isNumber() || !no.isNumber() {
			return native{}, false
		}
		a, b := yes.float(), no.float()
		return native{kind: kindNumber, fallible: fallible, n: func(f *frame) float64 {
			if test(f) {
				return a(f)
			}
			return b(f)
		}}, true
	}
	out := native{kind: yes.kind, fallible: fallible}
	switch yes.kind {
	case kindBool:
		out.b = choose(test, yes.b, no.b)
	case kindInt:
		out.i = choose(test, yes.i, no.i)
	case kindFloat, kindNumber:
		out.n = choose(test, yes.n, no.n)
	case kindText:
		out.s = choose(test, yes.s, no.s)
	case kindTexts:
		out.l = choose(test, yes.l, no.l)
	case kindDecision:
		out.d = choose(test, yes.d, no.d)
	case kindThink:
		out.o = choose(test, yes.o, no.o)
	default:
		return native{}, false
	}
	return out, true
}

func choose[T any](test func(*frame) bool, yes, no func(*frame) T) func(*frame) T {
	return func(f *frame) T {
		if test(f) {
			return yes(f)
		}
		return no(f)
	}
}

// textOperator compiles contains, startsWith and endsWith.
func textOperator(op string, a, b native) (native, bool) {
	x, y := a.s, b.s
	switch op {
	case "contains":
		return boolean(func(f *frame) bool {
			s := x(f)
			f.charge(len(s)/16 + 1)
			return strings.Contains(s, y(f))
		}), true
	case "startsWith":
		return boolean(func(f *frame) bool { return strings.HasPrefix(x(f), y(f)) }), true
	case "endsWith":
		return boolean(func(f *frame) bool { return strings.HasSuffix(x(f), y(f)) }), true
	}
	return native{}, false
}
