package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // tz names must resolve on systems without a zone database
)

// function is one function of the language beside expr's built-ins.
type function struct {
	name      string
	signature string
	doc       string
	// types are prototypes of the accepted signatures. When env is set, the
	// first parameter is the environment, which the compiler adds to each call.
	types []any
	env   bool
	call  func(args ...any) (any, error)
	// durations, zones and clocks are the positions (without the environment) of
	// arguments whose literals are read at load.
	durations, zones, clocks []int
	// visible limits the function to hooks whose environment has this variable.
	visible string
}

// functions is the whole language; the compiler, the editor's completion and
// the reference are made from it.
func functions() []function {
	all := textFunctions()
	all = append(all, numberFunctions()...)
	all = append(all, clockFunctions()...)
	all = append(all, factFunctions()...)
	all = append(all, verdictFunctions()...)
	return append(all, boundedBuiltins()...)
}

func textFunctions() []function {
	return []function{
		{
			name: "glob", signature: "glob(pattern, text) bool",
			doc:   "case-insensitive match; * is any run of characters (also /), ? exactly one",
			types: []any{new(func(string, string) bool)},
			call:  func(a ...any) (any, error) { return glob(a[0].(string), a[1].(string)), nil },
		},
		{
			name: "globAny", signature: "globAny(patterns, text) bool", doc: "one of the patterns matches",
			types: []any{new(func([]string, string) bool), new(func([]any, string) bool)},
			call: func(a ...any) (any, error) {
				list, err := texts(a[0])
				return GlobAny(list, a[1].(string)), err
			},
		},
		{
			name: "ipIn", signature: "ipIn(ip, list) bool",
			doc:   "the address is in a list of addresses, CIDR ranges or 192.168.*.* patterns; false for what is no address",
			types: []any{new(func(string, []string) bool), new(func(string, []any) bool)},
			call: func(a ...any) (any, error) {
				list, err := texts(a[1])
				return ipIn(a[0].(string), list), err
			},
		},
		{
			name: "hasTag", signature: "hasTag(tags, tag...) bool", doc: "one of the tags is in the list",
			types: []any{new(func([]string, ...string) bool), new(func([]any, ...string) bool)},
			call: func(a ...any) (any, error) {
				list, err := texts(a[0])
				for _, w := range a[1:] {
					if err == nil && hasTag(list, w.(string)) {
						return true, nil
					}
				}
				return false, err
			},
		},
		{
			name: "overlap", signature: "overlap(tags, tags) bool", doc: "the two lists share an element",
			types: []any{
				new(func([]string, []string) bool), new(func([]string, []any) bool),
				new(func([]any, []string) bool), new(func([]any, []any) bool),
			},
			call: func(a ...any) (any, error) {
				x, err := texts(a[0])
				if err != nil {
					return false, err
				}
				y, err := texts(a[1])
				return hasTag(x, y...), err
			},
		},
		{
			name: "hash", signature: "hash(text) int", doc: "63-bit hash, stable over restarts and versions",
			types: []any{new(func(string) int)},
			call:  func(a ...any) (any, error) { return int(hash64(a[0].(string)) >> 1), nil },
		},
		{
			name: "bucket", signature: "bucket(text, n) int", doc: "0 … n-1 by hash: the same text always falls into the same bucket",
			types: []any{new(func(string, int) int)},
			call: func(a ...any) (any, error) {
				return bucket(a[0].(string), a[1].(int))
			},
		},
	}
}

func bucket(s string, n int) (int, error) {
	if n <= 0 {
		return 0, fmt.Errorf("bucket needs a positive number of buckets, got %d", n)
	}
	return int(hash64(s) % uint64(n)), nil
}

func numberFunctions() []function {
	return []function{
		{
			name: "ms", signature: "ms(duration) int", doc: `milliseconds of "2m", "1.5s" or "1h30m"; a number is milliseconds already`,
			types: []any{new(func(any) int)}, durations: []int{0},
			call: func(a ...any) (any, error) { return durationOf(a[0]) },
		},
		{
			name: "backoff", signature: "backoff(base, level, max) int", doc: "base * 2^level milliseconds, at most max",
			types: []any{new(func(any, int, any) int)}, durations: []int{0, 2},
			call: func(a ...any) (any, error) {
				base, err := durationOf(a[0])
				if err != nil {
					return nil, err
				}
				limit, err := durationOf(a[2])
				return backoff(base, a[1].(int), limit), err
			},
		},
		{
			name: "steps", signature: "steps(n, durations) int", doc: "the n-th duration in milliseconds, from 0; the last one beyond the end",
			types: []any{new(func(int, []any) int), new(func(int, []int) int), new(func(int, []string) int)}, durations: []int{1},
			call: func(a ...any) (any, error) { return steps(a[0].(int), a[1]) },
		},
		{
			name: "clamp", signature: "clamp(x, low, high) float", doc: "x, but not below low and not above high",
			types: []any{new(func(any, any, any) float64)}, durations: []int{1, 2},
			call: func(a ...any) (any, error) {
				x, low, high, err := three(a)
				return clamp(x, low, high), err
			},
		},
		{
			name: "norm", signature: "norm(x, max) float", doc: "1 - x/max: 1 for the best, 0 for the worst of a pool; 1 if max is not positive",
			types: []any{new(func(any, any) float64)},
			call: func(a ...any) (any, error) {
				x, err := number(a[0])
				if err != nil {
					return nil, err
				}
				limit, err := number(a[1])
				return norm(x, limit), err
			},
		},
		{
			name: "effortTokens", signature: "effortTokens(level) int", doc: "token budget of a thinking level in the active preset",
			types: []any{new(func(any, string) int)}, env: true,
			call: func(a ...any) (any, error) { return rootOf(a).run.effortTokens(a[1].(string)), nil },
		},
	}
}

