package hub_test

import (
	"testing"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/stretchr/testify/require"
)

func TestArenaLendsEmptyMemory(t *testing.T) {
	var a hub.Arena
	for range 3 {
		ms := a.Messages(4)
		require.Empty(t, ms)
		for _, m := range ms[:cap(ms)] {
			require.Equal(t, hub.Message{}, m)
		}
		for range 200 { // over the end of a block
			list := a.Parts.Grow(nil)
			require.Equal(t, []hub.Part{{}}, list)
			list[0].Text = []byte("x")
			list = a.Parts.Grow(list)
			require.Len(t, list, 2)
			list[1].Text = []byte("y")
		}
		_ = append(ms, hub.Message{Role: hub.User}, hub.Message{Role: hub.Tool})
		a.Reset()
	}
}

func TestArenaLendsMessagesOnce(t *testing.T) {
	var a hub.Arena
	first := append(a.Messages(2), hub.Message{Role: hub.User})
	second := append(a.Messages(2), hub.Message{Role: hub.Tool})
	require.Equal(t, hub.User, first[0].Role)
	require.Equal(t, hub.Tool, second[0].Role)
}

func TestArenaLetsGiantsGo(t *testing.T) {
	var a hub.Arena
	a.Messages(1 << 20)
	a.Reset()
	require.Less(t, cap(a.Messages(1)), 1<<20)
}
