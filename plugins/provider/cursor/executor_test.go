package cursor

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/pb"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/cursor", "1.0.0", New()), "testdata")
}

// The checksum of known times. Bytes 0 and 4, and 1 and 5, are the same before
// they are hidden; the service looks at that.
func TestChecksum(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for now, want := range map[int64]string{1771400000000: "oistOULP", 1700000000000: "Vfb45Bi9", 1772323200000: "ro6Qjomv"} {
		sum := checksum(now, id)
		require.Equal(t, want+id, sum)
		require.Len(t, sum, 72)
	}
	require.Len(t, checksum(1771400000000, id+"/"+id), 137)
}

// sent is what an answer becomes.
func sent(t *testing.T, frames ...abi.Frame) (string, error) {
	t.Helper()
	var w abi.Writer
	s, a := sdk.NewStream(&w), &answer{}
	var failure error
	for _, f := range frames {
		if err := a.Frame(s, f); err != nil && failure == nil {
			failure = err
		}
	}
	require.NoError(t, a.End(s, abi.EndEOF))
	var out []string
	for r := abi.Read(w.Buf); r.Next(); {
		f, err := r.Field().Frame()
		require.NoError(t, err)
		text := strings.TrimPrefix(string(f.Payload), `{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{`)
		out = append(out, strings.TrimSuffix(text, `},"finish_reason":null}]}`))
	}
	return strings.Join(out, "\n"), failure
}

func message(t *testing.T, text string) abi.Frame {
	return abi.Frame{Payload: unhex(t, text)[frameHeader:]}
}

func trailer(text string) abi.Frame { return abi.Frame{Name: "end", Payload: []byte(text)} }

func TestAnswer(t *testing.T) {
	const (
		start = "00000000042a020a00"
		hi    = "000000000612040a024869"
		hmm   = "000000000a1208ca01050a03686d6d"
		one   = "00000000510a4f08131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f776561746865727001da01210a1f0a0b6765745f776561746865721a087b2263697479223a2206637573746f6d"
		two   = "00000000520a5008131a0d63616c6c5f310a6d635f6162634a166d63705f637573746f6d5f6765745f7765617468657270017801da01200a1e0a0b6765745f776561746865721a0722526f6d65227d2206637573746f6d"
		limit = `{"error":{"code":"resource_exhausted","message":"Error","details":[{"type":"aiserver.v1.ErrorDetails","debug":{"error":"ERROR_FREE_USER_RATE_LIMIT_EXCEEDED","details":{"title":"Rate limited","detail":"Try later"},"isExpected":true},"value":"CAgSGQoMUmF0ZSBsaW1pdGVkEglUcnkgbGF0ZXI"}]}}`
	)
	out, err := sent(t, message(t, start), message(t, hmm), message(t, hi), trailer("{}"))
	require.NoError(t, err)
	require.Equal(t, `"role":"assistant","reasoning_content":"hmm"`+"\n"+`"content":"Hi"`+"\n"+`},"finish_reason":"stop"}]}`, out)

	for _, end := range [][]abi.Frame{{trailer("{}")}, nil} { // the trailer may get lost
		out, err = sent(t, append([]abi.Frame{message(t, one), message(t, two)}, end...)...)
		require.NoError(t, err)
		require.Equal(t, `"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]`+"\n"+
			`"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]`+"\n"+
			`"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]`+"\n"+`},"finish_reason":"tool_calls"}]}`, out)
	}

	out, err = sent(t, message(t, start), trailer("{}"))
	require.NoError(t, err)
	require.Empty(t, out, "an answer without content is no answer")

	// An error is one before there is content, and an end afterwards. Its frame is
	// known by its text too.
	for _, f := range []abi.Frame{trailer(limit), {Payload: []byte(limit)}} {
		out, err = sent(t, message(t, start), f)
		require.Empty(t, out)
		var rec *abi.ErrorRecord
		require.ErrorAs(t, err, &rec)
		require.Equal(t, 429, rec.Status)
		require.Equal(t, "Rate limited", rec.Message)
		require.Equal(t, "resource_exhausted", rec.Code)
	}
	out, err = sent(t, message(t, hi), trailer(limit))
	require.NoError(t, err)
	require.Equal(t, `"role":"assistant","content":"Hi"`+"\n"+`},"finish_reason":"stop"}]}`, out)

	_, err = sent(t, abi.Frame{Payload: []byte{0xff}})
	require.Error(t, err)
}

