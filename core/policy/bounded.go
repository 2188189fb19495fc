package policy

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// Evaluation is bounded by cost: a unit is about one element visited or sixteen
// bytes of text read or written. A VM cannot be interrupted, so the compiler
// adds charges to everything whose cost depends on data (see harden.go), and
// the built-ins below replace those whose result can be much larger than their
// arguments, or whose order would differ from run to run.
const (
	costBudget = 500_000
	// deepWeight asks for the cost of everything inside a value.
	deepWeight = -1
	// pairsWeight is that cost for each element: every pair is compared.
	pairsWeight = -2
	maxText     = 1 << 20
	maxList     = 20_000
)

// errCost is the panic value and error of an evaluation that costs too much.
type errCost struct{}

func (errCost) Error() string {
	return "the expression costs too much: its lists or texts are too long"
}

// charge accounts for work about to be done.
func (f *frame) charge(units int) {
	if f.cost += units; f.cost > costBudget {
		panic(errCost{})
	}
}

func boundedBuiltins() []function {
	return []function{
		{
			name: "repeat", signature: "repeat(text, n) string", doc: "the text n times",
			types: []any{new(func(any, string, int) string)}, env: true,
			call: func(a ...any) (any, error) {
				s, n := a[1].(string), a[2].(int)
				if n < 0 {
					return nil, fmt.Errorf("repeat needs a number of at least 0, got %d", n)
				}
				if len(s) > 0 && n > maxText/len(s) {
					return nil, errCost{}
				}
				rootOf(a).run.charge(len(s) * n / 16)
				return strings.Repeat(s, n), nil
			},
		},
		{
			name: "replace", signature: "replace(text, old, new [, n]) string", doc: "the text with (up to n times) old replaced by new",
			types: []any{new(func(any, string, string, string) string), new(func(any, string, string, string, int) string)}, env: true,
			call: func(a ...any) (any, error) {
				s, old, with, n := a[1].(string), a[2].(string), a[3].(string), -1
				if len(a) > 4 {
					n = a[4].(int)
				}
				size := len(s) + strings.Count(s, old)*len(with)
				if size > maxText {
					return nil, errCost{}
				}
				rootOf(a).run.charge((len(s) + size) / 8)
				return strings.Replace(s, old, with, n), nil
			},
		},
		{
			name: "join", signature: "join(list [, separator]) string", doc: "the texts of a list in one text",
			types: []any{
				new(func(any, []string) string), new(func(any, []string, string) string),
				new(func(any, []any) string), new(func(any, []any, string) string),
			}, env: true,
			call: func(a ...any) (any, error) {
				list, err := texts(a[1])
				if err != nil {
					return nil, err
				}
				sep := ""
				if len(a) > 2 {
					sep = a[2].(string)
				}
				size := len(sep) * len(list)
				for _, s := range list {
					size += len(s)
				}
				if size > maxText {
					return nil, errCost{}
				}
				rootOf(a).run.charge(len(list) + size/16)
				return strings.Join(list, sep), nil
			},
		},
		{
			name: "keys", signature: "keys(map) list", doc: "the keys of a map, sorted",
			types: []any{new(func(any, map[string]any) []any), new(func(any, map[string]string) []any)}, env: true,
			call: func(a ...any) (any, error) {
				pairs, err := sortedPairs(rootOf(a).run, a[1])
				return pick(pairs, 0), err
			},
		},
		{
			name: "values", signature: "values(map) list", doc: "the values of a map, sorted by key",
			types: []any{new(func(any, map[string]any) []any), new(func(any, map[string]string) []any)}, env: true,
			call: func(a ...any) (any, error) {
				pairs, err := sortedPairs(rootOf(a).run, a[1])
				return pick(pairs, 1), err
			},
		},
		{
			name: "toPairs", signature: "toPairs(map) list", doc: "the [key, value] pairs of a map, sorted by key",
			types: []any{new(func(any, map[string]any) []any), new(func(any, map[string]string) []any)}, env: true,
			call: func(a ...any) (any, error) {
				pairs, err := sortedPairs(rootOf(a).run, a[1])
				out := make([]any, len(pairs))
				for i, p := range pairs {
					out[i] = []any{p[0], p[1]}
				}
				return out, err
			},
		},
	}
}

