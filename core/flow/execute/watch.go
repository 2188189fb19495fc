package execute

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/hub"
)

// watch reads along with the events of a stream, or a whole answer, in one
// dialect. It knows when there is content, how the answer ends, what it used,
// and whether it is an error.
type watch struct {
	dialect string

	content bool         // something visible came
	started bool         // anything came
	finish  string       // hub finish reason; "" = none yet
	ended   bool         // the end mark came
	broken  *fault.Error // an error came within the stream
	usage   hub.Usage
	chars   int  // of text and arguments, for an estimate
	calls   bool // a tool was called
	onlyUse bool // the last event carried nothing but usage
}

func newWatch(dialect string) *watch { return &watch{dialect: dialect} }

// event reads the data of one event.
func (w *watch) event(data []byte) {
	w.onlyUse = false
	if len(data) == 0 {
		return
	}
	w.started = true
	switch w.dialect {
	case "claude":
		w.claudeEvent(data)
	case "openai-responses":
		w.responsesEvent(data)
	case "gemini":
		w.geminiEvent(data)
	case "gemini-cli", "antigravity":
		w.geminiEvent(unwrapped(data))
	case "ollama":
		w.ollamaEvent(data)
	case "kiro":
		w.kiroEvent(data)
	default:
		w.openaiEvent(data)
	}
}

// body reads a whole answer.
func (w *watch) body(data []byte) {
	w.started = true
	switch w.dialect {
	case "claude":
		w.claudeBody(data)
	case "openai-responses":
		w.responsesBody(data)
	case "gemini":
		w.geminiEvent(data)
		w.ended = true
	case "gemini-cli", "antigravity":
		w.geminiEvent(unwrapped(data))
		w.ended = true
	case "ollama":
		w.ollamaEvent(data)
	default:
		w.openaiBody(data)
	}
}

// unwrapped is what stands in the envelope of a Code Assist answer; errors have
// none.
func unwrapped(data []byte) []byte {
	if inner, ok := doc.Get(data, "response"); ok {
		return inner
	}
	return data
}

// text notes visible text; raw is a JSON string.
func (w *watch) text(raw []byte) {
	if len(raw) > 2 && raw[0] == '"' {
		w.content = true
		w.chars += utf8.RuneCount(raw) - 2
	}
}

// call notes a tool call.
func (w *watch) call() { w.content, w.calls = true, true }

// failure notes an error object found within an answer.
func (w *watch) failure(raw []byte, status int) {
	if w.broken != nil {
		return
	}
	message, _ := doc.String(raw, "message")
	if message == "" {
		message, _ = doc.String(raw)
	}
	kind, _ := doc.String(raw, "type")
	code, _ := doc.String(raw, "code")
	if n, ok := doc.Int(raw, "code"); ok && status == 0 && n >= 400 && n < 600 {
		status = int(n)
	}
	if status == 0 {
		status = statusOf(kind + " " + code)
	}
	if message == "" {
		message = "The provider reported an error within its answer"
	}
	w.broken = fault.Upstream(status, message)
	w.broken.ProviderType, w.broken.ProviderCode = kind, code
	if reason := fault.ReasonOf(status, code+" "+kind+" "+message); reason != fault.ReasonUnknown {
		w.broken.Reason = reason
	}
}

// statusOf guesses the status of an error that came with 200, by its type and
// code.
func statusOf(words string) int {
	for _, k := range [...]struct {
		word   string
		status int
	}{
		{"overloaded", 503}, {"rate_limit", 429}, {"insufficient_quota", 429}, {"authentication", 401},
		{"permission", 403}, {"not_found", 404}, {"context_length", 400}, {"invalid_request", 400},
		{"timeout", 504}, {"unavailable", 503}, {"server_error", 500},
	} {
		if strings.Contains(words, k.word) {
			return k.status
		}
	}
	return 502
}

// finished notes a finish reason in the provider's words.
func (w *watch) finished(reason string) {
	switch reason {
	case "":
	case "length", "max_tokens", "model_context_window_exceeded", "MAX_TOKENS", "max_output_tokens":
		w.finish = hub.FinishLength
	case "tool_calls", "function_call", "tool_use":
		w.finish = hub.FinishTools
	case "content_filter", "refusal", "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII":
		w.finish = hub.FinishFilter
	case "error":
		w.finish = hub.FinishError
	default:
		w.finish = hub.FinishStop
		if w.calls {
			w.finish = hub.FinishTools
		}
	}
}

// counted takes over a usage reading; what a reading leaves out stays (U-4).
func (w *watch) counted(u hub.Usage) {
	if !u.Known {
		return
	}
	for _, f := range [...]struct{ to, from *int64 }{
		{&w.usage.Prompt, &u.Prompt}, {&w.usage.Completion, &u.Completion}, {&w.usage.CachedRead, &u.CachedRead},
		{&w.usage.CacheWrite, &u.CacheWrite}, {&w.usage.Reasoning, &u.Reasoning},
	} {
		if *f.from > 0 {
			*f.to = *f.from
		}
	}
	w.usage.Known = true
	w.usage.Total = w.usage.Sum()
}

// number reads a non-negative count.
func number(raw []byte, path ...string) int64 {
	n, _ := doc.Int(raw, path...)
	return max(n, 0)
}

var null = []byte("null")

func isNull(raw []byte) bool { return len(raw) == 0 || bytes.Equal(raw, null) }
