package boot

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/health"
)

func TestBreakerMetrics(t *testing.T) {
	m := newBreakerMetrics(func() []health.Breaker {
		return []health.Breaker{{Name: "a", State: health.Closed}, {Name: "b", State: health.Closed, Degraded: true},
			{Name: "c", State: health.HalfOpen}, {Name: "d", State: health.Open}}
	})
	require.NoError(t, testutil.CollectAndCompare(m, strings.NewReader(`# HELP omniroute_breaker_state 0 closed, 1 closed after many failures, 2 half open, 3 open.
# TYPE omniroute_breaker_state gauge
omniroute_breaker_state{name="a"} 0
omniroute_breaker_state{name="b"} 1
omniroute_breaker_state{name="c"} 2
omniroute_breaker_state{name="d"} 3
`)))
}
