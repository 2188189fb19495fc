package policy

import (
	"math"
	"regexp"

	"github.com/expr-lang/expr/ast"
)

func (c *nativeCompiler) binary(b *ast.BinaryNode) (native, bool) {
	if b.Operator == "in" {
		return c.in(b)
	}
	left, ok := c.node(b.Left)
	if !ok {
		return native{}, false
	}
	if b.Operator == "matches" {
		return nativeMatch(left, b.Right)
	}
	right, ok := c.node(b.Right)
	if !ok {
		return native{}, false
	}
	switch b.Operator {
	case "and", "&&", "or", "||":
		return logical(b.Operator, left, right)
	case "==", "!=":
		return equality(b.Operator, left, right)
	case "<", "<=", ">", ">=":
		return comparison(b.Operator, left, right)
	case "+", "-", "*", "/", "%", "**", "^":
		return arithmetic(b.Operator, left, right)
	case "contains", "startsWith", "endsWith":
		if left.kind == kindText && right.kind == kindText {
			return textOperator(b.Operator, left, right)
		}
	case "??":
		if left.kind == kindMaybe && right.isNumber() {
			p, n := left.p, right.float()
			return native{kind: kindNumber, n: func(f *frame) float64 {
				if v := p(f); v != nil {
					return *v
				}
				return n(f)
			}}, true
		}
	}
	return native{}, false
}

func logical(op string, a, b native) (native, bool) {
	if a.kind != kindBool || b.kind != kindBool {
		return native{}, false
	}
	x, y := a.b, b.b
	if op == "and" || op == "&&" {
		return boolean(func(f *frame) bool { return x(f) && y(f) }), true
	}
	return boolean(func(f *frame) bool { return x(f) || y(f) }), true
}

func equality(op string, a, b native) (native, bool) {
	if a.fallible || b.fallible {
		return native{}, false
	}
	eq := op == "=="
	switch {
	case a.kind == kindText && b.kind == kindText:
		x, y := a.s, b.s
		if lit, ok := b.literal.(string); ok {
			return boolean(func(f *frame) bool { return (x(f) == lit) == eq }), true
		}
		return boolean(func(f *frame) bool { return (x(f) == y(f)) == eq }), true
	case a.kind == kindBool && b.kind == kindBool:
		x, y := a.b, b.b
		return boolean(func(f *frame) bool { return (x(f) == y(f)) == eq }), true
	case a.kind == kindInt && b.kind == kindInt:
		x, y := a.i, b.i
		return boolean(func(f *frame) bool { return (x(f) == y(f)) == eq }), true
	case a.isNumber() && b.isNumber():
		x, y := a.float(), b.float()
		return boolean(func(f *frame) bool { return (x(f) == y(f)) == eq }), true
	}
	return native{}, false
}

func comparison(op string, a, b native) (native, bool) {
	switch {
	case a.kind == kindInt && b.kind == kindInt:
		return compare(op, a.i, b.i)
	case a.isNumber() && b.isNumber():
		return compare(op, a.float(), b.float())
	case a.kind == kindText && b.kind == kindText:
		return compare(op, a.s, b.s)
	}
	return native{}, false
}

func compare[T int | float64 | string](op string, x, y func(*frame) T) (native, bool) {
	switch op {
	case "<":
		return boolean(func(f *frame) bool { return x(f) < y(f) }), true
	case "<=":
		return boolean(func(f *frame) bool { return x(f) <= y(f) }), true
	case ">":
		return boolean(func(f *frame) bool { return x(f) > y(f) }), true
	case ">=":
		return boolean(func(f *frame) bool { return x(f) >= y(f) }), true
	}
	return native{}, false
}

func arithmetic(op string, a, b native) (native, bool) {
	if op == "+" && a.kind == kindText && b.kind == kindText {
		x, y := a.s, b.s
		return text(func(f *frame) string { return f.addTexts(x(f), y(f)) }), true
	}
	if !a.isNumber() || !b.isNumber() {
		return native{}, false
	}
	if a.kind == kindInt && b.kind == kindInt && op != "/" && op != "**" && op != "^" {
		return integerArithmetic(op, a.i, b.i)
	}
	out := native{kind: kindFloat}
	if a.kind == kindNumber && b.kind != kindFloat || b.kind == kindNumber && a.kind != kindFloat {
		out.kind = kindNumber
	}
	x, y := a.float(), b.float()
	switch op {
	case "+":
		out.n = func(f *frame) float64 { return x(f) + y(f) }
	case "-":
		out.n = func(f *frame) float64 { return x(f) - y(f) }
	case "*":
		out.n = func(f *frame) float64 { return x(f) * y(f) }
	case "/":
		out.kind = kindFloat
		out.n = func(f *frame) float64 { return x(f) / y(f) }
	case "**", "^":
		out.kind = kindFloat
		out.n = func(f *frame) float64 { return math.Pow(x(f), y(f)) }
	default:
		return native{}, false
	}
	return out, true
}

func integerArithmetic(op string, x, y func(*frame) int) (native, bool) {
	switch op {
	case "+":
		return integer(func(f *frame) int { return x(f) + y(f) }), true
	case "-":
		return integer(func(f *frame) int { return x(f) - y(f) }), true
	case "*":
		return integer(func(f *frame) int { return x(f) * y(f) }), true
	case "%":
		return integer(func(f *frame) int { return x(f) % y(f) }), true
	}
	return native{}, false
}

func nativeMatch(left native, pattern ast.Node) (native, bool) {
	p, ok := pattern.(*ast.StringNode)
	if !ok || left.kind != kindText {
		return native{}, false
	}
	re, err := regexp.Compile(p.Value)
	if err != nil {
		return native{}, false
	}
	s := left.s
	return boolean(func(f *frame) bool {
		v := s(f)
		f.charge(len(v)/2 + 8)
		return re.MatchString(v)
	}), true
}

// in knows texts in lists of texts and in maps, and integers in literal lists.
func (c *nativeCompiler) in(b *ast.BinaryNode) (native, bool) {
	left, ok := c.node(b.Left)
	if !ok {
		return native{}, false
	}
	if list, ok := integers(b.Right); ok && left.kind == kindInt {
		x := left.i
		return boolean(func(f *frame) bool {
			v := x(f)
			for _, n := range list {
				if n == v {
					return true
				}
			}
			return false
		}), true
	}
	right, ok := c.node(b.Right)
	if !ok || left.kind != kindText {
		return native{}, false
	}
	x := left.s
	switch right.kind {
	case kindTexts:
		list := right.l
		return boolean(func(f *frame) bool {
			l := list(f)
			f.charge(len(l)/8 + 1)
			v := x(f)
			for _, s := range l {
				if s == v {
					return true
				}
			}
			return false
		}), true
	case kindTextMap:
		m := right.m
		return boolean(func(f *frame) bool { _, ok := m(f)[x(f)]; return ok }), true
	}
	return native{}, false
}

func integers(n ast.Node) ([]int, bool) {
	a, ok := n.(*ast.ArrayNode)
	if !ok || len(a.Nodes) == 0 {
		return nil, false
	}
	out := make([]int, len(a.Nodes))
	for i, x := range a.Nodes {
		v, ok := x.(*ast.IntegerNode)
		if !ok {
			return nil, false
		}
		out[i] = v.Value
	}
	return out, true
}
