package demo

import (
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// answer builds a chat completion, whole or as a stream of chunks.
type answer struct {
	id, model string
	created   int64
	prompt    int64

	reasoning, text string
	tool            string
	callID          string
	arguments       []byte
	pace            uint32 // milliseconds between two words of a stream
	limited         bool   // the output limit cut the text
}

func newAnswer(c *sdk.Ctx, model string, conv conversation) *answer {
	return &answer{
		id: "chatcmpl-" + token(c.Rand()), callID: "call_" + token(c.Rand()), model: model,
		created: c.NowMS() / 1000, prompt: int64(conv.chars/4 + 1),
	}
}

// token writes 64 random bits as letters and digits.
func token(v uint64) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	var b [12]byte
	for i := range b {
		b[i], v = alphabet[v%36], v/36
	}
	return string(b[:])
}

func (a *answer) say(text string)   { a.text = text }
func (a *answer) think(text string) { a.reasoning = text }

func (a *answer) call(name string, arguments []byte) {
	a.tool, a.arguments = name, arguments
}

func (a *answer) finish() string {
	switch {
	case a.tool != "":
		return "tool_calls"
	case a.limited:
		return "length"
	}
	return "stop"
}

// local renders the answer the way the client asked for it.
func (a *answer) local(stream bool) *sdk.Local {
	l := &sdk.Local{Status: 200}
	if stream {
		l.Headers = []abi.Header{{Name: "Content-Type", Value: "text/event-stream"}}
		l.Frames = a.frames()
		return l
	}
	l.Headers = []abi.Header{{Name: "Content-Type", Value: "application/json"}}
	l.Body = a.body()
	return l
}

func (a *answer) body() []byte {
	b := a.head("chat.completion")
	b = append(b, `"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if a.tool != "" {
		b = append(b, `null,"tool_calls":[{"id":`...)
		b = append(a.appendFunction(jsn.AppendString(b, a.callID), a.arguments), `}]`...)
	} else {
		b = jsn.AppendString(b, a.text)
	}
	if a.reasoning != "" {
		b = jsn.AppendStringMember(b, "reasoning_content", a.reasoning)
	}
	b = append(b, `},"finish_reason":`...)
	b = jsn.AppendString(b, a.finish())
	b = append(b, `}],"usage":`...)
	return append(a.appendUsage(b), '}')
}

func (a *answer) head(object string) []byte {
	b := jsn.AppendStringMember([]byte{'{'}, "id", a.id)
	b = jsn.AppendStringMember(b, "object", object)
	b = jsn.AppendIntMember(b, "created", a.created)
	b = jsn.AppendStringMember(b, "model", a.model)
	return append(b, ',')
}

func (a *answer) appendFunction(b []byte, arguments []byte) []byte {
	b = append(b, `,"type":"function","function":{"name":`...)
	b = jsn.AppendString(b, a.tool)
	b = append(b, `,"arguments":`...)
	b = jsn.AppendString(b, string(arguments))
	return append(b, '}')
}

func (a *answer) appendUsage(b []byte) []byte {
	reasoning := int64(len(strings.Fields(a.reasoning))) // a word is a token here
	completion := reasoning + int64(len(strings.Fields(a.text))+len(a.arguments)/4)
	b = jsn.AppendIntMember(append(b, '{'), "prompt_tokens", a.prompt)
	b = jsn.AppendIntMember(b, "completion_tokens", completion)
	b = jsn.AppendIntMember(b, "total_tokens", a.prompt+completion)
	if reasoning > 0 {
		b = append(b, `,"completion_tokens_details":{"reasoning_tokens":`...)
		b = append(jsn.AppendInt(b, reasoning), '}')
	}
	return append(b, '}')
}

// frames is the answer as a stream: role, reasoning, text or call, finish,
// usage, [DONE].
func (a *answer) frames() []abi.Frame {
	out := []abi.Frame{a.delta(`{"role":"assistant","content":""}`, "")}
	for _, piece := range words(a.reasoning) {
		out = append(out, a.delta(`{"reasoning_content":`+string(sdk.Quote(piece))+`}`, ""))
	}
	for k, piece := range words(a.text) {
		f := a.delta(`{"content":`+string(sdk.Quote(piece))+`}`, "")
		if k > 0 {
			f.DelayMS = a.pace
		}
		out = append(out, f)
	}
	if a.tool != "" {
		start := []byte(`{"tool_calls":[{"index":0,"id":`)
		start = a.appendFunction(jsn.AppendString(start, a.callID), nil)
		out = append(out, a.delta(string(start)+`}]}`, ""))
		out = append(out, a.delta(`{"tool_calls":[{"index":0,"function":{"arguments":`+string(sdk.Quote(string(a.arguments)))+`}}]}`, ""))
	}
	out = append(out, a.delta(`{}`, a.finish()))
	usage := append(a.head("chat.completion.chunk"), `"choices":[],"usage":`...)
	out = append(out, abi.Frame{Payload: append(a.appendUsage(usage), '}')})
	return append(out, abi.Frame{Payload: []byte("[DONE]")})
}

func (a *answer) delta(delta, finish string) abi.Frame {
	b := append(a.head("chat.completion.chunk"), `"choices":[{"index":0,"delta":`...)
	b = append(b, delta...)
	if finish == "" {
		return abi.Frame{Payload: append(b, `,"finish_reason":null}]}`...)}
	}
	b = jsn.AppendString(append(b, `,"finish_reason":`...), finish)
	return abi.Frame{Payload: append(b, `}]}`...)}
}

// maxPieces bounds the number of chunks of one text.
const maxPieces = 2000

// words cuts a text behind its spaces; long texts in larger pieces.
func words(text string) []string {
	pieces := strings.SplitAfter(text, " ")
	if text == "" {
		return nil
	}
	per := (len(pieces) + maxPieces - 1) / maxPieces
	if per <= 1 {
		return pieces
	}
	var out []string
	for len(pieces) > 0 {
		n := min(per, len(pieces))
		out = append(out, strings.Join(pieces[:n], ""))
		pieces = pieces[n:]
	}
	return out
}
