package stream

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

func split(frags ...string) (text, reasoning string) {
	var s ThinkSplitter
	t := func(x jsn.Str) { text += string(x) }
	r := func(x jsn.Str) { reasoning += string(x) }
	for _, f := range frags {
		s.Feed(jsn.Str(f), t, r)
	}
	s.Off(t, r)
	return text, reasoning
}

func TestThinkSplitter(t *testing.T) {
	for _, c := range []struct{ in, text, reasoning string }{
		{`<think>a</think>b`, "b", "a"},
		{` \n<think>a</think>\nb`, "b", "a"},
		{`<think>a</think>\r\n\nb`, `\nb`, "a"},
		{`<think>a`, "", "a"},
		{`<think>a</th`, "", "a</th"},
		{`<think></think>b`, "b", ""},
		{`<th`, "<th", ""},
		{`  x<think>y</think>`, "  x<think>y</think>", ""},
		{`<think>a</think>b<think>c`, "b<think>c", "a"},
		{`\u003cthink\u003ea\u003c\/think\u003eb`, "b", "a"},
		{`\\u003cthink>`, `\\u003cthink>`, ""},
		{` \n `, ` \n `, ""},
	} {
		text, reasoning := split(c.in)
		require.Equal(t, c.text, text, c.in)
		require.Equal(t, c.reasoning, reasoning, c.in)
		for i := range len(c.in) {
			if i > 0 && c.in[i-1] == '\\' || i > 1 && c.in[i-2] == '\\' || i > 4 && c.in[max(i-5, 0)] == '\\' || i > 3 && c.in[max(i-4, 0)] == '\\' || i > 2 && c.in[i-3] == '\\' {
				continue // not a place where upstream could cut
			}
			text, reasoning = split(c.in[:i], c.in[i:])
			require.Equal(t, c.text, text, "%s at %d", c.in, i)
			require.Equal(t, c.reasoning, reasoning, "%s at %d", c.in, i)
		}
	}
}

// Spellings and prefilled prompts are known per upstream; case never matters.
func TestThinkTagsOfAnUpstream(t *testing.T) {
	known := []string{"think", "thinking", "thought", "antThinking", "reasoning"}
	for _, c := range []struct {
		tags            []string
		prefilled       bool
		in              string
		text, reasoning string
	}{
		{known, false, `<thinking>a</think>b</thinking>\nc`, "c", "a</think>b"},
		{known, false, `<THINK>a</Think>b`, "b", "a"},
		{known, false, `<antthinking>a</antThinking>b`, "b", "a"},
		{known, false, `<reasoning>a`, "", "a"},
		{known, false, `<thinker>a</thinker>`, "<thinker>a</thinker>", ""},
		{nil, false, `<thought>a</thought>b`, "<thought>a</thought>b", ""},
		{nil, true, `a < b</think>\nc`, "c", "a < b"},
		{nil, true, `<think>a</think>b</think>`, "b</think>", "a"},
		{known, true, ` a</thought>b`, "b", " a"},
		{nil, true, `a`, "", "a"},
	} {
		for cut := range len(c.in) {
			if cut > 0 && c.in[cut-1] == '\\' {
				continue
			}
			var text, reasoning string
			s := ThinkSplitter{Tags: c.tags, Prefilled: c.prefilled}
			onText := func(x jsn.Str) { text += string(x) }
			onReasoning := func(x jsn.Str) { reasoning += string(x) }
			s.Feed(jsn.Str(c.in[:cut]), onText, onReasoning)
			s.Feed(jsn.Str(c.in[cut:]), onText, onReasoning)
			s.Off(onText, onReasoning)
			require.Equal(t, [2]string{c.text, c.reasoning}, [2]string{text, reasoning}, "%s at %d", c.in, cut)
		}
	}
}

func run(parallel bool, chunks ...hub.Chunk) []hub.Chunk {
	var out []hub.Chunk
	s := NewSequencer(&hub.Ctx{}, func(c *hub.Chunk) {
		d := *c
		d.Text = append(jsn.Str(nil), c.Text...)
		out = append(out, d)
	})
	s.Parallel = parallel
	for i := range chunks {
		s.Feed(&chunks[i])
	}
	return out
}

func start(n int, id, name string) hub.Chunk {
	return hub.Chunk{Kind: hub.ChunkCallStart, Call: n, CallID: id, Name: name}
}
func args(n int, s string) hub.Chunk {
	return hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Text: jsn.Lit(s)}
}
func text(s string) hub.Chunk { return hub.Chunk{Kind: hub.ChunkText, Text: jsn.Lit(s)} }
func finish(f string) hub.Chunk {
	return hub.Chunk{Kind: hub.ChunkFinish, Finish: f}
}

// show writes chunks as a short line.
func show(chunks []hub.Chunk) string {
	var b []byte
	for _, c := range chunks {
		switch c.Kind {
		case hub.ChunkText:
			b = append(b, "t("+c.Text.String()+") "...)
		case hub.ChunkCallStart:
			b = append(b, "start("+string(rune('0'+c.Call))+","+c.CallID+","+c.Name+") "...)
		case hub.ChunkCallArgs:
			b = append(b, "args("+c.Text.String()+") "...)
		case hub.ChunkCallEnd:
			b = append(b, "end "...)
		case hub.ChunkFinish:
			b = append(b, c.Finish...)
		}
	}
	return string(b)
}

