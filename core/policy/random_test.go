package policy

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"
)

// words are texts rules compare with, so that random facts meet conditions.
func words() []string {
	return []string{
		"", "x", "openai", "gemini", "claude-cli", "chat", "embeddings", "interns", "paid", "subscription", "free", "closed", "open", "half_open",
		"apikey", "oauth", "round-robin", "p2c", "random", "least-used", "cost-optimized", "auto", "lkgp", "weighted", "priority", "fill-first",
		"model", "account", "none", "user", "assistant", "whitelist", "blacklist", "10.1.2.3", "high", "rate limit exceeded", "adaptive", "custom",
		"quota_exhausted", "banned", "rate_limit_exceeded", "claude-opus-4-6", "deepseek-chat", "ab", "prod-chat", "expired", "zdr", "eu-west", "schema", "login", "failure",
	}
}

// scramble fills a fact with random values.
func scramble(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scramble(r, v.Field(i))
			}
		}
	case reflect.Bool:
		v.SetBool(r.IntN(3) == 0)
	case reflect.Int:
		v.SetInt([]int64{-1, 0, 1, 2, 3, 5, 11, 200, 400, 403, 408, 413, 429, 500, 503, 529, 1500, 30000, 200000}[r.IntN(19)])
	case reflect.Float64:
		v.SetFloat([]float64{-1, 0, 0.2, 0.5, 1, 3, 20, 97}[r.IntN(8)])
	case reflect.String:
		v.SetString(words()[r.IntN(len(words()))])
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			x := float64(r.IntN(3)) / 2
			v.Set(reflect.ValueOf(&x))
		} else {
			v.SetZero()
		}
	case reflect.Slice:
		var list []string
		for range r.IntN(3) {
			list = append(list, words()[r.IntN(len(words()))])
		}
		v.Set(reflect.ValueOf(list))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for range r.IntN(3) {
			w := words()[r.IntN(len(words()))]
			m.SetMapIndex(reflect.ValueOf(words()[1+r.IntN(8)]), reflect.ValueOf(w))
		}
		v.Set(m)
	}
}

// randomWorld returns random facts with up to six targets and accounts. Some
// facts stay usual, so that requests get past the first rules.
func randomWorld(s *Set, r *rand.Rand) *world {
	w := newWorld(s)
	for _, name := range slotNames() {
		if name == "clock" || r.IntN(4) == 0 {
			continue
		}
		scramble(r, reflect.ValueOf(w.facts(name)).Elem())
	}
	w.req.ID = fmt.Sprint("r", r.IntN(1000))
	for i := range r.IntN(6) {
		t := NewTarget()
		if r.IntN(4) > 0 {
			scramble(r, reflect.ValueOf(t).Elem())
		}
		t.ID, t.Position = fmt.Sprintf("p%d/m", i), i
		w.targets = append(w.targets, t)
	}
	for i := range r.IntN(6) {
		a := NewAccount()
		if r.IntN(4) > 0 {
			scramble(r, reflect.ValueOf(a).Elem())
		}
		a.ID = fmt.Sprint("a", i)
		w.accounts = append(w.accounts, a)
	}
	w.combo.Size = len(w.targets)
	w.spend = map[string]float64{"key:k1/10m": 3}
	return w
}

// everything asks all hooks and writes down what they answered.
func everything(s *Set, w *world) []string {
	var out []string
	for _, h := range Hooks() {
		tr := &Trace{capture: true}
		switch h.Name {
		case "filter":
			env := w.targetEnv()
			out = append(out, fmt.Sprint("filter ", s.Filter(&env, w.targets, tr)))
		case "order":
			env := w.targetEnv()
			out = append(out, fmt.Sprint("order ", s.Order(&env, w.targets, tr)))
		case "accounts":
			env := w.accountEnv()
			i, ok := s.Accounts(&env, w.accounts, tr)
			out = append(out, fmt.Sprint("accounts ", i, ok))
		default:
			askHook(s, h.Name, w, tr)
		}
		for _, e := range tr.Entries {
			failed := ""
			if e.Error != "" {
				failed = "failed"
			}
			out = append(out, fmt.Sprint(e.Hook, " ", e.Rule, " ", e.Candidate, e.Matched, e.Keys, e.Rank, e.Dropped, failed, e.fields))
		}
	}
	return out
}

