package flow_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
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

// together sends n equal requests at once; open them by release once upstream has
// seen what there is to see.
func (w *world) together(n int, body string, ready func()) []answer {
	w.t.Helper()
	out := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			resp, err := w.client.Post(w.url+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			out[i] = answer{resp.StatusCode, resp.Header, string(text)}
		})
	}
	ready()
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
				all := w.together(10, body, func() {
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
	all := w.together(5, fmt.Sprintf(cacheable, "x"), func() {
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
