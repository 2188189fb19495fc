package flow_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// answers makes both providers answer with their name.
func (w *world) answers() {
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from oai"} })
	w.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from ant"} })
}

func TestGateRefusesAndTags(t *testing.T) {
	w := newWorld(t, quick+`
  gate:
    - {id: loud, when: 'req.model == "oai/secret"', deny: "No ${req.model} here", code: AUTH_007}
    - {id: big, when: req.tokens_in > 100, tag: [big]}
  order:
    - {id: big-elsewhere, when: '"big" in req.tags', by: ['target.provider == "ant" ? 0 : 1']}
`)
	w.answers()
	got := w.post("/v1/chat/completions", withModel(chatBody, "oai/secret"))
	require.Equal(t, 403, got.status)
	require.Equal(t, "No oai/secret here", got.get("error", "message"))
	require.Equal(t, "AUTH_007", got.get("error", "omniroute_code"))
	got = w.post("/v1/chat/completions", withModel(chatBody, "both"))
	require.Equal(t, "from oai", got.get("choices", "0", "message", "content"))
	long := `{"model":"both","messages":[{"role":"user","content":"` + strings.Repeat("word ", 200) + `"}]}`
	got = w.post("/v1/chat/completions", long)
	require.Equal(t, "from ant", got.get("choices", "0", "message", "content"))
}

func TestEditingAnOrderRuleMovesTheNextRequest(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	body := withModel(chatBody, "both")
	require.Equal(t, "from oai", w.post("/v1/chat/completions", body).get("choices", "0", "message", "content"))
	w.configure(quick+"  order: [{id: ant-first, by: ['target.provider == \"ant\" ? 0 : 1']}]\n", "")
	require.Equal(t, "from ant", w.post("/v1/chat/completions", body).get("choices", "0", "message", "content"))
	w.configure(quick+"  filter: [{id: no-ant, drop: target.provider == \"ant\"}]\n", "")
	require.Equal(t, "from oai", w.post("/v1/chat/completions", body).get("choices", "0", "message", "content"))
	got := w.post("/v1/chat/completions", withModel(chatBody, "ant/fake-model"))
	require.Equal(t, 503, got.status, got.body)
}

