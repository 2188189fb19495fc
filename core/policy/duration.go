package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of a duration literal in milliseconds, longest name first where one is
// the prefix of another.
var units = []struct {
	name string
	ms   float64
}{{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}}

// maxMS bounds every duration to about 292 years, far from overflow.
const maxMS = 1 << 53

// parseDuration reads a literal like "1h30m", "1.5s", "200ms" or "3d".
func parseDuration(s string) (ms int, err error) {
	rest, total := strings.TrimSpace(s), 0.0
	if rest == "" {
		return 0, fmt.Errorf("empty duration")
	}
	for rest != "" {
		n := 0
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '.') {
			n++
		}
		value, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, fmt.Errorf("bad duration %q: write it like 2m, 1.5s, 1h30m or 200ms", s)
		}
		rest = rest[n:]
		factor := 0.0
		for _, u := range units {
			if strings.HasPrefix(rest, u.name) {
				factor, rest = u.ms, rest[len(u.name):]
				break
			}
		}
		if factor == 0 {
			return 0, fmt.Errorf("bad duration %q: a unit is missing (ms, s, m, h or d)", s)
		}
		total += value * factor
	}
	if total > maxMS {
		return 0, fmt.Errorf("duration %q is too long", s)
	}
	return int(total), nil
}

// isDuration tells a duration literal from an expression.
func isDuration(s string) bool {
	s = strings.TrimSpace(s)
	if s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	_, err := parseDuration(s)
	return err == nil
}

// durationOf reads a duration argument: milliseconds as a number, or a literal.
func durationOf(v any) (ms int, err error) {
	switch x := v.(type) {
	case int:
		return x, nil
	case float64:
		return roundMS(x)
	case string:
		return parseDuration(x)
	}
	return 0, fmt.Errorf("a duration must be a number of milliseconds or a text like \"2m\", not %T", v)
}

func roundMS(x float64) (int, error) {
	if math.IsNaN(x) || math.Abs(x) > maxMS {
		return 0, fmt.Errorf("%v is not a duration", x)
	}
	return int(math.Round(x)), nil
}