func backoff(base, level, limit int) int {
	ms := float64(base) * math.Pow(2, float64(min(max(level, 0), 30)))
	return int(math.Min(ms, float64(limit)))
}

func steps(n int, list any) (int, error) {
	switch l := list.(type) {
	case []any:
		if len(l) > 0 {
			return durationOf(l[min(max(n, 0), len(l)-1)])
		}
	case []int:
		if len(l) > 0 {
			return l[min(max(n, 0), len(l)-1)], nil
		}
	case []string:
		if len(l) > 0 {
			return durationOf(l[min(max(n, 0), len(l)-1)])
		}
	}
	return 0, fmt.Errorf("steps needs at least one duration")
}

func clamp(x, low, high float64) float64 { return math.Max(low, math.Min(high, x)) }

func norm(x, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return 1 - x/limit
}

// The token budgets of thinking levels, one table per preset generation.
func effortTable(modern bool) map[string]int {
	if modern {
		return map[string]int{"none": 0, "auto": -1, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 128000}
	}
	return map[string]int{"none": 0, "auto": -1, "minimal": 512, "low": 1024, "medium": 10240, "high": 131072, "xhigh": 131072, "max": 131072}
}

func clockFunctions() []function {
	return []function{
		{
			name: "between", signature: `between("09:00", "18:00", tz) bool`, doc: "the time of day in tz is in the window; the end is excluded, a window may wrap midnight",
			types: []any{new(func(any, any, any, any) bool)}, env: true, clocks: []int{0, 1}, zones: []int{2},
			call: func(a ...any) (any, error) {
				from, err := minuteOfDay(a[1])
				if err != nil {
					return nil, err
				}
				to, err := minuteOfDay(a[2])
				if err != nil {
					return nil, err
				}
				loc, err := zone(a[3])
				if err != nil {
					return nil, err
				}
				return between(rootOf(a), from, to, loc), nil
			},
		},
		{
			name: "hourIn", signature: "hourIn(tz) int", doc: "the hour in a time zone",
			types: []any{new(func(any, any) int)}, env: true, zones: []int{0},
			call: func(a ...any) (any, error) {
				loc, err := zone(a[1])
				if err != nil {
					return nil, err
				}
				return timeIn(rootOf(a), loc).Hour(), nil
			},
		},
		{
			name: "weekdayIn", signature: "weekdayIn(tz) int", doc: "the weekday in a time zone, 1 = Monday",
			types: []any{new(func(any, any) int)}, env: true, zones: []int{0},
			call: func(a ...any) (any, error) {
				loc, err := zone(a[1])
				if err != nil {
					return nil, err
				}
				return weekday(timeIn(rootOf(a), loc)), nil
			},
		},
	}
}

func timeIn(e *IPEnv, loc *time.Location) time.Time {
	return time.UnixMilli(int64(e.Clock.UnixMS)).In(loc)
}

func between(e *IPEnv, from, to int, loc *time.Location) bool {
	t := timeIn(e, loc)
	m := t.Hour()*60 + t.Minute()
	if from <= to {
		return m >= from && m < to
	}
	return m >= from || m < to
}

func weekday(t time.Time) int {
	if d := int(t.Weekday()); d != 0 {
		return d
	}
	return 7
}

// minuteOfDay reads "HH:MM"; a number is minutes since midnight already.
func minuteOfDay(v any) (int, error) {
	switch x := v.(type) {
	case int:
		return x, nil
	case string:
		hh, mm, ok := strings.Cut(x, ":")
		h, err1 := strconv.Atoi(hh)
		m, err2 := strconv.Atoi(mm)
		if ok && err1 == nil && err2 == nil && len(mm) == 2 && h >= 0 && h <= 24 && m >= 0 && m <= 59 && h*60+m <= 24*60 {
			return h*60 + m, nil
		}
	}
	return 0, fmt.Errorf("bad time of day %v: write it like \"09:30\"", v)
}

