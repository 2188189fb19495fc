package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestCheckAndTestFolders(t *testing.T) {
	checked, err := Check(policiesDir)
	require.NoError(t, err)
	require.True(t, checked.OK())
	require.Empty(t, checked.Diagnostics)
	require.Equal(t, 62, checked.Files)
	require.Greater(t, checked.Expressions, 300)

	tested, err := Test(policiesDir)
	require.NoError(t, err)
	require.True(t, tested.OK(), tested)
	require.Equal(t, 62, tested.Files)
	require.Greater(t, tested.Passed, 150)

	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("policies:\n  gate:\n    - {id: a, when: req.nope, deny: x}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "red.yaml"), []byte("policies:\n  gate: [{id: a, deny: x}]\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "red_test.yaml"), []byte("policies:\n  tests: [{name: n, hook: gate, want: none}]\n"), 0o600))
	checked, err = Check(dir)
	require.NoError(t, err)
	require.False(t, checked.OK())
	require.Equal(t, bad+":3:25: gate.a.when: type Req has no field nope", checked.Diagnostics[0].String())
	tested, err = Test(filepath.Join(dir, "red.yaml"))
	require.NoError(t, err)
	require.False(t, tested.OK())
	require.Equal(t, TestResult{File: filepath.Join(dir, "red_test.yaml"), Line: 2, Hook: "gate", Name: "n", Message: "want rule none, got a"}, tested.Results[0])
	_, err = Check(filepath.Join(dir, "nope.yaml"))
	require.Error(t, err)
	data, err := json.Marshal(checked)
	require.NoError(t, err)
	require.Contains(t, string(data), `"severity":"error","hook":"gate","rule":"a","field":"when"`)
}

func TestLint(t *testing.T) {
	c := CheckLayers(fileLayer(`policies:
  on_error:
    - {id: all, do: stop()}
    - {id: never, when: err.status == 500, do: stop()}
  gate:
    - {id: i, when: 'req.tags[0] == "x"', deny: x}
`))
	require.True(t, c.OK())
	require.Len(t, c.Diagnostics, 2)
	require.Equal(t, "omniroute.yaml:4:7: on_error.never: never asked: the rule all before it always applies", c.Diagnostics[0].String())
	require.Contains(t, c.Diagnostics[1].Message, "get(list, i)")
}

func TestEditor(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  preset: modern\n  vars: {limit: 5}\n"))
	r := set.CheckExpr("gate", "when", "req.tokens_in > vars.limit and\nreq.modle == \"x\"")
	require.False(t, r.OK)
	require.Len(t, r.Diagnostics, 1)
	require.Equal(t, 2, r.Diagnostics[0].Line)
	require.Equal(t, 5, r.Diagnostics[0].Column)
	require.Equal(t, "req.modle == \"x\"\n    ^", r.Diagnostics[0].Excerpt)
	r = set.CheckExpr("order", "by", "target.price.input + target.weight")
	require.True(t, r.OK)
	require.Equal(t, []string{"target.price.input", "target.weight"}, r.References)
	r = set.EvalExpr("on_error", "do", "coolUp(backoff(profile.transient_ms, account.backoff, \"60s\"), 5, err.reason)", map[string]any{"account.backoff": 2, "err.reason": "x"})
	require.Empty(t, r.Error)
	require.Equal(t, Decision{To: "account", Fallback: true, CooldownMS: 12000, Scope: "account", Level: 3, Reason: "x"}, r.Result)
	require.Equal(t, "unknown hook \"nope\"", set.CheckExpr("nope", "when", "true").Error)
	require.NotEmpty(t, set.EvalExpr("gate", "when", "req.tags[3] == \"\"", nil).Error)
	for _, h := range Hooks() { // every hook can be evaluated in
		require.Equal(t, true, set.EvalExpr(h.Name, "when", "req.n == 1", nil).Result, h.Name)
	}
}

