package policy

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefusedAtLoad: what could not be bounded at run time does not load.
func TestRefusedAtLoad(t *testing.T) {
	for src, want := range map[string]string{
		"all(1..1000, all(1..1000, all(1..1000, # > 0)))":                  "nested 2 deep",
		"let xs = 1..1000; all(xs, any(xs, none(xs, # > 0)))":              "nested 2 deep",
		"len(1..10000000) > 0":                                             "1000 elements",
		"len(1..req.n) > 0":                                                "must be constant",
		"req.model matches req.user":                                       "constant text",
		"req.model matches ('a' + req.user)":                               "constant text",
		strings.Repeat("(", 100000) + "1":                                  "longer than",
		strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000):     "nested more than",
		strings.Repeat("not ", 3000) + "true":                              "exceeds maximum allowed nodes",
		"true" + strings.Repeat(" and true", 1500):                         "exceeds maximum allowed nodes",
		strings.Repeat("-", 8000) + "1 > 0":                                "exceeds maximum allowed nodes",
		"true ? " + strings.Repeat("true ? true : ", 1100) + "true : true": "",
		"[" + strings.Repeat("[", 200) + "]":                               "nested more than",
		"$charge($env, 1, 2) == 1":                                         "",
		"req.body[now()] == 1":                                             "unknown name now",
		"\xff\xfe":                                                         "",
		"":                                                                 "empty",
		"   ":                                                              "empty",
	} {
		x := newExpressions(constants{})
		p, err := x.compile(reflect.TypeFor[GateEnv](), src, wantBool)
		if want == "" && err == nil {
			continue // allowed, if it is bounded
		}
		require.Nil(t, p, "%.60s", src)
		require.Contains(t, err.msg, want, "%.60s", src)
	}
}

// TestBoundedAtRunTime: everything else ends soon, with an answer or an error.
func TestBoundedAtRunTime(t *testing.T) {
	set := preset(t, "none")
	long := strings.Repeat("a", maxFactText-1) + "b"
	doubling := func(n int) string {
		var b strings.Builder
		b.WriteString("let a0 = req.user_text; ")
		for i := range n {
			fmt.Fprintf(&b, "let a%d = a%d + a%d; ", i+1, i, i)
		}
		fmt.Fprintf(&b, "len(a%d) > 0", n)
		return b.String()
	}
	list := make([]any, 20000)
	for i := range list {
		list[i] = map[string]any{"x": float64(i)}
	}
	names := make([]string, 20000)
	for i := range names {
		names[i] = fmt.Sprint("tool", i)
	}
	for _, src := range []string{
		"all(1..1000, all(1..1000, # > 0))",
		"let xs = 1..1000; all(xs, all(xs, # > 0))",
		"all(req.body.list, all(req.body.list, #.x >= 0))",
		"all(req.tool_names, all(req.tool_names, # != ''))",
		"len(repeat('a', 1000000)) > 0",
		"len(repeat(req.user_text, 1000000)) > 0",
		"len(replace(req.user_text, '', req.user_text)) > 0",
		"len(join(map(1..1000, req.user_text), req.user_text)) > 0",
		"len(map(1..1000, map(1..1000, upper(req.user_text)))) > 0",
		"len(map(1..1000, split(req.user_text, ''))) > 0",
		"len(reduce(1..1000, #acc + #acc, 'x')) > 0",
		"len(reduce(1..1000, concat(#acc, #acc), [1])) > 0",
		"all(1..1000, all(1..1000, req.user_text matches '(a+)+$'))",
		"all(1..1000, all(1..1000, req.user_text contains 'aaaaaaaaaaaac'))",
		"all(1..1000, ({'x': #}) in req.body.list)",
		"all(1..1000, not (req.body in req.body.list))",
		"all(req.body.list, # == req.body)",
		"all(map(1..1000, req.body), # == req.body)",
		"len(uniq(req.body.list)) > 0",
		"all(1..1000, req.body == req.body)",
		"len(toJSON(map(1..1000, req.body))) > 0",
		"len(sort(map(1..1000, -#))) == 1000 and len(sortBy(req.body.list, -#.x)) > 0",
		"any(1..1000, overlap(req.tool_names, req.tool_names))",
		"glob('*a*a*a*a*a*a*a*c', req.user_text)",
		"all(1..1000, glob('*a*a*a*a*a*a*a*c', req.user_text))",
		"none(1..1000, any(1..1000, glob('*a*a*a*a*a*a*a*c', req.user_text)))",
		"none(req.tool_names, globAny(req.tool_names, req.user_text))",
		"none(1..1000, any(1..1000, hash(req.user_text) == 1))",
		doubling(40),
		"len(groupBy(1..1000, #)) > 0",
		"1 / 0 > 1",
		"req.n % 0 == 1",
		"req.tags[5] == 'x'",
		"get(req.tags, 5) == nil",
		"max([]) > 1",
		"int('x') > 1",
		"fromJSON(req.user_text) == 1",
		"date(req.user_text).Year() > 1",
		"duration('1x') > duration('1s')",
		"req.body.a.b.c == 1",
		"bucket('x', 0) == 0",
		"len(keys(req.headers)) > 0 and toPairs(req.headers)[0][0] == 'a'",
	} {
		for _, vmOnly := range []bool{false, true} {
			x := newExpressions(constants{})
			x.vmOnly = vmOnly
			p, cerr := x.compile(reflect.TypeFor[ErrorEnv](), src, wantBool)
			if cerr != nil {
				t.Logf("refused: %.70s: %s", src, cerr.msg)
				continue
			}
			w := newWorld(set)
			w.req.UserText, w.req.ToolNames = long, names
			w.req.Body = map[string]any{"list": list}
			w.req.Headers = map[string]string{"a": "1", "b": "2"}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			v, err := evaluate(set, p, w)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("vm=%v %8s %6d KiB %v %v  <- %.70s", vmOnly, took.Round(10*time.Microsecond), (after.TotalAlloc-before.TotalAlloc)>>10, v, err, src)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), src)
		}
	}
}

