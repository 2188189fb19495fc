package execute

import (
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/sdk/hub"
)

// responsesEvent reads one event of a Responses stream.
func (w *watch) responsesEvent(data []byte) {
	kind, _ := doc.String(data, "type")
	switch {
	case strings.HasSuffix(kind, ".delta"):
		delta, _ := doc.Get(data, "delta")
		w.text(delta)
	case kind == "response.output_item.added":
		if t, _ := doc.String(data, "item", "type"); strings.HasSuffix(t, "_call") {
			w.call()
		}
	case kind == "response.output_item.done":
		w.content = true
	case kind == "response.completed", kind == "response.incomplete":
		raw, _ := doc.Get(data, "response")
		w.responsesBody(raw)
	case kind == "response.failed":
		raw, _ := doc.Get(data, "response", "error")
		w.failure(raw, 0)
	case kind == "error":
		raw, ok := doc.Get(data, "error")
		if !ok {
			raw = data
		}
		w.failure(raw, 0)
	}
}

// responsesBody reads a whole response object.
func (w *watch) responsesBody(data []byte) {
	if raw, ok := doc.Get(data, "error"); ok && !isNull(raw) {
		w.failure(raw, 0)
		return
	}
	output, _ := doc.Get(data, "output")
	doc.Each(output, func(_ int, item []byte) bool {
		if t, _ := doc.String(item, "type"); strings.HasSuffix(t, "_call") {
			w.call()
		}
		w.content = true
		return true
	})
	switch status, _ := doc.String(data, "status"); status {
	case "incomplete":
		reason, _ := doc.String(data, "incomplete_details", "reason")
		w.finished(reason)
	case "failed":
		w.failure([]byte(`{}`), 0)
	default:
		w.finished("stop")
	}
	if u, ok := doc.Get(data, "usage"); ok && !isNull(u) {
		usage := hub.Usage{Prompt: number(u, "input_tokens"), Completion: number(u, "output_tokens"),
			CachedRead: number(u, "input_tokens_details", "cached_tokens"),
			CacheWrite: number(u, "input_tokens_details", "cache_write_tokens"),
			Reasoning:  number(u, "output_tokens_details", "reasoning_tokens")}
		usage.Known = usage.Prompt+usage.Completion > 0
		w.counted(usage)
	}
	w.ended = true
}

// geminiEvent reads one chunk of a Gemini stream, or a whole answer: they have
// the same shape.
func (w *watch) geminiEvent(data []byte) {
	doc.Scan(data, func(key, raw []byte) bool {
		switch string(key) {
		case "candidates":
			doc.Each(raw, func(_ int, c []byte) bool { w.geminiCandidate(c); return true })
		case "promptFeedback":
			if _, ok := doc.String(raw, "blockReason"); ok {
				w.finish = hub.FinishFilter
			}
		case "usageMetadata":
			w.counted(geminiUsage(raw))
		case "error":
			if !isNull(raw) {
				w.failure(raw, 0)
			}
		}
		return true
	})
}

func (w *watch) geminiCandidate(c []byte) {
	parts, _ := doc.Get(c, "content", "parts")
	doc.Each(parts, func(_ int, part []byte) bool {
		doc.Scan(part, func(key, raw []byte) bool {
			switch string(key) {
			case "text":
				w.text(raw)
			case "functionCall":
				w.call()
			case "inlineData", "executableCode", "thoughtSignature":
				w.content = true
			}
			return true
		})
		return true
	})
	reason, _ := doc.String(c, "finishReason")
	w.finished(reason)
}

// geminiUsage reads usageMetadata: thoughts are not among the candidates' tokens
// (U-1, U-2).
func geminiUsage(raw []byte) hub.Usage {
	thoughts := number(raw, "thoughtsTokenCount")
	u := hub.Usage{
		Prompt:     number(raw, "promptTokenCount") + number(raw, "toolUsePromptTokenCount"),
		Completion: number(raw, "candidatesTokenCount") + thoughts,
		CachedRead: number(raw, "cachedContentTokenCount"),
		Reasoning:  thoughts,
	}
	if _, ok := doc.Get(raw, "candidatesTokenCount"); !ok {
		u.Completion = max(number(raw, "totalTokenCount")-u.Prompt, thoughts)
	}
	u.Known = u.Prompt+u.Completion > 0
	return u
}

// ollamaEvent reads one chunk of an Ollama stream, or a whole answer: they have
// the same shape.
func (w *watch) ollamaEvent(data []byte) {
	usage := hub.Usage{}
	doc.Scan(data, func(key, raw []byte) bool {
		switch string(key) {
		case "message":
			doc.Scan(raw, func(key, raw []byte) bool { w.ollamaMember(key, raw); return true })
		case "done_reason":
			reason, _ := doc.String(raw)
			w.finished(reason)
		case "done":
			w.ended = w.ended || string(raw) == "true"
		case "prompt_eval_count":
			usage.Prompt = number(raw)
		case "eval_count":
			usage.Completion = number(raw)
		case "error":
			if !isNull(raw) {
				w.failure(raw, 0)
			}
		}
		return true
	})
	if w.ended && w.finish == "" {
		w.finished("stop") // older servers give no reason
	}
	usage.Known = usage.Prompt+usage.Completion > 0
	w.counted(usage)
}

func (w *watch) ollamaMember(key, raw []byte) {
	switch string(key) {
	case "content", "thinking":
		w.text(raw)
	case "tool_calls":
		if len(raw) > 2 && raw[0] == '[' {
			w.call()
			w.chars += len(raw) / 4
		}
	}
}

// kiroEvent reads the payload of an event of Kiro; what the service counts is left
// to the translator.
func (w *watch) kiroEvent(data []byte) {
	doc.Scan(data, func(key, raw []byte) bool {
		switch string(key) {
		case "content", "text":
			w.text(raw)
		case "toolUseId":
			w.call()
		case "input":
			w.chars += len(raw)
		}
		return true
	})
}
