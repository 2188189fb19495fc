package upstream

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// runFramer feeds the stream in pieces of the given sizes (the last repeats)
// and returns the frames as text.
func runFramer(name string, stream []byte, sizes ...int) (frames []string, err error) {
	f, ok := NewFramer(name)
	if !ok {
		return nil, fmt.Errorf("no framer %s", name)
	}
	var held []abi.Frame
	emit := func(fr abi.Frame) { held = append(held, fr) }
	settle := func() { // frames are valid until the next call, not only in emit
		for _, fr := range held {
			frames = append(frames, fmt.Sprintf("%d|%s|%s", fr.Kind, fr.Name, fr.Payload))
		}
		held = held[:0]
	}
	for i := 0; len(stream) > 0; i++ {
		n := min(max(sizes[min(i, len(sizes)-1)], 1), len(stream))
		piece := bytes.Clone(stream[:n]) // so that a frame that keeps a piece is seen to be wrong
		err = f.Feed(piece, emit)
		settle()
		for k := range piece {
			piece[k] = '#'
		}
		if err != nil {
			return frames, err
		}
		stream = stream[n:]
	}
	err = f.End(emit)
	settle()
	return frames, err
}

func envelope(flags byte, text string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(text)))) + text
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func awsMessage(t testing.TB, payload string, headers ...string) string {
	var m eventstream.Message
	for i := 0; i < len(headers); i += 2 {
		m.Headers.Set(headers[i], eventstream.StringValue(headers[i+1]))
	}
	m.Payload = []byte(payload)
	var b bytes.Buffer
	require.NoError(t, eventstream.NewEncoder().Encode(&b, m))
	return b.String()
}

type framerCase struct {
	framing, name, stream string
	want                  []string
	bad                   string // part of the error message
}