// TestNativeCodeMeansTheSame runs every shipped rule on random facts as native
// code and in the VM.
func TestNativeCodeMeansTheSame(t *testing.T) {
	files, err := Files(policiesDir)
	require.NoError(t, err)
	natives, all := 0, 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			layers, err := Layers(file)
			require.NoError(t, err)
			fast, _ := (&loader{noTests: true}).load(layers)
			slow, _ := (&loader{noTests: true, vmOnly: true}).load(layers)
			fast.each(func(r *rule) {
				r.programs(func(_ string, p *program) {
					all++
					if p.isNative {
						natives++
					} else if testing.Verbose() {
						t.Log("VM:", p.src)
					}
				})
			})
			r := rand.New(rand.NewPCG(3, 4))
			rounds := 60
			if strings.Contains(file, "modern") || strings.Contains(file, "classic") {
				rounds = 600
			}
			for range rounds {
				w := randomWorld(fast, r)
				require.Equal(t, everything(slow, w), everything(fast, w))
			}
		})
	}
	t.Logf("%d of %d expressions are native", natives, all)
	require.Greater(t, natives*10, all*8, "most expressions of shipped rules are native")
}

// randomExpr writes a random expression that passes the type checker.
type randomExpr struct {
	r     *rand.Rand
	paths map[string][]string // by kind
	depth int
}

func newRandomExpr(r *rand.Rand, env reflect.Type) *randomExpr {
	g := &randomExpr{r: r, paths: map[string][]string{}}
	for _, v := range variables(env) {
		g.collect(v.name, v.typ)
	}
	return g
}

func (g *randomExpr) collect(path string, t reflect.Type) {
	kinds := map[reflect.Type]string{
		reflect.TypeFor[bool](): "b", reflect.TypeFor[int](): "i", reflect.TypeFor[float64](): "f", reflect.TypeFor[string](): "s",
		reflect.TypeFor[[]string](): "l", reflect.TypeFor[*float64](): "p", reflect.TypeFor[map[string]string](): "m",
	}
	if k, ok := kinds[t]; ok {
		g.paths[k] = append(g.paths[k], path)
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if tag := t.Field(i).Tag.Get("expr"); tag != "" && tag != "-" {
				g.collect(path+"."+tag, t.Field(i).Type)
			}
		}
	}
}

func (g *randomExpr) one(options ...func() string) string { return options[g.r.IntN(len(options))]() }

func (g *randomExpr) path(kind string) string {
	list := g.paths[kind]
	if len(list) == 0 {
		return map[string]string{"b": "true", "i": "3", "f": "0.5", "s": `"x"`, "l": `["x"]`, "p": "nil", "m": "req.headers"}[kind]
	}
	return list[g.r.IntN(len(list))]
}

func (g *randomExpr) literal() string {
	return fmt.Sprintf("%q", words()[g.r.IntN(len(words()))])
}

func (g *randomExpr) text() string {
	if g.depth++; g.depth > 12 {
		return g.path("s")
	}
	return g.one(
		func() string { return g.path("s") }, func() string { return g.path("s") }, g.literal,
		func() string { return g.path("m") + "." + "x" },
		func() string { return "lower(" + g.text() + ")" },
		func() string { return "(" + g.text() + " + " + g.text() + ")" },
		func() string { return "(" + g.boolean() + " ? " + g.text() + " : " + g.text() + ")" },
		func() string { return "header(" + g.literal() + ")" },
		func() string { return g.path("l") + "[0]" },
		func() string { return "replace(" + g.text() + `, "a", "bb")` },
		func() string { return `join(` + g.path("l") + `, ",")` },
	)
}

