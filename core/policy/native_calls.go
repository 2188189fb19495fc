package policy

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

func (c *nativeCompiler) builtin(b *ast.BuiltinNode) (native, bool) {
	switch b.Name {
	case "any", "all", "none", "one", "count":
		return c.quantifier(b)
	case "max", "min":
		return c.extreme(b)
	}
	if len(b.Arguments) != 1 {
		return native{}, false
	}
	v, ok := c.node(b.Arguments[0])
	if !ok {
		return native{}, false
	}
	switch b.Name {
	case "len":
		return length(v)
	case "lower", "upper", "trim":
		return textFunction(b.Name, v)
	}
	if !v.isNumber() {
		return native{}, false
	}
	switch b.Name {
	case "int":
		return integer(v.integer()), true
	case "float":
		return float(v.float()), true
	case "floor":
		return float(applied(math.Floor, v)), true
	case "ceil":
		return float(applied(math.Ceil, v)), true
	case "round":
		return float(applied(math.Round, v)), true
	case "abs":
		if v.kind == kindInt {
			i := v.i
			return integer(func(f *frame) int { return max(i(f), -i(f)) }), true
		}
		return native{kind: v.kind, n: applied(math.Abs, v)}, true
	}
	return native{}, false
}

func applied(fn func(float64) float64, v native) func(*frame) float64 {
	n := v.float()
	return func(f *frame) float64 { return fn(n(f)) }
}

func length(v native) (native, bool) {
	switch v.kind {
	case kindText:
		s := v.s
		return integer(func(f *frame) int { return utf8.RuneCountInString(s(f)) }), true
	case kindTexts:
		l := v.l
		return integer(func(f *frame) int { return len(l(f)) }), true
	case kindTextMap:
		m := v.m
		return integer(func(f *frame) int { return len(m(f)) }), true
	case kindTargets:
		return integer(func(f *frame) int { return len(f.targets) }), true
	case kindAccounts:
		return integer(func(f *frame) int { return len(f.accounts) }), true
	}
	return native{}, false
}

func textFunction(name string, v native) (native, bool) {
	if v.kind != kindText {
		return native{}, false
	}
	fn := map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace}[name]
	s := v.s
	return text(func(f *frame) string {
		t := s(f)
		f.charge(len(t)/8 + 1)
		return fn(t)
	}), true
}

// quantifier compiles any, all, none, one and count with a predicate.
func (c *nativeCompiler) quantifier(b *ast.BuiltinNode) (native, bool) {
	if len(b.Arguments) != 2 || len(c.scopes) >= maxDepth {
		return native{}, false
	}
	list, ok := c.node(b.Arguments[0])
	if !ok {
		return native{}, false
	}
	p, ok := b.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return native{}, false
	}
	depth := len(c.scopes)
	c.scopes = append(c.scopes, list.kind)
	body, ok := c.node(p.Node)
	c.scopes = c.scopes[:depth]
	if !ok || body.kind != kindBool {
		return native{}, false
	}
	each, ok := iterate(list, depth)
	if !ok {
		return native{}, false
	}
	test := body.b
	negated := func(f *frame) bool { return !test(f) }
	tally := func(f *frame) bool {
		if test(f) {
			f.counts[depth]++
		}
		return false
	}
	counted := func(f *frame) int {
		f.counts[depth] = 0
		each(f, tally)
		return f.counts[depth]
	}
	switch b.Name {
	case "any":
		return boolean(func(f *frame) bool { return each(f, test) }), true
	case "all":
		return boolean(func(f *frame) bool { return !each(f, negated) }), true
	case "none":
		return boolean(func(f *frame) bool { return !each(f, test) }), true
	case "one":
		return boolean(func(f *frame) bool { return counted(f) == 1 }), true
	}
	return integer(counted), true
}

// iterate visits the elements of a list until stop tells to end, and reports
// whether it did.
func iterate(list native, depth int) (each func(f *frame, stop func(*frame) bool) bool, ok bool) {
	switch list.kind {
	case kindTexts:
		l := list.l
		return func(f *frame, stop func(*frame) bool) bool {
			items := l(f)
			f.charge(len(items)*2 + 1)
			for _, s := range items {
				f.elemText[depth] = s
				if stop(f) {
					return true
				}
			}
			return false
		}, true
	case kindTargets:
		return func(f *frame, stop func(*frame) bool) bool {
			f.charge(len(f.targets)*2 + 1)
			for _, t := range f.targets {
				f.elem[depth] = structOf(t)
				if stop(f) {
					return true
				}
			}
			return false
		}, true
	case kindAccounts:
		return func(f *frame, stop func(*frame) bool) bool {
			f.charge(len(f.accounts)*2 + 1)
			for _, a := range f.accounts {
				f.elem[depth] = structOf(a)
				if stop(f) {
					return true
				}
			}
			return false
		}, true
	}
	return nil, false
}

