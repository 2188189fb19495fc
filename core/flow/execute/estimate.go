package execute

import (
	"bytes"
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Clients count what they have used by what an answer tells them: agents decide by it
// when to shorten a conversation. Where the provider tells nothing, they get the
// estimate that the books get too.

// estimatedHeader tells that the usage of a whole answer is an estimate. Within a stream
// there is no place that every client would take it from; the request log has it.
var estimatedHeader = abi.Header{Name: "x-omniroute-estimated", Value: "usage"}

// usagePlaces are where a dialect tells its prompt tokens, its completion tokens and
// their total, in bodies; events of a stream hold the same below another member.
var usagePlaces = map[string]struct {
	object, event             []string
	prompt, completion, total string
}{
	"openai":           {[]string{"usage"}, []string{"usage"}, "prompt_tokens", "completion_tokens", "total_tokens"},
	"claude":           {[]string{"usage"}, []string{"usage"}, "input_tokens", "output_tokens", ""},
	"openai-responses": {[]string{"usage"}, []string{"response", "usage"}, "input_tokens", "output_tokens", "total_tokens"},
	"gemini":           {[]string{"usageMetadata"}, []string{"usageMetadata"}, "promptTokenCount", "candidatesTokenCount", "totalTokenCount"},
}

// withUsage writes a usage into the usage object of a body or of an event; data without
// such an object stays as it is.
func withUsage(data []byte, dialect string, event bool, u hub.Usage) []byte {
	place, ok := usagePlaces[dialect]
	if !ok {
		return data
	}
	path := place.object
	if event {
		path = place.event
	}
	raw, ok := doc.Get(data, path...)
	if !ok || len(raw) == 0 || raw[0] != '{' {
		return data
	}
	for _, f := range [...]struct {
		name string
		n    int64
	}{{place.prompt, u.Prompt}, {place.completion, u.Completion}, {place.total, u.Total}} {
		if f.name != "" {
			raw, _ = doc.Set(nil, raw, strconv.AppendInt(nil, f.n, 10), f.name)
		}
	}
	data, _ = doc.Set(nil, data, raw, path...)
	return data
}

// estimated completes a translated event that ends an answer whose usage nobody knows.
func (l *live) estimated(payload []byte) []byte {
	w := l.watch
	if w.usage.Known || w.broken != nil {
		return payload
	}
	switch w.dialect {
	case "openai":
		if !w.onlyUse {
			return payload
		}
		l.told = true
	case "claude":
		if w.finish == "" || w.ended {
			return payload
		}
	default:
		if w.finish == "" {
			return payload
		}
	}
	return withUsage(payload, w.dialect, true, l.a.c.Estimate(w.chars))
}

// chatUsage adds the usage chunk that a chat client asked for and the provider does not
// send, ahead of the end mark. model is an event with the members that all chunks share.
func (l *live) chatUsage() {
	w := l.watch
	if l.told || w.dialect != "openai" || w.usage.Known || w.broken != nil || w.finish == "" || l.chunk == nil || !wantsUsage(l.a.c.Doc.Skeleton()) {
		return
	}
	l.told = true
	u := l.a.c.Estimate(w.chars)
	chunk, _ := doc.Set(nil, l.chunk, []byte("[]"), "choices")
	chunk, _ = doc.Set(nil, chunk, []byte("{}"), "usage")
	l.out = append(l.out, abi.Frame{Payload: withUsage(chunk, "openai", true, u)})
}

// remember keeps the chunk with the finish reason as the pattern of a usage chunk.
func (l *live) remember(data []byte) {
	if l.chunk == nil && l.watch.dialect == "openai" && l.watch.finish != "" && !bytes.Equal(data, doneMark) {
		l.chunk = bytes.Clone(data)
	}
}