func TestExplainShowsWhy(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  preset: modern
  filter:
    - {id: eu, when: 'key.meta.residency == "eu"', keep: 'target.region startsWith "eu"', reason: must stay in the EU}
  order:
    - {id: cheap, by: ['target.est_cost < 0 ? 1e9 : target.est_cost']}
`))
	rec, err := RecordFromRequest([]byte(`{
	  "now": "2026-02-18T09:00:00Z",
	  "req": {"id": "r1", "model": "fast", "endpoint": "chat"},
	  "key": {"id": "k1", "meta": {"residency": "eu"}},
	  "targets": [{"id": "a/m", "region": "us"}, {"id": "b/m", "region": "eu-west", "est_cost": 0.5}, {"id": "c/m", "region": "eu", "est_cost": 0.1}],
	  "accounts": {"c/m": [{"id": "c1", "cooling": true}, {"id": "c2", "priority": 3}]}
	}`))
	require.NoError(t, err)
	e := set.Explain(rec)
	require.Equal(t, []string{"c/m", "b/m"}, e.Verdicts.Targets)
	require.Equal(t, "c2", e.Verdicts.Account)
	require.Equal(t, CandidateOutcome{ID: "a/m", DroppedBy: "eu", Reason: "must stay in the EU"}, e.Targets[0])
	require.Equal(t, CandidateOutcome{ID: "c/m", Kept: true, RankedBy: "cheap", Keys: []float64{0.1}, Rank: 1}, e.Targets[2])
	require.Equal(t, "usable", e.Accounts[0].DroppedBy)
	require.Equal(t, 1, e.Accounts[1].Rank)
	var parts []Part
	for _, entry := range e.Trace {
		if entry.Rule == "eu" && entry.Candidate == "a/m" {
			parts = entry.Parts
		}
	}
	require.Contains(t, parts, Part{Field: "when", Expr: `key.meta.residency == "eu"`, Value: true})
	require.Contains(t, parts, Part{Field: "keep", Expr: `target.region`, Value: "us"})
	_, err = json.Marshal(e)
	require.NoError(t, err)
}

func TestDetailStopsWhereEvaluationStops(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  gate:
    - {id: a, when: 'req.stream and req.tokens_in > 5 or not (req.n == 1)', deny: x}
`))
	env := GateEnv{IPEnv: IPEnv{Req: NewReq()}}
	tr := &Trace{Detail: true}
	set.Gate(&env, tr)
	require.Equal(t, []Part{
		{Field: "when", Expr: "req.stream", Value: false},
		{Field: "when", Expr: "req.n == 1", Value: true},
		{Field: "when", Expr: "req.n", Value: 1},
	}, tr.Entries[0].Parts)
}

func TestRecordFromBody(t *testing.T) {
	rec, err := RecordFromRequest([]byte(`{"model":"claude-opus-4-6","system":"s","max_tokens":9,"stream":true,"thinking":{"type":"enabled","budget_tokens":2048},
	  "metadata":{"user_id":"u1"},"tools":[{"name":"read"},{"name":"sh"}],
	  "messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image"}]},{"role":"assistant","content":"ok"},{"role":"user","content":"ünd"}]}`))
	require.NoError(t, err)
	r := rec.Req
	require.Equal(t, []any{"claude", "messages", "claude-opus-4-6", true, 9, 2, 1, 3, "u1", "ünd", 3, "look\nünd", true},
		[]any{r.Format, r.Endpoint, r.Model, r.Stream, r.MaxTokens, r.Tools, r.Images, r.Messages, r.User, r.LastUserText, r.LastUserChars, r.UserText, r.HasSystem})
	require.Equal(t, Thinking{Requested: true, Budget: 2048}, r.Thinking)
	rec, err = RecordFromRequest([]byte(`{"model":"gpt-5","input":"hi","reasoning":{"effort":"high"},"temperature":0}`))
	require.NoError(t, err)
	require.Equal(t, []any{"openai-responses", "hi", 1, "high", 0.0}, []any{rec.Req.Format, rec.Req.LastText, rec.Req.Messages, rec.Req.Thinking.Effort, *rec.Req.Temperature})
	for _, bad := range []string{"", "[]", `{"req":{"nope":1}}`, `{"reqs":{}}`, `{"req":{"n":"x"}}`} {
		_, err = RecordFromRequest([]byte(bad))
		require.Error(t, err, bad)
	}
	require.Equal(t, maxFactText-1, len(cut(strings.Repeat("a", maxFactText-1)+"é")))
}