func (g *randomExpr) integer() string {
	if g.depth++; g.depth > 12 {
		return g.path("i")
	}
	return g.one(
		func() string { return g.path("i") }, func() string { return g.path("i") },
		func() string { return fmt.Sprint(g.r.IntN(9) - 3) },
		func() string {
			return "(" + g.integer() + []string{" + ", " - ", " * ", " % "}[g.r.IntN(4)] + g.integer() + ")"
		},
		func() string { return "len(" + g.one(g.text, func() string { return g.path("l") }) + ")" },
		func() string { return "int(" + g.number() + ")" },
		func() string { return "max(" + g.integer() + ", " + g.integer() + ")" },
		func() string { return "-" + g.path("i") },
		func() string { return "hash(" + g.text() + ")" },
		func() string { return "backoff(\"1s\", " + g.integer() + ", \"1h\")" },
		func() string { return "steps(" + g.integer() + `, ["1s", "2m"])` },
		func() string { return "bucket(" + g.text() + ", " + g.integer() + ")" },
		func() string { return "count(" + g.path("l") + ", # == " + g.text() + ")" },
		func() string { return "(" + g.boolean() + " ? " + g.integer() + " : " + g.integer() + ")" },
	)
}

func (g *randomExpr) number() string {
	if g.depth++; g.depth > 12 {
		return g.path("f")
	}
	return g.one(
		func() string { return g.path("f") }, func() string { return g.path("f") }, g.integer,
		func() string { return "(" + g.path("p") + " ?? " + g.number() + ")" },
		func() string {
			return "(" + g.number() + []string{" + ", " - ", " * ", " / "}[g.r.IntN(4)] + g.number() + ")"
		},
		func() string {
			return []string{"floor", "ceil", "round", "abs", "float"}[g.r.IntN(5)] + "(" + g.number() + ")"
		},
		func() string { return "min(" + g.number() + ", " + g.number() + ")" },
		func() string { return "(" + g.boolean() + " ? " + g.number() + " : " + g.number() + ")" },
		func() string { return "clamp(" + g.number() + ", 0, " + g.number() + ")" },
		func() string { return "norm(" + g.number() + ", " + g.number() + ")" },
		func() string { return "max(map(targets, .est_cost))" },
		func() string { return "min(map(targets, .stats.p95_ms + " + g.number() + "))" },
		func() string { return "rand(" + g.text() + ")" },
		func() string { return "sum(map(targets, .position))" },
	)
}

func (g *randomExpr) boolean() string {
	if g.depth++; g.depth > 12 {
		return g.path("b")
	}
	compare := func() string { return []string{" == ", " != ", " < ", " <= ", " > ", " >= "}[g.r.IntN(6)] }
	return g.one(
		func() string { return g.path("b") },
		func() string {
			return "(" + g.boolean() + []string{" and ", " or ", " && ", " || "}[g.r.IntN(4)] + g.boolean() + ")"
		},
		func() string { return "not (" + g.boolean() + ")" },
		func() string { return "(" + g.number() + compare() + g.number() + ")" },
		func() string { return "(" + g.integer() + compare() + g.integer() + ")" },
		func() string { return "(" + g.text() + compare() + g.text() + ")" },
		func() string {
			return "(" + g.text() + []string{" contains ", " startsWith ", " endsWith "}[g.r.IntN(3)] + g.text() + ")"
		},
		func() string { return "(" + g.text() + ` matches "^[a-c]+x?")` },
		func() string { return "(" + g.text() + " in " + g.path("l") + ")" },
		func() string { return "(" + g.text() + ` in ["x", "openai", ""])` },
		func() string { return "(" + g.integer() + " in [1, 429, 503])" },
		func() string { return "(" + g.text() + " in " + g.path("m") + ")" },
		func() string {
			return []string{"any", "all", "none", "one"}[g.r.IntN(4)] + "(" + g.path("l") + ", # == " + g.text() + ")"
		},
		func() string { return "any(targets, .cooling or .weight > " + g.number() + ")" },
		func() string { return "glob(" + g.literal() + ", " + g.text() + ")" },
		func() string { return "globAny(" + g.path("l") + ", " + g.text() + ")" },
		func() string { return "hasTag(" + g.path("l") + ", " + g.text() + `, "x")` },
		func() string { return "overlap(" + g.path("l") + ", " + g.path("l") + ")" },
		func() string { return "ipIn(" + g.text() + ", " + g.path("l") + ")" },
		func() string { return `between("20:00", "22:00", "Europe/Berlin")` },
		func() string { return "(" + g.path("p") + " ?? 1) == " + g.number() },
	)
}

