package flow_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/health"
)

// rules is a policies section over the modern preset.
func rules(lines string) string { return "\npolicies:\n  preset: modern\n" + lines }

const cacheable = `{"model":"oai/fake-model","temperature":0,"messages":[{"role":"user","content":"%s"}]}`

// together sends n equal requests at once and calls ready beside them, which is
// told how many have their answer.
func (w *world) together(n int, body string, ready func(answered func() int)) []answer {
	w.t.Helper()
	out := make([]answer, n)
	var wg sync.WaitGroup
	var done atomic.Int32
	for i := range n {
		wg.Go(func() {
			resp, err := w.client.Post(w.url+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			done.Add(1)
			out[i] = answer{resp.StatusCode, resp.Header, string(text)}
		})
	}
	ready(func() int { return int(done.Load()) })
	wg.Wait()
	return out
}

// held makes a provider wait with its answers; release lets them go.
func held(s *fake.Server, reply fake.Reply) (release func()) {
	gate := make(chan struct{})
	s.Otherwise(func(*fake.Request) fake.Reply {
		<-gate
		return reply
	})
	return sync.OnceFunc(func() { close(gate) })
}

func count(all []answer, is func(answer) bool) int {
	n := 0
	for _, a := range all {
		if is(a) {
			n++
		}
	}
	return n
}

func TestCoalescedRequestsShareOneCall(t *testing.T) {
	for _, mode := range []string{"off", "plain", "all"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, quick)
			w.configure(rules("  cache: [{id: exact, when: 'true', mode: read-write, ttl: 1h, scope: 'key:${key.id}'}]\n"), "cache: {coalesce: "+mode+"}")
			for _, stream := range []bool{false, true} {
				body := fmt.Sprintf(cacheable, "same")
				if stream {
					body = strings.Replace(body, "{", `{"stream":true,`, 1)
				}
				shared := mode == "all" || mode == "plain" && !stream
				w.oai.Reset()
				release := held(w.oai, fake.Reply{Text: "one answer"})
				all := w.together(10, body, func(answered func() int) {
					want := 1
					if !shared {
						want = 10
					}
					require.NotNil(t, w.oai.Wait(want-1, time.Minute))
					require.Eventually(t, func() bool { return w.flow.Inflight() == 10 }, time.Minute, time.Millisecond)
					release()
				})
				require.Equal(t, 10, count(all, func(a answer) bool { return a.status == 200 && strings.Contains(a.body, "answer") }))
				hits := count(all, func(a answer) bool { return a.header.Get("x-omniroute-cache") == "HIT" })
				if shared {
					require.Len(t, w.oai.Requests(), 1)
					require.Equal(t, 9, hits)
				} else {
					require.Len(t, w.oai.Requests(), 10)
					require.Zero(t, hits)
				}
				w.health.Cache.Purge(nil)
			}
		})
	}
}

// A failure is nobody else's answer: who waited for it asks by itself.
func TestCoalescedFailuresAreNotShared(t *testing.T) {
	w := newWorld(t, quick)
	w.configure(rules("  on_error: [{id: soft, do: 'stop(\"no\")'}]\n"), "cache: {coalesce: plain}")
	release := held(w.oai, fake.Reply{Status: 400, Error: "bad"})
	all := w.together(5, fmt.Sprintf(cacheable, "x"), func(func() int) {
		require.NotNil(t, w.oai.Wait(0, time.Minute))
		require.Eventually(t, func() bool { return w.flow.Inflight() == 5 }, time.Minute, time.Millisecond)
		release()
	})
	require.Equal(t, 5, count(all, func(a answer) bool { return a.status == 400 }))
	require.Len(t, w.oai.Requests(), 5)
}

func TestPanicMode(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := newWorld(t, quick)
		w.routing = fmt.Sprintf(", panic_mode: %v", on)
		w.configure(rules(""), "")
		trip(w.health, "oai")
		a := w.post("/v1/chat/completions", chatBody)
		if on {
			require.Equal(t, 200, a.status, a.body)
			continue
		}
		require.Equal(t, 503, a.status)
		require.Empty(t, w.oai.Requests())
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		require.NoError(t, err)
		require.InDelta(t, 30, wait, 2, "the client hears when the breaker lets somebody try")
	}
}

// trip opens a provider's breaker for 30 s.
func trip(h *health.Health, provider string) {
	done, _ := h.Breakers.Allow(provider)
	done(health.Outcome{Trip: func(health.Breaker) (bool, time.Duration) { return true, 30 * time.Second }})
}

