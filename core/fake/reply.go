package fake

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/omniroute/omniroute/core/cases"
)

// Reply is one scripted answer.
type Reply struct {
	// Thinking, Text and Calls are the content, in this order.
	Thinking []Thought
	Text     string
	Calls    []Call
	// Pieces are the deltas of Text in a stream; nil cuts it into words.
	Pieces []string
	// Finish is stop, length, tool_calls or content_filter; empty follows from Calls.
	Finish string
	// Usage of the answer; the zero value means 10 prompt and 5 completion tokens.
	Usage Usage
	// UsageStyle is how the openai dialect tells usage.
	UsageStyle UsageStyle
	// ThinkStyle is how the openai dialect tells thinking.
	ThinkStyle ThinkStyle

	// Status other than 0 and 200 makes the reply an error with the text Error and
	// the dialect's code for the status, or with Body as it is.
	Status int
	Error  string
	Header http.Header

	// Body replaces a plain answer, Events those of a stream.
	Body   []byte
	Events []cases.Event
	// ContentType of Body; empty means application/json.
	ContentType string

	// Pace is the pause between the events of a stream.
	Pace time.Duration
	// Gate, when set, holds every event of a stream until a value can be received;
	// a closed gate lets all pass. The first GateAfter events do not wait.
	Gate      <-chan struct{}
	GateAfter int
	// Fault spoils the transport.
	Fault Fault
}

// Thought is a thinking block. Its signature is [Sign] of the text unless given;
// a Thought with only Redacted is an opaque block.
type Thought struct{ Text, Signature, Redacted string }

// Call is a tool call; Args is a JSON object.
type Call struct{ ID, Name, Args string }

// Usage in tokens. Prompt counts everything sent, Completion everything produced.
type Usage struct{ Prompt, Completion, Cached, CacheWrite, Reasoning int }

// UsageStyle is a habit of OpenAI-like servers in telling usage.
type UsageStyle string

// Usage styles.
const (
	UsageStandard   UsageStyle = ""           // as OpenAI: on request in a last chunk of its own
	UsageNone       UsageStyle = "none"       // never
	UsageXGroq      UsageStyle = "x_groq"     // in x_groq of the last chunk
	UsageInFinish   UsageStyle = "finish"     // in the chunk with finish_reason
	UsageEveryChunk UsageStyle = "cumulative" // in every chunk, growing
	UsageDeepSeek   UsageStyle = "deepseek"   // with prompt_cache_hit_tokens
	UsageInChoice   UsageStyle = "choice"     // inside choices[0]
)

// ThinkStyle is a habit of OpenAI-like servers in telling thinking.
type ThinkStyle string

// Thinking styles.
const (
	ThinkReasoningContent ThinkStyle = ""          // reasoning_content
	ThinkReasoning        ThinkStyle = "reasoning" // reasoning
	ThinkTags             ThinkStyle = "tags"      // <think> in the text, cut at awkward places
)

// Fault is a way in which the transport fails.
type Fault struct {
	Kind FaultKind
	// After is the number of events that still arrive before a mid-stream fault.
	After int
}

// FaultKind names a transport failure.
type FaultKind string

// Faults.
const (
	FaultNone          FaultKind = ""
	FaultReset         FaultKind = "reset"          // the connection is reset before any answer
	FaultStallHeaders  FaultKind = "stall-headers"  // silence before the headers
	FaultStallFirst    FaultKind = "stall-first"    // headers, then silence
	FaultStallMid      FaultKind = "stall-mid"      // silence after After events
	FaultEmpty         FaultKind = "empty"          // 200 and nothing
	FaultError200      FaultKind = "error-200"      // 200 with an error object as body
	FaultErrorEvent    FaultKind = "error-event"    // an error event after After events
	FaultCut           FaultKind = "cut"            // the connection breaks after After events
	FaultEnd           FaultKind = "end"            // the stream ends properly after After events
	FaultHalfEvent     FaultKind = "half-event"     // cut in the middle of the event after After events
	FaultByteChunks    FaultKind = "byte-chunks"    // every byte in a write of its own
	FaultGzip          FaultKind = "gzip"           // a compressed body
	FaultWrongLength   FaultKind = "wrong-length"   // a Content-Length larger than the body
	FaultGarbage       FaultKind = "garbage"        // 200 with bytes that are no JSON
	FaultHTML          FaultKind = "html"           // 200 with a web page
	FaultGarbageEvent  FaultKind = "garbage-event"  // one event that is no JSON, then the rest
	FaultPings         FaultKind = "pings"          // keep-alives between all events
	FaultOnlyPings     FaultKind = "only-pings"     // keep-alives for ever, no event
	FaultJSONForStream FaultKind = "json-for-sse"   // a plain body where a stream was asked for
	FaultStreamForJSON FaultKind = "sse-for-json"   // a stream where a plain body was asked for
	FaultCRLF          FaultKind = "crlf"           // CR LF line ends
	FaultNoFinalBlank  FaultKind = "no-final-blank" // the last event lacks its blank line
)