func framerCases(t testing.TB) []framerCase {
	return []framerCase{
		{"sse", "plain", "data: {\"a\":1}\n\ndata: two\n\n", []string{`0||{"a":1}`, `0||two`}, ""},
		{"sse", "names and CR LF", "event: message_start\r\ndata: x\r\n\r\nid: 7\nretry: 3\nevent:e\ndata:y\n\n", []string{`0|message_start|x`, `0|e|y`}, ""},
		{"sse", "several lines", "data: a\ndata: b\ndata:\ndata:c\n\n", []string{"0||a\nb\n\nc"}, ""},
		{"sse", "only one space goes", "data:  a\n\n", []string{"0|| a"}, ""},
		{"sse", "comments", ": keep-alive\n\n:\n\ndata: x\n: inside\n\n", []string{"1||keep-alive", "1||", "0||x"}, ""},
		{"sse", "no data is no event", "event: ping\n\n\n\nid: 1\n\n", nil, ""},
		{"sse", "last event without blank line", "data: a\n\ndata: b\ndata: c", []string{"0||a", "0||b\nc"}, ""},
		{"sse", "done ends the stream", "data: a\n\ndata: [DONE]\n\ndata: b\n\n", []string{"0||a", "0||[DONE]"}, ""},
		{"sse", "UTF-8", "data: é😀\n\ndata: 日本\n\n", []string{"0||é😀", "0||日本"}, ""},
		{"sse", "byte order mark", "\xef\xbb\xbfdata: a\n\n", []string{"0||a"}, ""},
		{"sse", "fields without colon", "data\n\nfoo\n\n", []string{"0||"}, ""},
		{"sse-raw", "byte for byte", "event: e\r\nid: 4\r\ndata: {\"a\" : 1}\r\n\r\n: c\n\n\n\ndata: [DONE]\n\nrest", []string{
			"2||event: e\r\nid: 4\r\ndata: {\"a\" : 1}\r\n\r\n", "2||: c\n\n", "2||data: [DONE]\n\n",
		}, ""},
		{"ndjson", "lines", "{\"a\":1}\r\n\n {\"b\":2} \n{\"c\":3}", []string{`0||{"a":1}`, `0||{"b":2}`, `0||{"c":3}`}, ""},
		{"json-array", "elements", " [ {\"a\":\"x],\\\"\"} ,\n[1,[2]],3, \"s\" ]\n", []string{`0||{"a":"x],\""}`, `0||[1,[2]]`, `0||3`, `0||"s"`}, ""},
		{"json-array", "empty", "[]", nil, ""},
		{"json-array", "not an array", "{}", nil, "not one JSON array"},
		{"json-array", "cut", "[{\"a\":1},{", []string{`0||{"a":1}`}, "no end"},
		{"json-array", "more behind", "[1] 2", []string{"0||1"}, "not one JSON array"},
		{"json-array", "stray bracket", "[1}", nil, "closes nothing"},
		{"len32be", "messages", envelope(0, "abc")[1:] + envelope(0, "")[1:] + envelope(0, "x")[1:], []string{"0||abc", "0||", "0||x"}, ""},
		{"len32be", "cut", envelope(0, "abc")[1:] + "\x00\x00", []string{"0||abc"}, "ends inside"},
		{"len32be", "too large", "\xff\xff\xff\xff", nil, "larger than"},
		{"connect", "messages", envelope(0, "abc") + envelope(1, gzipped("zipped")) + envelope(2, "{}"), []string{"0||abc", "0||zipped", "0|end|{}"}, ""},
		{"connect", "compressed end", envelope(3, gzipped(`{"error":{}}`)), []string{`0|end|{"error":{}}`}, ""},
		{"connect", "bad gzip", envelope(1, "no"), nil, "does not decode"},
		{"grpc-web", "trailer", envelope(0, "abc") + envelope(0x80, "grpc-status: 0\r\n"), []string{"0||abc", "0|end|grpc-status: 0\r\n"}, ""},
		{"aws-eventstream", "events", awsMessage(t, "{}", ":message-type", "event", ":event-type", "assistantResponseEvent") +
			awsMessage(t, `{"m":1}`, ":message-type", "exception", ":exception-type", "ThrottlingException") +
			awsMessage(t, "", ":message-type", "error", ":error-code", "E1", ":error-message", "why"),
			[]string{"0|assistantResponseEvent|{}", `0|exception:ThrottlingException|{"m":1}`, "0|error:E1|why"}, ""},
		{"aws-eventstream", "cut", awsMessage(t, "{}")[:14], nil, "ends inside"},
		{"aws-eventstream", "bad prelude", "\x00" + strings.Repeat("x", 20), nil, "prelude"},
		{"aws-eventstream", "bad payload", flip(awsMessage(t, "hello", ":event-type", "e"), -6), nil, "does not decode"},
		{"raw", "bytes", "abc", []string{"2||abc"}, ""},
	}
}

// flip changes one byte, counted from the end if i is negative.
func flip(s string, i int) string {
	b := []byte(s)
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 0x20
	return string(b)
}

func TestFramers(t *testing.T) {
	for _, c := range framerCases(t) {
		t.Run(c.framing+"/"+c.name, func(t *testing.T) {
			sizes := []int{1 << 20, 1, 2, 3, 7}
			if c.framing == "raw" {
				sizes = sizes[:1]
			}
			for _, size := range sizes {
				frames, err := runFramer(c.framing, []byte(c.stream), size)
				require.Equal(t, c.want, frames, "pieces of %d", size)
				if c.bad == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, c.bad)
				require.NotNil(t, fault.As(err))
			}
		})
	}
}

func TestFramersKnowTheirNames(t *testing.T) {
	for _, name := range Framings() {
		_, ok := NewFramer(name)
		require.True(t, ok, name)
	}
	_, ok := NewFramer("morse")
	require.False(t, ok)
}

