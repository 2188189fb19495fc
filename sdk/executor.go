package sdk

import "github.com/omniroute/omniroute/sdk/abi"

// Executor talks to one kind of upstream. Methods are never called
// concurrently; they return a *[Need] to have HTTP done first, and an
// *abi.ErrorRecord to fail in a particular way. Any other error, like a panic,
// counts as a fault of the plugin.
type Executor interface {
	// Plan fills in the request to send.
	Plan(c *Ctx, p *Plan) error
	// Result judges the answer.
	Result(c *Ctx, r *Result) (Verdict, error)
}

// Configurer is an executor that serves several providers by their profiles.
type Configurer interface {
	// Configure takes a provider profile: JSON in the field names of
	// providers.yaml, valid only during the call. It returns how much of the
	// body Plan wants to see for this provider. It is called again when the
	// profile changes.
	Configure(c *Ctx, profile []byte) (abi.BodyKind, error)
}

// Streamer is an executor whose upstream frames are not in the provider's
// dialect as they come.
type Streamer interface {
	// OpenStream starts the state of one stream.
	OpenStream(c *Ctx) (FrameHandler, error)
}

// FrameHandler is the state of one stream.
type FrameHandler interface {
	// Frame takes one upstream frame and emits any number.
	Frame(s *Stream, f abi.Frame) error
	// End is called exactly once.
	End(s *Stream, reason abi.EndReason) error
}

// Stream collects what a [FrameHandler] emits during a call.
type Stream struct {
	w *abi.Writer
}

// NewStream makes a stream that writes to a record.
func NewStream(w *abi.Writer) *Stream { return &Stream{w} }

// Emit sends a frame of the provider's dialect.
func (s *Stream) Emit(f abi.Frame) error {
	s.w.Frame(f)
	return nil
}

// Pass sends an upstream frame on as it is.
func (s *Stream) Pass(f abi.Frame) error { return s.Emit(f) }

// Usage reports token usage; the last report wins.
func (s *Stream) Usage(u Usage) { u.AppendTo(s.w) }

// Finish reports why the answer ended.
func (s *Stream) Finish(reason string) { s.w.String(abi.TagFinish, reason) }

// Frame is a stream frame with access to its JSON payload.
type Frame struct{ abi.Frame }

// JSON follows a dotted path in the payload.
func (f *Frame) JSON(path string) JSON { return JSON(f.Payload).Get(path) }

// ReasoningDelta is an OpenAI chunk with a piece of reasoning; text is a JSON
// string.
func ReasoningDelta(text JSON) abi.Frame { return delta("reasoning_content", text) }

// TextDelta is an OpenAI chunk with a piece of text; text is a JSON string.
func TextDelta(text JSON) abi.Frame { return delta("content", text) }

// FinishDelta is the OpenAI chunk that ends an answer.
func FinishDelta(reason string) abi.Frame {
	b := append([]byte(nil), `{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":`...)
	b = append(b, Quote(reason)...)
	return abi.Frame{Payload: append(b, `}]}`...)}
}

func delta(name string, text JSON) abi.Frame {
	if len(text) == 0 {
		text = JSON(`""`)
	}
	b := append([]byte(nil), `{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"`...)
	b = append(append(append(b, name...), '"', ':'), text...)
	return abi.Frame{Payload: append(b, `},"finish_reason":null}]}`...)}
}

// Usage counts the tokens of a call. Prompt includes cached tokens, Completion
// includes reasoning.
type Usage struct {
	Prompt, Completion, CachedRead, CacheWrite, Reasoning, Total int64

	Estimated bool // counted by a guess, not reported
}

// AppendTo writes the usage to a record.
func (u Usage) AppendTo(w *abi.Writer) {
	m := w.Open(abi.TagUsage)
	w.I64(abi.TagUsagePrompt, u.Prompt)
	w.I64(abi.TagUsageCompletion, u.Completion)
	w.I64(abi.TagUsageCachedRead, u.CachedRead)
	w.I64(abi.TagUsageCacheWrite, u.CacheWrite)
	w.I64(abi.TagUsageReasoning, u.Reasoning)
	w.I64(abi.TagUsageTotal, u.Total)
	w.Flag(abi.TagUsageEstimated, u.Estimated)
	w.Close(m)
}