// extreme compiles max and min of numbers, and of map(list, number).
func (c *nativeCompiler) extreme(b *ast.BuiltinNode) (native, bool) {
	if len(b.Arguments) == 1 {
		if m, ok := b.Arguments[0].(*ast.BuiltinNode); ok && m.Name == "map" && len(m.Arguments) == 2 {
			return c.extremeOf(b.Name, m)
		}
		return native{}, false
	}
	args, sameInt, sameFloat := make([]native, len(b.Arguments)), true, true
	for i, n := range b.Arguments {
		v, ok := c.node(n)
		if !ok || !v.isNumber() {
			return native{}, false
		}
		args[i] = v
		sameInt, sameFloat = sameInt && v.kind == kindInt, sameFloat && v.kind == kindFloat
	}
	if len(args) == 0 {
		return native{}, false
	}
	if sameInt {
		list := make([]func(*frame) int, len(args))
		for i, a := range args {
			list[i] = a.i
		}
		return integer(extremeNumber(b.Name, list)), true
	}
	list := make([]func(*frame) float64, len(args))
	for i, a := range args {
		list[i] = a.float()
	}
	out := native{kind: kindNumber, n: extremeNumber(b.Name, list)}
	if sameFloat {
		out.kind = kindFloat
	}
	return out, true
}

func extremeNumber[T int | float64](name string, list []func(*frame) T) func(*frame) T {
	if name == "max" {
		return func(f *frame) T {
			m := list[0](f)
			for _, x := range list[1:] {
				if v := x(f); m < v {
					m = v
				}
			}
			return m
		}
	}
	return func(f *frame) T {
		m := list[0](f)
		for _, x := range list[1:] {
			if v := x(f); m > v {
				m = v
			}
		}
		return m
	}
}

func (c *nativeCompiler) extremeOf(name string, m *ast.BuiltinNode) (native, bool) {
	list, ok := c.node(m.Arguments[0])
	if !ok || len(c.scopes) >= maxDepth {
		return native{}, false
	}
	p, ok := m.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return native{}, false
	}
	depth := len(c.scopes)
	c.scopes = append(c.scopes, list.kind)
	body, ok := c.node(p.Node)
	c.scopes = c.scopes[:depth]
	if !ok || !body.isNumber() {
		return native{}, false
	}
	each, ok := iterate(list, depth)
	if !ok {
		return native{}, false
	}
	value, largest := body.float(), name == "max"
	better := func(f *frame) bool {
		v, best := value(f), f.best[depth]
		if f.counts[depth]++; f.counts[depth] == 1 || largest && best < v || !largest && best > v {
			f.best[depth] = v
		}
		return false
	}
	return native{kind: kindNumber, fallible: true, n: func(f *frame) float64 {
		f.counts[depth] = 0
		each(f, better)
		if f.counts[depth] == 0 {
			panic(fmt.Errorf("%s of an empty list", name))
		}
		return f.best[depth]
	}}, true
}

// call compiles calls of our own functions.
func (c *nativeCompiler) call(x *ast.CallNode) (native, bool) {
	id, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		return native{}, false
	}
	nodes := x.Arguments
	if len(nodes) > 0 {
		if e, ok := nodes[0].(*ast.IdentifierNode); ok && e.Value == "$env" {
			nodes = nodes[1:]
		}
	}
	switch id.Value {
	case "steps":
		return c.callSteps(nodes)
	case "between", "hourIn", "weekdayIn":
		return c.callClock(id.Value, nodes)
	}
	args := make([]native, len(nodes))
	for i, n := range nodes {
		if args[i], ok = c.node(n); !ok {
			return native{}, false
		}
	}
	shape := shapeOf(args)
	if v, ok := callText(id.Value, shape, args); ok {
		return v, true
	}
	if v, ok := callNumber(id.Value, shape, args); ok {
		return v, true
	}
	return callVerdict(id.Value, shape, args)
}