func TestRewriteSetsFieldsAndModel(t *testing.T) {
	w := newWorld(t, quick+`
  rewrite:
    - {id: cheap, when: 'req.model == "expensive"', model: oai/fake-model}
    - {id: cool, set: {temperature: "0.25", metadata.by: '"rule"'}}
`)
	w.answers()
	got := w.post("/v1/chat/completions", `{"model":"oai/other","messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, string(w.oai.Last().Body), `"temperature":0.25`)
	require.Contains(t, string(w.oai.Last().Body), `"by":"rule"`)
	w.configure(quick+"  rewrite: [{id: to-ant, when: 'req.model == \"oai/fake-model\"', model: ant/fake-model}]\n", "")
	got = w.post("/v1/chat/completions", chatBody)
	require.Equal(t, "from ant", got.get("choices", "0", "message", "content"), got.body)
	w.configure(quick+"  rewrite: [{id: ping, when: 'req.model == \"oai/fake-model\"', model: ant/fake-model}, {id: pong, when: 'req.model == \"ant/fake-model\"', model: oai/fake-model}]\n", "")
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody).status, "a pair that cancels out is no loop")
}

func TestTimeoutRulesReachUpstream(t *testing.T) {
	w := newWorld(t, quick+"  timeouts: [{id: rest, headers: 30ms}]\n  on_error: [{id: all, do: stop()}]\n")
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallHeaders}} })
	began := time.Now()
	got := w.post("/v1/chat/completions", chatStream)
	require.Equal(t, 504, got.status, got.body)
	require.Less(t, time.Since(began), 3*time.Second)
	require.Len(t, w.oai.Requests(), 1, "on_error said stop")
}

func TestOnExhaustedRepeatsTheTarget(t *testing.T) {
	w := newWorld(t, quick+"  on_error: [{id: soft, when: err.status == 500, do: 'cool(0, \"server_error\")'}]\n")
	w.oai.Push(fake.Reply{Status: 500}, fake.Reply{Status: 500}, fake.Reply{Text: "third time"})
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "third time", got.get("choices", "0", "message", "content"))
}

func TestKeysAreRequiredWhenConfigured(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	w.configure(quick, `auth: {require_keys: true, keys: [{name: ci, key: sk-test-key-0123456789, models: ["oai/*"], limits: {rpm: 2}}]}`)
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 401, got.status)
	require.Equal(t, "AUTH_001", got.get("error", "omniroute_code"))
	require.Equal(t, 401, w.post("/v1/messages", claudeBody, "x-api-key", "wrong").status)
	require.Equal(t, 401, w.get("/v1/models").status)
	key := []string{"authorization", "Bearer sk-test-key-0123456789"}
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody, key...).status)
	require.Equal(t, 403, w.post("/v1/messages", claudeBody, "x-api-key", "sk-test-key-0123456789").status, "models of the key")
	models := w.get("/v1/models", key...)
	require.Contains(t, models.body, "oai/fake-model")
	require.NotContains(t, models.body, "ant/fake-model")
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody, key...).status)
	got = w.post("/v1/chat/completions", chatBody, key...)
	require.Equal(t, 429, got.status, "rpm of the key: %s", got.body)
	require.NotEmpty(t, got.header.Get("retry-after"))
	row := w.row(got.header.Get("x-request-id"))
	require.Equal(t, "ci", row.KeyName)
}

func TestBudgetsDeny(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	w.configure(quick+"  budget: [{id: all, scope: global, unit: requests, period: day, limit: 2, deny: budget.spent + budget.reserved + budget.est > budget.limit, action: deny}]\n", "")
	for range 2 {
		got := w.post("/v1/chat/completions", chatBody)
		require.Equal(t, 200, got.status, got.body)
		w.row(got.header.Get("x-request-id"))
	}
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 429, got.status, got.body)
	require.Equal(t, "RATE_002", got.get("error", "omniroute_code"))
	require.NotEmpty(t, got.header.Get("retry-after"))
	w.configure(quick+"  budget: [{id: all, scope: global, unit: requests, period: day, limit: 2, deny: budget.spent + budget.est > budget.limit, action: downgrade, downgrade_to: ant/fake-model}]\n", "")
	got = w.post("/v1/chat/completions", chatBody)
	require.Equal(t, "from ant", got.get("choices", "0", "message", "content"), got.body)
}

func TestCacheServesTheSecondTime(t *testing.T) {
	w := newWorld(t, quick+"  cache: [{id: exact, mode: read-write, ttl: 1h, scope: all}]\n")
	w.answers()
	for _, c := range []struct{ path, body string }{{"/v1/chat/completions", chatBody}, {"/v1/chat/completions", chatStream}, {"/v1/messages", withModel(claudeBody, "oai/fake-model")}} {
		w.oai.Reset()
		w.answers()
		first := w.post(c.path, c.body)
		require.Equal(t, "MISS", first.header.Get("x-omniroute-cache"))
		second := w.post(c.path, strings.Replace(c.body, `{"model"`, `{"user":"me","model"`, 1))
		require.Equal(t, "HIT", second.header.Get("x-omniroute-cache"))
		require.Equal(t, first.body, second.body)
		require.Equal(t, first.header.Get("content-type"), second.header.Get("content-type"))
		require.Len(t, w.oai.Requests(), 1)
		row := w.row(second.header.Get("x-request-id"))
		require.True(t, row.Cached)
		require.Zero(t, row.Cost)
	}
	other := w.post("/v1/chat/completions", strings.Replace(chatBody, "hi", "ho", 1))
	require.Equal(t, "MISS", other.header.Get("x-omniroute-cache"))
}

func TestIdempotencyReplays(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	first := w.post("/v1/chat/completions", chatBody, "idempotency-key", "one")
	second := w.post("/v1/chat/completions", chatBody, "idempotency-key", "one")
	require.Equal(t, first.body, second.body)
	require.Equal(t, "true", second.header.Get("x-omniroute-idempotent"))
	require.Len(t, w.oai.Requests(), 1)
	clash := w.post("/v1/chat/completions", strings.Replace(chatBody, "hi", "ho", 1), "idempotency-key", "one")
	require.Equal(t, 409, clash.status)
	require.Equal(t, "VALID_004", clash.get("error", "omniroute_code"))
}

func TestBypassAnswersHousekeeping(t *testing.T) {
	w := newWorld(t, quick)
	body := `{"model":"ant/fake-model","max_tokens":5,"messages":[{"role":"user","content":"Warmup"}]}`
	got := w.post("/v1/messages", body, "user-agent", "claude-cli/2.0")
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "warmup", got.header.Get("x-omniroute-bypass"))
	require.Equal(t, "CLI Command Execution: Clear Terminal", got.get("content", "0", "text"))
	got = w.post("/v1/messages", strings.Replace(body, `"model"`, `"stream":true,"model"`, 1), "user-agent", "claude-cli/2.0")
	require.Equal(t, "CLI Command Execution: Clear Terminal", text("claude", got.body))
	require.Contains(t, got.body, "event: message_stop")
	require.NotContains(t, got.body, "[DONE]")
	require.Empty(t, w.ant.Requests())
}

func TestSystemThinkingAndContextRules(t *testing.T) {
	w := newWorld(t, quick+`
  system: [{id: house, text: "Be kind.", position: append}]
`)
	w.answers()
	got := w.post("/v1/chat/completions", `{"model":"oai/fake-model","messages":[{"role":"system","content":"S"},{"role":"user","content":"x"}]}`)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, string(w.oai.Last().Body), `S\n\nBe kind.`)
	got = w.post("/v1/messages", `{"model":"ant/fake-model","max_tokens":5,"system":"S","messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, string(w.ant.Last().Body), `Be kind.`)
	require.NotContains(t, string(w.ant.Last().Body), `x_omni`)

	w.configure(quick+"  thinking: [{id: passthrough, do: strip()}]\n", "")
	w.post("/v1/messages", `{"model":"ant/fake-model","max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"x"}]}`)
	require.NotContains(t, string(w.ant.Last().Body), `thinking`)
	w.configure(quick+"  thinking: [{id: passthrough, do: think(2048)}]\n", "")
	got = w.post("/v1/messages", `{"model":"ant/claude-sonnet-4-5","max_tokens":5000,"messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, string(w.ant.Last().Body), `"budget_tokens":2048`)

	w.configure(quick+"  context: [{id: strict, mode: strict}]\n", "")
	long := `{"model":"ant/fake-model","max_tokens":5,"messages":[{"role":"user","content":"` + strings.Repeat("word ", 180_000) + `"}]}`
	got = w.post("/v1/messages", long)
	require.Equal(t, 400, got.status, got.body)
	require.Equal(t, "MODEL_004", got.get("error", "omniroute_code"))
}

func TestOtherSurfaces(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	for _, model := range []string{"oai/fake-model", "ant/fake-model"} {
		want := "from " + model[:3]
		got := w.post("/v1/responses", `{"model":"`+model+`","input":"hi"}`)
		require.Equal(t, 200, got.status, got.body)
		require.Contains(t, got.body, want)
		got = w.post("/v1/responses", `{"model":"`+model+`","stream":true,"input":"hi"}`)
		require.Contains(t, got.body, "event: response.completed", got.body)
		got = w.post("/v1beta/models/"+model+":generateContent", `{"contents":[{"parts":[{"text":"hi"}]}]}`, "x-goog-api-key", "k")
		require.Equal(t, 200, got.status, got.body)
		require.Equal(t, want, got.get("candidates", "0", "content", "parts", "0", "text"))
		require.Equal(t, model, got.get("modelVersion"))
		got = w.post("/v1beta/models/"+model+":streamGenerateContent?alt=sse", `{"contents":[{"parts":[{"text":"hi"}]}]}`)
		require.Contains(t, got.body, `"finishReason":"STOP"`)
		require.Equal(t, "text/event-stream", got.header.Get("content-type"))
		got = w.post("/v1beta/models/"+model+":streamGenerateContent", `{"contents":[{"parts":[{"text":"hi"}]}]}`)
		require.True(t, strings.HasPrefix(got.body, "[{") && strings.HasSuffix(got.body, "}]"), got.body)
		require.Contains(t, got.header.Get("content-type"), "application/json")
	}
	got := w.post("/v1/providers/ant/chat/completions", withModel(chatBody, "fake-model"))
	require.Equal(t, "from ant", got.get("choices", "0", "message", "content"), got.body)
	got = w.post("/codex/responses", `{"model":"oai/fake-model","input":"hi"}`)
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, 426, w.get("/v1/responses", "upgrade", "websocket", "connection", "upgrade").status)
	for path, member := range map[string]string{
		"/v1/messages/count_tokens":                 "input_tokens",
		"/v1/responses/input_tokens":                "input_tokens",
		"/v1beta/models/ant/fake-model:countTokens": "totalTokens",
	} {
		got := w.post(path, `{"model":"ant/fake-model","messages":[{"role":"user","content":"hello world"}],"input":"hello world","contents":[{"parts":[{"text":"hello world"}]}]}`)
		require.Equal(t, 200, got.status, got.body)
		require.NotEqual(t, "0", got.get(member))
		require.NotEmpty(t, got.get(member), got.body)
	}
}

func TestCompressedBodies(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	_, _ = zw.Write([]byte(chatBody))
	require.NoError(t, zw.Close())
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer enc.Close()
	for name, body := range map[string]string{"gzip": gz.String(), "zstd": string(enc.EncodeAll([]byte(chatBody), nil))} {
		require.Equal(t, 200, w.post("/v1/chat/completions", body, "content-encoding", name).status)
		require.Equal(t, 400, w.post("/v1/chat/completions", "garbage", "content-encoding", name).status)
	}
	require.Equal(t, 415, w.post("/v1/chat/completions", "x", "content-encoding", "br").status)
	bomb := enc.EncodeAll(make([]byte, 8<<20), nil)
	require.Equal(t, 413, w.post("/v1/chat/completions", string(bomb), "content-encoding", "zstd").status)
}

func TestHeartbeatsWhileUpstreamIsSilent(t *testing.T) {
	for name, after := range map[string]int{"after content": 4, "before content": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heartbeats(t, after)
		})
	}
}

// heartbeats holds a stream after some events and waits for pings. Before the
// first content they come when the client's patience is over.
func heartbeats(t *testing.T, after int) {
	w := newWorld(t, quick+"  timeouts: [{id: beat, heartbeat: 30ms}]\n")
	gate := make(chan struct{})
	w.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "one two", Gate: gate, GateAfter: after} })
	resp := w.open(context.Background(), "/v1/messages", claudeStream)
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	pings := 0
	for pings < 2 {
		if strings.Contains(nextEvent(t, r), "ping") {
			pings++
		}
	}
	close(gate)
	for !strings.Contains(nextEvent(t, r), "message_stop") {
	}
}

func TestBreakerOpensAndTheOtherProviderServes(t *testing.T) {
	w := newWorld(t, quick+"  on_error: [{id: soft, do: next(err.reason)}]\n")
	w.answers()
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
	for range 6 {
		require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "both")).status)
	}
	require.Equal(t, "open", string(w.health.Breakers.View("oai").State))
	n := len(w.oai.Requests())
	require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "both")).status)
	require.Len(t, w.oai.Requests(), n, "an open breaker keeps requests away")
}

func TestDegradedFieldsAreReported(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	got := w.post("/v1/chat/completions", `{"model":"ant/fake-model","seed":7,"messages":[{"role":"user","content":"x"}]}`)
	require.Equal(t, 200, got.status)
	require.Contains(t, got.header.Get("x-omniroute-degraded"), "seed")
	require.Contains(t, w.row(got.header.Get("x-request-id")).Degraded, "seed")
}

func TestTraceIsKeptWithTheRow(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	got := w.post("/v1/chat/completions", withModel(chatBody, "both"))
	id := got.header.Get("x-request-id")
	w.row(id)
	var trace []byte
	require.Eventually(t, func() bool {
		var err error
		trace, err = w.ledger.Trace(context.Background(), id)
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	require.Contains(t, string(trace), `"candidates":["oai/fake-model","ant/fake-model"]`)
	require.Contains(t, string(trace), `"record"`)
	require.NotContains(t, string(trace), "key-oai-a")
}
