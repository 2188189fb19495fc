package policy

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// detailField is an expression of a rule, taken apart for a detailed trace.
type detailField struct {
	field string
	root  ast.Node
	parts map[ast.Node]*program
	// payload expressions are shown only when the rule applied
	payload bool
	// whole expressions are shown themselves: what a text or a body field became
	whole bool
}

// parts evaluates the sub-expressions that decided about a rule: the operands
// of and, or and not that were reached, the comparisons in them and the facts
// these read.
func (s *Set) parts(f *frame, r *rule, matched bool) []Part {
	r.details.Do(func() { r.detailParts = s.takeApart(r) })
	var out []Part
	for _, d := range r.detailParts {
		if d.payload && !matched {
			continue
		}
		w := detailWalk{field: d.field, parts: d.parts, f: f, seen: map[string]bool{}}
		if d.whole {
			w.show(d.root)
		}
		w.node(d.root)
		out = append(out, w.out...)
	}
	return out
}

func (s *Set) takeApart(r *rule) []detailField {
	x := newExpressions(s.expressions.consts)
	env := hookNamed(r.hook).env
	var out []detailField
	r.programs(func(name string, p *program) {
		tree, err := parser.ParseWithConfig(p.src, x.config(env, wantAny))
		if err != nil {
			return
		}
		d := detailField{field: name, root: tree.Node, parts: map[ast.Node]*program{}, payload: name != "when", whole: p.want == wantAny}
		var visit func(n ast.Node)
		visit = func(n ast.Node) {
			if shown(n) || logicalNode(n) || d.whole && n == tree.Node {
				if sub, err := x.compile(env, n.String(), wantAny); err == nil {
					d.parts[n] = sub
				}
			}
			if _, ok := n.(*ast.BuiltinNode); ok {
				return // what is inside a predicate has no value of its own
			}
			for _, c := range children(n) {
				visit(c)
			}
		}
		visit(tree.Node)
		out = append(out, d)
	})
	return out
}

// shown tells whether the value of a node is worth showing.
func shown(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.MemberNode, *ast.ChainNode, *ast.CallNode, *ast.BuiltinNode:
		return true
	case *ast.BinaryNode:
		switch x.Operator {
		case "==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches":
			return true
		}
	}
	return false
}

func logicalNode(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.BinaryNode:
		return x.Operator == "and" || x.Operator == "&&" || x.Operator == "or" || x.Operator == "||"
	case *ast.UnaryNode:
		return x.Operator == "not" || x.Operator == "!"
	case *ast.ConditionalNode:
		return true
	}
	return false
}

type detailWalk struct {
	field string
	parts map[ast.Node]*program
	f     *frame
	seen  map[string]bool
	out   []Part
}

func (w *detailWalk) truth(n ast.Node) (value, known bool) {
	p := w.parts[n]
	if p == nil {
		return false, false
	}
	v, err := p.value(w.f)
	b, ok := v.(bool)
	return b, ok && err == nil
}

func (w *detailWalk) node(n ast.Node) {
	switch x := n.(type) {
	case *ast.BinaryNode:
		if logicalNode(n) {
			w.node(x.Left)
			v, known := w.truth(x.Left)
			decided := known && v == (x.Operator == "or" || x.Operator == "||")
			if !decided {
				w.node(x.Right)
			}
			return
		}
	case *ast.ConditionalNode:
		w.node(x.Cond)
		if v, known := w.truth(x.Cond); known && v {
			w.node(x.Exp1)
		} else if known {
			w.node(x.Exp2)
		}
		return
	}
	if shown(n) {
		w.show(n)
	}
	switch x := n.(type) {
	case *ast.MemberNode, *ast.ChainNode, *ast.BuiltinNode:
	case *ast.CallNode:
		for _, a := range x.Arguments {
			w.node(a)
		}
	default:
		for _, c := range children(n) {
			w.node(c)
		}
	}
}

func (w *detailWalk) show(n ast.Node) {
	p := w.parts[n]
	if p == nil || w.seen[p.src] {
		return
	}
	w.seen[p.src] = true
	part := Part{Field: w.field, Expr: p.src}
	v, err := p.value(w.f)
	if err != nil {
		part.Error = err.Error()
	} else {
		part.Value = presentable(v)
	}
	w.out = append(w.out, part)
}

// maxShown bounds a text or list shown in a trace.
const maxShown = 200

// presentable makes a value fit for a trace: short, and expressible as JSON.
func presentable(v any) any {
	switch x := v.(type) {
	case string:
		if len(x) > maxShown {
			return fmt.Sprintf("%.*s… (%d bytes)", maxShown, x, len(x))
		}
	case float64:
		if x != x || x > maxKey || x < -maxKey {
			return fmt.Sprint(x)
		}
	case []any:
		if len(x) > maxShown {
			return fmt.Sprintf("list of %d", len(x))
		}
	case []string:
		if len(x) > maxShown {
			return fmt.Sprintf("list of %d", len(x))
		}
	case nil, bool, int, map[string]any, map[string]string, Decision, ThinkOp:
	default:
		return fmt.Sprintf("%v", x)
	}
	return v
}