// TestFailureAnswers: what each hook answers when a rule cannot be evaluated.
func TestFailureAnswers(t *testing.T) {
	broken := "req.tags[9] == 'x'"
	number := "int(req.tags[9])"
	set := mustLoad(t, fileLayer(fmt.Sprintf(`policies:
  preset: none
  ip: [{id: r, when: %[1]q, deny: x}]
  lockout: [{id: r, subject: a, count: %[1]q}, {id: ok, subject: b, count: true}]
  gate: [{id: w, warn: hello}, {id: r, when: %[1]q, deny: x}]
  bypass: [{id: r, when: %[1]q, reply: x}, {id: ok, reply: y}]
  rewrite: [{id: r, when: %[1]q, model: x}, {id: ok, model: y}]
  cache: [{id: r, when: %[1]q, mode: read}, {id: ok, mode: read}]
  budget: [{id: r, scope: a, limit: %[2]q, deny: true}]
  log: [{id: r, when: %[1]q, bodies: all}]
  filter: [{id: r, drop: %[1]q}]
  order: [{id: r, by: ['target.position == 0 ? %[3]s : 1']}]
  accounts: [{id: e, eligible: 'account.id == "b" or %[4]s'}]
  limits: [{id: r, scope: a, rpm: %[2]q}, {id: ok, scope: a, rpm: 7}, {id: nan, scope: a, rpm: 0 / 0}]
  learn: [{id: r, reservoir: %[2]q}, {id: ok, reservoir: 3}]
  system: [{id: r, text: '${req.tags[9]}'}, {id: ok, text: y}]
  thinking: [{id: r, when: %[1]q, do: strip()}, {id: ok, do: strip()}]
  context: [{id: r, when: %[1]q, mode: fit}, {id: ok, mode: fit}]
  timeouts: [{id: r, idle: %[2]q}, {id: ok, idle: 5s}]
  on_error: [{id: r, when: %[1]q, do: stop()}, {id: ok, do: stop()}]
  on_exhausted: [{id: r, when: %[1]q, do: stop()}, {id: ok, do: stop()}]
  breaker: [{id: r, count: %[1]q}]
  meter: [{id: r, cost: 1 / 0}, {id: ok, counter: c, add: 2}, {id: nan, counter: d, add: 0 / 0}]
`, broken, number, "int(req.tags[9])", "req.tags[9] == \"\"")))
	w := newWorld(set)
	w.account.Backoff = 4
	gate, target, account, failure := w.gateEnv(), w.targetEnv(), w.accountEnv(), w.errorEnv()
	tr := &Trace{}

	require.True(t, set.IP(&gate.IPEnv, tr).Allowed)
	w.cfg.IPMode = "whitelist"
	v := set.IP(&gate.IPEnv, tr)
	require.False(t, v.Allowed)
	require.True(t, v.Failed)

	locks := set.Lockout(&LockoutEnv{IPEnv: w.ipEnv()}, nil, tr)
	require.Len(t, locks, 1)
	require.Equal(t, "ok", locks[0].Rule)

	v = set.Gate(&gate, tr)
	require.Equal(t, GateVerdict{Rule: "r", Message: v.Message, Code: "POLICY_001", Status: 500, RetryAfterMS: Unset, Failed: true, Warnings: []Note{{"w", "hello"}}}, v)
	require.NotContains(t, v.Message, "index", "no internals in the answer")

	require.Equal(t, "ok", set.Bypass(&gate, tr).Rule)
	require.Equal(t, "y", set.Rewrite(&gate, tr).Model)
	require.Equal(t, CacheVerdict{Rule: "r"}, set.Cache(&gate, tr))
	budget := set.Budget(&BudgetEnv{GateEnv: gate}, w.budgetState, tr)
	require.True(t, budget.Failed)
	require.Empty(t, budget.Action)
	require.Equal(t, LogVerdict{Rule: "r", Bodies: "none", Stages: "none", CallLog: "counters"}, set.Log(&gate, tr))
	targets := []*Target{{ID: "a", Position: 0}, {ID: "b", Position: 1}}
	require.Equal(t, []int{0, 1}, set.Filter(&target, targets, tr))
	require.Equal(t, []int{1, 0}, set.Order(&target, targets, tr), "a key that fails sorts last")
	i, ok := set.Accounts(&account, []*Account{{ID: "a"}, {ID: "b"}}, tr)
	require.True(t, ok)
	require.Equal(t, 1, i)
	require.Equal(t, []Limit{{Scope: "a", RPM: 7, TPM: Unset, RPD: Unset, Concurrency: Unset, GapMS: Unset, MaxWaitMS: Unset, Rules: []string{"ok"}}}, set.Limits(&account, tr))
	require.Equal(t, "ok", set.Learn(&LearnEnv{AccountEnv: account}, tr).Rule)
	require.Equal(t, []SystemText{{"ok", "y", "prepend"}}, set.System(&target, tr))
	require.Equal(t, ThinkOp{Op: "keep", Rule: "r"}, set.Thinking(&target, tr))
	require.Equal(t, ContextVerdict{Rule: "r", Mode: "off"}, set.Context(&target, tr))
	require.Equal(t, 5000, set.Timeouts(&target, tr).IdleMS)
	require.Equal(t, Decision{To: "account", Fallback: true, CooldownMS: 5000, Scope: "account", Level: 4, Reason: "unknown", Rule: "r"}, set.OnError(&failure, tr))
	require.Equal(t, Decision{To: "target", Fallback: true, Reason: "exhausted", Rule: "r"}, set.OnExhausted(&failure, tr))
	require.Equal(t, BreakerVerdict{Rule: "r", Ignore: true, ResetMS: Unset, Hit: true}, set.Breaker(&BreakerEnv{TargetEnv: target}, tr))
	meter := set.Meter(&MeterEnv{AccountEnv: account}, tr)
	require.Equal(t, MeterVerdict{Counters: []Metered{{"ok", "c", 2}}}, meter)

	failed := 0
	for _, r := range set.Rules() {
		if r.ID != "ok" && r.ID != "w" {
			require.NotZero(t, r.Errors, "%s.%s", r.Hook, r.ID)
			require.NotEmpty(t, r.LastError)
			failed++
		}
	}
	require.Equal(t, 23, failed)
}

