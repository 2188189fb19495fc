package flow_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/health"
)

// one adds a provider "one" with one account before the OpenAI-like fake.
func (w *world) one(more string) {
	w.providers = fmt.Sprintf("  one: {dialect: openai, base_urls: [%q], allow_private: true, kind: apikey, accounts: [{name: a, api_key: k}], passthrough_models: true, models: [{id: fake-model}, {id: other}]%s}\n", w.oai.OpenAIBase(), more)
}

func (w *world) account(id string) account.Condition {
	w.t.Helper()
	a, ok := w.pool.Get(id)
	require.True(w.t, ok, id)
	return a.State
}

// Round-robin goes on behind the member that served, not behind the one that was
// asked first: a member that fails does not give its neighbour a double load.
func TestRoundRobinGoesOnBehindTheOneThatServed(t *testing.T) {
	w := newWorld(t, quick)
	w.providers = fmt.Sprintf("  bad: {dialect: openai, base_urls: [%q], allow_private: true, cooling: false, accounts: [{name: a, api_key: bad}], models: [{id: m}]}\n", w.oai.OpenAIBase())
	for _, id := range []string{"p1", "p2"} {
		w.providers += fmt.Sprintf("  %s: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: %s}], models: [{id: m}]}\n", id, w.oai.OpenAIBase(), id)
	}
	w.combos = "  ring: {strategy: round-robin, models: [bad/m, p1/m, p2/m]}\n"
	w.configure(rules("  breaker: [{id: default, ignore: true}]\n"), "")
	w.oai.Otherwise(func(r *fake.Request) fake.Reply {
		if r.Key() == "bad" {
			return fake.Reply{Status: 500, Error: "boom"}
		}
		return fake.Reply{Text: "from " + r.Key()}
	})
	var served []string
	for range 6 {
		require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "ring")).status)
		served = append(served, w.oai.Last().Key())
	}
	require.Equal(t, []string{"p1", "p2", "p1", "p2", "p1", "p2"}, served)
}

// The final error says when to come back, and has a status that means something.
func TestFinalErrorsSayWhen(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Otherwise(func(r *fake.Request) fake.Reply { return fake.RateLimited("retry-after", 50*time.Second) })
	w.ant.Otherwise(func(r *fake.Request) fake.Reply { return fake.RateLimited("retry-after", 20*time.Second) })
	a := w.post("/v1/chat/completions", withModel(chatBody, "both"))
	require.Equal(t, 429, a.status, "all were limits")
	require.InDelta(t, 20, seconds(t, a), 2, "the earliest")
	a = w.post("/v1/chat/completions", withModel(chatBody, "both"))
	require.Equal(t, 503, a.status)
	require.InDelta(t, 20, seconds(t, a), 3)
	require.Regexp(t, `\(reset after (1[7-9]|20)s\)`, a.body)
	a = w.post("/v1/chat/completions", withModel(chatBody, "oai/fake-model"))
	require.Regexp(t, `\(reset after (4[6-9]|50)s\)`, a.body)
	w = newWorld(t, quick)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
	w.ant.Otherwise(func(r *fake.Request) fake.Reply { return fake.RateLimited("retry-after", 20*time.Second) })
	a = w.post("/v1/chat/completions", withModel(chatBody, "both"))
	require.Equal(t, 503, a.status, "one was the provider's fault")
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func seconds(t *testing.T, a answer) int {
	t.Helper()
	n, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err, "%d %s", a.status, a.body)
	return n
}

// A success of any kind of request clears what failures left on the account.
func TestAnySuccessClearsTheAccount(t *testing.T) {
	w := newWorld(t, quick)
	w.routing = ", max_retries: 0"
	w.configure(rules("  on_error: [{id: transient, when: err.status == 500, do: 'coolUp(\"1ms\", 5, \"server_error\")'}]\n"), "")
	w.ant.Push(fake.Reply{Status: 500, Error: "boom"})
	require.GreaterOrEqual(t, w.post("/v1/messages", claudeBody).status, 500)
	require.Equal(t, account.StatusUnavail, w.account("ant/a").Status)
	require.Equal(t, 500, w.account("ant/a").ErrorCode)
	require.Eventually(t, func() bool {
		return w.post("/v1/messages/count_tokens", claudeBody).header.Get("x-omniroute-target") != ""
	}, time.Minute, time.Millisecond)
	c := w.account("ant/a")
	require.Equal(t, account.Condition{Status: account.StatusActive, LastUsed: c.LastUsed, Uses: c.Uses}, c, "all of it")
}