func TestReplay(t *testing.T) {
	before := mustLoad(t, fileLayer("policies: {preset: modern}"))
	after := mustLoad(t, fileLayer(`policies:
  preset: modern
  gate: [{id: no-opus, when: 'glob("*opus*", req.model)', deny: no}]
  order: [{id: cheap, by: [target.est_cost]}]
`))
	var records []*Record
	for i := range 10 {
		model := "small"
		if i < 3 {
			model = "claude-opus"
		}
		a, b := NewTarget(), NewTarget()
		a.ID, a.EstCost, b.ID, b.EstCost, b.Position = "dear/m", 2, "cheap/m", 1, 1
		req := NewReq()
		req.ID, req.Model = fmt.Sprint(i), model
		records = append(records, &Record{Req: req, Targets: []*Target{a, b}, Served: "dear/m", CostUSD: 1.5})
	}
	got := Replay(records, before, after)
	require.Equal(t, 10, got.Requests)
	require.Equal(t, 10, got.Changed)
	require.Equal(t, 3, got.NewlyDenied)
	require.Equal(t, 10, got.TargetChanged)
	require.Equal(t, map[string]int{"gate.no-opus": 3, "order.cheap": 7}, got.ByRule)
	require.Equal(t, []float64{15, 7}, []float64{got.CostBefore, got.CostAfter})
	require.Equal(t, []string{"target"}, got.Changes[9].What)
	require.Zero(t, Replay(records, before, before).Changed)
}

// TestReplayLooksUp: a draft that routes elsewhere is decided to the end with
// what is known today, and is asked about each model once.
func TestReplayLooksUp(t *testing.T) {
	before := mustLoad(t, fileLayer("policies: {preset: modern}"))
	after := mustLoad(t, fileLayer(`policies:
  preset: modern
  rewrite:
    - {id: small, when: 'req.model == "big"', model: small}
    - {id: lost, when: 'req.model == "old"', model: nowhere}
  filter: [{id: tagged, drop: not ("eu" in req.tags), reason: not in Europe}]
  budget: [{id: b, scope: all, limit: 5, deny: budget.est > 5}]
`))
	target := func(id string, cost float64) *Target {
		x := NewTarget()
		x.ID, x.EstCost = id, cost
		return x
	}
	asked := map[string]int{}
	record := func(model string) *Record {
		req := NewReq()
		req.ID, req.Model, req.Tags = model, model, []string{"eu"}
		return &Record{Req: req, Routes: []Route{{Model: model}}, Targets: []*Target{target("dear/"+model, 2)}, Served: "dear/" + model, CostUSD: 1.5,
			Usage: &Usage{Input: 3}, Failures: []Failure{{Target: "dear/" + model, Err: NewErr(500), Attempt: &Attempt{N: 1}}},
			Lookup: func(model string) *Record {
				asked[model]++
				if model == "nowhere" {
					return &Record{Routes: []Route{{Model: model, Missing: true}}}
				}
				return &Record{Routes: []Route{{Model: model, Tags: []string{"cheap"}}}, Combo: &Combo{Name: "c", Strategy: "cost-optimized", Size: 2},
					Targets: []*Target{target("a/"+model, 0.5), target("b/"+model, 0.25)}}
			}}
	}
	got := Replay([]*Record{record("big"), record("old"), record("other")}, before, after)
	require.Equal(t, []int{2, 1, 2}, []int{got.Changed, got.NewlyDenied, got.TargetChanged})
	require.Equal(t, map[string]int{"small": 1, "nowhere": 1}, asked)
	require.InDelta(t, 4.5, got.CostBefore, 1e-9)
	require.InDelta(t, 1.5+0.25, got.CostAfter, 1e-9)
	v := got.Changes[0].After
	require.Equal(t, []any{"small", []string{"b/small", "a/small"}, true, false}, []any{v.Model, v.Targets, v.Looked, v.Unresolved})
	require.Empty(t, v.Failures, "what happened to other targets tells nothing of these")
	lost := got.Changes[1].After
	require.Equal(t, []any{"MODEL_001", 404}, []any{lost.Code, lost.Status})

	e := after.Explain(record("big"))
	require.Equal(t, "b/small", e.Targets[1].ID)
	require.Equal(t, 1, e.Targets[1].Rank)
	r := record("big")
	r.Lookup = nil
	require.True(t, after.Decide(r, nil).Unresolved)
}

