package host

import (
	"strings"
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

// chained serves claude from a drop-in and everything else from the bundle.
func chained(t *testing.T) *Generation {
	t.Helper()
	dir := t.TempDir()
	drop(t, dir, "claude.wasm", packed(t, "./testdata/guests/claude"))
	h := open(t, Options{Core: core(t), Dir: dir, Items: map[string]Item{"test/claude": {Priority: 1}}})
	require.Empty(t, h.Problems())
	g := h.Current()
	t.Cleanup(g.Release)
	return g
}

const weather = `{"model":"claude-x","max_tokens":100,"system":"be brief","tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],` +
	`"messages":[{"role":"user","content":"LONG"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1.50}}]},` +
	`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"sunny"}]}]}`

func TestChainEqualsFused(t *testing.T) {
	fused, chain := serve(t, core(t), Options{}), chained(t)
	hops, err := chain.route("claude", "openai", false)
	require.NoError(t, err)
	require.Len(t, hops, 2)
	hops, err = fused.route("claude", "openai", false)
	require.NoError(t, err)
	require.Len(t, hops, 1)

	d, err := doc.Elide([]byte(strings.Replace(weather, "LONG", strings.Repeat("weather? ", 100), 1)), doc.Options{})
	require.NoError(t, err)
	in := Translation{From: "claude", To: "openai", Model: "gpt-4o", Provider: "openai", Body: d.Skeleton(), Blobs: d, Seed: 3}
	a, err := fused.Request(t.Context(), in)
	require.NoError(t, err)
	b, err := chain.Request(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, string(a.Body), string(b.Body))
	full, err := d.Inflate(nil, b.Body, 0)
	require.NoError(t, err)
	require.Contains(t, string(full), "weather? weather?")

	answer := Translation{From: "openai", To: "claude", Status: 200, Seed: 3, Request: d.Skeleton(), Blobs: d, Body: []byte(
		`{"id":"c1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}`)}
	a, err = fused.Response(t.Context(), answer)
	require.NoError(t, err)
	b, err = chain.Response(t.Context(), answer)
	require.NoError(t, err)
	require.Equal(t, string(a.Body), string(b.Body))
	require.Equal(t, a.Usage, b.Usage)
	require.EqualValues(t, 10, b.Usage.Prompt)
	require.Equal(t, "stop", b.Finish)
}

var chunks = []string{
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}`,
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}`,
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}`,
	`[DONE]`,
}

func play(t *testing.T, g *Generation, collect bool) (events string, s *Stream) {
	t.Helper()
	s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Stream: !collect, Collect: collect, Seed: 5})
	require.NoError(t, err)
	var out strings.Builder
	emit := func(f abi.Frame) error {
		out.WriteString(f.Name + " " + string(f.Payload) + "\n")
		return nil
	}
	for _, c := range chunks {
		require.NoError(t, s.Data(t.Context(), data(c), emit))
	}
	require.NoError(t, s.End(t.Context(), abi.EndEOF, emit))
	return out.String(), s
}

func TestStreamThroughAChain(t *testing.T) {
	fused, chain := serve(t, core(t), Options{}), chained(t)
	want, _ := play(t, fused, false)
	got, s := play(t, chain, false)
	require.Equal(t, want, got)
	require.Contains(t, got, "message_stop")
	require.EqualValues(t, 14, s.Usage().Total)
	require.Equal(t, "stop", s.Finish())
	require.Zero(t, openStreams(chain))

	_, s = play(t, fused, true)
	text, _ := doc.String(s.Body(), "content", "0", "text")
	require.Equal(t, "Hello", text)
	body := string(s.Body())
	_, s = play(t, chain, true)
	require.Equal(t, body, string(s.Body()))
}

func TestStreamSurvivesItsInstance(t *testing.T) {
	g := serve(t, core(t), Options{Limits: Limits{Instances: 1}})
	want, _ := play(t, g, false)
	s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Stream: true, Seed: 5})
	require.NoError(t, err)
	var out strings.Builder
	emit := func(f abi.Frame) error {
		out.WriteString(f.Name + " " + string(f.Payload) + "\n")
		return nil
	}
	for k, c := range chunks {
		if k%2 == 1 { // the instance dies under the stream, again and again
			i := s.hops[0].inst
			i.mu.Lock()
			i.kill(errRetired)
			i.mu.Unlock()
		}
		require.NoError(t, s.Data(t.Context(), data(c), emit))
	}
	require.NoError(t, s.End(t.Context(), abi.EndEOF, emit))
	require.Equal(t, want, out.String())
	require.EqualValues(t, 3, g.modules[0].stats.replays.Load())
}

func TestRecycleUnderAStream(t *testing.T) {
	g := serve(t, core(t), Options{Limits: Limits{Instances: 1, RecycleCalls: 3}})
	want, _ := play(t, serve(t, core(t), Options{}), false)
	got, _ := play(t, g, false)
	require.Equal(t, want, got)
	require.Zero(t, g.modules[0].stats.replays.Load(), "a retired instance lives until its streams end")
	require.LessOrEqual(t, g.modules[0].stats.instances.Load(), int64(1))
}

func TestUpstreamErrorBody(t *testing.T) {
	g := serve(t, core(t), Options{})
	_, err := g.Response(t.Context(), Translation{From: "openai", To: "claude", Status: 429, Body: []byte(`{"error":{"message":"slow","type":"rate_limit_error","code":"rate_limit_exceeded"}}`)})
	f := fault.As(err)
	require.Equal(t, 429, f.Status)
	require.Equal(t, "slow", f.Message)
	require.Equal(t, "rate_limit_exceeded", f.ProviderCode)
	require.NotEqual(t, fault.ClassPlugin, f.Class)
}

func TestNoRoute(t *testing.T) {
	g := serve(t, core(t), Options{})
	_, err := g.Request(t.Context(), Translation{From: "telex", To: "openai", Body: []byte(`{}`)})
	require.ErrorContains(t, err, "telex")
	require.False(t, g.CanTranslate("telex", "openai"))
	require.True(t, g.CanTranslate("claude", "gemini"))
	require.True(t, g.CanTranslate("claude", "hub"))
	empty := open(t, Options{}).Current()
	defer empty.Release()
	_, err = empty.OpenStream(t.Context(), Translation{From: "claude", To: "openai"})
	require.Error(t, err)
}

func TestRenderError(t *testing.T) {
	g := serve(t, core(t), Options{})
	body, err := g.RenderError(t.Context(), "claude", fault.New(fault.ModelNotFound, "no such model"))
	require.NoError(t, err)
	kind, _ := doc.String(body, "type")
	text, _ := doc.String(body, "error", "message")
	require.Equal(t, "error", kind)
	require.Equal(t, "no such model", text)
}

// Fitted tool names are given back exactly once over a chain, also where one
// tool is called what another one was fitted to (N-3).
func TestChainRestoresNames(t *testing.T) {
	g := chained(t)
	request := []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[` +
		`{"name":"x y","input_schema":{"type":"object"}},{"name":"x_y","input_schema":{"type":"object"}}]}`)
	out, err := g.Request(t.Context(), Translation{From: "claude", To: "openai", Model: "m", Body: request})
	require.NoError(t, err)
	require.NotEmpty(t, out.Names)
	for fitted, own := range out.Names {
		answer := Translation{From: "openai", To: "claude", Status: 200, Names: out.Names, Request: request}
		answer.Body = []byte(`{"id":"c","choices":[{"index":0,"message":{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"` +
			fitted + `","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`)
		back, err := g.Response(t.Context(), answer)
		require.NoError(t, err)
		name, _ := doc.Get(back.Body, "content")
		require.Contains(t, string(name), `"name":"`+own+`"`, "%v", out.Names)

		s, err := g.OpenStream(t.Context(), Translation{From: "openai", To: "claude", Stream: true, Names: out.Names, Request: request})
		require.NoError(t, err)
		var events strings.Builder
		emit := func(f abi.Frame) error { events.Write(f.Payload); return nil }
		require.NoError(t, s.Data(t.Context(), []abi.Frame{{Payload: []byte(`{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"` +
			fitted + `","arguments":"{}"}}]},"finish_reason":null}]}`)}}, emit))
		require.NoError(t, s.End(t.Context(), abi.EndEOF, emit))
		require.Contains(t, events.String(), `"name":"`+own+`"`, "%v", out.Names)
	}
}
