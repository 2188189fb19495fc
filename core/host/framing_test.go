package host

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Whatever a provider frames its answer in, and however the bytes are cut into
// reads, a plugin gets whole frames: the bytes of a stream through the framer
// and a guest, to what the guest makes of them.
func TestFramingsReachThePlugin(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	envelope := func(flags []byte, text string) string {
		return string(binary.BigEndian.AppendUint32(flags, uint32(len(text)))) + text
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(`{"b":2}`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	var aws bytes.Buffer
	for _, payload := range []string{`{"a":1}`, `{"b":2}`} {
		m := eventstream.Message{Payload: []byte(payload)}
		m.Headers.Set(":message-type", eventstream.StringValue("event"))
		m.Headers.Set(":event-type", eventstream.StringValue("chunk"))
		require.NoError(t, eventstream.NewEncoder().Encode(&aws, m))
	}
	streams := map[string]string{
		"sse":             "data: {\"a\":1}\n\ndata: {\"b\":2}\n\n",
		"ndjson":          "{\"a\":1}\n{\"b\":2}\n",
		"json-array":      `[{"a":1}, {"b":2}]`,
		"len32be":         envelope(nil, `{"a":1}`) + envelope(nil, `{"b":2}`),
		"connect":         envelope([]byte{0}, `{"a":1}`) + envelope([]byte{1}, zipped.String()),
		"grpc-web":        envelope([]byte{0}, `{"a":1}`) + envelope([]byte{1}, zipped.String()),
		"aws-eventstream": aws.String(),
	}
	for framing, text := range streams {
		for _, size := range []int{1, 7, len(text)} {
			s := openEcho(t, x)
			f, ok := upstream.NewFramer(framing)
			require.True(t, ok, framing)
			var out []string
			pass := func(in abi.Frame) {
				require.NoError(t, s.Data(t.Context(), []abi.Frame{in}, func(f abi.Frame) error {
					out = append(out, string(f.Payload))
					return nil
				}))
			}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				require.NoError(t, f.Feed(rest[:n], pass))
				rest = rest[n:]
			}
			require.NoError(t, f.End(pass))
			require.NoError(t, s.End(t.Context(), abi.EndEOF, nothing))
			require.Equal(t, []string{`{"A":1}`, `{"B":2}`}, out, "%s in pieces of %d", framing, size)
		}
	}

	// A message whose checksum is wrong never gets there.
	broken := bytes.Clone(aws.Bytes())
	broken[len(broken)-2] ^= 1
	f, _ := upstream.NewFramer("aws-eventstream")
	seen := 0
	require.Error(t, f.Feed(broken, func(abi.Frame) { seen++ }))
	require.Equal(t, 1, seen)
}
