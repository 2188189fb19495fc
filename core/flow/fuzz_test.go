package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// FuzzBodies sends arbitrary bodies to every surface: whatever comes is answered,
// and bad input is the client's fault, never ours.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{chatBody, chatStream, claudeBody, `{"contents":[{"parts":[]}]}`, `{"model":"demo/echo","input":[{}]}`,
		`{"model":"both","messages":[{"role":7}],"tools":{},"stream":null}`, `{"model":"oai/x(high)","messages":[{"content":[{"type":"image_url"}]}]}`,
		`{"model":"a/../b","messages":[]}`, "\x00", `{"stream":true`} {
		for i := range len(surfaces) {
			f.Add(uint8(i), body)
		}
	}
	w := newWorld(f, quick+"  breaker: [{id: never, ignore: true}]\n  on_error: [{id: all, do: stop()}]\n")
	reply := func(*fake.Request) fake.Reply { return fake.Reply{Text: "fine"} }
	w.oai.Otherwise(reply)
	w.ant.Otherwise(reply)
	f.Fuzz(func(t *testing.T, surface uint8, body string) {
		w.t = t
		got := w.post(surfaces[int(surface)%len(surfaces)], body)
		require.Less(t, got.status, 500, "%q: %s", body, got.body)
	})
}

var surfaces = []string{
	"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/messages/count_tokens",
	"/v1beta/models/oai/fake-model:generateContent", "/v1beta/models/ant/fake-model:streamGenerateContent",
	"/v1/providers/ant/chat/completions",
}
