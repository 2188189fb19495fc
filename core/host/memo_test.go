package host

import (
	"testing"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

const labProfile = `{"id":"lab","format":"openai","base_urls":["https://lab.example/v1"]}`

func TestPlansAreRemembered(t *testing.T) {
	g := serve(t, core(t), Options{})
	x, ok := g.Executor("default")
	require.True(t, ok)
	p := NewProfile("lab", []byte(labProfile))
	calls := func() int64 { return g.modules[0].stats.calls.Load() }
	ask := func(in PlanInput) *Plan {
		in.Endpoint = "chat"
		out, err := x.Plan(t.Context(), in)
		require.NoError(t, err)
		return out.Send
	}
	first := ask(PlanInput{Profile: p, Model: "m", Stream: true, Body: []byte(`{"a":1}`)})
	before := calls()
	again := ask(PlanInput{Profile: p, Model: "m", Stream: true, Body: []byte(`{"b":2}`)})
	require.Equal(t, first, again)
	require.NotSame(t, first, again)
	require.Equal(t, before, calls(), "no guest was called")

	ask(PlanInput{Profile: p, Model: "other"})
	ask(PlanInput{Profile: p, Model: "m", Stream: true, Header: []abi.Header{{Name: "anthropic-beta", Value: "x"}}})
	require.Equal(t, before+2, calls())
	changed := NewProfile("lab", []byte(`{"id":"lab","format":"openai","base_urls":["https://lab2.example/v1"]}`))
	require.Contains(t, ask(PlanInput{Profile: changed, Model: "m", Stream: true}).URLs[0], "lab2")
}

func TestPlansThatSawMoreAreNotRemembered(t *testing.T) {
	g, x := echoExecutor(t, Options{})
	calls := func() int64 { return g.modules[0].stats.calls.Load() }
	for _, in := range []PlanInput{
		{Model: "random"},                         // random bits and the clock
		{Model: "plain", Body: []byte(`{"a":1}`)}, // the body: this guest reads it
		{Model: "blob"},                           // blobs
	} {
		for range 2 {
			before := calls()
			_, err := x.Plan(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, before+1, calls(), in.Model)
		}
	}
}

func TestMemoIsBounded(t *testing.T) {
	var m planMemo
	for k := range 3 * maxMemo {
		m.keep(nil, []byte{byte(k), byte(k >> 8)}, &Planned{Send: &Plan{}})
	}
	require.LessOrEqual(t, len(m.plans), maxMemo)
	m.keep(nil, make([]byte, maxMemoRecord+1), &Planned{Send: &Plan{}})
	require.Nil(t, m.find(nil, make([]byte, maxMemoRecord+1)))
}