func TestErrors(t *testing.T) {
	number, title, detail := readDetails("CAgSGQoMUmF0ZSBsaW1pdGVkEglUcnkgbGF0ZXI")
	require.Equal(t, uint64(8), number)
	require.Equal(t, "Rate limited", title)
	require.Equal(t, "Try later", detail)
	for body, want := range map[string]int{
		`{"error":{"code":"resource_exhausted"}}`:                        429,
		`{"code":"unauthenticated","message":"no"}`:                      401,
		`{"error":{"code":"permission_denied"}}`:                         403,
		`{"error":{"code":"unavailable"}}`:                               503,
		`{"error":{"code":"invalid_argument"}}`:                          400,
		`{"error":{"code":"internal","details":[{"value":"CAU="}]}}`:     404,
		`{"error":{"code":"internal","details":[{"value":"CAk"}]}}`:      429,
		`{"error":{"code":"internal","details":[{"value":"not base"}]}}`: 400,
	} {
		require.Equal(t, want, readError([]byte(body)).status(), body)
	}
	require.Nil(t, readError([]byte(`{}`)))
	require.Nil(t, readError([]byte(`nothing`)))
	quota := readError([]byte(`{"error":{"code":"resource_exhausted","message":"m","details":[{"value":"CAk"}]}}`)).record()
	require.Equal(t, "quota", quota.Class)
	require.Equal(t, "m", quota.Message)
	old := readError([]byte(`{"error":{"code":"internal","message":"update","details":[{"value":"CB4"}]}}`)).record()
	require.Contains(t, old.Message, "client_version")
}

// Results of tools go as such where the operator wants that, but only those that
// answer a call.
func TestNativeResults(t *testing.T) {
	block := func(id string) string {
		return `<tool_result>\n<tool_name>f</tool_name>\n<tool_call_id>` + id + `</tool_call_id>\n<result>1 &lt; 2 &amp;amp;</result>\n</tool_result>`
	}
	body := `{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},` +
		`{"role":"user","content":"` + block("c1") + `"},{"role":"user","content":"` + block("c2") + `"}]}`
	entries := func(native bool) (out []string) {
		msg := appendPayload(nil, []byte(body), options{newID: func() string { return "id" }, native: native})
		chat, _ := pb.Get(msg, 1)
		for f := range pb.Fields(chat.Bytes) {
			if f.Number == 1 {
				text, _ := pb.Get(f.Bytes, 1)
				line := string(text.Bytes)
				if r, ok := pb.Get(f.Bytes, 18); ok {
					line = "native " + hex.EncodeToString(r.Bytes)
				}
				out = append(out, line)
			}
		}
		return out
	}
	text := strings.ReplaceAll(block("c1"), `\n`, "\n")
	other := strings.ReplaceAll(block("c2"), `\n`, "\n")
	require.Equal(t, []string{"x", "", text, other}, entries(false))
	var want pb.Writer
	nativeResult{id: "c1", name: "f", args: `{"a":1}`, text: "1 < 2 &amp;"}.write(&want)
	require.Equal(t, []string{"x", "", "native " + hex.EncodeToString(want.Data()), other}, entries(true))
}

func TestModels(t *testing.T) {
	var w pb.Writer
	w.Message(2, func(w *pb.Writer) { w.String(1, "gpt-5"); w.Bool(9, true); w.Uint(15, 272000); w.String(17, "GPT 5") })
	w.Message(2, func(w *pb.Writer) { w.Uint(2, 1) })
	w.Message(2, func(w *pb.Writer) { w.String(1, "auto"); w.Bool(10, true) })
	require.Equal(t, `{"object":"list","data":[{"id":"gpt-5","object":"model","name":"GPT 5","context_length":272000,"supports_thinking":true},{"id":"auto","object":"model","supports_images":true}]}`,
		string(appendModels(nil, w.Data())))
}
