package flow_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
)

// TestDebugKeysSeeTheRules: keys tagged debug are told which rules decided,
// others are not.
func TestDebugKeysSeeTheRules(t *testing.T) {
	w := newWorld(t, quick+`
  gate:
    - {id: late, when: header("x-late") != "", deny: Come back}
    - {id: soon, warn: Soon}
    - {id: quiet, shadow: true, warn: Never}
  filter: [{id: no-ant, drop: target.provider == "ant"}]
  order: [{id: mine, by: [-target.position]}]
  budget: [{id: b, scope: global, unit: requests, period: day, limit: 4, warn: true}]
`)
	w.answers()
	ctx := context.Background()
	key := func(tags ...string) string {
		secret, _, err := w.keys.Create(ctx, account.Key{Name: "k" + tags[0], Tags: tags, Limits: account.Unlimited()})
		require.NoError(t, err)
		return "Bearer " + secret
	}
	debug, plain := key("debug"), key("other")
	got := w.chat("both", "authorization", debug)
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "lockout=bad-key;gate=soon;log=default;filter=no-ant;order=mine;accounts=fill-first;thinking=passthrough;timeouts=first-event-scaled,rest;budget=warn:25%",
		got.header.Get("x-omniroute-policy"))
	require.Equal(t, "lockout=bad-key;gate=late;log=default", w.chat("both", "authorization", debug, "x-late", "1").header.Get("x-omniroute-policy"))
	require.Empty(t, w.chat("both", "authorization", plain).header.Values("x-omniroute-policy"))
	require.Empty(t, w.chat("both").header.Values("x-omniroute-policy"))
}
