package render

import (
	"bytes"
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// counts are the places where a dialect tells the client its prompt tokens and
// the total; the margin of usage.buffer_tokens is added to both.
var counts = map[string][][]string{
	"openai":           {{"usage", "prompt_tokens"}, {"usage", "total_tokens"}},
	"claude":           {{"usage", "input_tokens"}, {"message", "usage", "input_tokens"}},
	"openai-responses": {{"usage", "input_tokens"}, {"usage", "total_tokens"}, {"response", "usage", "input_tokens"}, {"response", "usage", "total_tokens"}},
	"gemini":           {{"usageMetadata", "promptTokenCount"}, {"usageMetadata", "totalTokenCount"}},
}

var usageMark = []byte(`"usage`)

// buffered adds the margin to the usage that a body or an event shows. Costs and
// logs keep the true numbers.
func buffered(dialect string, data []byte, margin int64) []byte {
	if margin <= 0 || !bytes.Contains(data, usageMark) {
		return data
	}
	for _, path := range counts[dialect] {
		if n, ok := doc.Int(data, path...); ok && n > 0 {
			data, _ = doc.Set(nil, data, strconv.AppendInt(nil, n+margin, 10), path...)
		}
	}
	return data
}

// bufferedFrame is buffered for one event of a stream.
func bufferedFrame(dialect string, f abi.Frame, margin int64) abi.Frame {
	if margin <= 0 || !bytes.Contains(f.Payload, usageMark) {
		return f
	}
	if f.Kind == abi.FrameRaw {
		name, data, _ := upstream.ParseEvent(nil, f.Payload)
		f = abi.Frame{Kind: abi.FrameData, Name: name, Payload: bytes.Clone(data)}
	}
	f.Payload = buffered(dialect, f.Payload, margin)
	return f
}
