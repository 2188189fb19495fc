package policy

import (
	"reflect"
	"regexp"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
)

// hardener rewrites a checked tree so that everything whose cost depends on
// data is charged while the VM runs it: lists before they are iterated, texts
// before they are scanned, and the + of texts, which could grow exponentially.
type hardener struct {
	heavy  map[string]int
	config *conf.Config
}

// Names of the functions the hardener calls; no expression can spell them.
const (
	fnCharge = "$charge"
	fnAdd    = "$add"
	fnMatch  = "$match"
)

// node hardens a tree; depth counts the predicates around it.
func (h *hardener) node(n *ast.Node, depth int) {
	switch x := (*n).(type) {
	case *ast.BuiltinNode:
		h.builtin(x, depth)
		return
	case *ast.BinaryNode:
		h.node(&x.Left, depth)
		h.node(&x.Right, depth)
		h.binary(n, x, depth)
	case *ast.PredicateNode:
		h.node(&x.Node, depth+1)
	default:
		h.descend(*n, depth)
	}
}

func (h *hardener) builtin(b *ast.BuiltinNode, depth int) {
	for i := range b.Arguments {
		h.node(&b.Arguments[i], depth)
	}
	if isPredicate(b.Name) {
		h.charge(&b.Arguments[0], 4)
		return
	}
	if weight := h.heavy[b.Name]; weight != 0 {
		for i := range b.Arguments {
			if !isLiteral(b.Arguments[i]) {
				h.charge(&b.Arguments[i], weight)
			}
		}
	}
}

func (h *hardener) binary(n *ast.Node, b *ast.BinaryNode, depth int) {
	switch b.Operator {
	case "+":
		l, r := b.Left.Type().Kind(), b.Right.Type().Kind()
		if l == reflect.String || r == reflect.String || l == reflect.Interface || r == reflect.Interface {
			h.replace(n, fnAdd, b.Left, b.Right)
		}
	case "matches":
		if re, ok := b.Right.(*ast.StringNode); ok {
			pattern := &ast.ConstantNode{Value: regexp.MustCompile(re.Value)}
			pattern.SetType(reflect.TypeOf(pattern.Value))
			h.replace(n, fnMatch, b.Left, pattern)
		}
	case "contains", "startsWith", "endsWith":
		if depth > 0 && !isLiteral(b.Left) {
			h.charge(&b.Left, 1)
		}
	case "in":
		if depth > 0 && !isLiteral(b.Right) {
			h.charge(&b.Right, 2)
		}
	case "==", "!=":
		if !isScalar(b.Left) && !isScalar(b.Right) {
			h.charge(&b.Left, deepWeight)
		}
	}
}

func (h *hardener) descend(n ast.Node, depth int) {
	switch x := n.(type) {
	case *ast.UnaryNode:
		h.node(&x.Node, depth)
	case *ast.ChainNode:
		h.node(&x.Node, depth)
	case *ast.MemberNode:
		h.node(&x.Node, depth)
		h.node(&x.Property, depth)
	case *ast.SliceNode:
		h.node(&x.Node, depth)
		if x.From != nil {
			h.node(&x.From, depth)
		}
		if x.To != nil {
			h.node(&x.To, depth)
		}
	case *ast.CallNode:
		for i := range x.Arguments {
			h.node(&x.Arguments[i], depth)
			if depth == 0 || isLiteral(x.Arguments[i]) {
				continue
			}
			if x.Arguments[i].Type().Kind() == reflect.String {
				h.charge(&x.Arguments[i], 16)
			} else if !isScalar(x.Arguments[i]) {
				h.charge(&x.Arguments[i], 2)
			}
		}
	case *ast.ConditionalNode:
		h.node(&x.Cond, depth)
		h.node(&x.Exp1, depth)
		h.node(&x.Exp2, depth)
	case *ast.VariableDeclaratorNode:
		h.node(&x.Value, depth)
		h.node(&x.Expr, depth)
	case *ast.SequenceNode:
		h.list(x.Nodes, depth)
	case *ast.ArrayNode:
		h.list(x.Nodes, depth)
	case *ast.MapNode:
		h.list(x.Pairs, depth)
	case *ast.PairNode:
		h.node(&x.Key, depth)
		h.node(&x.Value, depth)
	}
}

func (h *hardener) list(nodes []ast.Node, depth int) {
	for i := range nodes {
		h.node(&nodes[i], depth)
	}
}

func isLiteral(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode, *ast.ConstantNode, *ast.PredicateNode:
		return true
	case *ast.IdentifierNode:
		return x.Value == "$env"
	}
	return false
}

func isScalar(n ast.Node) bool {
	if _, ok := n.(*ast.NilNode); ok {
		return true
	}
	switch n.Type().Kind() {
	case reflect.Bool, reflect.Int, reflect.Float64, reflect.String:
		return true
	case reflect.Pointer:
		return n.Type().Elem().Kind() == reflect.Float64
	}
	return false
}

// charge wraps a node so that its value is paid for each time it is computed.
func (h *hardener) charge(n *ast.Node, weight int) {
	w := &ast.IntegerNode{Value: weight}
	w.SetType(reflect.TypeFor[int]())
	h.replace(n, fnCharge, *n, w)
}

// replace puts a call of a charging function in place of a node, keeping the
// node's type.
func (h *hardener) replace(n *ast.Node, fn string, args ...ast.Node) {
	h.define(fn)
	env := &ast.IdentifierNode{Value: "$env"}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: fn}, Arguments: append([]ast.Node{env}, args...)}
	env.SetLocation((*n).Location())
	call.Callee.SetLocation((*n).Location())
	call.SetNature(*(*n).Nature())
	ast.Patch(n, call)
}

func (h *hardener) define(name string) {
	if h.config.Functions[name] != nil {
		return
	}
	var call func(args ...any) (any, error)
	switch name {
	case fnCharge:
		call = func(a ...any) (any, error) {
			rootOf(a).run.charge(chargeFor(a[1], a[2].(int)))
			return a[1], nil
		}
	case fnAdd:
		call = func(a ...any) (any, error) { return add(rootOf(a).run, a[1], a[2]) }
	case fnMatch:
		call = func(a ...any) (any, error) { return match(rootOf(a).run, a[1], a[2].(*regexp.Regexp)) }
	}
	h.config.Functions[name] = &builtin.Function{Name: name, Func: call}
}

// match is the operator of the same name; nil matches nothing.
func match(f *frame, v any, re *regexp.Regexp) (any, error) {
	switch s := v.(type) {
	case string:
		f.charge(len(s)/2 + 8)
		return re.MatchString(s), nil
	case nil:
		return false, nil
	}
	return nil, errType{"matches", v}
}