// TestExplainShowsHolesOfTexts: the values that a text was made of are shown.
func TestExplainShowsHolesOfTexts(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  preset: none
  gate: [{id: no, deny: 'Model ${req.model} is not for ${key.team} (${req.messages + 1})', tag: ['t:${key.name}']}]
`))
	req := NewReq()
	req.Model, req.Messages = "m", 2
	e := set.Explain(&Record{Req: req, Key: &Key{Team: "red", Name: "ci"}})
	var got []string
	for _, p := range e.Trace[0].Parts {
		got = append(got, fmt.Sprintf("%s: %s = %v", p.Field, p.Expr, p.Value))
	}
	require.Equal(t, []string{"deny: req.model = m", "deny: key.team = red", "deny: req.messages + 1 = 3", "deny: req.messages = 2", "tag: key.name = ci"}, got)
}

func TestRecordObserves(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  gate: [{id: a, when: 'spend("key:k", "day") > 1 and requests("key:k", "minute") > 2 and banned("1.2.3.4") and tokens("x", "day") == 0', deny: x}]
  budget: [{id: b, scope: s, limit: 1, deny: budget.spent > budget.limit}]
`))
	w := newWorld(set)
	w.spend, w.requests, w.banned = map[string]float64{"key:k/day": 2}, map[string]float64{"key:k/minute": 3}, []string{"1.2.3.4"}
	rec := &Record{Req: w.req, Key: w.key, Targets: []*Target{NewTarget()}}
	env := w.gateEnv()
	env.Facts = rec.Observe(w)
	live := set.Gate(&env, nil)
	require.False(t, live.Allowed)
	w.budget.Spent = 3
	set.Budget(&BudgetEnv{GateEnv: env}, rec.ObserveBudget(w.budgetState), nil)
	require.Equal(t, 3.0, rec.Budgets["s/usd/day"].Spent)
	require.Equal(t, live.Rule, set.Decide(rec, nil).Rule)
}

func TestStoredRecordsTellNothingOfTheContent(t *testing.T) {
	rec, err := RecordFromRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"my secret plan"}]}`))
	require.NoError(t, err)
	rec.Req.Headers = map[string]string{"authorization": "Bearer sk-1", "x-api-key": "sk-2", "x-goog-api-key": "sk-3", "cookie": "sk-4", "user-agent": "curl"}
	data, err := json.Marshal(rec)
	require.NoError(t, err)
	require.NotContains(t, string(data), "secret")
	require.NotContains(t, string(data), "sk-")
	require.Contains(t, string(data), "curl")
	rec.KeepTexts = true
	data, err = json.Marshal(rec)
	require.NoError(t, err)
	require.Contains(t, string(data), "my secret plan")
	require.NotContains(t, string(data), "sk-")
}

func TestBench(t *testing.T) {
	out := Bench(preset(t, "modern"), 2, 2, 5*time.Millisecond)
	require.Len(t, out, int(hookCount)+1)
	require.Equal(t, "all", out[len(out)-1].Hook)
	for _, b := range out {
		require.Positive(t, b.NS, b.Hook)
	}
}

func TestShadowRules(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  gate: [{id: s, shadow: true, when: req.stream, deny: x}]
  filter: [{id: f, shadow: true, drop: 'true'}]
  order: [{id: o, shadow: true, by: [-target.position]}]
  accounts: [{id: e, shadow: true, eligible: 'false'}, {id: c, shadow: true, by: [-account.priority]}]
  on_error: [{id: d, shadow: true, do: stop()}]
`))
	w := newWorld(set)
	w.req.Stream = true
	env := w.errorEnv()
	tr := &Trace{}
	targets := []*Target{{ID: "a"}, {ID: "b", Position: 1}}
	require.True(t, set.Gate(&env.GateEnv, tr).Allowed)
	require.Equal(t, []int{0, 1}, set.Filter(&env.TargetEnv, targets, tr))
	require.Equal(t, []int{0, 1}, set.Order(&env.TargetEnv, targets, tr))
	i, ok := set.Accounts(&env.AccountEnv, []*Account{{ID: "a", Priority: 1}, {ID: "b", Priority: 2}}, tr)
	require.True(t, ok)
	require.Zero(t, i)
	require.Equal(t, "unknown", set.OnError(&env, tr).Reason)
	for _, r := range set.Rules() {
		require.Zero(t, r.Hits, r.ID)
		require.Equal(t, int64(1), r.ShadowHits, r.ID)
	}
	require.Equal(t, GateVerdict{Rule: "s", Message: "x", Code: "ACCESS_001", Status: 403, RetryAfterMS: Unset}, tr.Entries[0].Value)
}