// TestRandomExpressions compares native code and VM on random expressions, and
// shows that none of them panics.
func TestRandomExpressions(t *testing.T) {
	set := preset(t, "none")
	r := rand.New(rand.NewPCG(5, 6))
	env := reflect.TypeFor[ErrorEnv]()
	fast, slow := newExpressions(constants{}), newExpressions(constants{})
	slow.vmOnly = true
	g := newRandomExpr(r, env)
	compiled, natives := 0, 0
	for range 1500 {
		g.depth = 0
		src, w := g.boolean(), wantBool
		if r.IntN(2) == 0 {
			src, w = g.number(), wantNumber
		}
		a, err := fast.compile(env, src, w)
		if err != nil {
			require.Regexp(t, "mismatched|nested 2 deep", err.msg, src) // e.g. int and text branches
			continue
		}
		b, err := slow.compile(env, src, w)
		require.Nil(t, err, src)
		compiled++
		if a.isNative {
			natives++
		}
		for range 4 {
			world := randomWorld(set, r)
			va, ea := evaluate(set, a, world)
			vb, eb := evaluate(set, b, world)
			require.Equal(t, eb != nil, ea != nil, "%s: VM %v %v, native %v %v", src, vb, eb, va, ea)
			require.Equal(t, fmt.Sprint(vb), fmt.Sprint(va), src)
		}
	}
	t.Logf("%d expressions, %d native", compiled, natives)
	require.Greater(t, compiled, 1000)
}

func evaluate(s *Set, p *program, w *world) (any, error) {
	f, done := s.bindWorld("on_error", w)
	defer done()
	if p.want == wantBool {
		return p.bool(f)
	}
	return p.number(f)
}

