package dialect_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// answer makes a random answer in the order that a chat message keeps: reasoning,
// text, calls.
func answer(rng *rand.Rand) *hub.Response {
	words := []string{"one ", `two\n`, `"q\" `, "ä😀", "<think>", `\u003c`, " "}
	text := func() jsn.Str {
		var b strings.Builder
		for range 1 + rng.IntN(5) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		return jsn.Lit(b.String())
	}
	r := &hub.Response{ID: "id1", Model: "up", Created: 5, Usage: hub.Usage{Prompt: 9, Completion: 4, CachedRead: 2, Total: 13, Known: true}}
	if rng.IntN(2) == 0 {
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemReasoning, Reasoning: hub.Reasoning{Text: text(), Sig: jsn.Str("SIG"), Provider: "claude"}})
	}
	if rng.IntN(3) > 0 {
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemText, Text: text()})
	}
	for i := range rng.IntN(4) {
		args := []string{`{}`, `{"n":12345678901234567890}`, `{"s":"a\"b","l":[1,{"x":null}]}`}[rng.IntN(3)]
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemCall, Call: hub.Call{ID: fmt.Sprintf("call_%d", i), Name: "f", Args: hub.ArgsValue([]byte(args))}})
	}
	r.Finish = []string{hub.FinishStop, hub.FinishLength, hub.FinishFilter}[rng.IntN(3)]
	r.Settle()
	return r
}

// events streams r through the encoder of d, cutting texts and arguments at random
// places between characters.
func events(t *testing.T, d hub.Dialect, r *hub.Response, rng *rand.Rand) []cases.Event {
	var out []cases.Event
	emit := func(ev hub.Event) {
		data := bytes.Clone(ev.Data)
		if string(data) == "[DONE]" {
			data = []byte(`"[DONE]"`)
		}
		out = append(out, cases.Event{Name: ev.Name, Data: data})
	}
	enc := d.NewEncoder(&hub.Ctx{})
	feed := func(ch hub.Chunk) { require.NoError(t, enc.Encode(&ch, emit)) }
	pieces := func(s jsn.Str, kind hub.ChunkKind, call int) {
		runes := []rune(s.String())
		for len(runes) > 0 {
			n := 1 + rng.IntN(len(runes))
			feed(hub.Chunk{Kind: kind, Call: call, Provider: "claude", Text: jsn.Lit(string(runes[:n]))})
			runes = runes[n:]
		}
	}
	feed(hub.Chunk{Kind: hub.ChunkStart, ID: r.ID, Model: r.Model, Created: r.Created})
	calls := 0
	for i := range r.Items {
		switch it := &r.Items[i]; it.Kind {
		case hub.ItemText:
			pieces(it.Text, hub.ChunkText, 0)
		case hub.ItemReasoning:
			pieces(it.Reasoning.Text, hub.ChunkReasoning, 0)
			pieces(it.Reasoning.Sig, hub.ChunkSignature, 0)
			feed(hub.Chunk{Kind: hub.ChunkReasoningEnd})
		case hub.ItemCall:
			feed(hub.Chunk{Kind: hub.ChunkCallStart, Call: calls, CallID: it.Call.ID, Name: it.Call.Name})
			pieces(it.Call.Args.AppendString(nil, jsn.Tokens{}), hub.ChunkCallArgs, calls)
			if rng.IntN(2) == 0 {
				feed(hub.Chunk{Kind: hub.ChunkCallEnd, Call: calls})
			}
			calls++
		}
	}
	feed(hub.Chunk{Kind: hub.ChunkFinish, Finish: r.Finish, Usage: r.Usage})
	return out
}

// A streamed answer, collected, is the answer as it would have come in one body: for
// every upstream format and every client format.
func TestStreamEqualsBody(t *testing.T) {
	signed := jsn.Str("SIG")
	all := append(dialects(), chat.Hub{})
	for seed := range uint64(200) {
		for _, up := range all {
			for _, down := range dialects() {
				rng := rand.New(rand.NewPCG(seed, 3))
				r := answer(rng)
				if up.Name() == "openai" { // carries no signatures
					for i := range r.Items {
						r.Items[i].Reasoning.Sig, r.Items[i].Reasoning.Provider = nil, ""
					}
				} else if len(r.Items) > 0 && r.Items[0].Kind == hub.ItemReasoning {
					r.Items[0].Reasoning.Sig = signed
				}
				c := func() *hub.Ctx {
					return &hub.Ctx{Provider: "openai", Request: []byte(`{"model":"m","stream_options":{"include_usage":true},"thinking":{"type":"enabled"}}`)}
				}
				// The upstream's own body, and its own stream.
				body, err := up.AppendResponse(c(), nil, r)
				require.NoError(t, err)
				upstream := events(t, up, r, rng)
				if up.Name() == "openai" { // its encoder had no request that asked for usage
					last := upstream[len(upstream)-1]
					upstream[len(upstream)-1] = cases.Event{Data: []byte(
						`{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2}}}`)}
					upstream = append(upstream, last)
				}
				if down.Name() == up.Name() {
					continue
				}
				want, _, err := hub.TranslateResponse(up, down, c(), nil, body)
				require.NoError(t, err)

				cc := c()
				cc.Collect = true
				collected := hub.NewStream(up, down, cc)
				live := hub.NewStream(up, down, c())
				var out []cases.Event
				emit := func(ev hub.Event) {
					data := bytes.Clone(ev.Data)
					if string(data) == "[DONE]" {
						data = []byte(`"[DONE]"`)
					}
					out = append(out, cases.Event{Name: ev.Name, Data: data})
				}
				for _, ev := range upstream {
					require.NoError(t, collected.Feed(hub.Event{Name: ev.Name, Data: ev.Data}, nil))
					require.NoError(t, live.Feed(hub.Event{Name: ev.Name, Data: ev.Data}, emit))
				}
				require.NoError(t, collected.End(nil))
				require.NoError(t, live.End(emit))
				got, _, err := collected.Body(nil)
				require.NoError(t, err)
				// Ids and times belong to the attempt.
				require.Equal(t, normal(t, want), normal(t, got), "seed %d %s -> %s", seed, up.Name(), down.Name())
				require.Empty(t, cases.CheckGrammar(down.Name(), out, c().Request), "%s -> %s", up.Name(), down.Name())

				again := hub.NewStream(down, down, &hub.Ctx{Provider: "openai", Collect: true, Request: c().Request})
				for _, ev := range out {
					require.NoError(t, again.Feed(hub.Event{Name: ev.Name, Data: ev.Data}, nil))
				}
				require.NoError(t, again.End(nil))
				live2, _, err := again.Body(nil)
				require.NoError(t, err)
				require.Equal(t, normal(t, want), normal(t, live2), "seed %d %s -> %s, streamed", seed, up.Name(), down.Name())
			}
		}
	}
}

// normal is an answer without id and time, members in a fixed order as written.
func normal(t *testing.T, body []byte) string {
	require.NoError(t, jsn.Valid(body))
	out := []byte{'{'}
	for it := jsn.Object(body); it.Next(); {
		switch string(it.Key()) {
		case "id", "created":
		default:
			out = jsn.AppendRawMember(out, it.RawKey(), it.Value())
		}
	}
	return string(append(out, '}'))
}