// shapeOf writes the kinds of arguments as letters: b i n s l, ? for others.
func shapeOf(args []native) string {
	var s strings.Builder
	for _, a := range args {
		switch a.kind {
		case kindBool:
			s.WriteByte('b')
		case kindInt:
			s.WriteByte('i')
		case kindFloat, kindNumber:
			s.WriteByte('n')
		case kindText:
			s.WriteByte('s')
		case kindTexts:
			s.WriteByte('l')
		default:
			s.WriteByte('?')
		}
	}
	return s.String()
}

func callText(name, shape string, a []native) (native, bool) {
	switch name + " " + shape {
	case "glob ss":
		p, s := a[0].s, a[1].s
		return boolean(func(f *frame) bool {
			t := s(f)
			f.charge(len(t)/4 + 1)
			return glob(p(f), t)
		}), true
	case "globAny ls":
		l, s := a[0].l, a[1].s
		return boolean(func(f *frame) bool {
			list, t := l(f), s(f)
			f.charge(len(list)*(len(t)/4+1) + 1)
			return GlobAny(list, t)
		}), true
	case "ipIn sl":
		s, l := a[0].s, a[1].l
		return boolean(func(f *frame) bool {
			list := l(f)
			f.charge(len(list) + 1)
			return ipIn(s(f), list)
		}), true
	case "overlap ll":
		x, y := a[0].l, a[1].l
		return boolean(func(f *frame) bool {
			l, m := x(f), y(f)
			f.charge(len(l)*len(m)/8 + 1)
			return hasTag(l, m...)
		}), true
	case "hash s":
		s := a[0].s
		return integer(func(f *frame) int { return int(hash64(s(f)) >> 1) }), true
	case "bucket si":
		s, n := a[0].s, a[1].i
		return integer(func(f *frame) int { return must(bucket(s(f), n(f))) }), true
	case "header s":
		s := a[0].s
		return text(func(f *frame) string { return header(f.base, s(f)) }), true
	case "banned s":
		s := a[0].s
		return boolean(func(f *frame) bool { return banned(f.base, s(f)) }), true
	case "rand s":
		s := a[0].s
		return float(func(f *frame) float64 { return random(f.base.Req.ID, s(f)) }), true
	case "spend ss":
		s, w := a[0].s, a[1].s
		return float(func(f *frame) float64 { return spend(f.base, s(f), w(f)) }), true
	case "requests ss":
		s, w := a[0].s, a[1].s
		return integer(func(f *frame) int { return requests(f.base, s(f), w(f)) }), true
	case "tokens ss":
		s, w := a[0].s, a[1].s
		return integer(func(f *frame) int { return tokens(f.base, s(f), w(f)) }), true
	}
	if name == "hasTag" && len(a) > 0 && shape == "l"+strings.Repeat("s", len(a)-1) {
		l, rest := a[0].l, a[1:]
		return boolean(func(f *frame) bool {
			list := l(f)
			f.charge(len(list)/8 + 1)
			for _, w := range rest {
				if hasTag(list, w.s(f)) {
					return true
				}
			}
			return false
		}), true
	}
	return native{}, false
}

// must turns an error into a panic, which ends the evaluation of the expression.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// numeric tells whether all letters of a shape are numbers.
func numeric(shape string) bool { return strings.Trim(shape, "in") == "" }

// milliseconds reads a number as a duration.
func milliseconds(v native) func(*frame) int {
	if v.kind == kindInt {
		return v.i
	}
	n := v.n
	return func(f *frame) int { return must(roundMS(n(f))) }
}

func callNumber(name, shape string, a []native) (native, bool) {
	if !numeric(shape) && name != "effortTokens" {
		return native{}, false
	}
	switch {
	case name == "ms" && len(a) == 1:
		return integer(milliseconds(a[0])), true
	case name == "backoff" && len(a) == 3 && a[1].kind == kindInt:
		base, level, limit := milliseconds(a[0]), a[1].i, milliseconds(a[2])
		return integer(func(f *frame) int { return backoff(base(f), level(f), limit(f)) }), true
	case name == "clamp" && len(a) == 3:
		x, low, high := a[0].float(), a[1].float(), a[2].float()
		return float(func(f *frame) float64 { return clamp(x(f), low(f), high(f)) }), true
	case name == "norm" && len(a) == 2:
		x, limit := a[0].float(), a[1].float()
		return float(func(f *frame) float64 { return norm(x(f), limit(f)) }), true
	case name == "effortTokens" && shape == "s":
		s := a[0].s
		return integer(func(f *frame) int { return f.effortTokens(s(f)) }), true
	}
	return native{}, false
}

