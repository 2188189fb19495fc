package render

import (
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
)

// words are the names that the dialects give to one HTTP status.
type words struct {
	openaiType, openaiCode string // an empty code is written as null
	claude, gemini         string
}

// wordsFor returns the names for a status.
func wordsFor(status int) words {
	switch status {
	case 400:
		return words{"invalid_request_error", "bad_request", "invalid_request_error", "INVALID_ARGUMENT"}
	case 401:
		return words{"authentication_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"}
	case 402:
		return words{"billing_error", "payment_required", "billing_error", "FAILED_PRECONDITION"}
	case 403:
		return words{"permission_error", "permission_denied", "permission_error", "PERMISSION_DENIED"}
	case 404:
		return words{"invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"}
	case 413:
		return words{"invalid_request_error", "", "request_too_large", "INVALID_ARGUMENT"}
	case 429:
		return words{"rate_limit_error", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"}
	case 502:
		return words{"server_error", "bad_gateway", "api_error", "INTERNAL"}
	case 503, 529:
		return words{"server_error", "service_unavailable", "overloaded_error", "UNAVAILABLE"}
	case 504:
		return words{"server_error", "gateway_timeout", "timeout_error", "DEADLINE_EXCEEDED"}
	}
	if status >= 500 {
		return words{"server_error", "internal_server_error", "api_error", "INTERNAL"}
	}
	return words{"invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT"}
}

// Status returns the HTTP status with which a client of the dialect learns of
// e. 529 is Anthropic's own and becomes 503 elsewhere.
func Status(dialect string, e *fault.Error) int {
	switch s := e.Status; {
	case s == 529 && dialect != "claude":
		return 503
	case s < 400 || s > 599:
		return 502
	default:
		return s
	}
}

// AppendError appends the body of a plain error in the client's dialect: its
// own shape, with the gateway's catalogue code and the request id beside it.
func AppendError(dst []byte, dialect string, e *fault.Error, requestID string) []byte {
	w := wordsFor(Status(dialect, e))
	switch dialect {
	case "claude":
		dst = append(dst, `{"type":"error","error":{"type":"`...)
		dst = append(dst, w.claude...)
		dst = append(dst, `","message":`...)
		dst = doc.Quote(dst, e.Message)
		dst = appendOwn(dst, e, "")
		dst = append(dst, `},"request_id":`...)
		dst = doc.Quote(dst, requestID)
		return append(dst, '}')
	case "gemini":
		dst = append(dst, `{"error":{"code":`...)
		dst = strconv.AppendInt(dst, int64(Status(dialect, e)), 10)
		dst = append(dst, `,"message":`...)
		dst = doc.Quote(dst, e.Message)
		dst = append(dst, `,"status":"`...)
		dst = append(dst, w.gemini...)
		dst = append(dst, '"')
	default:
		dst = append(dst, `{"error":{"message":`...)
		dst = doc.Quote(dst, e.Message)
		dst = append(dst, `,"type":"`...)
		dst = append(dst, w.openaiType...)
		dst = append(dst, `","param":`...)
		dst = appendOrNull(dst, openaiParam(e))
		dst = append(dst, `,"code":`...)
		dst = appendOrNull(dst, openaiCode(e, w))
	}
	dst = appendOwn(dst, e, requestID)
	return append(dst, "}}"...)
}

// openaiCode prefers what an upstream of that dialect said, then the words that
// clients test for, then the table.
func openaiCode(e *fault.Error, w words) string {
	switch {
	case e.ProviderCode != "" && speaksOpenAI(e):
		return e.ProviderCode
	case e.Code == fault.ContextTooLong || e.Reason == fault.ReasonContextOverflow:
		return "context_length_exceeded"
	case e.Reason == fault.ReasonEmptyOutput:
		return "empty_response"
	default:
		return w.openaiCode
	}
}

// openaiParam is the request field that an OpenAI client is told of.
func openaiParam(e *fault.Error) string {
	if speaksOpenAI(e) {
		return e.Param
	}
	return ""
}

// speaksOpenAI reports whether the words of e are those of an OpenAI format, or
// the gateway's own: only these mean something to OpenAI clients.
func speaksOpenAI(e *fault.Error) bool {
	switch e.Dialect {
	case "", "openai", "openai-responses":
		return true
	}
	return false
}

// appendOwn adds the gateway's own members to an open error object.
func appendOwn(dst []byte, e *fault.Error, requestID string) []byte {
	dst = append(dst, `,"omniroute_code":"`...)
	dst = append(dst, e.Code...)
	dst = append(dst, '"')
	if e.Provider != "" {
		dst = append(dst, `,"provider":`...)
		dst = doc.Quote(dst, e.Provider)
	}
	if requestID != "" {
		dst = append(dst, `,"request_id":`...)
		dst = doc.Quote(dst, requestID)
	}
	return dst
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return doc.Quote(dst, s)
}
