package policy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHashGoldens(t *testing.T) {
	require.Equal(t, uint64(8640173135264257171), hash64("")>>1)
	require.Equal(t, uint64(4706636184713914157), hash64("a")>>1)
	for user, want := range map[string]int{"u1": 79, "u13": 4, "u23": 1, "u24": 2} {
		got, err := bucket("canary1|"+user, 100)
		require.NoError(t, err)
		require.Equal(t, want, got, user)
	}
	require.InDelta(t, 0.40614799, random("req1", "x"), 1e-8)
}

func TestHashSpreads(t *testing.T) {
	counts := map[string]int{}
	for i := range 30000 {
		best, lowest := "", uint64(0)
		for _, target := range []string{"a", "b", "c"} {
			if h := hash64(fmt.Sprintf("s%d|%s", i, target)) >> 1; best == "" || h < lowest {
				best, lowest = target, h
			}
		}
		counts[best]++
	}
	require.Equal(t, map[string]int{"a": 9928, "b": 9929, "c": 10143}, counts)
}
