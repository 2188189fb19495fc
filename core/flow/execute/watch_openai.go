package execute

import (
	"bytes"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/hub"
)

var doneMark = []byte("[DONE]")

// openaiEvent reads a chat completions chunk.
func (w *watch) openaiEvent(data []byte) {
	if bytes.Equal(data, doneMark) {
		w.ended = true
		return
	}
	choices, usage := 0, false
	doc.Scan(data, func(key, raw []byte) bool {
		switch string(key) {
		case "choices":
			doc.Each(raw, func(_ int, choice []byte) bool {
				choices++
				w.openaiChoice(choice, "delta")
				return true
			})
		case "usage":
			if !isNull(raw) {
				usage = true
				w.counted(openaiUsage(raw))
			}
		case "x_groq":
			if u, ok := doc.Get(raw, "usage"); ok && !isNull(u) {
				w.counted(openaiUsage(u))
			}
		case "error":
			if !isNull(raw) {
				w.failure(raw, 0)
			}
		}
		return true
	})
	w.onlyUse = usage && choices == 0
}

// openaiBody reads a whole chat completion.
func (w *watch) openaiBody(data []byte) {
	if raw, ok := doc.Get(data, "error"); ok && !isNull(raw) {
		if _, ok := doc.Get(data, "choices"); !ok {
			w.failure(raw, 0)
			return
		}
	}
	raw, _ := doc.Get(data, "choices")
	doc.Each(raw, func(_ int, choice []byte) bool {
		w.openaiChoice(choice, "message")
		return true
	})
	if u, ok := doc.Get(data, "usage"); ok && !isNull(u) {
		w.counted(openaiUsage(u))
	}
	w.ended = true
}

// openaiChoice reads a choice; part is where its message stands.
func (w *watch) openaiChoice(choice []byte, part string) {
	reason := ""
	doc.Scan(choice, func(key, raw []byte) bool {
		switch string(key) {
		case part:
			doc.Scan(raw, func(key, raw []byte) bool { w.openaiDelta(key, raw); return true })
		case "finish_reason":
			if !isNull(raw) {
				reason, _ = doc.String(raw)
			}
		case "text":
			w.text(raw)
		case "error":
			if !isNull(raw) {
				w.failure(raw, 0)
			}
		}
		return true
	})
	w.finished(reason)
}

func (w *watch) openaiDelta(key, raw []byte) {
	switch string(key) {
	case "content", "reasoning_content", "reasoning", "refusal":
		if len(raw) > 0 && raw[0] == '[' {
			if len(raw) > 2 {
				w.content = true
			}
			return
		}
		w.text(raw)
	case "tool_calls":
		if len(raw) > 2 && raw[0] == '[' {
			w.call()
			w.chars += len(raw) / 4
		}
	case "function_call", "audio", "images":
		if len(raw) > 2 && !isNull(raw) {
			w.call()
		}
	}
}

// openaiUsage reads a usage object in the spellings that chat providers use
// (U-1, U-3).
func openaiUsage(raw []byte) hub.Usage {
	u := hub.Usage{Known: true,
		Prompt:     first(number(raw, "prompt_tokens"), number(raw, "input_tokens")),
		Completion: first(number(raw, "completion_tokens"), number(raw, "output_tokens")),
		CachedRead: first(number(raw, "prompt_tokens_details", "cached_tokens"), number(raw, "prompt_cache_hit_tokens"), number(raw, "cached_tokens")),
		CacheWrite: first(number(raw, "prompt_tokens_details", "cache_creation_tokens"), number(raw, "prompt_tokens_details", "cache_write_tokens"), number(raw, "cache_creation_input_tokens")),
		Reasoning:  number(raw, "completion_tokens_details", "reasoning_tokens"),
	}
	if total := number(raw, "total_tokens"); u.Reasoning > 0 && total == u.Prompt+u.Completion+u.Reasoning {
		u.Completion += u.Reasoning
	}
	u.Known = u.Prompt+u.Completion > 0
	return u
}

func first(values ...int64) int64 {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}
