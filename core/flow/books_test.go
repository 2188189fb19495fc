package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/flow/call"
)

func TestMeterRulesCountAndBill(t *testing.T) {
	w := newWorld(t, quick+`
  meter:
    - {id: units, counter: 'team:units', add: usage.input + 5 * usage.output}
    - {id: margin, cost: usage.cost_usd * 2}
`)
	w.answers()
	got := w.post("/v1/chat/completions", chatBody)
	row := w.row(got.header.Get("x-request-id"))
	require.Equal(t, 35, w.ledger.Tokens("team:units", "day"))
	require.Equal(t, 2*row.Cost, row.Billed)
}

func TestBodiesAreKeptAsConfigured(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	ok := w.post("/v1/chat/completions", chatBody)
	require.Empty(t, w.row(ok.header.Get("x-request-id")).Request)
	bad := w.post("/v1/chat/completions", withModel(chatBody, "nobody/x"))
	require.NotEmpty(t, w.row(bad.header.Get("x-request-id")).Request)

	w.configure(quick, "logging: {requests: {bodies: all}}")
	ok = w.post("/v1/chat/completions", chatStream)
	row := w.row(ok.header.Get("x-request-id"))
	require.Contains(t, string(row.Request), `"hi"`)
	require.Equal(t, ok.body, string(row.Response))

	w.configure(quick, "logging: {requests: {bodies: none}}")
	bad = w.post("/v1/chat/completions", withModel(chatBody, "nobody/x"))
	require.Empty(t, w.row(bad.header.Get("x-request-id")).Request)
}

func TestUsageMarginIsForClientsOnly(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	w.configure(quick, "usage: {buffer_tokens: 2000}")
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, "2010", got.get("usage", "prompt_tokens"))
	require.Equal(t, "2015", got.get("usage", "total_tokens"))
	require.Equal(t, int64(10), w.row(got.header.Get("x-request-id")).Usage.Prompt)
	got = w.post("/v1/messages", claudeStream)
	require.Contains(t, got.body, `"input_tokens":2010`)
	got = w.post("/v1/messages", withModel(claudeStream, "oai/fake-model"))
	require.Contains(t, got.body, `"input_tokens":2010`)
}

func TestComboSettingsDecideAboutRepeats(t *testing.T) {
	soft := quick + "  on_error: [{id: soft, do: 'cool(0, \"server_error\")'}]\n  breaker: [{id: default, ignore: true}]\n"
	for retries, want := range map[string]int{"0": 2, "1": 4} { // two accounts a round
		w := newWorld(t, soft)
		w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
		w.reconfigureCombo(soft, "one", retries)
		got := w.post("/v1/chat/completions", withModel(chatBody, "one"))
		require.Equal(t, 503, got.status, got.body)
		require.Len(t, w.oai.Requests(), want, "max_retries %s", retries)
	}
}

// reconfigureCombo adds a combo of one member with its own max_retries.
func (w *world) reconfigureCombo(policies, name, retries string) {
	w.t.Helper()
	w.combos = "  " + name + ": {strategy: priority, models: [oai/fake-model], config: {max_retries: " + retries + ", retry_delay: 1ms}}\n"
	w.configure(policies, "")
}

func TestAPanicEndsOneCallOnly(t *testing.T) {
	w := newWorld(t, quick)
	w.answers()
	c := w.flow.Begin("openai", call.EndpointChat)
	c.ID, c.Body = "broken", []byte(chatBody)
	c.Header = nil
	c.Snapshot = nil // every stage trips over this
	w.flow.Run(c)
	require.Equal(t, 500, c.Sent.Status)
	require.Contains(t, string(c.Sent.Body), "INTERNAL_001")
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody).status)
	require.Zero(t, w.flow.Inflight())
}

func TestAccountFactsSurviveTheCall(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.Reply{Status: 403, Error: "your account has been suspended"}, fake.Reply{Text: "x"})
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 200, got.status, got.body)
	a, ok := w.pool.Get("oai/a")
	require.True(t, ok)
	require.Equal(t, account.StatusBanned, a.State.Status)
	require.NotContains(t, got.body, "key-oai")
}
