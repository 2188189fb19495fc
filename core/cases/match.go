package cases

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Captures holds the values that `$capture` stored. The zero value is ready.
// A failed match leaves it as it was.
type Captures struct {
	names  []string
	values []Value
}

func (c *Captures) get(name string) (Value, bool) {
	for i, n := range c.names {
		if n == name {
			return c.values[i], true
		}
	}
	return Value{}, false
}

func (c *Captures) put(name string, v Value) {
	c.names, c.values = append(c.names, name), append(c.values, v)
}

// rollback forgets everything stored after mark.
func (c *Captures) rollback(mark int) { c.names, c.values = c.names[:mark], c.values[:mark] }

// Mismatch says where a pattern failed.
type Mismatch struct {
	Path string
	Msg  string
}

// Error implements error.
func (m *Mismatch) Error() string {
	if m.Path == "" {
		return m.Msg
	}
	return m.Path + ": " + m.Msg
}

// ParsePattern reads a pattern and checks its operators.
func ParsePattern(json []byte) (Value, error) {
	p, err := Parse(json)
	if err == nil {
		err = checkPattern(p)
	}
	return p, err
}

// Match compares a value with a pattern. It returns nil when the pattern holds
// and otherwise the first place that differs; captures of a failed match are
// taken back.
func Match(pattern, v Value, caps *Captures) *Mismatch {
	m := matcher{caps: caps}
	return m.try(pattern, &v, "")
}

type matcher struct{ caps *Captures }

// try matches with rollback. A nil value is a missing key.
func (m *matcher) try(p Value, v *Value, path string) *Mismatch {
	mark := len(m.caps.names)
	bad := m.match(p, v, path)
	if bad != nil {
		m.caps.rollback(mark)
	}
	return bad
}

func (m *matcher) match(p Value, v *Value, path string) *Mismatch {
	if isOperator(p) {
		for _, op := range p.Members {
			if bad := m.operator(op.Key, op.Value, v, path); bad != nil {
				return bad
			}
		}
		return nil
	}
	if v == nil {
		return miss(path, "is missing, want %s", show(p))
	}
	switch p.Kind {
	case Object:
		if v.Kind != Object {
			return miss(path, "is %s, want an object", show(*v))
		}
		for _, want := range p.Members {
			var got *Value
			if x, ok := v.Get(want.Key); ok {
				got = &x
			}
			if bad := m.match(want.Value, got, join(path, want.Key)); bad != nil {
				return bad
			}
		}
		return nil
	case Array:
		if v.Kind != Array {
			return miss(path, "is %s, want an array", show(*v))
		}
		if len(v.Items) != len(p.Items) {
			return miss(path, "has %d elements, want %d: %s", len(v.Items), len(p.Items), show(*v))
		}
		for i := range p.Items {
			if bad := m.match(p.Items[i], &v.Items[i], path+"["+strconv.Itoa(i)+"]"); bad != nil {
				return bad
			}
		}
		return nil
	}
	if !Equal(p, *v) {
		return miss(path, "is %s, want %s", show(*v), show(p))
	}
	return nil
}

// operator checks one operator; v is nil for a missing key.
func (m *matcher) operator(op string, arg Value, v *Value, path string) *Mismatch {
	switch op {
	case "$exists", "$absent":
		if want := arg.Bool == (op == "$exists"); want != (v != nil) {
			if want {
				return miss(path, "is missing")
			}
			return miss(path, "is present: %s", show(*v))
		}
		return nil
	case "$not":
		mark := len(m.caps.names)
		bad := m.match(arg, v, path)
		m.caps.rollback(mark)
		if bad == nil {
			return miss(path, "matches %s, which it must not", show(arg))
		}
		return nil
	case "$oneOf":
		var first *Mismatch
		for _, p := range arg.Items {
			bad := m.try(p, v, path)
			if bad == nil {
				return nil
			}
			if first == nil {
				first = bad
			}
		}
		return miss(path, "matches none of the alternatives; the first: %v", first)
	}
	if v == nil {
		return miss(path, "is missing, want {%q: %s}", op, show(arg))
	}
	switch op {
	case "$any", "$all", "$contains", "$json", "$capture", "$ref":
		return m.deep(op, arg, v, path)
	}
	if !simple(op, arg, *v) {
		return miss(path, "is %s, want {%q: %s}", show(*v), op, show(arg))
	}
	return nil
}

