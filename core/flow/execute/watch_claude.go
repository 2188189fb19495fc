package execute

import (
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/hub"
)

// claudeEvent reads one event of a Messages stream.
func (w *watch) claudeEvent(data []byte) {
	kind, _ := doc.String(data, "type")
	switch kind {
	case "content_block_delta":
		delta, _ := doc.Get(data, "delta")
		doc.Scan(delta, func(key, raw []byte) bool {
			switch string(key) {
			case "text", "thinking", "partial_json":
				w.text(raw)
			case "signature":
				w.content = w.content || len(raw) > 2
			}
			return true
		})
	case "content_block_start":
		switch t, _ := doc.String(data, "content_block", "type"); t {
		case "tool_use", "server_tool_use":
			w.call()
		case "redacted_thinking":
			w.content = true
		}
	case "message_start":
		if u, ok := doc.Get(data, "message", "usage"); ok {
			w.counted(claudeUsage(u))
		}
	case "message_delta":
		reason, _ := doc.String(data, "delta", "stop_reason")
		w.finished(reason)
		if u, ok := doc.Get(data, "usage"); ok {
			w.claudeDelta(u)
		}
	case "message_stop":
		w.ended = true
	case "error":
		raw, _ := doc.Get(data, "error")
		w.failure(raw, 0)
	}
}

// claudeDelta merges the counts of message_delta into those of message_start.
func (w *watch) claudeDelta(raw []byte) {
	u := claudeUsage(raw)
	if number(raw, "input_tokens") == 0 && w.usage.Known {
		u.Prompt, u.CachedRead, u.CacheWrite = 0, 0, 0
	}
	w.counted(u)
}

// claudeBody reads a whole Messages answer.
func (w *watch) claudeBody(data []byte) {
	if kind, _ := doc.String(data, "type"); kind == "error" {
		raw, _ := doc.Get(data, "error")
		w.failure(raw, 0)
		return
	}
	content, ok := doc.Get(data, "content")
	if raw, bad := doc.Get(data, "error"); bad && !isNull(raw) && !ok {
		w.failure(raw, 0)
		return
	}
	doc.Each(content, func(_ int, block []byte) bool {
		switch t, _ := doc.String(block, "type"); t {
		case "tool_use":
			w.call()
		case "text":
			text, _ := doc.Get(block, "text")
			w.text(text)
		default:
			w.content = true
		}
		return true
	})
	reason, _ := doc.String(data, "stop_reason")
	w.finished(reason)
	if u, ok := doc.Get(data, "usage"); ok {
		w.counted(claudeUsage(u))
	}
	w.ended = true
}

// claudeUsage reads a usage object; the prompt counts what was read from and
// written to the cache (U-1).
func claudeUsage(raw []byte) hub.Usage {
	u := hub.Usage{
		CachedRead: number(raw, "cache_read_input_tokens"),
		CacheWrite: number(raw, "cache_creation_input_tokens"),
		Completion: number(raw, "output_tokens"),
	}
	u.Prompt = number(raw, "input_tokens") + u.CachedRead + u.CacheWrite
	u.Known = u.Prompt+u.Completion > 0
	return u
}