func zone(v any) (*time.Location, error) {
	switch x := v.(type) {
	case *time.Location:
		return x, nil
	case string:
		if loc, err := time.LoadLocation(x); err == nil && x != "Local" {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("unknown time zone %v: use a name like \"Europe/Berlin\" or \"UTC\"", v)
}

func factFunctions() []function {
	return []function{
		{
			name: "header", signature: "header(name) string", doc: "a request header, the name in any case; empty if absent",
			types: []any{new(func(any, string) string)}, env: true,
			call: func(a ...any) (any, error) { return header(rootOf(a), a[1].(string)), nil },
		},
		{
			name: "banned", signature: "banned(ip) bool", doc: "the address is temporarily banned",
			types: []any{new(func(any, string) bool)}, env: true,
			call: func(a ...any) (any, error) { return banned(rootOf(a), a[1].(string)), nil },
		},
		{
			name: "rand", signature: "rand(salt) float", doc: "a number in [0,1) fixed by request id and salt: asked twice it is the same, so decisions can be replayed",
			types: []any{new(func(any, string) float64)}, env: true,
			call: func(a ...any) (any, error) { return random(rootOf(a).Req.ID, a[1].(string)), nil },
		},
		{
			name: "spend", signature: "spend(scope, window) float", doc: `USD counted for a scope like "key:k1", "team:", "tag:", "user:", "provider:", "account:", "model:", "combo:" or "global" in minute, hour, day, week, month, total or a rolling window like "30m"`,
			types: []any{new(func(any, string, string) float64)}, env: true, visible: "key",
			call: func(a ...any) (any, error) { return spend(rootOf(a), a[1].(string), a[2].(string)), nil },
		},
		{
			name: "requests", signature: "requests(scope, window) int", doc: "requests counted for a scope in a window, as in spend",
			types: []any{new(func(any, string, string) int)}, env: true, visible: "key",
			call: func(a ...any) (any, error) { return requests(rootOf(a), a[1].(string), a[2].(string)), nil },
		},
		{
			name: "tokens", signature: "tokens(scope, window) int", doc: "tokens counted for a scope in a window, as in spend",
			types: []any{new(func(any, string, string) int)}, env: true, visible: "key",
			call: func(a ...any) (any, error) { return tokens(rootOf(a), a[1].(string), a[2].(string)), nil },
		},
	}
}

func header(e *IPEnv, name string) string { return e.Req.Headers[strings.ToLower(name)] }

func banned(e *IPEnv, ip string) bool { return e.Facts != nil && e.Facts.Banned(ip) }

func spend(e *IPEnv, scope, window string) float64 {
	if e.Facts == nil {
		return 0
	}
	return e.Facts.Spend(scope, window)
}

func requests(e *IPEnv, scope, window string) int {
	if e.Facts == nil {
		return 0
	}
	return e.Facts.Requests(scope, window)
}

func tokens(e *IPEnv, scope, window string) int {
	if e.Facts == nil {
		return 0
	}
	return e.Facts.Tokens(scope, window)
}

func verdictFunctions() []function {
	return []function{
		{
			name: "keep", signature: "keep() ThinkOp", doc: "leave the client's thinking parameters alone",
			types: []any{new(func() ThinkOp)},
			call:  func(...any) (any, error) { return ThinkOp{Op: "keep"}, nil },
		},
		{
			name: "strip", signature: "strip() ThinkOp", doc: "remove the client's thinking parameters",
			types: []any{new(func() ThinkOp)},
			call:  func(...any) (any, error) { return ThinkOp{Op: "strip"}, nil },
		},
		{
			name: "think", signature: "think(tokens) ThinkOp", doc: "think with this token budget",
			types: []any{new(func(any) ThinkOp)},
			call: func(a ...any) (any, error) {
				x, err := number(a[0])
				if err != nil {
					return nil, err
				}
				return think(x)
			},
		},
		{
			name: "effort", signature: "effort(level) ThinkOp", doc: "think at this level",
			types: []any{new(func(string) ThinkOp)},
			call:  func(a ...any) (any, error) { return ThinkOp{Op: "effort", Effort: a[0].(string)}, nil },
		},
		coolFunction("cool", "cool(duration, reason [, scope]) Decision", "fall back and penalise the account (or the scope model or provider) for the duration; the backoff level stays",
			func(_ int, level int) int { return level }, false),
		coolFunction("coolUp", "coolUp(duration, maxLevel, reason [, scope]) Decision", "as cool, and the backoff level rises by one up to maxLevel",
			func(limit, level int) int { return min(level+1, limit) }, true),
		coolFunction("coolReset", "coolReset(duration, reason [, scope]) Decision", "as cool, and the backoff level starts again at 0",
			func(int, int) int { return 0 }, false),
		{
			name: "next", signature: "next(reason) Decision", doc: "fall back to the next target without a penalty",
			types: []any{new(func(string) Decision)},
			call:  func(a ...any) (any, error) { return next(a[0].(string)), nil },
		},
		{
			name: "retrySame", signature: "retrySame(duration) Decision", doc: "wait, then use the same account again",
			types: []any{new(func(any) Decision)}, durations: []int{0},
			call: func(a ...any) (any, error) {
				ms, err := durationOf(a[0])
				return retrySame(ms), err
			},
		},
		{
			name: "stop", signature: "stop([reason]) Decision", doc: "answer the client now",
			types: []any{new(func(...string) Decision)},
			call: func(a ...any) (any, error) {
				if len(a) > 1 {
					return nil, fmt.Errorf("stop takes at most one reason")
				}
				reason := "unknown"
				if len(a) == 1 {
					reason = a[0].(string)
				}
				return stop(reason), nil
			},
		},
		{
			name: "disable", signature: "disable(reason) Decision", doc: "fall back; the account leaves rotation until it is enabled again",
			types: []any{new(func(string) Decision)},
			call:  func(a ...any) (any, error) { return disable(a[0].(string)), nil },
		},
	}
}

// coolFunction makes one of the three penalising functions. level computes the
// new backoff level from the rule's limit and the account's level.
func coolFunction(name, signature, doc string, level func(limit, level int) int, limited bool) function {
	f := function{name: name, signature: signature, doc: doc, env: true, visible: "account", durations: []int{0}}
	if limited {
		f.types = []any{new(func(any, any, int, string, ...string) Decision)}
	} else {
		f.types = []any{new(func(any, any, string, ...string) Decision)}
	}
	f.call = func(a ...any) (any, error) {
		limit, rest := 0, a[2:]
		if limited {
			limit, rest = a[2].(int), a[3:]
		}
		ms, err := durationOf(a[1])
		if err != nil {
			return nil, err
		}
		scope := "account"
		if len(rest) > 1 {
			scope = rest[1].(string)
		}
		if len(rest) > 2 {
			return nil, fmt.Errorf("%s takes at most one scope", name)
		}
		return cool(ms, level(limit, backoffLevel(a[0])), rest[0].(string), scope)
	}
	return f
}

func cool(ms, level int, reason, scope string) (Decision, error) {
	to := "account"
	switch scope {
	case "account", "model":
	case "provider":
		to = "target"
	default:
		return Decision{}, fmt.Errorf("unknown scope %q: use account, model or provider", scope)
	}
	return Decision{To: to, Fallback: true, CooldownMS: max(ms, 0), Scope: scope, Level: level, Reason: reason}, nil
}

func next(reason string) Decision { return Decision{To: "target", Fallback: true, Reason: reason} }
func stop(reason string) Decision { return Decision{To: "client", Reason: reason} }
func retrySame(ms int) Decision   { return Decision{To: "same", Retry: true, WaitMS: max(ms, 0)} }
func disable(reason string) Decision {
	return Decision{To: "account", Fallback: true, Disable: true, Reason: reason}
}

func think(budget float64) (ThinkOp, error) {
	ms, err := roundMS(math.Trunc(budget))
	if err != nil {
		return ThinkOp{}, fmt.Errorf("%v is not a token budget", budget)
	}
	return ThinkOp{Op: "budget", Budget: ms}, nil
}

// rootOf returns the common root of the environment passed to a function.
func rootOf(args []any) *IPEnv { return args[0].(interface{ root() *IPEnv }).root() }

func (e *IPEnv) root() *IPEnv { return e }

func backoffLevel(env any) int {
	return env.(interface{ backoffLevel() int }).backoffLevel()
}

func (e *AccountEnv) backoffLevel() int { return e.Account.Backoff }

func number(v any) (float64, error) {
	switch x := v.(type) {
	case int:
		return float64(x), nil
	case float64:
		return x, nil
	case *float64:
		if x != nil {
			return *x, nil
		}
	case int64:
		return float64(x), nil
	}
	return 0, fmt.Errorf("a number was expected, got %T", v)
}

// three reads the arguments of clamp, of which the bounds may be durations.
func three(a []any) (x, low, high float64, err error) {
	if x, err = number(a[0]); err != nil {
		return
	}
	if low, err = number(a[1]); err != nil {
		return
	}
	high, err = number(a[2])
	return
}

func texts(v any) ([]string, error) {
	switch x := v.(type) {
	case []string:
		return x, nil
	case []any:
		out := make([]string, len(x))
		for i, item := range x {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("a list of texts was expected, item %d is %T", i, item)
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, fmt.Errorf("a list of texts was expected, got %T", v)
}
