package flow_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
)

// booked waits until a scope counts so many requests.
func (w *world) booked(scope string, n int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.ledger.Requests(scope, "total") == n }, time.Minute, time.Millisecond)
}

// The usage that every dialect tells, in streams and whole answers, is what is
// booked, and its cost with it; D28 and D30.
func TestUsageOfEveryDialect(t *testing.T) {
	w := newWorld(t, quick)
	used := fake.Usage{Prompt: 1000, Completion: 200, Cached: 300, Reasoning: 50}
	for _, s := range []*fake.Server{w.oai, w.ant} {
		s.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "some text", Usage: used} })
	}
	bodies := map[string]string{
		"/v1/chat/completions": `{"model":%q,"stream":%t,"messages":[{"role":"user","content":"hi %d"}]}`,
		"/v1/messages":         `{"model":%q,"stream":%t,"max_tokens":500,"messages":[{"role":"user","content":"hi %d"}]}`,
		"/v1/responses":        `{"model":%q,"stream":%t,"input":"hi %d"}`,
	}
	n := 0
	for path, body := range bodies {
		for _, model := range []string{"oai/fake-model", "ant/fake-model"} {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprint(path, " ", model, " ", stream), func(t *testing.T) {
					n++
					before := w.ledger.Spend("global", "total")
					got := w.post(path, fmt.Sprintf(body, model, stream, n))
					require.Equal(t, 200, got.status, got.body)
					row := w.row(got.header.Get("x-request-id"))
					u := row.Usage
					require.True(t, u.Known)
					require.False(t, u.Estimated)
					require.EqualValues(t, 1000, u.Prompt, "cached tokens are part of it")
					require.EqualValues(t, 200, u.Completion)
					require.EqualValues(t, 300, u.CachedRead)
					require.Positive(t, row.Cost)
					w.booked("global", n)
					require.Greater(t, w.ledger.Spend("global", "total"), before, "a call changes what is spent")
					if strings.HasPrefix(model, "ant") { // 700·3 + 300·3 + 200·15 USD per million: no cached price is given
						require.EqualValues(t, 6_000_000, row.Cost)
					} else {
						require.EqualValues(t, 1_400_000, row.Cost, "reasoning is charged once")
					}
				})
			}
		}
	}
}

// A model without a price costs an unknown amount, which is told and not taken
// for nothing.
func TestUnknownPrice(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	row := w.row(w.chat("oai/some-other-model").header.Get("x-request-id"))
	require.Equal(t, ledger.Unknown, row.Cost)
	require.Equal(t, ledger.Unknown, row.Billed)
	w.booked("global", 1)
	require.Zero(t, w.ledger.Spend("global", "total"))
	points, err := w.ledger.Usage(t.Context(), ledger.UsageQuery{From: time.Now().Add(-time.Minute)})
	require.NoError(t, err)
	require.EqualValues(t, 1, points[0].Unpriced)
}

// What is not listed is charged all the same.
func TestUnlistedRequestsAreCharged(t *testing.T) {
	w := newWorld(t, quick+"  log: [{id: nothing, call_log: none}]\n")
	w.answers()
	got := w.chat("oai/fake-model")
	w.booked("provider:oai", 1)
	require.Positive(t, w.ledger.Spend("provider:oai", "day"))
	require.NoError(t, w.ledger.Flush(t.Context()))
	_, err := w.ledger.Get(t.Context(), got.header.Get("x-request-id"))
	require.ErrorIs(t, err, state.ErrNotFound)
	points, err := w.ledger.Usage(t.Context(), ledger.UsageQuery{From: time.Now().Add(-time.Minute)})
	require.NoError(t, err)
	require.EqualValues(t, 1, points[0].Requests)
}