func sortedPairs(f *frame, m any) ([][2]any, error) {
	var keys []string
	var value func(k string) any
	switch m := m.(type) {
	case map[string]any:
		keys = make([]string, 0, min(len(m), maxList))
		f.charge(len(m))
		for k := range m {
			keys = append(keys, k)
		}
		value = func(k string) any { return m[k] }
	case map[string]string:
		f.charge(len(m))
		for k := range m {
			keys = append(keys, k)
		}
		value = func(k string) any { return m[k] }
	default:
		return nil, fmt.Errorf("a map was expected, got %T", m)
	}
	sort.Strings(keys)
	pairs := make([][2]any, len(keys))
	for i, k := range keys {
		pairs[i] = [2]any{k, value(k)}
	}
	return pairs, nil
}

func pick(pairs [][2]any, side int) []any {
	out := make([]any, len(pairs))
	for i, p := range pairs {
		out[i] = p[side]
	}
	return out
}

// chargeFor is the cost of handing a value to a scanning operation once.
func chargeFor(v any, weight int) int {
	switch weight {
	case deepWeight:
		return deepCost(v, costBudget)
	case pairsWeight:
		n := 1
		if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice {
			n += rv.Len() / 4
		}
		return n * deepCost(v, costBudget)
	}
	switch x := v.(type) {
	case string:
		return len(x)*weight/16 + 1
	case []string:
		return len(x)*weight + 1
	case []any:
		return len(x)*weight + 1
	case []int:
		return len(x)*weight + 1
	case []*Target:
		return len(x)*weight + 1
	case []*Account:
		return len(x)*weight + 1
	case map[string]any:
		return len(x)*weight + 1
	case map[string]string:
		return len(x)*weight + 1
	}
	return weight
}

// deepCost is the cost of visiting everything inside a value; it stops counting
// beyond limit.
func deepCost(v any, limit int) int {
	cost := 1
	visit := func(x any) bool {
		cost += deepCost(x, limit-cost)
		return cost <= limit
	}
	switch x := v.(type) {
	case string:
		cost += len(x) / 16
	case []any:
		for _, item := range x {
			if !visit(item) {
				break
			}
		}
	case map[string]any:
		for _, item := range x {
			if cost++; !visit(item) {
				break
			}
		}
	case []string:
		for _, item := range x {
			if !visit(item) {
				break
			}
		}
	case map[string]string:
		for k, item := range x {
			if cost += len(k) / 16; !visit(item) {
				break
			}
		}
	case []*Target:
		cost += 50 * len(x)
	case []*Account:
		cost += 50 * len(x)
	}
	return cost
}

// addTexts is the + of texts, bounded.
func (f *frame) addTexts(a, b string) string {
	n := len(a) + len(b)
	if n > maxText {
		panic(errCost{})
	}
	f.charge(n/16 + 1)
	return a + b
}

// heavyBuiltins are built-ins whose arguments are charged: the weight is the
// number of times an argument is visited, roughly.
func heavyBuiltins() map[string]int {
	heavy := map[string]int{"uniq": pairsWeight, "split": 16, "splitAfter": 16, "fromJSON": 32, "sort": 8, "sortBy": 8, "date": 8}
	for _, name := range []string{
		"upper", "lower", "trim", "trimPrefix", "trimSuffix", "toBase64", "fromBase64", "indexOf", "lastIndexOf",
		"concat", "flatten", "reverse", "fromPairs", "mean", "median", "min", "max", "sum", "count", "take", "int", "float",
	} {
		heavy[name] = 2
	}
	for _, name := range []string{"toJSON", "string"} {
		heavy[name] = deepWeight
	}
	return heavy
}

// predicates are the built-ins that take a predicate.
func isPredicate(name string) bool {
	return slices.Contains([]string{
		"all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex",
		"count", "sum", "groupBy", "sortBy", "reduce",
	}, name)
}
