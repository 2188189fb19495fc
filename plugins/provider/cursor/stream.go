package cursor

import (
	"bytes"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// OpenStream implements sdk.Streamer.
func (x *executor) OpenStream(*sdk.Ctx) (sdk.FrameHandler, error) { return &answer{}, nil }

// answer turns messages into chunks of chat completions.
type answer struct {
	payload payload
	begun   bool // a chunk was sent
	calls   int  // that were announced
	done    bool
}

// endFrame is the name of the frame that ends an answer.
const endFrame = "end"

// Frame implements sdk.FrameHandler.
func (a *answer) Frame(s *sdk.Stream, f abi.Frame) error {
	switch {
	case a.done || f.Kind == abi.FrameComment:
		return nil
	case f.Name == endFrame || bytes.HasPrefix(f.Payload, []byte(`{"error"`)):
		return a.trailer(s, f.Payload)
	}
	if !a.payload.Feed(f.Payload, func(c *hub.Chunk) { a.chunk(s, c) }) {
		return &abi.ErrorRecord{Message: "a message of the answer does not decode", Class: "upstream", Scope: string(sdk.ThisModel), Status: 502, Retryable: true, Upstream: true}
	}
	return nil
}

// trailer ends the answer. An error that comes after content ends it too: what
// was said stays.
func (a *answer) trailer(s *sdk.Stream, text []byte) error {
	f := readError(text)
	if f != nil && !a.begun {
		a.done = true
		return f.record()
	}
	a.finish(s)
	return nil
}

// End implements sdk.FrameHandler.
func (a *answer) End(s *sdk.Stream, reason abi.EndReason) error {
	if !a.done && reason == abi.EndEOF {
		a.finish(s)
	}
	return nil
}

// finish says why the answer ended, unless there was none.
func (a *answer) finish(s *sdk.Stream) {
	a.done = true
	a.payload.End(func(c *hub.Chunk) { a.chunk(s, c) })
	if !a.begun {
		return
	}
	reason := "stop"
	if a.calls > 0 {
		reason = "tool_calls"
	}
	_ = s.Emit(sdk.FinishDelta(reason))
}

// chunk sends a piece of the answer.
func (a *answer) chunk(s *sdk.Stream, c *hub.Chunk) {
	d := append(make([]byte, 0, len(c.Text)+192), `{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{`...)
	if !a.begun {
		d = append(d, `"role":"assistant"`...)
	}
	switch c.Kind {
	case hub.ChunkText:
		d = jsn.AppendStrMember(d, "content", c.Text)
	case hub.ChunkReasoning:
		d = jsn.AppendStrMember(d, "reasoning_content", c.Text)
	case hub.ChunkCallStart:
		a.calls++
		d = appendCall(d, c)
		d = jsn.AppendStringMember(d, "id", c.CallID)
		d = append(d, `,"type":"function","function":{`...)
		d = append(jsn.AppendStringMember(d, "name", c.Name), `,"arguments":""}}]`...)
	case hub.ChunkCallArgs:
		d = append(appendCall(d, c), `,"function":{`...)
		d = append(jsn.AppendStrMember(d, "arguments", c.Text), `}}]`...)
	default:
		return
	}
	a.begun = true
	_ = s.Emit(abi.Frame{Payload: append(d, `},"finish_reason":null}]}`...)})
}

// appendCall begins the list with the one call that a chunk is about.
func appendCall(d []byte, c *hub.Chunk) []byte {
	d = append(jsn.AppendKey(d, "tool_calls"), `[{`...)
	return jsn.AppendIntMember(d, "index", int64(c.Call))
}