func (c *nativeCompiler) callSteps(args []ast.Node) (native, bool) {
	if len(args) != 2 {
		return native{}, false
	}
	list, ok := args[1].(*ast.ConstantNode)
	if !ok {
		return native{}, false
	}
	durations, ok := list.Value.([]int)
	n, ok2 := c.node(args[0])
	if !ok || !ok2 || n.kind != kindInt || len(durations) == 0 {
		return native{}, false
	}
	i := n.i
	return integer(func(f *frame) int { return durations[min(max(i(f), 0), len(durations)-1)] }), true
}

// callClock knows the clock functions with constant arguments.
func (c *nativeCompiler) callClock(name string, args []ast.Node) (native, bool) {
	if len(args) == 0 {
		return native{}, false
	}
	z, ok := args[len(args)-1].(*ast.ConstantNode)
	if !ok {
		return native{}, false
	}
	loc, ok := z.Value.(*time.Location)
	if !ok {
		return native{}, false
	}
	switch {
	case name == "hourIn" && len(args) == 1:
		return integer(func(f *frame) int { return timeIn(f.base, loc).Hour() }), true
	case name == "weekdayIn" && len(args) == 1:
		return integer(func(f *frame) int { return weekday(timeIn(f.base, loc)) }), true
	case name == "between" && len(args) == 3:
		from, ok1 := args[0].(*ast.IntegerNode)
		to, ok2 := args[1].(*ast.IntegerNode)
		if ok1 && ok2 {
			return boolean(func(f *frame) bool { return between(f.base, from.Value, to.Value, loc) }), true
		}
	}
	return native{}, false
}

func callVerdict(name, shape string, a []native) (native, bool) {
	decision := func(d func(*frame) Decision) (native, bool) { return native{kind: kindDecision, d: d}, true }
	thinking := func(o func(*frame) ThinkOp) (native, bool) { return native{kind: kindThink, o: o}, true }
	switch name + " " + shape {
	case "keep ":
		return thinking(func(*frame) ThinkOp { return ThinkOp{Op: "keep"} })
	case "strip ":
		return thinking(func(*frame) ThinkOp { return ThinkOp{Op: "strip"} })
	case "think i", "think n":
		n := a[0].float()
		return thinking(func(f *frame) ThinkOp { return must(think(n(f))) })
	case "effort s":
		s := a[0].s
		return thinking(func(f *frame) ThinkOp { return ThinkOp{Op: "effort", Effort: s(f)} })
	case "next s":
		s := a[0].s
		return decision(func(f *frame) Decision { return next(s(f)) })
	case "disable s":
		s := a[0].s
		return decision(func(f *frame) Decision { return disable(s(f)) })
	case "stop ":
		return decision(func(*frame) Decision { return stop("unknown") })
	case "stop s":
		s := a[0].s
		return decision(func(f *frame) Decision { return stop(s(f)) })
	case "retrySame i", "retrySame n":
		d := milliseconds(a[0])
		return decision(func(f *frame) Decision { return retrySame(d(f)) })
	}
	return callCool(name, shape, a)
}

func callCool(name, shape string, a []native) (native, bool) {
	if shape == "" || !numeric(shape[:1]) {
		return native{}, false
	}
	d, rest, limit := milliseconds(a[0]), a[1:], func(*frame) int { return 0 }
	level := func(_, level int) int { return level }
	switch name {
	case "cool":
	case "coolReset":
		level = func(int, int) int { return 0 }
	case "coolUp":
		if len(rest) == 0 || rest[0].kind != kindInt {
			return native{}, false
		}
		limit, rest = rest[0].i, rest[1:]
		level = func(limit, level int) int { return min(level+1, limit) }
	default:
		return native{}, false
	}
	scope := func(*frame) string { return "account" }
	switch shapeOf(rest) {
	case "s":
	case "ss":
		scope = rest[1].s
	default:
		return native{}, false
	}
	reason := rest[0].s
	return native{kind: kindDecision, d: func(f *frame) Decision {
		return must(cool(d(f), level(limit(f), f.account.Backoff), reason(f), scope(f)))
	}}, true
}
