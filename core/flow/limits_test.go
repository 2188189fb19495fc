package flow_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/health"
)

// How long a rule lets requests wait holds for what answers taught too, whatever
// the rule's own scope is.
func TestPatienceHoldsForLearnedLimits(t *testing.T) {
	for _, wait := range []string{"50ms", "0s"} {
		t.Run(wait, func(t *testing.T) {
			w := newWorld(t, quick)
			w.one("")
			w.configure(rules("  limits: [{id: patience, scope: everybody, rpm: 1000, max_wait: "+wait+"}]\n"), "")
			w.oai.Otherwise(func(*fake.Request) fake.Reply {
				return fake.Reply{Text: "served", Header: http.Header{"X-Ratelimit-Limit-Requests": {"2"}, "X-Ratelimit-Remaining-Requests": {"1"}}}
			})
			require.Equal(t, 200, w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status)
			w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model"))
			a := w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model"))
			require.Equal(t, 429, a.status, a.body)
			require.NotEmpty(t, a.header.Get("retry-after"))
			require.LessOrEqual(t, len(w.oai.Requests()), 2)
		})
	}
}

// A breaker closes after as many good probes as its rule asks for.
func TestBreakerRuleAsksForSuccesses(t *testing.T) {
	w := newWorld(t, quick)
	w.one(", cooling: false")
	w.configure(rules("  breaker: [{id: default, count: err.status == 500, trip: breaker.failures >= 3, reset: 1ms, successes: 2}]\n"), "")
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: 500, Error: "boom"} })
	state := func() health.Breaker { return w.health.Breakers.View("one") }
	for range 3 {
		w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model"))
	}
	require.NotEqual(t, health.Closed, state().State)
	w.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "well"} })
	ask := func() {
		require.Eventually(t, func() bool {
			return w.post("/v1/chat/completions", withModel(chatBody, "one/fake-model")).status == 200
		}, time.Minute, time.Millisecond)
	}
	ask()
	require.NotEqual(t, health.Closed, state().State)
	ask()
	require.Equal(t, health.Closed, state().State)
}
