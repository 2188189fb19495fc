package cursor

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/pb"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// The reference encodings of the service: a model field and a conversation entry.
func TestReferenceEncodings(t *testing.T) {
	var w pb.Writer
	w.Message(5, func(w *pb.Writer) {
		w.String(1, "claude-4.5-sonnet")
		w.Bytes(4, nil)
	})
	require.Equal(t, "2a150a11636c617564652d342e352d736f6e6e65742200", hex.EncodeToString(w.Data()))

	var e pb.Writer
	e.Message(1, func(w *pb.Writer) { appendEntry(w, "Hello", human, "11111111-1111-4111-8111-111111111111", nil, false) })
	require.Equal(t, "0a350a0548656c6c6f10016a2431313131313131312d313131312d343131312d383131312d313131313131313131313131e80100f80201",
		hex.EncodeToString(e.Data()))
}

func read(t *testing.T, frames ...string) string {
	t.Helper()
	var p payload
	out := ""
	emit := func(c *hub.Chunk) {
		switch c.Kind {
		case hub.ChunkText:
			out += "text(" + c.Text.String() + ")"
		case hub.ChunkReasoning:
			out += "think(" + c.Text.String() + ")"
		case hub.ChunkReasoningEnd:
			out += "/"
		case hub.ChunkCallStart:
			out += "call(" + c.CallID + "," + c.Name + ")"
		case hub.ChunkCallArgs:
			out += c.Text.String()
		case hub.ChunkCallEnd:
			out += ";"
		}
	}
	for _, f := range frames {
		require.True(t, p.Feed(unhex(t, f)[5:], emit))
	}
	p.End(emit)
	return out
}

func TestPayloadReadsReferenceFrames(t *testing.T) {
	const (
		start = "00000000042a020a00"
		hi    = "000000000612040a024869"
		hmm   = "000000000a1208ca01050a03686d6d"
		whole = "00000000690a6708131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f77656174686572520f7b2263697479223a22526f6d65227d7801da01280a260a0b6765745f776561746865721a0f7b2263697479223a22526f6d65227d2206637573746f6d"
		one   = "00000000510a4f08131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f776561746865727001da01210a1f0a0b6765745f776561746865721a087b2263697479223a2206637573746f6d"
		two   = "00000000520a5008131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f7765617468657270017801da01200a1e0a0b6765745f776561746865721a0722526f6d65227d2206637573746f6d"
	)
	require.Equal(t, "think(hmm)/text(Hi)", read(t, start, hmm, hi))
	require.Equal(t, `call(call_1,get_weather){"city":"Rome"};`, read(t, whole))
	require.Equal(t, `call(call_1,get_weather){"city":"Rome"};`, read(t, one, two))
	require.Equal(t, `call(call_1,get_weather){"city":;`, read(t, one), "calls left open are ended")
}

func TestPayloadOfRequest(t *testing.T) {
	body := []byte(`{"model":"gpt-5","messages":[{"role":"user","content":"a\n\"b\""},{"role":"assistant","content":"c"}],` +
		`"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],"reasoning_effort":"high"}`)
	msg := appendPayload(nil, body, options{newID: func() string { return "id" }, platform: "linux"})
	chat, ok := pb.Get(msg, 1)
	require.True(t, ok)
	require.True(t, pb.Valid(chat.Bytes))
	var texts []string
	for f := range pb.Fields(chat.Bytes) {
		if f.Number == 1 {
			text, _ := pb.Get(f.Bytes, 1)
			texts = append(texts, string(text.Bytes))
		}
	}
	require.Equal(t, []string{"a\n\"b\"", "c"}, texts)
	for number, want := range map[int]uint64{27: 1, 46: modeAgent, 48: 0, 49: thinkHigh} {
		f, ok := pb.Get(chat.Bytes, number)
		require.True(t, ok, number)
		require.Equal(t, want, f.Uint, number)
	}
	tool, _ := pb.Get(chat.Bytes, 34)
	params, _ := pb.Get(tool.Bytes, 3)
	require.JSONEq(t, `{"type":"object"}`, string(params.Bytes))
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte{0x12, 4, 0x0a, 2, 'H', 'i'})
	f.Fuzz(func(t *testing.T, msg []byte) {
		var p payload
		p.Feed(msg, func(*hub.Chunk) {})
		p.End(func(*hub.Chunk) {})
	})
}
