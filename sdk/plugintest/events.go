package plugintest

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
)

// parseEvents reads a stream in SSE text. A line "---" ends a batch.
func parseEvents(text []byte) [][]abi.Frame {
	var out [][]abi.Frame
	var batch []abi.Frame
	var cur abi.Frame
	var data []string
	flush := func() {
		if data != nil || cur.Name != "" {
			cur.Payload = []byte(strings.Join(data, "\n"))
			batch = append(batch, cur)
		}
		cur, data = abi.Frame{}, nil
	}
	for _, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		switch {
		case line == "---":
			flush()
			out, batch = append(out, batch), nil
		case line == "":
			flush()
		case strings.HasPrefix(line, ":"):
			batch = append(batch, abi.Frame{Kind: abi.FrameComment, Payload: []byte(strings.TrimSpace(line[1:]))})
		case strings.HasPrefix(line, "event:"):
			cur.Name = strings.TrimSpace(line[len("event:"):])
		case strings.HasPrefix(line, "data:"):
			data = append(data, strings.TrimPrefix(line[len("data:"):], " "))
		}
	}
	flush()
	return append(out, batch)
}

func appendEvent(dst []byte, f abi.Frame) []byte {
	if f.Name != "" {
		dst = append(append(append(dst, "event: "...), f.Name...), '\n')
	}
	for _, line := range strings.Split(string(f.Payload), "\n") {
		dst = append(append(append(dst, "data: "...), line...), '\n')
	}
	return append(dst, '\n')
}