func TestFramersBoundTheirMemory(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 1<<20)
	for framing, start := range map[string]string{"sse": "data: ", "ndjson": `"`, "json-array": `["`} {
		f, _ := NewFramer(framing)
		var err error
		require.NoError(t, f.Feed([]byte(start), nil))
		for range 9 {
			if err = f.Feed(big, nil); err != nil {
				break
			}
		}
		require.ErrorContains(t, err, "8 MiB", framing)
	}
}

// TestLargeFrameInSmallPieces feeds one large event in small pieces.
func TestLargeFrameInSmallPieces(t *testing.T) {
	text := strings.Repeat("x", 4<<20)
	for framing, stream := range map[string]string{
		"sse": "data: " + text + "\n\n", "ndjson": text + "\n", "json-array": `["` + text + `"]`,
		"len32be": envelope(0, text)[1:], "aws-eventstream": awsMessage(t, text, ":event-type", "e"),
	} {
		frames, err := runFramer(framing, []byte(stream), 1024)
		require.NoError(t, err, framing)
		require.Len(t, frames, 1, framing)
		require.Contains(t, frames[0], text, framing)
	}
}

func TestParseEvent(t *testing.T) {
	name, data, comment := ParseEvent(nil, []byte("event: e\r\ndata: a\r\n\r\n"))
	require.Equal(t, []any{"e", "a", false}, []any{name, string(data), comment})
	name, data, comment = ParseEvent(make([]byte, 4, 16), []byte("data: a\ndata: b\n\n"))
	require.Equal(t, []any{"", "a\nb", false}, []any{name, string(data), comment})
	_, data, comment = ParseEvent(nil, []byte(": hi\n\n"))
	require.Equal(t, []any{"hi", true}, []any{string(data), comment})
	_, data, comment = ParseEvent(nil, nil)
	require.Nil(t, data)
	require.False(t, comment)
}

func TestAppendSSE(t *testing.T) {
	require.Equal(t, "data: x\n\n", string(AppendEvent(nil, "", []byte("x"))))
	require.Equal(t, "event: e\ndata: a\ndata: b\n\n", string(AppendEvent(nil, "e", []byte("a\nb"))))
	require.Equal(t, ": keep-alive\n\n", string(AppendComment(nil, "keep-\nalive")))
	require.Equal(t, "raw", string(AppendFrame(nil, abi.Frame{Kind: abi.FrameRaw, Payload: []byte("raw")})))
	require.Equal(t, ": c\n\n", string(AppendFrame(nil, abi.Frame{Kind: abi.FrameComment, Payload: []byte("c")})))
	require.Equal(t, "event: n\ndata: d\n\n", string(AppendFrame(nil, abi.Frame{Name: "n", Payload: []byte("d")})))
}

// FuzzFramers: any cut of a stream into reads gives the same frames and the
// same verdict, and nothing panics.
func FuzzFramers(f *testing.F) {
	for _, c := range framerCases(f) {
		for i, name := range Framings() {
			if name == c.framing {
				f.Add(uint8(i), []byte(c.stream), []byte{1, 5, 2})
			}
		}
	}
	names := Framings()
	f.Fuzz(func(t *testing.T, which uint8, stream, cuts []byte) {
		name := names[int(which)%len(names)]
		whole, err := runFramer(name, stream, len(stream)+1)
		sizes := []int{3}
		for _, c := range cuts {
			sizes = append(sizes, int(c)%40)
		}
		pieces, err2 := runFramer(name, stream, sizes...)
		if name == "raw" {
			return
		}
		if (err == nil) != (err2 == nil) || fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Fatalf("%s: whole %q %v, in pieces %q %v", name, whole, err, pieces, err2)
		}
	})
}

func BenchmarkSSE(b *testing.B) {
	chunk := []byte(strings.Repeat("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n", 16))
	for _, framing := range []string{"sse", "sse-raw"} {
		b.Run(framing, func(b *testing.B) {
			f, _ := NewFramer(framing)
			n := 0
			emit := func(abi.Frame) { n++ }
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Feed(chunk, emit); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
		})
	}
}