func TestQuotaPolicyOfTheFile(t *testing.T) {
	w := newWorld(t, quick)
	w.providers = fmt.Sprintf(`  lab:
    dialect: claude
    base_urls: [%q]
    allow_private: true
    models: [{id: fake-model}]
    accounts: [{name: mine, api_key: k, quota_policy: {5h: 20}}]
`, w.ant.OpenAIBase())
	w.configure(rules(""), "")
	at := time.Now().Add(2 * time.Hour).Unix()
	told := func(used string) fake.Reply {
		return fake.Reply{Text: "x", Header: http.Header{
			"Anthropic-Ratelimit-Unified-5h-Utilization": {used}, "Anthropic-Ratelimit-Unified-5h-Reset": {strconv.FormatInt(at, 10)},
			"Anthropic-Ratelimit-Unified-7d-Utilization": {"0.1"}, "Anthropic-Ratelimit-Unified-7d-Reset": {strconv.FormatInt(at+9999, 10)},
		}}
	}
	w.ant.Push(told("0.5"), told("0.81"))
	body := withModel(claudeBody, "lab/fake-model")
	for range 2 {
		require.Equal(t, 200, w.post("/v1/messages", body).status)
	}
	a := w.post("/v1/messages", body)
	require.Equal(t, 2, len(w.ant.Requests()), "a fifth is left for its owner: %s", a.body)
	require.GreaterOrEqual(t, a.status, 429)
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 7200, wait, 5)
	q, ok := w.pool.Quota("lab/mine")
	require.True(t, ok)
	require.InDelta(t, 19, q.Windows["5h"].Left, 0.01)
	require.InDelta(t, 90, q.Windows["7d"].Left, 0.01)
	var list []account.View
	require.NotEmpty(t, w.pool.Views(account.Query{Provider: "lab"}, list))
}

// Fifty requests that fail together on one account are one incident: one step of
// the backoff, one record of it. Fifty that come when it has passed: one tries.
func TestHerdOfRequests(t *testing.T) {
	w := newWorld(t, quick)
	store := w.store.(*coolWrites)
	w.providers = fmt.Sprintf("  one: {dialect: openai, base_urls: [%q], allow_private: true, kind: apikey, accounts: [{name: a, api_key: k}], models: [{id: fake-model}]}\n", w.oai.OpenAIBase())
	// The cooldown is long enough for the test to see it, and ends when it says so.
	w.configure(rules("  on_error: [{id: transient, when: err.status == 502, do: 'coolUp(\"2s\", 5, \"server_error\")'}]\n  breaker: [{id: default, ignore: true}]\n"), "")
	body := withModel(chatBody, "one/fake-model")
	release := held(w.oai, fake.Reply{Status: 502, Error: "boom"})
	all := w.together(50, body, func(answered func() int) {
		require.NotNil(t, w.oai.Wait(49, time.Minute))
		release()
	})
	require.Equal(t, 50, count(all, func(a answer) bool { return a.status == 502 }))
	state := func() account.Condition { a, _ := w.pool.Get("one/a"); return a.State }
	require.Equal(t, 1, state().Backoff, "one step")
	require.Equal(t, []int{1}, store.backoffs(), "one record of it")

	require.Eventually(t, func() bool { return time.Now().After(state().CoolUntil) }, time.Minute, time.Millisecond)
	w.oai.Reset()
	release = held(w.oai, fake.Reply{Text: "well again"})
	all = w.together(50, body, func(answered func() int) {
		require.NotNil(t, w.oai.Wait(0, time.Minute))
		require.Eventually(t, func() bool { return answered() == 49 }, time.Minute, time.Millisecond, "the others have their answer")
		release()
	})
	require.Len(t, w.oai.Requests(), 1, "one probe")
	require.Equal(t, 1, count(all, func(a answer) bool { return a.status == 200 }))
	require.Equal(t, 49, count(all, func(a answer) bool { return a.status >= 429 && a.header.Get("Retry-After") != "" }))
	require.Equal(t, account.StatusActive, state().Status)
	require.Equal(t, 200, w.post("/v1/chat/completions", body).status)
}

// The same for the breaker of a provider: one probe, also where the last resort
// would let everybody through.
func TestHerdAtABreaker(t *testing.T) {
	w := newWorld(t, quick)
	done, _ := w.health.Breakers.Allow("oai")
	done(health.Outcome{Trip: func(health.Breaker) (bool, time.Duration) { return true, 100 * time.Millisecond }})
	require.Eventually(t, func() bool { return w.health.Breakers.View("oai").State == health.HalfOpen }, time.Minute, time.Millisecond)
	release := held(w.oai, fake.Reply{Text: "well again"})
	all := w.together(50, chatBody, func(answered func() int) {
		require.NotNil(t, w.oai.Wait(0, time.Minute))
		require.Eventually(t, func() bool { return answered() == 49 }, time.Minute, time.Millisecond)
		release()
	})
	require.Len(t, w.oai.Requests(), 1)
	require.Equal(t, 49, count(all, func(a answer) bool { return a.status == 503 && a.header.Get("Retry-After") != "" }))
	require.Equal(t, health.Closed, w.health.Breakers.View("oai").State)
}

