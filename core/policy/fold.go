package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// folder prepares a parsed expression: vars and lists become constants of their
// own type, literals of durations, times and zones are read once (so a bad one
// is an error at load), and functions that need the environment get it.
type folder struct {
	x   *expressions
	env reflect.Type
	err *exprError
}

func (f *folder) fail(n ast.Node, format string, args ...any) {
	if f.err == nil {
		f.err = &exprError{msg: fmt.Sprintf(format, args...), from: n.Location().From}
	}
}

// Visit is called for every node, children first.
func (f *folder) Visit(n *ast.Node) {
	switch x := (*n).(type) {
	case *ast.MemberNode:
		f.member(n, x)
	case *ast.CallNode:
		f.call(x)
	}
}

func (f *folder) member(n *ast.Node, m *ast.MemberNode) {
	id, ok := m.Node.(*ast.IdentifierNode)
	if !ok || id.Value != "vars" && id.Value != "lists" {
		return
	}
	p, ok := m.Property.(*ast.StringNode)
	if !ok {
		f.fail(*n, "%s needs a constant name, like %s.x", id.Value, id.Value)
		return
	}
	if id.Value == "lists" {
		list, ok := f.x.consts.lists[p.Value]
		if !ok {
			f.fail(*n, "unknown lists.%s%s", p.Value, didYouMean(p.Value, sortedKeys(f.x.consts.lists)))
			return
		}
		c := &ast.ConstantNode{Value: list}
		c.SetType(reflect.TypeFor[[]string]())
		ast.Patch(n, c)
		return
	}
	switch v := f.x.consts.vars[p.Value].(type) {
	case int:
		ast.Patch(n, &ast.IntegerNode{Value: v})
	case float64:
		ast.Patch(n, &ast.FloatNode{Value: v})
	case bool:
		ast.Patch(n, &ast.BoolNode{Value: v})
	case string:
		ast.Patch(n, &ast.StringNode{Value: v})
	default:
		f.fail(*n, "unknown vars.%s%s", p.Value, didYouMean(p.Value, sortedKeys(f.x.consts.vars)))
	}
}

func (f *folder) call(c *ast.CallNode) {
	id, ok := c.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	fn := f.x.table[id.Value]
	if fn == nil || !f.x.visible(fn, f.env) {
		return
	}
	for _, i := range fn.durations {
		if i < len(c.Arguments) {
			f.duration(&c.Arguments[i])
		}
	}
	for _, i := range fn.clocks {
		if i < len(c.Arguments) {
			f.clock(&c.Arguments[i])
		}
	}
	for _, i := range fn.zones {
		if i < len(c.Arguments) {
			f.zone(&c.Arguments[i])
		}
	}
	if fn.env {
		env := &ast.IdentifierNode{Value: "$env"}
		env.SetLocation(c.Location())
		c.Arguments = append([]ast.Node{env}, c.Arguments...)
	}
}

func (f *folder) duration(n *ast.Node) {
	switch x := (*n).(type) {
	case *ast.StringNode:
		ms, err := parseDuration(x.Value)
		if err != nil {
			f.fail(x, "%s", err)
			return
		}
		ast.Patch(n, &ast.IntegerNode{Value: ms})
	case *ast.ArrayNode:
		list := make([]int, len(x.Nodes))
		for i := range x.Nodes {
			f.duration(&x.Nodes[i])
			v, ok := x.Nodes[i].(*ast.IntegerNode)
			if !ok {
				return
			}
			list[i] = v.Value
		}
		c := &ast.ConstantNode{Value: list}
		c.SetType(reflect.TypeFor[[]int]())
		ast.Patch(n, c)
	}
}

func (f *folder) clock(n *ast.Node) {
	if s, ok := (*n).(*ast.StringNode); ok {
		m, err := minuteOfDay(s.Value)
		if err != nil {
			f.fail(s, "%s", err)
			return
		}
		ast.Patch(n, &ast.IntegerNode{Value: m})
	}
}

func (f *folder) zone(n *ast.Node) {
	if s, ok := (*n).(*ast.StringNode); ok {
		loc, err := zone(s.Value)
		if err != nil {
			f.fail(s, "%s", err)
			return
		}
		c := &ast.ConstantNode{Value: loc}
		c.SetType(reflect.TypeOf(loc))
		ast.Patch(n, c)
	}
}

// limits refuses what cannot be bounded at run time.
type limits struct{ err *exprError }

func (l *limits) fail(n ast.Node, format string, args ...any) {
	if l.err == nil {
		l.err = &exprError{msg: fmt.Sprintf(format, args...), from: n.Location().From}
	}
}

// walk visits a tree; depth counts the predicates around a node.
func (l *limits) walk(n ast.Node, depth int) {
	switch x := n.(type) {
	case *ast.BinaryNode:
		l.binary(x)
	case *ast.BuiltinNode:
		if isPredicate(x.Name) && depth >= maxDepth {
			l.fail(x, "predicates (any, all, map, filter …) may be nested %d deep at most", maxDepth)
		}
	}
	for _, c := range children(n) {
		if _, ok := c.(*ast.PredicateNode); ok {
			l.walk(c, depth+1)
		} else {
			l.walk(c, depth)
		}
	}
}

