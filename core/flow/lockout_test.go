package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Behind a proxy that nobody vouches for, wrong keys of one client do not lock
// out the others; without it they lock their address.
func TestLockoutBehindAnUnknownProxy(t *testing.T) {
	const keys = "auth: {require_keys: true, keys: [{name: good, key: sk-good-0123456789abc}]}"
	for name, c := range map[string]struct {
		forwarded []string
		locked    bool
	}{
		"direct":        {nil, true},
		"unknown proxy": {[]string{"x-forwarded-for", "203.0.113.9"}, false},
		"forwarded":     {[]string{"forwarded", "for=203.0.113.9"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, quick)
			w.configure(rules("  lockout: [{id: bad-key, when: 'event.source == \"api_key\"', subject: 'ip:${req.ip}', count: 'event.kind == \"failure\"', max: 3, window: 5m, lock: 5m}]\n"), keys)
			ask := func(key string) int {
				return w.post("/v1/chat/completions", chatBody, append([]string{"authorization", "Bearer " + key}, c.forwarded...)...).status
			}
			for range 3 {
				require.Equal(t, 401, ask("sk-wrong-0123456789ab"))
			}
			want := 200
			if c.locked {
				want = 423
			}
			require.Equal(t, want, ask("sk-good-0123456789abc"))
		})
	}
}