// TestReloadStorm reloads good and bad files while requests run: every request
// is decided by one set, and a bad file changes nothing.
func TestReloadStorm(t *testing.T) {
	defer goleak.VerifyNone(t)
	version := func(n int) Layer {
		return fileLayer(fmt.Sprintf(`policies:
  preset: none
  vars: {v: %d}
  gate: [{id: g, warn: '${vars.v}'}]
  rewrite: [{id: r, model: '${vars.v}'}]
`, n))
	}
	var current atomic.Pointer[Set]
	current.Store(mustLoad(t, version(0)))
	var stop atomic.Bool
	var requests, mixed atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			w := newWorld(current.Load())
			for !stop.Load() {
				set := current.Load()
				env := w.gateEnv()
				g, r := set.Gate(&env, nil), set.Rewrite(&env, nil)
				if !g.Allowed || len(g.Warnings) != 1 || g.Warnings[0].Text != r.Model {
					mixed.Add(1)
				}
				requests.Add(1)
				runtime.Gosched()
			}
		})
	}
	swaps := 0
	for i := range 1000 {
		if i%2 == 1 {
			set, diags := LoadAfter(current.Load(), fileLayer("policies:\n  gate: [{id: g, when: req.nope, deny: x}]\n"))
			require.Nil(t, set)
			require.NotEmpty(t, diags)
			continue
		}
		set, diags := LoadAfter(current.Load(), version(i/2))
		require.Empty(t, diags)
		if set.Hash() != current.Load().Hash() {
			swaps++
		}
		current.Store(set)
	}
	stop.Store(true)
	wg.Wait()
	require.Equal(t, 499, swaps, "the first reload has equal content")
	require.Zero(t, mixed.Load())
	require.Positive(t, requests.Load())
}

// TestReloadWarnsOfNewCounters: who changes the scope of a budget is told that
// it counts anew; who changes anything else is not.
func TestReloadWarnsOfNewCounters(t *testing.T) {
	rules := func(scope, limit string) Layer {
		return fileLayer("policies:\n  preset: none\n  budget:\n    - {id: b, scope: '" + scope + "', limit: " + limit + ", deny: budget.spent > budget.limit}\n")
	}
	old := mustLoad(t, rules("team:${key.team}", "5"))
	set, diags := LoadAfter(old, rules("team:${key.team}", "6"))
	require.NotNil(t, set)
	require.Empty(t, diags)
	set, diags = LoadAfter(old, rules("key:${key.id}", "5"))
	require.NotNil(t, set)
	require.Len(t, diags, 1)
	require.Equal(t, Warning, diags[0].Severity)
	require.Contains(t, diags[0].Text(), `4:22: budget.b.scope: the scope was "team:${key.team}": a new counter begins`)
}

// TestReloadKeepsCounts: a rule counts on, and hooks are timed on, over a
// reload; a rule that is gone and comes back begins anew.
func TestReloadKeepsCounts(t *testing.T) {
	rules := func(id string) Layer {
		return fileLayer("policies:\n  preset: none\n  gate: [{id: " + id + ", warn: x}, {id: s, shadow: true, deny: x}]\n")
	}
	set := mustLoad(t, rules("a"))
	ask := func() { set.Gate(&GateEnv{}, nil) }
	counted := func() (out []int64) {
		for _, r := range set.Rules() {
			out = append(out, r.Hits, r.ShadowHits)
		}
		for _, x := range set.Times() {
			if x.Hook == "gate" {
				out = append(out, int64(x.Count))
			}
		}
		return out
	}
	ask()
	require.Equal(t, []int64{1, 0, 0, 1, 1}, counted())
	for _, next := range []struct {
		id   string
		want []int64
	}{{"a", []int64{2, 0, 0, 2, 2}}, {"b", []int64{1, 0, 0, 3, 3}}, {"a", []int64{1, 0, 0, 4, 4}}} {
		set, _ = LoadAfter(set, rules(next.id))
		ask()
		require.Equal(t, next.want, counted(), next.id)
	}
}

func TestReloadReusesPrograms(t *testing.T) {
	old := mustLoad(t, fileLayer("policies: {preset: modern}"))
	set, _ := LoadAfter(old, fileLayer("policies:\n  preset: modern\n  gate: [{id: g, when: req.stream, deny: x}]\n"))
	reused, all := 0, 0
	for k, p := range set.expressions.fresh {
		all++
		if old.expressions.fresh[k] == p {
			reused++
		}
	}
	require.Equal(t, all-1, reused)
}