func FuzzExpression(f *testing.F) {
	for _, src := range []string{"req.stream", "any(req.tags, # == 'x')", "target.weight > 0 ? 1 : 2", "req.body.a?.b ?? 3", "let x = 1; x", "map(1..3, #)", "{\"a\": 1}[req.user]", "cool(\"1s\", \"x\")"} {
		f.Add(src)
	}
	set := preset(f, "none")
	r := rand.New(rand.NewPCG(7, 8))
	f.Fuzz(func(_ *testing.T, src string) {
		x := newExpressions(constants{vars: map[string]any{"n": 1}, lists: map[string][]string{"l": {"a"}}})
		p, err := x.compile(reflect.TypeFor[ErrorEnv](), src, wantAny)
		if err != nil {
			return
		}
		fr, done := set.bindWorld("on_error", randomWorld(set, r))
		defer done()
		_, _ = p.value(fr)
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("policies:\n  gate:\n    - {id: a, when: req.stream, deny: 'x ${req.model}'}\n"))
	f.Add([]byte("policies: &a\n  vars: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, diags := Load(Layer{File: "f", Data: data})
		if set == nil && len(diags) == 0 {
			t.Fatal("refused without a reason")
		}
		_, _ = Fmt(data)
	})
}

// randomRecord wraps random facts as a record.
func randomRecord(s *Set, r *rand.Rand) *Record {
	w := randomWorld(s, r)
	rec := &Record{
		At: testNow(), Req: w.req, Key: w.key, Sys: w.sys, Cfg: w.cfg, Guard: w.guard, Combo: w.combo, Attempt: w.attempt,
		Targets: w.targets, Accounts: map[string][]*Account{}, Profiles: map[string]*Profile{}, Spend: w.spend,
		Budgets: map[string]BudgetState{"key:k1/usd/day": {Spent: float64(r.IntN(4)), Est: 1}},
	}
	for _, t := range w.targets {
		rec.Accounts[t.ID] = w.accounts
		rec.Profiles[t.ID] = w.profile
	}
	if len(w.targets) > 0 && len(w.accounts) > 0 {
		rec.Failures = []Failure{{Target: w.targets[0].ID, Account: w.accounts[0].ID, Err: w.err, Breaker: w.breaker, Attempt: w.attempt}}
	}
	if r.IntN(2) == 0 {
		rec.Usage = w.usage
	}
	return rec
}

// TestExplainIsWhatHappens: a traced, a plain and a stored decision agree.
func TestExplainIsWhatHappens(t *testing.T) {
	set := preset(t, "modern")
	r := rand.New(rand.NewPCG(9, 10))
	phases := map[string]int{}
	for range 1000 {
		rec := randomRecord(set, r)
		rec.KeepTexts = true
		live := set.Decide(rec, nil)
		phases[live.Phase]++
		e := set.Explain(rec)
		require.Equal(t, live, e.Verdicts)
		data, err := json.Marshal(rec)
		require.NoError(t, err)
		stored := &Record{}
		require.NoError(t, json.Unmarshal(data, stored), string(data))
		require.Equal(t, live, set.Decide(stored, nil), string(data))
		again := set.Explain(stored)
		one, err := json.Marshal(e)
		require.NoError(t, err)
		two, err := json.Marshal(again)
		require.NoError(t, err)
		require.JSONEq(t, string(one), string(two))
		for _, c := range e.Targets {
			if !c.Kept {
				require.NotEmpty(t, c.DroppedBy)
				require.NotEmpty(t, c.Reason)
			}
		}
	}
	t.Log(phases)
	require.Greater(t, phases["passed"], 100)
}

func TestOrderIsStable(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  order:\n    - {id: a, by: [target.weight, target.stats.inflight]}\n    - {id: b, back: target.cooling}\n"))
	r := rand.New(rand.NewPCG(11, 12))
	for range 500 {
		var targets []*Target
		for i := range 1 + r.IntN(8) {
			x := NewTarget()
			x.ID, x.Weight, x.Stats.Inflight, x.Cooling = fmt.Sprint(i), float64(r.IntN(2)), r.IntN(2), r.IntN(3) == 0
			targets = append(targets, x)
		}
		env := TargetEnv{}
		order := set.Order(&env, targets, nil)
		for i := 1; i < len(order); i++ {
			a, b := targets[order[i-1]], targets[order[i]]
			if a.Weight == b.Weight && a.Stats.Inflight == b.Stats.Inflight && a.Cooling == b.Cooling {
				require.Less(t, order[i-1], order[i], "equal targets keep their order")
			}
		}
		// one more target does not reorder the others
		extra := NewTarget()
		extra.ID = "extra"
		at := r.IntN(len(targets) + 1)
		more := append(append(append([]*Target{}, targets[:at]...), extra), targets[at:]...)
		var rest []string
		for _, i := range set.Order(&env, more, nil) {
			if more[i] != extra {
				rest = append(rest, more[i].ID)
			}
		}
		var before []string
		for _, i := range order {
			before = append(before, targets[i].ID)
		}
		require.Equal(t, before, rest)
	}
}

func TestSoftFilterNeverEmpties(t *testing.T) {
	rules := "policies:\n  filter:\n    - {id: a, soft: %v, drop: target.cooling}\n    - {id: b, soft: %v, keep: target.caps.vision}\n"
	soft, hard := mustLoad(t, fileLayer(fmt.Sprintf(rules, true, true))), mustLoad(t, fileLayer(fmt.Sprintf(rules, false, false)))
	r := rand.New(rand.NewPCG(13, 14))
	emptied := 0
	for range 500 {
		w := randomWorld(soft, r)
		env := w.targetEnv()
		kept := soft.Filter(&env, w.targets, nil)
		require.Equal(t, len(w.targets) == 0, len(kept) == 0)
		if len(w.targets) > 0 && len(hard.Filter(&env, w.targets, nil)) == 0 {
			emptied++
		}
	}
	require.NotZero(t, emptied)
}