// A combo's places are held to the end of a stream, not to its head.
func TestStreamsHoldTheirPlace(t *testing.T) {
	w := newWorld(t, quick)
	w.combos = "  narrow: {strategy: priority, models: [oai/fake-model, ant/fake-model], config: {concurrency_per_model: 1, queue_timeout: 50ms}}\n"
	w.configure(rules(""), "")
	w.oai.Push(fake.Reply{Text: "one two three", Fault: fake.Fault{Kind: fake.FaultStallMid, After: 3}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := w.open(ctx, "/v1/chat/completions", withModel(chatStream, "narrow"))
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	buf := make([]byte, 1)
	_, err := resp.Body.Read(buf) // content has come, the stream goes on
	require.NoError(t, err)
	require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "narrow")).status)
	require.Len(t, w.oai.Requests(), 1, "the place is taken: the next member serves")
	require.Len(t, w.ant.Requests(), 1)
	cancel()
	require.Eventually(t, func() bool { return w.flow.Inflight() == 0 }, time.Minute, time.Millisecond)
	require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "narrow")).status)
	require.Len(t, w.oai.Requests(), 2, "free again")
}

// What a provider reports of its limits holds back the next request at once, and
// says for how long.
func TestTokenLimitsAreLearnt(t *testing.T) {
	w := newWorld(t, quick)
	w.providers = fmt.Sprintf("  one: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: k}], models: [{id: fake-model}], quota_scope: account}\n", w.oai.OpenAIBase())
	w.configure(rules(""), "")
	w.oai.Push(fake.Reply{Text: "x", Header: http.Header{"X-Ratelimit-Limit-Tokens": {"1000"}, "X-Ratelimit-Remaining-Tokens": {"10"}, "X-Ratelimit-Reset-Tokens": {"5m0s"}}})
	body := withModel(chatBody, "one/fake-model")
	require.Equal(t, 200, w.post("/v1/chat/completions", body).status)
	long := strings.Replace(body, `"hi"`, `"`+strings.Repeat("many words ", 300)+`"`, 1)
	began := time.Now()
	a := w.post("/v1/chat/completions", long)
	require.Equal(t, 429, a.status, a.body)
	require.Contains(t, a.body, "RATE_001")
	require.Less(t, time.Since(began), 9*time.Second, "refused at once, not after the longest wait")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Greater(t, wait, 60)
	require.LessOrEqual(t, wait, 300)
	require.Len(t, w.oai.Requests(), 1)
	c, _ := w.pool.Get("one/a")
	require.Equal(t, account.StatusActive, c.State.Status, "our own refusal is not the account's fault")
}

// strategies are the accounts that serve nine requests, in turn.
func TestAccountStrategies(t *testing.T) {
	for strategy, check := range map[string]func(t *testing.T, served []string){
		"fill-first": func(t *testing.T, s []string) { require.Equal(t, "aaaaaaaaa", strings.Join(s, "")) },
		"cost-optimized": func(t *testing.T, s []string) {
			require.Equal(t, "bbbbbbbbb", strings.Join(s, ""), "the subscription first")
		},
		"round-robin": func(t *testing.T, s []string) { require.Equal(t, "aaabbbccc", strings.Join(s, ""), "three in a row") },
		"least-used":  func(t *testing.T, s []string) { even(t, s) },
		"p2c":         func(t *testing.T, s []string) { require.Subset(t, s, []string{"a", "b"}, "not always the same") },
		"random":      func(t *testing.T, s []string) { require.Subset(t, []string{"a", "b", "c"}, s) },
	} {
		t.Run(strategy, func(t *testing.T) {
			w := newWorld(t, quick)
			w.routing = ", strategy: " + strategy
			w.providers = fmt.Sprintf("  three: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: a}, {name: b, api_key: b, billing: subscription}, {name: c, api_key: c}], models: [{id: fake-model}]}\n", w.oai.OpenAIBase())
			w.configure(rules(""), "")
			var served []string
			n := 9
			if strategy == "p2c" || strategy == "random" {
				n = 40
			}
			for i := range n {
				body := strings.Replace(withModel(chatBody, "three/fake-model"), `"hi"`, fmt.Sprintf(`"hi %d"`, i), 1)
				require.Equal(t, 200, w.post("/v1/chat/completions", body).status)
				served = append(served, w.oai.Last().Key())
			}
			check(t, served)
			for _, name := range []string{"a", "b", "c"} {
				if !strings.Contains(strings.Join(served, ""), name) {
					continue
				}
				a, _ := w.pool.Get("three/" + name)
				require.False(t, a.State.LastUsed.IsZero(), "every strategy records the use")
			}
		})
	}
}

// even requires that three accounts served three times each.
func even(t *testing.T, served []string) {
	t.Helper()
	n := map[string]int{}
	for _, s := range served {
		n[s]++
	}
	require.Equal(t, map[string]int{"a": 3, "b": 3, "c": 3}, n)
}