func (l *limits) binary(b *ast.BinaryNode) {
	switch b.Operator {
	case "..":
		from, ok1 := constantInt(b.Left)
		to, ok2 := constantInt(b.Right)
		if !ok1 || !ok2 {
			l.fail(b, "the bounds of a range must be constant")
		} else if to-from >= maxRange {
			l.fail(b, "a range may have %d elements at most", maxRange)
		}
	case "matches":
		if _, ok := b.Right.(*ast.StringNode); !ok {
			l.fail(b.Right, "the pattern of matches must be a constant text")
		}
	}
}

func constantInt(n ast.Node) (int, bool) {
	switch x := n.(type) {
	case *ast.IntegerNode:
		return x.Value, x.Value > -maxMS && x.Value < maxMS
	case *ast.UnaryNode:
		v, ok := constantInt(x.Node)
		if x.Operator == "-" {
			v = -v
		}
		return v, ok && (x.Operator == "-" || x.Operator == "+")
	}
	return 0, false
}

// children returns the nodes directly below n.
func children(n ast.Node) []ast.Node {
	switch x := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{x.Node}
	case *ast.BinaryNode:
		return []ast.Node{x.Left, x.Right}
	case *ast.ChainNode:
		return []ast.Node{x.Node}
	case *ast.MemberNode:
		return []ast.Node{x.Node, x.Property}
	case *ast.SliceNode:
		out := []ast.Node{x.Node}
		if x.From != nil {
			out = append(out, x.From)
		}
		if x.To != nil {
			out = append(out, x.To)
		}
		return out
	case *ast.CallNode:
		return append([]ast.Node{x.Callee}, x.Arguments...)
	case *ast.BuiltinNode:
		return x.Arguments
	case *ast.PredicateNode:
		return []ast.Node{x.Node}
	case *ast.ConditionalNode:
		return []ast.Node{x.Cond, x.Exp1, x.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{x.Value, x.Expr}
	case *ast.SequenceNode:
		return x.Nodes
	case *ast.ArrayNode:
		return x.Nodes
	case *ast.MapNode:
		return x.Pairs
	case *ast.PairNode:
		return []ast.Node{x.Key, x.Value}
	}
	return nil
}

// references lists the facts an expression reads, like "req.body.provider" or
// "target.stats.p95_ms". Elements of targets and accounts count as target and
// account; a list of which only the length or some members are read is none of
// its facts itself, one that is passed on is all of them.
func references(n ast.Node) []string {
	r := &referenceWalker{}
	r.walk(n)
	return r.out
}

type referenceWalker struct {
	out    []string
	scopes []string // what # stands for, "" = something else
}

func (r *referenceWalker) walk(n ast.Node) {
	if path, ok := r.path(n); ok {
		if element := elementOf(n); element != "" {
			path = element
		}
		r.out = append(r.out, path)
		if m, ok := n.(*ast.MemberNode); ok { // indices may contain references
			r.properties(m)
		}
		return
	}
	if b, ok := n.(*ast.BuiltinNode); ok && len(b.Arguments) > 0 && (isPredicate(b.Name) || b.Name == "len") {
		r.builtin(b, keepsElements(b.Name))
		return
	}
	for _, c := range children(n) {
		r.walk(c)
	}
}

// builtin walks a call that visits a list; kept tells that elements are in its
// result.
func (r *referenceWalker) builtin(b *ast.BuiltinNode, kept bool) {
	list := b.Arguments[0]
	switch inner, ok := list.(*ast.BuiltinNode); {
	case elementOf(list) == "" || kept:
		r.walk(list)
	case ok:
		r.builtin(inner, false)
	}
	r.scopes = append(r.scopes, elementOf(list))
	for _, a := range b.Arguments[1:] {
		r.walk(a)
	}
	r.scopes = r.scopes[:len(r.scopes)-1]
}

// keepsElements tells whether a predicate yields elements of its list.
func keepsElements(name string) bool {
	return slices.Contains([]string{"filter", "find", "findLast", "groupBy", "sortBy", "reduce"}, name)
}

func (r *referenceWalker) properties(m *ast.MemberNode) {
	if _, ok := m.Property.(*ast.StringNode); !ok {
		r.walk(m.Property)
	}
	if inner, ok := m.Node.(*ast.MemberNode); ok {
		r.properties(inner)
	}
}

func elementOf(list ast.Node) string {
	switch x := list.(type) {
	case *ast.IdentifierNode:
		switch x.Value {
		case "targets":
			return "target"
		case "accounts":
			return "account"
		}
	case *ast.BuiltinNode:
		if x.Name == "filter" && len(x.Arguments) > 0 {
			return elementOf(x.Arguments[0])
		}
	}
	return ""
}

func (r *referenceWalker) path(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		return x.Value, !strings.HasPrefix(x.Value, "$")
	case *ast.PointerNode:
		if x.Name == "" && len(r.scopes) > 0 {
			s := r.scopes[len(r.scopes)-1]
			return s, s != ""
		}
	case *ast.ChainNode:
		return r.path(x.Node)
	case *ast.MemberNode:
		base, ok := r.path(x.Node)
		if !ok {
			return "", false
		}
		if p, ok := x.Property.(*ast.StringNode); ok {
			return base + "." + p.Value, true
		}
		if element := elementOf(x.Node); element != "" {
			return element, true
		}
		return base, true
	}
	return "", false
}