func TestSequencer(t *testing.T) {
	for _, c := range []struct {
		name     string
		parallel bool
		in       []hub.Chunk
		want     string
	}{
		{"WC-2 interleaved", false, []hub.Chunk{start(0, "a", "f"), args(0, `{"x":`), start(1, "b", "g"), args(1, `{"y":2}`), args(0, `1}`), finish("tool_calls")},
			`start(0,a,f) args({"x":) args(1}) end start(1,b,g) args({"y":2}) end tool_calls`},
		{"WC-2 text waits", false, []hub.Chunk{start(0, "a", "f"), args(0, `{"x":`), text("hi"), args(0, `1}`), text("ho"), finish("tool_calls")},
			`start(0,a,f) args({"x":) args(1}) end t(hi) t(ho) tool_calls`},
		{"WC-2 parallel", true, []hub.Chunk{start(0, "a", "f"), args(0, `{"x":`), text("hi"), start(1, "b", "g"), args(1, `{}`), args(0, `1}`), finish("tool_calls")},
			`start(0,a,f) args({"x":) t(hi) start(1,b,g) args(1}) end args({}) end tool_calls`},
		{"WC-3 late name", false, []hub.Chunk{start(0, "a", ""), args(0, `{}`), start(0, "a", "f"), start(0, "a", "f"), finish("tool_calls")},
			`start(0,a,f) args({}) end tool_calls`},
		{"WC-3 no name", false, []hub.Chunk{start(0, "a", ""), finish("tool_calls")}, `start(0,a,tool_0) args({}) end tool_calls`},
		{"WC-4 placeholder", false, []hub.Chunk{start(0, "a", "f"), args(0, `{}`), args(0, `{"x":1}`), finish("tool_calls")},
			`start(0,a,f) args({"x":1}) end tool_calls`},
		{"WC-4 placeholder then text", false, []hub.Chunk{start(0, "a", "f"), args(0, `{}`), text("x"), args(0, `{"x":1}`), finish("tool_calls")},
			`start(0,a,f) args({"x":1}) end t(x) tool_calls`},
		{"R-2 garbage", false, []hub.Chunk{start(0, "a", "f"), args(0, `oops`), finish("tool_calls")},
			`start(0,a,f) args({"_raw":"oops"}) end tool_calls`},
		{"cut", false, []hub.Chunk{start(0, "a", "f"), args(0, `{"x":"o`), finish("tool_calls")},
			`start(0,a,f) args({"x":"o) end length`},
		{"behind the object", false, []hub.Chunk{start(0, "a", "f"), args(0, `{"x":1}`), args(0, `}`), finish("tool_calls")},
			`start(0,a,f) args({"x":1}) end tool_calls`},
	} {
		require.Equal(t, c.want, show(run(c.parallel, c.in...)), c.name)
	}
}

// Whatever arrives, the promises of Sequencer hold.
func FuzzSequencer(f *testing.F) {
	f.Add(uint64(1), false)
	f.Add(uint64(2), true)
	pieces := []string{`{}`, `{"a":`, `1}`, `"x`, `}`, `{"b":[1,{"c":"\"`, ` `, `oops`, `[1]`, ``}
	f.Fuzz(func(t *testing.T, seed uint64, parallel bool) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var in []hub.Chunk
		for range rng.IntN(30) {
			n := rng.IntN(3)
			switch rng.IntN(6) {
			case 0:
				in = append(in, start(n, []string{"", "id"}[rng.IntN(2)], []string{"", "fn"}[rng.IntN(2)]))
			case 1, 2:
				in = append(in, args(n, pieces[rng.IntN(len(pieces))]))
			case 3:
				in = append(in, hub.Chunk{Kind: hub.ChunkCallEnd, Call: n})
			default:
				in = append(in, text("t"))
			}
		}
		in = append(in, finish(hub.FinishTools))
		open := map[int]bool{}
		joined := map[int]string{}
		started := 0
		out := run(parallel, in...)
		for _, c := range out {
			switch c.Kind {
			case hub.ChunkCallStart:
				require.Equal(t, started, c.Call)
				require.NotEmpty(t, c.CallID)
				require.NotEmpty(t, c.Name)
				started++
				open[c.Call] = true
				require.True(t, parallel || len(open) == 1)
			case hub.ChunkCallArgs:
				require.True(t, open[c.Call])
				joined[c.Call] += c.Text.String()
			case hub.ChunkCallEnd:
				require.True(t, open[c.Call])
				require.Equal(t, joined[c.Call], c.Text.String())
				delete(open, c.Call)
			case hub.ChunkText:
				require.True(t, parallel || len(open) == 0)
			}
		}
		require.Empty(t, open)
		if out[len(out)-1].Finish != hub.FinishLength {
			for _, s := range joined {
				require.True(t, jsn.IsObject([]byte(s)), s)
			}
		}
	})
}