// Of a key that is not to be logged nothing stays but numbers: not in the store,
// not in the stage log, not among the lines; D27.
func TestNoLogKeys(t *testing.T) {
	w := newWorld(t, quick+"  log: [{id: all, bodies: all, stages: all}]\n")
	const canary = "canary-prompt-4711"
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "answer " + canary} })
	secret, _, err := w.keys.Create(t.Context(), account.Key{Name: "quiet", NoLog: true, Limits: account.Unlimited()})
	require.NoError(t, err)
	body := `{"model":"oai/fake-model","user":"` + canary + `","messages":[{"role":"user","content":"` + canary + `"}]}`
	row := w.row(w.post("/v1/chat/completions", body, "authorization", "Bearer "+secret, "x-omniroute-tags", canary).header.Get("x-request-id"))
	require.EqualValues(t, 15, row.Usage.Sum())
	require.Positive(t, row.Cost)
	require.Empty(t, row.IP)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 400, Error: "bad: " + canary} })
	w.row(w.post("/v1/chat/completions", body, "authorization", "Bearer "+secret).header.Get("x-request-id"))
	require.NoError(t, w.ledger.Flush(t.Context()))
	require.NoError(t, w.store.Scan(t.Context(), state.Query{}, func(e state.Entry) error {
		if strings.Contains(e.Key, "/d/ctr/") || strings.Contains(e.Key, "/d/rsv/") {
			return nil // counters bear the names of users and tags
		}
		require.NotContains(t, e.Key+string(e.Value), canary)
		return nil
	}))
	require.NotContains(t, strings.Join(w.traffic.Lines(0), "\n"), canary)
	require.Empty(t, w.traffic.Sessions())
	files, err := filepath.Glob(filepath.Join(w.captured, "*"))
	require.NoError(t, err)
	require.Empty(t, files)
}

// stages waits for so many files of one request.
func (w *world) stages(t *testing.T, n int) map[string]string {
	t.Helper()
	got := map[string]string{}
	require.Eventually(t, func() bool {
		clear(got)
		_ = filepath.WalkDir(w.captured, func(p string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				raw, _ := os.ReadFile(p)
				got[filepath.Base(p)] = string(raw)
			}
			return nil
		})
		return len(got) == n
	}, 10*time.Second, 5*time.Millisecond, "%v", got)
	folders, err := filepath.Glob(filepath.Join(w.captured, "*"))
	require.NoError(t, err)
	for _, f := range folders {
		require.NoError(t, os.RemoveAll(f))
	}
	return got
}

// Every stage of a request can be kept, streamed or not, translated or not, and
// none tells a credential; D27.
func TestStagesOfARequest(t *testing.T) {
	w := newWorld(t, quick+`
  log:
    - {id: all, when: 'header("x-stages") == "all"', stages: all}
    - {id: errors, stages: errors}
`)
	w.answers()
	const secret = "sk-canary-0123456789abcdef"
	ask := func(model string, stream bool) answer {
		return w.post("/v1/chat/completions", fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"my key is %s"}]}`, model, stream, secret),
			"x-stages", "all", "authorization", "Bearer "+secret)
	}
	for _, c := range []struct {
		model  string
		stream bool
		ext    string
	}{{"oai/fake-model", false, ".json"}, {"oai/fake-model", true, ".txt"}, {"ant/fake-model", false, ".json"}, {"ant/fake-model", true, ".txt"}} {
		t.Run(fmt.Sprint(c.model, c.stream), func(t *testing.T) {
			got := ask(c.model, c.stream)
			require.Equal(t, 200, got.status, got.body)
			files := w.stages(t, 5)
			for name, text := range files {
				require.NotContains(t, text, secret, name)
				require.NotContains(t, text, "key-oai", name)
				require.NotContains(t, text, "key-ant", name)
			}
			require.Contains(t, files["1_req_client.json"], "my key is")
			require.Contains(t, files["2_req_source.json"], "my key is")
			require.Contains(t, files["4_req_target.json"], "fake-model")
			require.Contains(t, files["4_req_target.json"], "127.0.0.1")
			require.Contains(t, files["5_res_provider"+c.ext], "from")
			require.Contains(t, files["7_res_client"+c.ext], "from")
			if strings.HasPrefix(c.model, "ant") && c.stream {
				require.Contains(t, files["5_res_provider.txt"], "event: message_start", "as the provider sent it")
			}
		})
	}
	w.post("/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"user","content":"fine"}]}`)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 400, Error: "no such thing"} })
	w.post("/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"user","content":"broken"}]}`)
	files := w.stages(t, 6)
	require.Contains(t, files["1_req_client.json"], "broken", "only the one that failed")
	require.Contains(t, files["6_error.json"], "no such thing")
	require.Contains(t, files["5_res_provider.json"], "no such thing")
}

