package flow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/policy"
)

// stored is the trace of a request as the request log keeps it.
type stored struct {
	Policy     string         `json:"policy"`
	Candidates []string       `json:"candidates"`
	Rules      []policy.Entry `json:"rules"`
	Record     *policy.Record `json:"record"`
}

func (w *world) stored(a answer) stored {
	w.t.Helper()
	var raw []byte
	require.Eventually(w.t, func() (ok bool) {
		var err error
		raw, err = w.ledger.Trace(context.Background(), a.header.Get("x-request-id"))
		return err == nil
	}, time.Minute, 2*time.Millisecond)
	var s stored
	require.NoError(w.t, json.Unmarshal(raw, &s))
	require.NotNil(w.t, s.Record)
	return s
}

func load(t testing.TB, rules string) *policy.Set {
	t.Helper()
	set, diags := policy.Load(policy.Layer{File: "draft.yaml", Data: []byte(rules), Level: policy.LevelFile, DefaultPreset: "modern"})
	require.NotNil(t, set, diags)
	return set
}

// recordRules change model, tags, order and admission, so that deciding again
// from anything but the request as it came goes wrong.
const recordRules = quick + `
  gate:
    - {id: no, when: header("x-deny") != "", deny: 'No ${req.model}', tag: [denied]}
    - {id: mark, when: req.messages > 0, tag: [marked]}
  bypass: [{id: away, when: header("x-away") != "", route: both}]
  rewrite:
    - {id: rename, when: 'req.model == "old"', model: both, tag: [renamed]}
    - {id: set, when: '"renamed" in req.tags', set: {temperature: '0.5'}}
  budget: [{id: few, when: header("x-poor") != "", scope: 'poor:${req.model}', unit: requests, period: day, limit: 0, deny: budget.est > budget.limit and req.model == "oai/fake-model", action: downgrade, downgrade_to: ant/fake-model}]
  order: [{id: swap, when: '"renamed" in req.tags', by: [-target.position]}]
  accounts: [{id: dice, when: header("x-dice") != "", sample: '1'}]
`

// TestExplainIsTheLiveDecision decides recorded requests again, offline, and
// compares with what the gateway did.
func TestExplainIsTheLiveDecision(t *testing.T) {
	w := newWorld(t, recordRules)
	w.answers()
	set := load(t, recordRules)
	for name, call := range map[string]struct {
		model  string
		header []string
		model2 string // after the rules
		rule   string // of a denial
	}{
		"plain":     {model: "oai/fake-model", model2: "oai/fake-model"},
		"combo":     {model: "both", model2: "both"},
		"renamed":   {model: "old", model2: "both"},
		"away":      {model: "oai/fake-model", header: []string{"x-away", "1"}, model2: "both"},
		"downgrade": {model: "oai/fake-model", header: []string{"x-poor", "1"}, model2: "ant/fake-model"},
		"denied":    {model: "both", header: []string{"x-deny", "1"}, model2: "both", rule: "no"},
		"missing":   {model: "nobody/x", model2: "nobody/x"},
		"sampled":   {model: "oai/fake-model", header: []string{"x-dice", "1"}, model2: "oai/fake-model"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.chat(call.model, call.header...)
			s := w.stored(got)
			require.Equal(t, set.Hash(), s.Policy)
			e := set.Explain(s.Record)
			require.Equal(t, call.model2, e.Verdicts.Model)
			require.Equal(t, s.Candidates, e.Verdicts.Targets)
			require.Equal(t, got.status < 300, e.Verdicts.Allowed)
			require.Equal(t, call.rule, e.Verdicts.Rule)
			if got.status == 200 {
				require.Equal(t, s.Record.Served, e.Verdicts.Targets[0])
				require.Equal(t, s.Record.ServedAccount, e.Verdicts.Account)
			} else {
				require.Equal(t, got.status, e.Verdicts.Status)
			}
			require.Equal(t, answers(s.Rules), answers(e.Trace), "the rules answered as they did")

			first, err := json.Marshal(e)
			require.NoError(t, err)
			again, err := json.Marshal(load(t, recordRules).Explain(w.stored(got).Record))
			require.NoError(t, err)
			require.JSONEq(t, string(first), string(again))

			set.Annotate(s.Rules, s.Record)
			parts := 0
			for _, r := range s.Rules {
				parts += len(r.Parts)
			}
			require.Greater(t, parts, 10)
		})
	}
}

// answers are the rules that answered about the admission and the route, in order.
func answers(entries []policy.Entry) (out []string) {
	for _, e := range entries {
		switch e.Hook {
		case "gate", "bypass", "budget", "rewrite", "filter", "order", "accounts":
			if e.Matched || e.Dropped || e.Rank > 0 {
				out = append(out, fmt.Sprintln(e.Hook, e.Rule, e.Candidate, e.Dropped, e.Rank))
			}
		}
	}
	return out
}