// deep holds the operators that match further patterns or use captures.
func (m *matcher) deep(op string, arg Value, v *Value, path string) *Mismatch {
	switch op {
	case "$any", "$contains":
		if op == "$contains" && v.Kind == String {
			if arg.Kind != String || !strings.Contains(v.Text, arg.Text) {
				return miss(path, "is %s, which does not contain %s", show(*v), show(arg))
			}
			return nil
		}
		if v.Kind != Array {
			return miss(path, "is %s, want an array", show(*v))
		}
		for i := range v.Items {
			if m.try(arg, &v.Items[i], path) == nil {
				return nil
			}
		}
		return miss(path, "has no element that matches %s: %s", show(arg), show(*v))
	case "$all":
		if v.Kind != Array {
			return miss(path, "is %s, want an array", show(*v))
		}
		for i := range v.Items {
			if bad := m.match(arg, &v.Items[i], path+"["+strconv.Itoa(i)+"]"); bad != nil {
				return bad
			}
		}
		return nil
	case "$json":
		if v.Kind != String {
			return miss(path, "is %s, want a string with JSON", show(*v))
		}
		inner, err := Parse([]byte(v.Text))
		if err != nil {
			return miss(path, "is %s: %v", show(*v), err)
		}
		return m.match(arg, &inner, path+"(json)")
	}
	stored, ok := m.caps.get(arg.Text)
	switch {
	case ok && Equal(stored, *v):
		return nil
	case ok:
		return miss(path, "is %s, want %s as captured under %q", show(*v), show(stored), arg.Text)
	case op == "$ref":
		return miss(path, "refers to %q, which nothing captured", arg.Text)
	}
	m.caps.put(arg.Text, *v)
	return nil
}

// simple holds the operators that look at one present value alone.
func simple(op string, arg, v Value) bool {
	switch op {
	case "$eq":
		return Equal(arg, v)
	case "$len":
		n, _ := arg.Int()
		switch v.Kind {
		case Array:
			return len(v.Items) == n
		case Object:
			return len(v.Members) == n
		case String:
			return utf8.RuneCountInString(v.Text) == n
		}
		return false
	case "$type":
		return v.Kind.String() == arg.Text
	case "$regex":
		re, err := regexp.Compile(arg.Text)
		return err == nil && v.Kind == String && re.MatchString(v.Text)
	case "$prefix":
		return v.Kind == String && strings.HasPrefix(v.Text, arg.Text)
	case "$ge":
		return v.Kind == Number && compareNumbers(v.Text, arg.Text) >= 0
	case "$le":
		return v.Kind == Number && compareNumbers(v.Text, arg.Text) <= 0
	}
	return false
}

func isOperator(p Value) bool {
	return p.Kind == Object && len(p.Members) > 0 && strings.HasPrefix(p.Members[0].Key, "$")
}

// checkOperand refuses unknown operators and operands of the wrong type.
func checkOperand(op string, v Value) error {
	want := func(k Kind) error {
		if v.Kind != k {
			return fmt.Errorf("%s wants a %s, not %s", op, k, show(v))
		}
		return nil
	}
	switch op {
	case "$eq":
		return nil
	case "$exists", "$absent":
		return want(Bool)
	case "$prefix", "$capture", "$ref":
		return want(String)
	case "$ge", "$le":
		return want(Number)
	case "$contains", "$any", "$all", "$json", "$not":
		return checkPattern(v)
	case "$oneOf":
		if v.Kind != Array || len(v.Items) == 0 {
			return fmt.Errorf("%s wants a list of patterns", op)
		}
		return checkPattern(v)
	case "$len":
		if n, ok := v.Int(); !ok || n < 0 {
			return fmt.Errorf("%s wants a length, not %s", op, show(v))
		}
		return nil
	case "$type":
		for k := Null; k <= Object; k++ {
			if v.Kind == String && v.Text == k.String() {
				return nil
			}
		}
		return fmt.Errorf("%s wants a JSON type, not %s", op, show(v))
	case "$regex":
		if err := want(String); err != nil {
			return err
		}
		_, err := regexp.Compile(v.Text)
		return err
	}
	return fmt.Errorf("unknown operator %q", op)
}

// checkPattern refuses unknown operators, wrong operands and objects that mix
// operators with plain keys.
func checkPattern(p Value) error {
	switch p.Kind {
	case Array:
		for _, item := range p.Items {
			if err := checkPattern(item); err != nil {
				return err
			}
		}
	case Object:
		operators := isOperator(p)
		for _, m := range p.Members {
			if strings.HasPrefix(m.Key, "$") != operators {
				return fmt.Errorf("operators and plain keys mixed in %s", show(p))
			}
			err := error(nil)
			if operators {
				err = checkOperand(m.Key, m.Value)
			} else {
				err = checkPattern(m.Value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func miss(path, format string, args ...any) *Mismatch {
	return &Mismatch{Path: path, Msg: fmt.Sprintf(format, args...)}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func show(v Value) string { return clip(string(v.Raw)) }