// A reset that the provider told is neither ignored nor extended.
func TestKnownResetsAreObeyed(t *testing.T) {
	for name, reply := range map[string]fake.Reply{
		"retry-after":    fake.RateLimited("retry-after", 2*time.Hour),
		"retry-after-ms": fake.RateLimited("retry-after-ms", 2*time.Hour),
		"unified": {Status: 429, Error: "limit", Header: http.Header{"Anthropic-Ratelimit-Unified-Status": {"rejected"},
			"Anthropic-Ratelimit-Unified-Reset": {strconv.FormatInt(time.Now().Add(2*time.Hour).Unix(), 10)}}},
		"text": {Status: 429, Error: "Your quota will reset after 2h0m0s."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, quick)
			w.one("")
			w.configure(rules(""), "")
			w.oai.Push(reply)
			require.Equal(t, 429, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status)
			until := w.account("one/a").CoolUntil
			if until.IsZero() { // quotas of compatible servers are per model
				require.Len(t, w.pool.Locks(), 1)
				until = w.pool.Locks()[0].Until
			}
			require.WithinDuration(t, time.Now().Add(2*time.Hour), until, 10*time.Second)
		})
	}
}

// Limits, clients that leave and proxies that are down open no provider's breaker.
func TestWhatNeverOpensABreaker(t *testing.T) {
	closed := func(t *testing.T, w *world) {
		v := w.health.Breakers.View("one")
		require.Equal(t, health.Closed, v.State)
		require.Zero(t, v.WindowFailed)
	}
	t.Run("429", func(t *testing.T) {
		w := newWorld(t, quick)
		w.one(", cooling: false")
		w.configure(rules("  learn: [{id: hit-429, when: 'false', gap: 0s}]\n"), "")
		w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 429, Error: "rate limit"} })
		for range 10 {
			require.Equal(t, 429, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status)
		}
		closed(t, w)
	})
	t.Run("clients that leave", func(t *testing.T) {
		w := newWorld(t, quick)
		w.one("")
		w.configure(rules(""), "")
		w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallHeaders}} })
		for i := range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				req, _ := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/chat/completions", strings.NewReader(withModel(chatBody, "one/fake-model")))
				if resp, err := w.client.Do(req); err == nil {
					resp.Body.Close()
				}
			}()
			require.NotNil(t, w.oai.Wait(i, time.Minute))
			cancel()
			<-done
		}
		require.Eventually(t, func() bool { return w.flow.Inflight() == 0 }, time.Minute, time.Millisecond)
		closed(t, w)
		require.Equal(t, account.StatusActive, w.account("one/a").Status)
	})
	t.Run("proxy", func(t *testing.T) {
		w := newWorld(t, quick)
		w.one(", proxy: " + strconv.Quote(fake.RefusedURL()))
		w.configure(rules(""), "")
		for range 10 {
			require.Equal(t, 502, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status)
		}
		closed(t, w)
		require.Equal(t, account.StatusActive, w.account("one/a").Status, "nor is it the account's fault")
		open := 0
		for _, b := range w.health.Breakers.List() {
			if strings.HasPrefix(b.Name, "proxy|") && b.State == health.Open {
				open++
			}
		}
		require.Equal(t, 1, open, "the proxy is left alone instead")
	})
}

// Where quotas are per model, one that is used up keeps only that model away.
func TestQuotaOfOneModelLeavesTheOthers(t *testing.T) {
	w := newWorld(t, quick)
	w.one(", quota_scope: model")
	w.configure(rules(""), "")
	w.oai.Push(fake.RateLimited("retry-after", time.Hour))
	require.Equal(t, 429, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status)
	require.GreaterOrEqual(t, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status, 429)
	require.Len(t, w.oai.Requests(), 1)
	require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "one/other")).status)
	require.Equal(t, account.StatusActive, w.account("one/a").Status)
}

