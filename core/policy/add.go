package policy

import (
	"fmt"
	"time"
)

// errType reports an operand of the wrong type.
type errType struct {
	op string
	v  any
}

func (e errType) Error() string { return fmt.Sprintf("invalid operation: %s of a %T", e.op, e.v) }

// add is the + operator for operands of which one is a text or of unknown type.
func add(f *frame, a, b any) (any, error) {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return f.addTexts(x, y), nil
		}
	case int:
		switch y := b.(type) {
		case int:
			return x + y, nil
		case float64:
			return float64(x) + y, nil
		}
	case float64:
		switch y := b.(type) {
		case int:
			return x + float64(y), nil
		case float64:
			return x + y, nil
		}
	case time.Time:
		if y, ok := b.(time.Duration); ok {
			return x.Add(y), nil
		}
	case time.Duration:
		switch y := b.(type) {
		case time.Time:
			return y.Add(x), nil
		case time.Duration:
			return x + y, nil
		}
	}
	return nil, fmt.Errorf("invalid operation: %T + %T", a, b)
}