// A stream that passes a hard budget is cut with an error, is booked for what it
// used, and its provider bears no blame.
func TestHardBudget(t *testing.T) {
	w := newWorld(t, quick+"  budget: [{id: cap, scope: global, unit: tokens, period: day, limit: 2000, deny: budget.spent >= budget.limit, hard: true}]\n")
	pieces := make([]string, 4000)
	for i := range pieces {
		pieces[i] = "word and word "
	}
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: strings.Join(pieces, ""), Pieces: pieces} })
	got := w.post("/v1/chat/completions", `{"model":"oai/fake-model","stream":true,"messages":[{"role":"user","content":"go on"}]}`)
	require.Equal(t, 200, got.status)
	require.Contains(t, got.body, "would use more than the budget")
	require.Less(t, strings.Count(got.body, "word and word"), 2000)
	row := w.row(got.header.Get("x-request-id"))
	require.Equal(t, 429, row.Status)
	require.Equal(t, "length", row.Finish)
	require.Greater(t, row.Usage.Sum(), int64(500))
	require.Less(t, row.Usage.Sum(), int64(4000))
	for _, a := range w.pool.List("oai") {
		require.False(t, a.State.CoolUntil.After(time.Now()), "%+v", a.State)
	}
	require.Eventually(t, func() bool { return w.chat("oai/fake-model").status == 429 }, time.Minute, 5*time.Millisecond, "the next one is refused")
}

// Requests side by side cannot overshoot a budget together, by the month either;
// the first warning and the first refusal of a period are audited; D31.
func TestBudgetsHoldTogether(t *testing.T) {
	w := newWorld(t, quick+"  budget: [{id: monthly, scope: global, unit: requests, period: month, limit: 5, warn: budget.spent + budget.reserved >= 3, deny: budget.spent + budget.reserved + budget.est > budget.limit}]\n")
	gate := make(chan struct{})
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "slow", Gate: gate} })
	got := make(chan answer, 20)
	for range 20 {
		go func() { got <- w.post("/v1/chat/completions", chatStream) }()
	}
	denied := 0
	for range 15 {
		a := <-got
		require.Equal(t, 429, a.status, a.body)
		require.NotEmpty(t, a.header.Get("retry-after"))
		denied++
	}
	close(gate)
	for range 5 {
		require.Equal(t, 200, (<-got).status)
	}
	require.Equal(t, 15, denied)
	require.Eventually(t, func() bool { return w.ledger.Requests("global", "month") >= 5 }, time.Minute, time.Millisecond)
	require.Equal(t, 429, w.chat("oai/fake-model").status)
	var page audit.Page
	require.Eventually(t, func() bool {
		var err error
		page, err = w.audit.List(context.Background(), audit.Filter{Action: "budget"})
		return err == nil && len(page.Records) >= 2
	}, time.Minute, 5*time.Millisecond)
	count := map[audit.Action]int{}
	for _, r := range page.Records {
		count[r.Action]++
		require.Equal(t, "global", r.Target.ID)
	}
	require.Equal(t, map[audit.Action]int{audit.BudgetDeny: 1, audit.BudgetWarn: 1}, count)
}

// However requests end, none stays among those that run; D36.
func TestNoRequestStaysPending(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	gate := make(chan struct{})
	for _, body := range []string{`{`, `{"model":5}`, `{"model":"nobody/x","messages":[]}`, `{"model":"oai/fake-model"}`, chatStream} {
		w.post("/v1/chat/completions", body)
	}
	w.oai.Otherwise(func(*fake.Request) fake.Reply {
		return fake.Reply{Text: "cut off", Fault: fake.Fault{Kind: fake.FaultCut, After: 2}}
	})
	w.post("/v1/chat/completions", chatStream)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "slow words here", Gate: gate, GateAfter: 2} })
	ctx, leave := context.WithCancel(t.Context())
	resp := w.open(ctx, "/v1/chat/completions", chatStream)
	require.Eventually(t, func() bool { return len(w.traffic.Running()) == 1 }, time.Minute, time.Millisecond)
	models, accounts := w.traffic.Pending()
	require.Len(t, models, 1)
	require.Len(t, accounts, 1)
	leave()
	_ = resp.Body.Close()
	require.Eventually(t, func() bool { return len(w.traffic.Running()) == 0 }, time.Minute, time.Millisecond)
	models, accounts = w.traffic.Pending()
	require.Empty(t, models)
	require.Empty(t, accounts)
	close(gate)
	require.Contains(t, strings.Join(w.traffic.Lines(0), "\n"), "| OAI |")
}

// The phases of a streamed request reach to its last byte.
func TestPhasesOfARequest(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	w.row(w.post("/v1/chat/completions", chatStream).header.Get("x-request-id"))
	var got []string
	require.Eventually(t, func() bool {
		got = got[:0]
		s := w.traffic.Summary(time.Now(), 0)
		for name := range s.Phases {
			got = append(got, name)
		}
		return s.Count == 1
	}, time.Minute, time.Millisecond)
	require.ElementsMatch(t, []string{"parse", "validate", "policy", "resolve", "select", "queue", "translate", "connect", "ttft", "stream", "finalize"}, got)
	require.False(t, bytes.Contains([]byte(strings.Join(w.traffic.Lines(0), "")), []byte("hi")))
}
