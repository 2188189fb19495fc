package execute

import (
	"bytes"
	"io"
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/sdk/abi"
)

// fixed is a stream whose events are all there.
type fixed struct{ frames []abi.Frame }

// Next implements call.Events, and source.
func (f *fixed) Next() ([]abi.Frame, error) {
	if len(f.frames) == 0 {
		return nil, io.EOF
	}
	frames := f.frames
	f.frames = nil
	return frames, nil
}

// Close implements call.Events.
func (f *fixed) Close() { f.frames = nil }

// spread serves a client that wants a stream from a whole answer. A translator makes the
// events from all of the answer, signatures included; between chat clients and providers
// the answer is only cut.
func (a *attempt) spread(body []byte, dialect string) *fault.Error {
	ch := &chain{}
	frames := []abi.Frame{wholeBody(body)}
	if dialect == "openai" && a.verbatim(dialect) {
		frames = chunksOf(body, wantsUsage(a.c.Doc.Skeleton()))
	} else {
		s, err := a.c.Plugins.OpenStream(a.c.Ctx, a.translation(dialect, a.c.Dialect, nil))
		if err != nil {
			return a.pluginFault(err)
		}
		ch.translator = s
	}
	return a.commit(&live{a: a, in: &fixed{frames}, chain: ch, watch: newWatch(a.c.Dialect)})
}

// wholeBody is the frame that gives a translator of streams an answer in one piece.
func wholeBody(body []byte) abi.Frame { return abi.Frame{Kind: abi.FrameRaw, Payload: body} }

// eventsOf makes the events of a stream from a whole chat completion.
func eventsOf(c *call.Call, body []byte, t host.Translation) ([]abi.Frame, error) {
	if c.Dialect == "openai" {
		return chunksOf(body, wantsUsage(c.Doc.Skeleton())), nil
	}
	s, err := c.Plugins.OpenStream(c.Ctx, t)
	if err != nil {
		return nil, err
	}
	var out []abi.Frame
	keep := func(f abi.Frame) error {
		f.Payload = bytes.Clone(f.Payload)
		out = append(out, f)
		return nil
	}
	err = s.Data(c.Ctx, []abi.Frame{wholeBody(body)}, keep)
	if endErr := s.End(c.Ctx, abi.EndEOF, keep); err == nil {
		err = endErr
	}
	return out, err
}

// chunksOf cuts a whole chat completion into chunks: the message, the finish
// reason, the usage if wanted, and the end mark (WO-1).
func chunksOf(body []byte, usage bool) []abi.Frame {
	head := []byte(`{"object":"chat.completion.chunk"`)
	for _, name := range [...]string{"id", "created", "model"} {
		if raw, ok := doc.Get(body, name); ok {
			head = append(head, `,"`+name+`":`...)
			head = append(head, raw...)
		}
	}
	chunk := func(rest string) abi.Frame {
		return abi.Frame{Payload: append(append(bytes.Clone(head), rest...), '}')}
	}
	var frames []abi.Frame
	choices, _ := doc.Get(body, "choices")
	doc.Each(choices, func(i int, choice []byte) bool {
		at := strconv.Itoa(i)
		message, _ := doc.Get(choice, "message")
		frames = append(frames, chunk(`,"choices":[{"index":`+at+`,"delta":`+string(deltaOf(message))+`,"finish_reason":null}]`))
		reason, ok := doc.Get(choice, "finish_reason")
		if !ok || isNull(reason) {
			reason = []byte(`"stop"`)
		}
		frames = append(frames, chunk(`,"choices":[{"index":`+at+`,"delta":{},"finish_reason":`+string(reason)+`}]`))
		return true
	})
	if raw, ok := doc.Get(body, "usage"); ok && usage && !isNull(raw) {
		frames = append(frames, chunk(`,"choices":[],"usage":`+string(raw)))
	}
	return append(frames, abi.Frame{Payload: doneMark})
}

// deltaOf turns a message into a delta: tool calls get their index.
func deltaOf(message []byte) []byte {
	calls, ok := doc.Get(message, "tool_calls")
	if !ok || isNull(calls) {
		return message
	}
	indexed := []byte{'['}
	doc.Each(calls, func(i int, c []byte) bool {
		c, _ = doc.Set(nil, c, strconv.AppendInt(nil, int64(i), 10), "index")
		indexed = appendElement(indexed, c)
		return true
	})
	out, _ := doc.Set(nil, message, append(indexed, ']'), "tool_calls")
	return out
}

// canned answers a housekeeping request with a fixed text, in the client's
// dialect.
func (s *Stage) canned(c *call.Call) {
	c.Source = c.Doc.Skeleton()
	body := []byte(`{"id":`)
	body = doc.Quote(body, "chatcmpl-"+c.ID)
	body = append(body, `,"object":"chat.completion","created":`...)
	body = strconv.AppendInt(body, c.Began.Unix(), 10)
	body = append(body, `,"model":`...)
	body = doc.Quote(body, c.Model)
	body = append(body, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	body = doc.Quote(body, c.Canned)
	body = append(body, `},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`...)
	t := host.Translation{From: "openai", To: c.Dialect, Model: c.Model, Request: clientRequest(c), Stream: c.Stream}
	if c.Doc.Blobs() > 0 {
		t.Blobs = c.Doc
	}
	if c.Stream {
		frames, err := eventsOf(c, body, t)
		if err != nil {
			c.Fail(failed(c, err))
			return
		}
		c.Answer = &call.Answer{Status: 200, Events: &fixed{frames}}
		return
	}
	if c.Dialect != "openai" {
		t.Body = body
		out, err := c.Plugins.Response(c.Ctx, t)
		if err != nil {
			c.Fail(failed(c, err))
			return
		}
		body = out.Body
	}
	c.Answer = &call.Answer{Status: 200, Body: body}
}