func TestBudgetMayFailClosed(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  budget.fail: closed\n  budget: [{id: r, scope: a, limit: 'int(req.tags[9])', deny: true}]\n"))
	w := newWorld(set)
	v := set.Budget(&BudgetEnv{GateEnv: w.gateEnv()}, w.budgetState, nil)
	require.Equal(t, "deny", v.Action)
	require.True(t, v.Failed)
	again := set.Decide(&Record{Req: NewReq(), Targets: []*Target{NewTarget()}}, nil)
	require.Equal(t, []any{false, "POLICY_001", 500}, []any{again.Allowed, again.Code, again.Status})
}

func TestRuleErrorsAreReportedOnceAMinute(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  log: [{id: r, when: 'req.tags[9] == \"\"', bodies: all}]\n"))
	var got []RuleError
	set.OnRuleError(func(e RuleError) { got = append(got, e) })
	env := GateEnv{}
	for range 5 {
		set.Log(&env, nil)
	}
	require.Len(t, got, 1)
	require.Equal(t, "log", got[0].Hook)
	require.Equal(t, 2, got[0].Origin.Line)
	require.Equal(t, int64(5), set.Rules()[0].Errors)
}

func TestNumbersThatAreNone(t *testing.T) {
	require.Equal(t, math.Inf(1), worst(math.NaN()))
	for _, x := range []float64{math.NaN(), math.Inf(1), -1} {
		require.Zero(t, weightOf(x, nil))
	}
	set := mustLoad(t, fileLayer("policies:\n  order: [{id: r, by: ['target.weight == 1 ? 0 / 0 : 5']}]\n"))
	env := TargetEnv{}
	require.Equal(t, []int{1, 0}, set.Order(&env, []*Target{{ID: "nan", Weight: 1}, {ID: "b", Weight: 0}}, nil))
}
