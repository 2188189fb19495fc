package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/policy"
)

// content is the text of a chat answer.
func (a answer) content() string { return a.get("choices", "0", "message", "content") }

func (w *world) chat(model string, header ...string) answer {
	w.t.Helper()
	return w.post("/v1/chat/completions", withModel(chatBody, model), header...)
}

// TestEveryHookChangesARequest shows for each hook a status, a target or bytes
// that one of its rules changes on a request that goes through all stages.
func TestEveryHookChangesARequest(t *testing.T) {
	tests := map[string]func(t *testing.T){
		"ip": func(t *testing.T) {
			w := newWorld(t, quick+"  ip: [{id: own, when: 'req.ip == \"127.0.0.1\" and header(\"x-block\") != \"\"', deny: 'Not from ${req.ip}'}]\n")
			w.answers()
			require.Equal(t, 200, w.chat("oai/fake-model").status)
			got := w.chat("oai/fake-model", "x-block", "1")
			require.Equal(t, []any{403, "Not from 127.0.0.1"}, []any{got.status, got.get("error", "message")})
			require.Len(t, w.oai.Requests(), 1)
		},
		"lockout": func(t *testing.T) {
			w := newWorld(t, quick+`
  gate: [{id: no, when: header("x-bad") != "", deny: No}]
  lockout:
    - {id: device, subject: 'device:${header("x-device")}', count: 'event.source == "policy"', max: 2, window: 1m, lock: 5m}
`)
			w.answers()
			for range 2 {
				require.Equal(t, 403, w.chat("oai/fake-model", "x-device", "a", "x-bad", "1").status)
			}
			got := w.chat("oai/fake-model", "x-device", "a")
			require.Equal(t, []any{423, "AUTH_005"}, []any{got.status, got.get("error", "omniroute_code")}, got.body)
			require.NotEmpty(t, got.header.Get("retry-after"))
			require.Equal(t, 200, w.chat("oai/fake-model", "x-device", "b").status)
		},
		"gate": func(t *testing.T) {
			w := newWorld(t, quick+`
  gate:
    - {id: late, when: header("x-late") != "", deny: 'Come back', status: 429, code: RATE_001, retry_after: 7s}
    - {id: soon, warn: 'Model ${req.model} goes away'}
`)
			w.answers()
			got := w.chat("oai/fake-model", "x-late", "1")
			require.Equal(t, []any{429, "RATE_001", "7"}, []any{got.status, got.get("error", "omniroute_code"), got.header.Get("retry-after")})
			got = w.chat("oai/fake-model")
			require.Equal(t, 200, got.status)
			require.Contains(t, got.header.Get("x-omniroute-warning"), "Model oai/fake-model goes away")
		},
		"bypass": func(t *testing.T) {
			w := newWorld(t, quick+`
  bypass:
    - {id: ping, when: header("x-ping") != "", reply: 'pong ${req.model}'}
    - {id: away, when: header("x-away") != "", route: ant/fake-model}
`)
			w.answers()
			require.Equal(t, "pong oai/fake-model", w.chat("oai/fake-model", "x-ping", "1").content())
			require.Equal(t, "from ant", w.chat("oai/fake-model", "x-away", "1").content())
			require.Empty(t, w.oai.Requests())
		},
		"rewrite": func(t *testing.T) {
			w := newWorld(t, quick+`
  rewrite:
    - {id: rename, when: 'req.model == "nobody-knows-this"', model: oai/fake-model, tag: [renamed]}
    - {id: cold, when: '"renamed" in req.tags', set: {temperature: '0.25', metadata.seen: 'req.model'}}
`)
			w.answers()
			got := w.chat("nobody-knows-this")
			require.Equal(t, 200, got.status, got.body)
			require.Contains(t, string(w.oai.Last().Body), `"temperature":0.25`)
			require.Contains(t, string(w.oai.Last().Body), `"seen":"oai/fake-model"`)
			require.Equal(t, 404, w.chat("nobody-knows-that").status)
		},
		"budget": func(t *testing.T) {
			w := newWorld(t, quick+`
  budget:
    - {id: two, scope: global, unit: requests, period: day, limit: 2, deny: budget.spent >= budget.limit, action: deny}
`)
			w.answers()
			for range 2 {
				w.row(w.chat("oai/fake-model").header.Get("x-request-id"))
			}
			got := w.chat("oai/fake-model")
			require.Equal(t, []any{429, "RATE_002"}, []any{got.status, got.get("error", "omniroute_code")})
			// A rule that lets the limit be passed is not overruled by the mechanism.
			w.configure(quick+"  budget: [{id: two, scope: global, unit: requests, period: day, limit: 2, deny: budget.spent > 5, action: deny}]\n", "")
			require.Equal(t, 200, w.chat("oai/fake-model").status)
		},
		"cache": func(t *testing.T) {
			w := newWorld(t, quick+"  cache: [{id: all, mode: read-write, ttl: 1h, scope: 'by:${header(\"x-who\")}'}]\n")
			w.answers()
			states := []string{}
			for _, who := range []string{"a", "a", "b"} {
				states = append(states, w.chat("oai/fake-model", "x-who", who).header.Get("x-omniroute-cache"))
			}
			require.Equal(t, []string{"MISS", "HIT", "MISS"}, states)
			require.Len(t, w.oai.Requests(), 2)
		},
		"filter": func(t *testing.T) {
			w := newWorld(t, quick+"  filter: [{id: no-oai, when: header(\"x-no\") != \"\", drop: 'target.provider == \"oai\"', reason: not oai}]\n")
			w.answers()
			require.Equal(t, "from oai", w.chat("both").content())
			require.Equal(t, "from ant", w.chat("both", "x-no", "1").content())
			got := w.chat("oai/fake-model", "x-no", "1")
			require.Equal(t, 503, got.status)
			require.Contains(t, got.body, "not oai")
		},
		"order": func(t *testing.T) {
			w := newWorld(t, quick+"  order: [{id: dear-first, when: header(\"x-dear\") != \"\", by: [-target.price.input]}]\n")
			w.answers()
			require.Equal(t, "from oai", w.chat("both").content())
			require.Equal(t, "from ant", w.chat("both", "x-dear", "1").content())
		},
		"accounts": func(t *testing.T) {
			w := newWorld(t, quick+"  accounts: [{id: named, eligible: 'header(\"x-account\") == \"\" or account.name == header(\"x-account\")'}]\n")
			w.answers()
			w.chat("oai/fake-model")
			require.Equal(t, "Bearer key-oai-a", w.oai.Last().Header.Get("authorization"))
			w.chat("oai/fake-model", "x-account", "b")
			require.Equal(t, "Bearer key-oai-b", w.oai.Last().Header.Get("authorization"))
			require.Equal(t, 503, w.chat("oai/fake-model", "x-account", "c").status)
		},
		"limits": func(t *testing.T) {
			w := newWorld(t, quick+"  limits: [{id: one, scope: 'account:${account.id}', rpm: 1, max_wait: 1ms}]\n")
			w.answers()
			for range 2 { // one of each account
				require.Equal(t, 200, w.chat("oai/fake-model").status)
			}
			got := w.chat("oai/fake-model")
			require.Equal(t, 429, got.status, got.body)
			require.NotEmpty(t, got.header.Get("retry-after"))
			require.Len(t, w.oai.Requests(), 2)
		},
		"learn": func(t *testing.T) {
			w := newWorld(t, quick+"  learn: [{id: out, when: hdr.remaining == 0, reservoir: 0, refill: hdr.limit, every: hdr.reset_ms}]\n")
			w.answers()
			h := http.Header{}
			h.Set("x-ratelimit-limit-requests", "5")
			h.Set("x-ratelimit-remaining-requests", "0")
			h.Set("x-ratelimit-reset-requests", "10m")
			w.oai.Push(fake.Reply{Text: "last", Header: h})
			require.Equal(t, "last", w.chat("oai/fake-model").content())
			require.Equal(t, "from oai", w.chat("oai/fake-model").content())
			require.Equal(t, "Bearer key-oai-b", w.oai.Last().Header.Get("authorization"), "the first account has nothing left")
		},
		"system": func(t *testing.T) {
			w := newWorld(t, quick+"  system: [{id: house, text: 'Answer ${req.client}.', position: prepend}]\n")
			w.answers()
			require.Equal(t, 200, w.chat("oai/fake-model", "user-agent", "claude-cli/1").status)
			require.Contains(t, string(w.oai.Last().Body), `"role":"system","content":"Answer claude-cli."`)
		},
		"thinking": func(t *testing.T) {
			w := newWorld(t, quick+"  thinking: [{id: passthrough, do: 'header(\"x-think\") != \"\" ? effort(\"high\") : strip()'}]\n")
			w.answers()
			body := strings.Replace(chatBody, `{"model"`, `{"reasoning_effort":"low","model"`, 1)
			require.Equal(t, 200, w.post("/v1/chat/completions", body).status)
			require.NotContains(t, string(w.oai.Last().Body), "reasoning_effort")
			require.Equal(t, 200, w.post("/v1/chat/completions", body, "x-think", "1").status)
			require.Contains(t, string(w.oai.Last().Body), `"reasoning_effort":"high"`)
		},
		"context": func(t *testing.T) {
			w := newWorld(t, quick+"  context: [{id: fit, mode: fit, reserve: target.context - 2000}]\n")
			w.answers()
			var turns []string
			for _, word := range []string{"first", "second", "third", "fourth"} {
				turns = append(turns, `{"role":"user","content":"`+word+strings.Repeat(" word", 1000)+`"}`, `{"role":"assistant","content":"ok"}`)
			}
			body := `{"model":"oai/fake-model","messages":[` + strings.Join(turns, ",") + `,{"role":"user","content":"last"}]}`
			require.Equal(t, 200, w.post("/v1/chat/completions", body).status)
			sent := string(w.oai.Last().Body)
			require.Contains(t, sent, "first word")
			require.NotContains(t, sent, "second word")
			require.Contains(t, sent, `"last"`)
			require.Contains(t, sent, "Context compressed")
		},
		"timeouts": func(t *testing.T) {
			w := newWorld(t, quick+"  timeouts: [{id: short, when: header(\"x-hurry\") != \"\", first_event: 30ms}]\n  on_error: [{id: over, when: err.timeout, do: next(\"timeout\")}]\n")
			w.answers()
			gate := make(chan struct{})
			defer close(gate)
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "late", Gate: gate} })
			got := w.post("/v1/chat/completions", withModel(chatStream, "both"), "x-hurry", "1")
			require.Equal(t, "from ant", text("openai", got.body))
		},
		"on_error": func(t *testing.T) {
			rules := func(do string) string {
				return quick + "  on_error: [{id: teapot, when: 'err.status == 418 and err.text contains \"short and stout\"', do: '" + do + "'}]\n"
			}
			for do, want := range map[string]struct{ status, oai int }{
				`stop("no")`: {418, 1}, `next("go")`: {200, 1}, `retrySame(1)`: {200, 2}, `cool("1m", "x", "provider")`: {200, 1},
			} {
				w := newWorld(t, rules(do))
				w.answers()
				w.oai.Push(fake.Reply{Status: 418, Error: "Short and Stout"})
				got := w.chat("both")
				require.Equal(t, want.status, got.status, do)
				require.Len(t, w.oai.Requests(), want.oai, do)
				if strings.HasPrefix(do, "cool") {
					require.Equal(t, "from ant", w.chat("both").content())
					require.Len(t, w.oai.Requests(), 1, "the whole provider cools")
				}
			}
		},
		"on_exhausted": func(t *testing.T) {
			w := newWorld(t, quick+"  on_error: [{id: soft, do: 'cool(0, \"x\")'}]\n  on_exhausted: [{id: no, when: header(\"x-stay\") != \"\", do: 'stop(\"stay\")'}]\n")
			w.answers()
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
			require.Equal(t, "from ant", w.chat("both").content())
			require.Equal(t, 500, w.chat("both", "x-stay", "1").status)
		},
		"breaker": func(t *testing.T) {
			w := newWorld(t, quick+"  on_error: [{id: soft, do: next(\"x\")}]\n  breaker: [{id: default, count: err.status == 418, trip: breaker.failures >= 2, reset: 1h}]\n")
			w.answers()
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 418, Error: "boom"} })
			for range 4 {
				require.Equal(t, "from ant", w.chat("both").content())
			}
			require.Len(t, w.oai.Requests(), 2, "two failures open the breaker")
		},
		"log": func(t *testing.T) {
			w := newWorld(t, quick+`
  log:
    - {id: all, when: header("x-log") == "all", bodies: all}
    - {id: nothing, when: header("x-log") == "none", call_log: none}
    - {id: numbers, when: header("x-log") == "counters", call_log: counters, bodies: all}
`)
			w.answers()
			row := w.row(w.chat("oai/fake-model", "x-log", "all").header.Get("x-request-id"))
			require.Contains(t, string(row.Request), `"hi"`)
			row = w.row(w.chat("oai/fake-model", "x-log", "counters").header.Get("x-request-id"))
			require.Empty(t, row.Request)
			require.EqualValues(t, 15, row.Usage.Sum())
			gone := w.chat("oai/fake-model", "x-log", "none").header.Get("x-request-id")
			w.row(w.chat("oai/fake-model").header.Get("x-request-id"))
			_, err := w.ledger.Get(t.Context(), gone)
			require.Error(t, err)
		},
		"meter": func(t *testing.T) {
			w := newWorld(t, quick+"  meter: [{id: double, cost: usage.cost_usd * 2}, {id: calls, counter: 'global:calls', add: 3}]\n")
			w.answers()
			row := w.row(w.chat("oai/fake-model").header.Get("x-request-id"))
			require.Positive(t, row.Cost)
			require.Equal(t, 2*row.Cost, row.Billed)
			require.Eventually(t, func() bool { return w.ledger.Tokens("global:calls", "day") == 3 }, time.Minute, time.Millisecond)
		},
	}
	for _, h := range policy.Hooks() {
		require.Contains(t, tests, h.Name)
		t.Run(h.Name, tests[h.Name])
	}
}

// TestFactsThatOnlyRunningRequestsHave shows that rules see what else runs.
func TestFactsThatOnlyRunningRequestsHave(t *testing.T) {
	w := newWorld(t, quick+"  gate: [{id: one, when: 'sys.inflight > 1 and sys.load_pct >= 0 and sys.load_pct <= 100', deny: Busy, status: 503}]\n")
	gate := make(chan struct{})
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "slow", Gate: gate} })
	done := make(chan answer, 1)
	go func() { done <- w.post("/v1/chat/completions", chatStream) }()
	require.Eventually(t, func() bool { return len(w.oai.Requests()) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, 503, w.chat("oai/fake-model").status)
	close(gate)
	require.Equal(t, 200, (<-done).status)
	w.answers()
	require.Equal(t, 200, w.chat("oai/fake-model").status)
}
