package hub

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// Error is a failure on its way to the client, in no particular dialect.
type Error struct {
	Status       int    // HTTP status
	Type         string // error type as upstream named it, for records; clients get one by status
	Code         string // OpenAI error code; "" = by status
	NoCode       bool   // the code is known to be null
	Param        string // offending field; "" = null
	Message      string
	RequestID    string // id of the request at upstream, "" = none
	Upstream     bool   // upstream said it, the gateway did not
	Fallback     bool   // another target may serve the request
	RetryAfterMS int64  // 0 = unknown
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code != "" {
		return e.Code + ": " + e.Message
	}
	return e.Message
}

// BadRequest is a 400 for a request that cannot be translated to any target.
func BadRequest(code, param, message string) *Error {
	return &Error{Status: 400, Code: code, Param: param, Message: message}
}

// BadGateway is a 502 for an upstream answer that means failure; another target may
// do better.
func BadGateway(code, message string) *Error {
	return &Error{Status: 502, Code: code, Message: message, Upstream: true, Fallback: true}
}

// names of an HTTP status in the dialects.
type names struct {
	status                                   int
	openaiType, openaiCode, claude, googleRP string
}

func statusNames(status int) names {
	switch status {
	case 400:
		return names{400, "invalid_request_error", "bad_request", "invalid_request_error", "INVALID_ARGUMENT"}
	case 401:
		return names{401, "authentication_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"}
	case 402:
		return names{402, "billing_error", "payment_required", "billing_error", "FAILED_PRECONDITION"}
	case 403:
		return names{403, "permission_error", "permission_denied", "permission_error", "PERMISSION_DENIED"}
	case 404:
		return names{404, "invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"}
	case 413:
		return names{413, "invalid_request_error", "", "request_too_large", "INVALID_ARGUMENT"}
	case 429:
		return names{429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"}
	case 502:
		return names{502, "server_error", "bad_gateway", "api_error", "INTERNAL"}
	case 503, 529:
		return names{503, "server_error", "service_unavailable", "overloaded_error", "UNAVAILABLE"}
	case 504:
		return names{504, "server_error", "gateway_timeout", "timeout_error", "DEADLINE_EXCEEDED"}
	}
	if status >= 400 && status < 500 {
		return names{status, "invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT"}
	}
	return names{status, "server_error", "internal_server_error", "api_error", "INTERNAL"}
}

// OpenAIError returns the OpenAI type and code of an HTTP status; code "" is null.
func OpenAIError(status int) (typ, code string) {
	n := statusNames(status)
	return n.openaiType, n.openaiCode
}

// ClaudeErrorType returns the Claude error type of an HTTP status.
func ClaudeErrorType(status int) string { return statusNames(status).claude }

// GoogleStatus returns the Google status name of an HTTP status.
func GoogleStatus(status int) string { return statusNames(status).googleRP }

// ClientStatus returns the HTTP status a client of the dialect gets.
func ClientStatus(dialect string, status int) int {
	if status == 529 && dialect != "claude" {
		return 503
	}
	return status
}

// StatusByName returns the HTTP status that a Claude type, a Google status, or an
// OpenAI type or code stands for; 0 = none.
func StatusByName(name string) int {
	if name == "" {
		return 0
	}
	for _, s := range [...]int{400, 401, 402, 403, 404, 413, 429, 500, 503, 504} {
		n := statusNames(s)
		if name == n.claude || name == n.googleRP {
			return s
		}
	}
	if name[0] >= 'a' && name[0] <= 'z' {
		switch name {
		case "server_error":
			return 500
		case "server_is_overloaded":
			return 503
		case "rate_limit_exceeded", "insufficient_quota":
			return 429
		case "context_length_exceeded":
			return 400
		}
		name = string(name[0]-'a'+'A') + name[1:]
	}
	switch name {
	case "ThrottlingException":
		return 429
	case "ValidationException":
		return 400
	case "AccessDeniedException":
		return 403
	}
	return 0
}

// ReadError reads an error body of any dialect, or plain text. status is
// the HTTP status, or 0 (or below 400) when it says nothing.
func ReadError(status int, body []byte) *Error {
	e := &Error{Upstream: true}
	fromBody := 0
	body = jsn.Trim(body)
	if len(body) > 0 && jsn.Valid(body) == nil {
		fromBody = e.read(body, 0)
	} else {
		e.Message = clip(string(body), 500)
	}
	switch {
	case status >= 400:
		e.Status = status
	case fromBody != 0:
		e.Status = fromBody
	default:
		e.Status = 502
	}
	if e.Message == "" {
		e.Message = "upstream answered with status " + strconv.Itoa(e.Status)
	}
	e.Fallback = e.Status >= 500 || e.Status == 429
	return e
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// read takes what it understands from v and returns the status v implies.
func (e *Error) read(v []byte, depth int) int {
	if depth > 8 {
		return 0
	}
	switch jsn.KindOf(v) {
	case jsn.Arr:
		if it := jsn.Array(v); it.Next() {
			return e.read(it.Value(), depth+1)
		}
	case jsn.String:
		return e.text(jsn.StrOf(v).String(), depth)
	case jsn.Obj:
		return e.object(v, depth)
	}
	return 0
}

// text takes a message, opening JSON inside it.
func (e *Error) text(s string, depth int) int {
	inner := jsn.Trim([]byte(s))
	if len(inner) > 1 && (inner[0] == '{' || inner[0] == '[') && jsn.Valid(inner) == nil {
		before := e.Message
		e.Message = ""
		status := e.read(inner, depth+1)
		if e.Message != "" {
			return status
		}
		e.Message = before
	}
	e.Message = clip(s, 4000)
	return 0
}

func (e *Error) object(v []byte, depth int) int {
	var typ, google string
	var code, message, inner, detail, details []byte
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch string(it.Key()) {
		case "error", "response":
			if len(inner) == 0 && !jsn.IsNull(val) {
				inner = val
			}
		case "message", "Message":
			message = val
		case "detail":
			detail = val
		case "msg":
			if message == nil {
				message = val
			}
		case "type", "__type":
			typ = jsn.StrOf(val).String()
		case "status":
			google = jsn.StrOf(val).String()
		case "code":
			code = val
		case "param":
			if s := jsn.StrOf(val); len(s) > 0 {
				e.Param = s.String()
			}
		case "details":
			details = val
		case "request_id":
			e.RequestID = jsn.StrOf(val).String()
		}
	}
	own := e.classify(typ, google, code)
	if ms := retryInfo(details); ms > 0 {
		e.RetryAfterMS = ms
	}
	nested := 0
	for _, m := range [...][]byte{inner, message, detail} {
		if jsn.IsNull(m) || e.Message != "" {
			continue
		}
		nested = e.read(m, depth+1)
	}
	if nested != 0 {
		return nested
	}
	return own
}

// classify records type and code and returns the status they imply.
func (e *Error) classify(typ, google string, code []byte) int {
	if typ != "" && typ != "error" && !strings.HasPrefix(typ, "response.") {
		e.Type = typ
	}
	codeName := ""
	switch jsn.KindOf(code) {
	case jsn.String:
		codeName = jsn.StrOf(code).String()
		e.Code = codeName
	case jsn.Null:
		e.NoCode = e.Code == ""
	}
	if n, ok := jsn.Int(code); ok && n >= 400 && n <= 599 {
		return int(n)
	}
	if n, err := strconv.Atoi(codeName); err == nil && n >= 400 && n <= 599 {
		e.Code = ""
		return n
	}
	for _, name := range [...]string{google, typ, codeName} {
		if s := StatusByName(name); s != 0 {
			return s
		}
	}
	return 0
}

// retryInfo reads google.rpc.RetryInfo, in milliseconds.
func retryInfo(details []byte) int64 {
	for it := jsn.Array(details); it.Next(); {
		d := jsn.StrOf(jsn.Get(it.Value(), "retryDelay")).String()
		if !strings.HasSuffix(d, "s") {
			continue
		}
		if f, err := strconv.ParseFloat(d[:len(d)-1], 64); err == nil && f > 0 && f < 1e9 {
			return int64(f*1000 + 0.5)
		}
	}
	return 0
}

// RetryAfter returns the value of a Retry-After header: whole seconds, rounded up
// "" if unknown.
func (e *Error) RetryAfter() string {
	if e.RetryAfterMS <= 0 {
		return ""
	}
	return strconv.FormatInt((e.RetryAfterMS+999)/1000, 10)
}

// AppendOpenAIError appends the error body that OpenAI formats share.
func AppendOpenAIError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"error":`...)
	dst = AppendOpenAIErrorObject(dst, e)
	return append(dst, '}')
}

// AppendOpenAIErrorObject appends the inner object of an OpenAI error body.
func AppendOpenAIErrorObject(dst []byte, e *Error) []byte {
	typ, code := OpenAIError(e.Status)
	if e.Code != "" || e.NoCode {
		code = e.Code
	}
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "message", e.Message)
	dst = jsn.AppendStringMember(dst, "type", typ)
	dst = appendOrNull(jsn.AppendKey(dst, "param"), e.Param)
	dst = appendOrNull(jsn.AppendKey(dst, "code"), code)
	return append(dst, '}')
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return jsn.AppendString(dst, s)
}
