package cases

import (
	"math/big"
	"strings"
)

// decimal is a JSON number in normal form: sign, digits without zeros at either
// end, and the power of ten of the point before the first digit. Zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exp      *big.Int
}

func parseDecimal(lit string) decimal {
	var d decimal
	if strings.HasPrefix(lit, "-") {
		d.negative, lit = true, lit[1:]
	}
	d.exp = new(big.Int)
	if i := strings.IndexAny(lit, "eE"); i >= 0 {
		d.exp.SetString(strings.TrimPrefix(lit[i+1:], "+"), 10)
		lit = lit[:i]
	}
	whole, frac, _ := strings.Cut(lit, ".")
	all := whole + frac
	d.exp.Add(d.exp, big.NewInt(int64(len(whole))))
	trimmed := strings.TrimLeft(all, "0")
	d.exp.Sub(d.exp, big.NewInt(int64(len(all)-len(trimmed))))
	if d.digits = strings.TrimRight(trimmed, "0"); d.digits == "" {
		return decimal{exp: new(big.Int)}
	}
	return d
}

// compareNumbers orders two JSON number literals by exact value.
func compareNumbers(a, b string) int {
	x, y := parseDecimal(a), parseDecimal(b)
	sign := func(d decimal) int {
		switch {
		case d.digits == "":
			return 0
		case d.negative:
			return -1
		}
		return 1
	}
	sx, sy := sign(x), sign(y)
	switch {
	case sx < sy:
		return -1
	case sx > sy:
		return 1
	case sx == 0:
		return 0
	}
	c := x.exp.Cmp(y.exp)
	if c == 0 {
		c = strings.Compare(x.digits, y.digits)
	}
	return c * sx
}

// Equal is deep equality of JSON values: member order does not matter, numbers
// compare by value.
func Equal(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Bool:
		return a.Bool == b.Bool
	case Number:
		return compareNumbers(a.Text, b.Text) == 0
	case String:
		return a.Text == b.Text
	case Array:
		if len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !Equal(a.Items[i], b.Items[i]) {
				return false
			}
		}
	case Object:
		if len(a.Members) != len(b.Members) {
			return false
		}
		for _, m := range a.Members {
			other, ok := b.Get(m.Key)
			if !ok || !Equal(m.Value, other) {
				return false
			}
		}
	}
	return true
}