// RetryStyles lists the hints that [RateLimited] can give.
func RetryStyles() []string {
	return []string{
		"retry-after-ms", "retry-after", "retry-after-date", "x-ratelimit-reset-after", "anthropic-ratelimit-unified-reset",
		"x-ratelimit-reset", "x-ratelimit-reset-ms", "x-ratelimit-reset-requests", "retryDelay", "resets_at", "resets_in_seconds", "text", "none",
	}
}

// RateLimited is a 429 that tells in the given style (one of [RetryStyles]) how long to wait.
func RateLimited(style string, wait time.Duration) Reply {
	r := Reply{Status: http.StatusTooManyRequests, Error: "slow down", Header: http.Header{}}
	secs := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
	until := time.Now().Add(wait)
	switch style {
	case "retry-after-ms":
		r.Header.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	case "retry-after":
		r.Header.Set("Retry-After", secs)
	case "retry-after-date":
		r.Header.Set("Retry-After", until.Add(time.Second).UTC().Format(http.TimeFormat))
	case "x-ratelimit-reset-after":
		r.Header.Set("X-Ratelimit-Reset-After", secs)
	case "anthropic-ratelimit-unified-reset":
		r.Header.Set("Anthropic-Ratelimit-Unified-Status", "rejected")
		r.Header.Set("Anthropic-Ratelimit-Unified-Reset", strconv.FormatInt(until.Unix()+1, 10))
	case "x-ratelimit-reset":
		r.Header.Set("X-Ratelimit-Reset", strconv.FormatInt(until.Unix()+1, 10))
	case "x-ratelimit-reset-ms":
		r.Header.Set("X-Ratelimit-Reset", strconv.FormatInt(until.UnixMilli(), 10))
	case "x-ratelimit-reset-requests":
		r.Header.Set("X-Ratelimit-Reset-Requests", wait.String())
		r.Header.Set("X-Ratelimit-Reset-Tokens", "1ms")
	case "retryDelay":
		r.Body = fmt.Appendf(nil, `{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"%gs"}]}}`, wait.Seconds())
	case "resets_at":
		r.Body = fmt.Appendf(nil, `{"error":{"type":"usage_limit_reached","message":"limit","resets_at":%d}}`, until.Unix()+1)
	case "resets_in_seconds":
		r.Body = fmt.Appendf(nil, `{"error":{"type":"usage_limit_reached","message":"limit","resets_in_seconds":%s}}`, secs)
	case "text":
		r.Error = "Rate limit reached, try again in " + secs + " seconds"
	}
	return r
}

// ToolLoop answers a request without tool results with the calls, and one that
// brings results with the text made of them.
func ToolLoop(thinking []Thought, calls []Call, final func(results []string) string) func(*Request) Reply {
	return func(r *Request) Reply {
		if results := r.ToolResults(); len(results) > 0 {
			return Reply{Text: final(results)}
		}
		return Reply{Thinking: thinking, Calls: calls}
	}
}

func (r Reply) usage() Usage {
	if r.Usage == (Usage{}) {
		return Usage{Prompt: 10, Completion: 5}
	}
	return r.Usage
}

func (r Reply) finish() string {
	switch {
	case r.Finish != "":
		return r.Finish
	case len(r.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

// pieces are the text deltas of a stream.
func (r Reply) pieces() []string {
	if r.Pieces != nil {
		return r.Pieces
	}
	return cutWords(r.Text)
}

// cutWords cuts text behind each blank, so that it stays whole characters.
func cutWords(text string) []string {
	var out []string
	start := 0
	for i, c := range text {
		if c == ' ' {
			out = append(out, text[start:i+1])
			start = i + 1
		}
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// halves cuts the arguments of a call into two deltas.
func halves(args string) []string {
	if args == "" {
		args = "{}"
	}
	n := len(args) / 2
	for n < len(args) && args[n]&0xC0 == 0x80 {
		n++
	}
	return []string{args[:n], args[n:]}
}

func (c Call) args() string {
	if c.Args == "" {
		return "{}"
	}
	return c.Args
}

func (t Thought) signature() string {
	if t.Signature != "" {
		return t.Signature
	}
	return Sign(t.Text)
}
