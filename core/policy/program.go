package policy

import (
	"fmt"
	"math"
	"runtime"
	"strconv"

	"github.com/expr-lang/expr/vm"
)

// program is one compiled expression.
type program struct {
	src      string
	want     want
	refs     []string
	native   native
	isNative bool
	code     *vm.Program // set if not native
}

// caught turns a panic of an evaluation into an error. Programming errors of
// the engine itself look like any other failure: a request never dies of one.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case runtime.Error:
		*err = fmt.Errorf("%v", r)
	case error:
		*err = r
	default:
		*err = fmt.Errorf("%v", r)
	}
}

// run executes the bytecode.
func (p *program) run(f *frame) any {
	v, err := f.vm.Run(p.code, f.env)
	if err != nil {
		panic(located(err))
	}
	return v
}

func (p *program) bool(f *frame) (v bool, err error) {
	defer caught(&err)
	f.cost = 0
	if p.isNative {
		return p.native.b(f), nil
	}
	b, ok := p.run(f).(bool)
	if !ok {
		return false, fmt.Errorf("the expression yields no bool")
	}
	return b, nil
}

// number evaluates to a float64, which may be NaN or infinite.
func (p *program) number(f *frame) (v float64, err error) {
	defer caught(&err)
	f.cost = 0
	if p.isNative {
		if p.native.kind == kindInt {
			return float64(p.native.i(f)), nil
		}
		return p.native.n(f), nil
	}
	return number(p.run(f))
}

// int evaluates to a whole number; NaN and infinities are errors.
func (p *program) int(f *frame) (v int, err error) {
	x, err := p.number(f)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(x) || math.Abs(x) > maxMS {
		return 0, fmt.Errorf("%v is not a usable number", x)
	}
	return int(x), nil
}

func (p *program) decision(f *frame) (v Decision, err error) {
	defer caught(&err)
	f.cost = 0
	if p.isNative {
		return p.native.d(f), nil
	}
	return p.run(f).(Decision), nil
}

func (p *program) think(f *frame) (v ThinkOp, err error) {
	defer caught(&err)
	f.cost = 0
	if p.isNative {
		return p.native.o(f), nil
	}
	return p.run(f).(ThinkOp), nil
}

// value evaluates to whatever the expression yields.
func (p *program) value(f *frame) (v any, err error) {
	defer caught(&err)
	f.cost = 0
	if !p.isNative {
		v := p.run(f)
		if x, ok := v.(*float64); ok {
			if x == nil {
				return nil, nil
			}
			return *x, nil
		}
		return v, nil
	}
	switch p.native.kind {
	case kindBool:
		return p.native.b(f), nil
	case kindInt:
		return p.native.i(f), nil
	case kindFloat, kindNumber:
		return p.native.n(f), nil
	case kindText:
		return p.native.s(f), nil
	}
	return nil, fmt.Errorf("unexpected kind of value")
}

// template is a text with ${expression} holes.
type template struct {
	parts []part
	fixed string // the text, if there is no hole
}

type part struct {
	text string
	hole *program
}

// maxRendered bounds the result of a template.
const maxRendered = 64 << 10

func (t *template) render(f *frame) (string, error) {
	if len(t.parts) == 0 {
		return t.fixed, nil
	}
	var stack [128]byte
	out := stack[:0]
	for _, p := range t.parts {
		if p.hole == nil {
			out = append(out, p.text...)
			continue
		}
		var err error
		if out, err = p.hole.appendText(out, f); err != nil {
			return "", err
		}
		if len(out) > maxRendered {
			return "", fmt.Errorf("the text is longer than %d KiB", maxRendered>>10)
		}
	}
	return string(out), nil
}

func (p *program) appendText(out []byte, f *frame) (_ []byte, err error) {
	if p.isNative && p.native.kind == kindText {
		return p.appendNativeText(out, f)
	}
	v, err := p.value(f)
	if err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case nil:
		return out, nil
	case string:
		return append(out, x...), nil
	case bool:
		return strconv.AppendBool(out, x), nil
	case int:
		return strconv.AppendInt(out, int64(x), 10), nil
	case float64:
		return appendFloat(out, x), nil
	}
	if deepCost(v, maxRendered) > maxRendered/16 {
		return nil, fmt.Errorf("the value of %s is too large for a text", p.src)
	}
	return fmt.Append(out, v), nil
}

func (p *program) appendNativeText(out []byte, f *frame) (_ []byte, err error) {
	defer caught(&err)
	f.cost = 0
	return append(out, p.native.s(f)...), nil
}

// appendFloat writes whole numbers without an exponent, as a person would.
func appendFloat(out []byte, x float64) []byte {
	if math.Abs(x) < 1e15 {
		return strconv.AppendFloat(out, x, 'f', -1, 64)
	}
	return strconv.AppendFloat(out, x, 'g', -1, 64)
}