// A request that the provider calls malformed costs no account anything.
func TestBadRequestsCoolNobody(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 400, Error: "messages.3: unknown field"} })
	require.Equal(t, 400, w.post("/v1/chat/completions", chatBody).status)
	require.Len(t, w.oai.Requests(), 1, "not tried on every account either")
	for _, id := range []string{"oai/a", "oai/b"} {
		require.Equal(t, account.StatusActive, w.account(id).Status)
		require.Zero(t, w.account(id).Backoff)
	}
}

// An idempotency key stands for one request of one tenant on one path.
func TestIdempotencyKeysAreNarrow(t *testing.T) {
	w := newWorld(t, quick)
	w.configure(rules(""), "auth: {keys: [{name: k1, key: sk-one-0123456789abc}, {name: k2, key: sk-two-0123456789abc}]}")
	w.oai.Otherwise(func(r *fake.Request) fake.Reply { return fake.Reply{Text: "served"} })
	ask := func(path, body, key string) answer {
		return w.post(path, body, "idempotency-key", "same", "authorization", "Bearer "+key)
	}
	replayed := func(a answer) bool { return a.header.Get("x-omniroute-idempotent") == "true" }
	require.False(t, replayed(ask("/v1/chat/completions", chatBody, "sk-one-0123456789abc")))
	require.True(t, replayed(ask("/v1/chat/completions", chatBody, "sk-one-0123456789abc")))
	require.False(t, replayed(ask("/v1/chat/completions", chatBody, "sk-two-0123456789abc")), "another tenant")
	require.False(t, replayed(ask("/v1/messages", `{"model":"oai/fake-model","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, "sk-one-0123456789abc")), "another path")
	require.Equal(t, 409, ask("/v1/chat/completions", strings.Replace(chatBody, "hi", "ho", 1), "sk-one-0123456789abc").status, "another body")
	a := w.post("/v1/chat/completions", chatBody, "x-request-id", "same")
	b := w.post("/v1/chat/completions", chatBody, "x-request-id", "same")
	require.False(t, replayed(a) || replayed(b), "a request id is no idempotency key")
	n := len(w.oai.Requests())
	w.oai.Push(fake.Reply{Status: 400, Error: "no"})
	require.Equal(t, 400, w.post("/v1/chat/completions", chatBody, "idempotency-key", "failing").status)
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody, "idempotency-key", "failing").status, "failures are not kept")
	require.Len(t, w.oai.Requests(), n+2)
}

// What changes an answer is part of the cache's key, and who asks for one that is
// not determined gets a fresh one.
func TestCacheKeysAreNarrow(t *testing.T) {
	w := newWorld(t, quick)
	w.configure(rules(""), "auth: {keys: [{name: k1, key: sk-one-0123456789abc}, {name: k2, key: sk-two-0123456789abc}]}")
	w.oai.Otherwise(func(r *fake.Request) fake.Reply { return fake.Reply{Text: "served"} })
	const base = `{"model":"oai/fake-model","temperature":0,"messages":[{"role":"user","content":"hi"}]`
	ask := func(more, key string) string {
		a := w.post("/v1/chat/completions", base+more+"}", "authorization", "Bearer "+key)
		require.Equal(t, 200, a.status, a.body)
		return a.header.Get("x-omniroute-cache")
	}
	const key = "sk-one-0123456789abc"
	require.Equal(t, "MISS", ask("", key))
	require.Equal(t, "HIT", ask("", key))
	require.Equal(t, "HIT", ask(`,"user":"somebody","metadata":{"a":"b"}`, key), "what no model sees does not count")
	require.Equal(t, "MISS", ask("", "sk-two-0123456789abc"), "another tenant")
	for _, more := range []string{
		`,"max_tokens":7`, `,"seed":1`, `,"stop":["x"]`, `,"response_format":{"type":"json_object"}`, `,"top_p":0.5`,
		`,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`,
		`,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"none"`,
	} {
		require.Equal(t, "MISS", ask(more, key), more)
	}
	for _, undetermined := range []string{`{"model":"oai/fake-model","messages":[{"role":"user","content":"free"}]}`, `{"model":"oai/fake-model","temperature":0.7,"messages":[{"role":"user","content":"free"}]}`} {
		for range 2 {
			a := w.post("/v1/chat/completions", undetermined)
			require.NotEqual(t, "HIT", a.header.Get("x-omniroute-cache"), "no temperature is not zero")
		}
	}
}

// Time that runs out is a timeout, also on the way to a whole answer.
func TestTimeoutsAreTimeouts(t *testing.T) {
	for kind, stream := range map[fake.FaultKind]bool{fake.FaultStallHeaders: false, fake.FaultStallFirst: true} {
		w := newWorld(t, quick)
		w.one("")
		w.configure(rules("  timeouts: [{id: q, headers: 10ms, first_event: 100ms, total: 200ms}]\n"), "")
		w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Fault: fake.Fault{Kind: kind}} })
		body := chatBody
		if stream {
			body = chatStream
		}
		a := w.post("/v1/chat/completions", withModel(body, "one/fake-model"))
		require.Equal(t, 504, a.status, "%s: %s", kind, a.body)
	}
}

// Looking at what could serve changes nothing of it.
func TestLooksChangeNothing(t *testing.T) {
	w := newWorld(t, quick)
	w.routing = ", strategy: round-robin, sticky_limit: 1"
	w.configure(rules(""), "")
	require.Equal(t, 200, w.post("/v1/chat/completions", chatBody).status)
	before := []account.Condition{w.account("oai/a"), w.account("oai/b")}
	for range 5 {
		w.pool.Summary("oai", "fake-model")
		w.pool.Views(account.Query{Provider: "oai", Model: "fake-model"}, nil)
		w.pool.List("oai")
	}
	require.Equal(t, before, []account.Condition{w.account("oai/a"), w.account("oai/b")})
	require.Equal(t, 200, w.post("/v1/chat/completions", strings.Replace(chatBody, "hi", "another conversation", 1)).status)
	keys := []string{w.oai.Requests()[0].Key(), w.oai.Requests()[1].Key()}
	require.ElementsMatch(t, []string{"key-oai-a", "key-oai-b"}, keys, "the turn is the next one's")
}

// A breaker that opened closes again by itself once the provider is well.
func TestBreakerClosesByItself(t *testing.T) {
	w := newWorld(t, quick)
	w.one(", cooling: false")
	w.configure(rules("  breaker: [{id: default, count: err.status == 500, trip: breaker.failures >= 3, reset: 50ms}]\n"), "")
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
	for range 3 {
		w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model"))
	}
	require.NotEqual(t, health.Closed, w.health.Breakers.View("one").State)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "well"} })
	require.Eventually(t, func() bool {
		return w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status == 200
	}, time.Minute, 5*time.Millisecond)
	require.Eventually(t, func() bool { return w.health.Breakers.View("one").State == health.Closed }, time.Minute, time.Millisecond)
	require.Zero(t, w.health.Breakers.View("one").Failures)
}

// A Claude stream tells its input in the first event: it is counted, and costs.
func TestInputOfClaudeStreamsIsCounted(t *testing.T) {
	w := newWorld(t, quick)
	w.ant.Push(fake.Reply{Text: "x", Usage: fake.Usage{Prompt: 1234, Completion: 5}})
	a := w.post("/v1/messages", claudeStream)
	require.Equal(t, 200, a.status)
	row := w.row(a.header.Get("x-request-id"))
	require.EqualValues(t, 1234, row.Usage.Prompt)
	require.Positive(t, row.Cost)
}

// Usage in a last line without its end counts all the same.
func TestUsageInTheLastLineCounts(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.Reply{Text: "x", Usage: fake.Usage{Prompt: 77, Completion: 5}, Fault: fake.Fault{Kind: fake.FaultNoFinalBlank}})
	a := w.post("/v1/chat/completions", chatStream)
	require.Equal(t, 200, a.status)
	require.Equal(t, 1, strings.Count(a.body, "[DONE]"))
	require.EqualValues(t, 77, w.row(a.header.Get("x-request-id")).Usage.Prompt)
}