// TestReplayOfTheRequestLog decides what a live gateway recorded under a draft.
func TestReplayOfTheRequestLog(t *testing.T) {
	w := newWorld(t, recordRules)
	w.answers()
	before := load(t, recordRules)
	var records []*policy.Record
	var cost float64
	for _, model := range []string{"oai/fake-model", "both", "old", "ant/fake-model", "nobody/x"} {
		records = append(records, w.stored(w.chat(model)).Record)
	}
	records = append(records, w.stored(w.chat("both", "x-deny", "1")).Record)
	for _, r := range records {
		cost += r.CostUSD
		require.Nil(t, r.Req.Body, "facts only")
		require.Empty(t, r.Req.LastUserText)
	}
	same := policy.Replay(records, before, load(t, recordRules))
	require.Zero(t, same.Changed, same.Changes)
	require.InDelta(t, cost, same.CostBefore, 1e-12)
	require.Positive(t, cost)

	draft := strings.Replace(recordRules, `{id: no, when: header("x-deny") != "", deny: 'No ${req.model}', tag: [denied]}`,
		`{id: no-ant, when: 'req.model startsWith "ant/"', deny: not here}`, 1)
	draft = strings.Replace(draft, `[{id: swap, when: '"renamed" in req.tags', by: [-target.position]}]`, `[{id: dear, by: [-target.est_cost]}]`, 1)
	got := policy.Replay(records, before, load(t, draft))
	require.Equal(t, 6, got.Requests)
	require.Equal(t, []int{1, 1}, []int{got.NewlyDenied, got.NewlyAllowed}, got.Changes)
	require.Equal(t, 1, got.ByRule["gate.no-ant"], got.ByRule)
	require.Equal(t, 1, got.ByRule["order.dear"], got.ByRule)
	require.NotEqual(t, got.CostBefore, got.CostAfter)
}

// TestReloadsWhileRequestsRun puts 1,000 rule sets in force while requests run:
// none fails, and the rules of two hooks and of the end of the call always come
// from one set.
func TestReloadsWhileRequestsRun(t *testing.T) {
	rules := func(side string, n int) string {
		return quick + fmt.Sprintf(`
  gate: [{id: g, warn: '%[1]s-%[2]d'}]
  rewrite: [{id: mark, set: {user: '"%[1]s-%[2]d"'}}]
  order: [{id: side, by: ['target.provider == "%[1]s" ? 0 : 1']}]
  meter: [{id: count, counter: 'side:%[1]s', add: 1}]
`, side, n)
	}
	w := newWorld(t, rules("oai", 0))
	echo := func(name string) func(r *fake.Request) fake.Reply {
		return func(r *fake.Request) fake.Reply {
			var body struct {
				User     string `json:"user"`
				Metadata struct {
					User string `json:"user_id"`
				} `json:"metadata"`
			}
			_ = json.Unmarshal(r.Body, &body)
			return fake.Reply{Text: name + " " + body.User + body.Metadata.User}
		}
	}
	w.oai.Otherwise(echo("oai"))
	w.ant.Otherwise(echo("ant"))
	var old *policy.Set
	swap := func(i int) {
		side := []string{"oai", "ant"}[i%2]
		set, diags := policy.LoadAfter(old, policy.Layer{File: "r.yaml", Data: []byte(rules(side, i)), Level: policy.LevelFile})
		require.NotNil(t, set, diags)
		old = set
		now := *w.flow.Snapshot()
		now.Policy = set
		w.flow.Swap(&now)
	}
	var stop atomic.Bool
	var served [2]atomic.Int64
	var wg sync.WaitGroup
	for k := range 3 {
		wg.Go(func() {
			for !stop.Load() {
				var got answer
				var said string
				if k == 0 {
					got = w.post("/v1/chat/completions", withModel(chatStream, "both"))
					said = text("openai", got.body)
				} else {
					got = w.chat("both")
					said = got.content()
				}
				side, user, _ := strings.Cut(said, " ")
				warning := got.header.Get("x-omniroute-warning")
				if got.status != 200 || !strings.HasPrefix(user, side+"-") || !strings.Contains(warning, user) {
					t.Errorf("status %d, %q, warning %q: decided by two sets or none", got.status, said, warning)
					return
				}
				if side == "oai" {
					served[0].Add(1)
				} else {
					served[1].Add(1)
				}
			}
		})
	}
	for i := range 1000 {
		swap(i)
	}
	stop.Store(true)
	wg.Wait()
	require.Positive(t, served[0].Load())
	require.Positive(t, served[1].Load())
	for i, side := range []string{"oai", "ant"} {
		require.Eventually(t, func() bool { return int64(w.ledger.Tokens("side:"+side, "day")) == served[i].Load() }, time.Minute, time.Millisecond)
	}
	t.Logf("%d requests during 1000 reloads", served[0].Load()+served[1].Load())
}
