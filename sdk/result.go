package sdk

import (
	"github.com/omniroute/omniroute/sdk/abi"
)

// Result is an upstream answer to be judged.
type Result struct {
	URL     string // that answered
	Status  int
	Headers []abi.Header
	Body    []byte // first 64 KiB; nil for a good stream
	Stream  bool   // the answer is a stream
}

// JSON follows a dotted path in the body.
func (r *Result) JSON(path string) JSON { return JSON(r.Body).Get(path) }

// Header returns an answer header. Case does not matter.
func (r *Result) Header(name string) string { return header(r.Headers, name) }

// Scope says how far a failure reaches.
type Scope string

// Scopes.
const (
	ThisRequest  Scope = "request"
	Credential   Scope = "credential"
	ThisModel    Scope = "model"
	ThisProvider Scope = "provider"
)

const (
	classRate       = "rate"
	classAuth       = "auth"
	classOverloaded = "overloaded"
)

// Verdict is the judgement of an answer. A class or scope that an error record
// leaves empty is filled in by the gateway from status and text.
type Verdict struct {
	Kind    abi.VerdictKind
	Err     *abi.ErrorRecord
	AfterMS int64
	// State, with a retry, comes back as [Ctx.State] in the next round.
	State []byte
}

// Good takes the answer.
func Good(r *Result) Verdict {
	if r.Stream {
		return Verdict{Kind: abi.VerdictStream}
	}
	return Verdict{Kind: abi.VerdictBody}
}

// Default judges by HTTP status and by the error body in any known shape.
func Default(r *Result) Verdict {
	if r.Status < 400 {
		return Good(r)
	}
	return Fail(ErrorOf(r))
}

// Fail ends the attempt with an error; the gateway's policies decide what
// follows.
func Fail(e *abi.ErrorRecord) Verdict { return Verdict{Kind: abi.VerdictError, Err: e} }

// Cooldown ends the attempt and keeps the scope from being used for a while.
func Cooldown(scope Scope, ms int64) Verdict {
	return Verdict{Kind: abi.VerdictFallback, Err: &abi.ErrorRecord{
		Message: "cooling down", Class: classRate, Scope: string(scope), Status: 429,
		Retryable: true, CooldownMS: ms, RetryAfterMS: ms,
	}}
}

// Retry sends the request again after a wait.
func Retry(r *Result, afterMS int64) Verdict {
	return Verdict{Kind: abi.VerdictRetry, Err: ErrorOf(r), AfterMS: afterMS}
}

// RefreshCredential refreshes the credential and sends the request again.
func RefreshCredential(r *Result) Verdict {
	e := ErrorOf(r)
	e.Class, e.Scope = classAuth, string(Credential)
	return Verdict{Kind: abi.VerdictRefresh, Err: e}
}

// Fallback goes on to another account or target.
func Fallback(e *abi.ErrorRecord) Verdict { return Verdict{Kind: abi.VerdictFallback, Err: e} }

// ErrorOf reads an error body: {"error":{message,type,code,param}},
// {"error":"text"}, {"type":"error","error":{…}}, {"message":…},
// [{"error":{…}}] and plain text.
func ErrorOf(r *Result) *abi.ErrorRecord {
	e := &abi.ErrorRecord{Status: r.Status, Upstream: true}
	root := JSON(r.Body).Get("")
	if len(root) > 0 && root[0] == '[' {
		root.Each(func(v JSON) {
			if e.Message == "" {
				readError(e, v)
			}
		})
	} else {
		readError(e, root)
	}
	if e.Message == "" {
		e.Message = plainText(r.Body)
	}
	if ms, ok := RetryAfterMS(r); ok {
		e.RetryAfterMS = ms
	}
	classify(e)
	return e
}

func readError(e *abi.ErrorRecord, root JSON) {
	obj := root.Get("error")
	switch {
	case len(obj) == 0:
		obj = root
	case obj[0] == '"':
		e.Message = obj.Text()
		e.Code = root.Get("code").Text()
		return
	}
	e.Message = obj.Get("message").Text()
	if e.Message == "" {
		for _, name := range []string{"detail", "error_description", "errorMessage"} {
			if e.Message = obj.Get(name).Text(); e.Message != "" {
				break
			}
		}
	}
	e.Type = obj.Get("type").Text()
	e.Code = obj.Get("code").Text()
	if e.Code == "" || obj.Get("status").Exists() && isDigits(e.Code) {
		if s := obj.Get("status").Text(); s != "" && !isDigits(s) {
			e.Code = s
		}
	}
	e.Param = obj.Get("param").Text()
}

// classify sets class and scope where the provider's own words say more than
// the status does.
func classify(e *abi.ErrorRecord) {
	for _, word := range []string{e.Type, e.Code} {
		switch word {
		case "insufficient_quota", "billing_error", "billing_hard_limit_reached":
			e.Class, e.Scope = "quota", string(Credential)
		case "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED":
			e.Class, e.Scope, e.Retryable = classRate, string(Credential), true
		case "overloaded_error", "UNAVAILABLE", "engine_overloaded":
			e.Class, e.Scope, e.Retryable = classOverloaded, string(ThisModel), true
		case "invalid_api_key", "authentication_error", "API_KEY_INVALID", "UNAUTHENTICATED", "token_expired":
			e.Class, e.Scope = classAuth, string(Credential)
		case "model_not_found":
			e.Class, e.Scope = "not_found", string(ThisModel)
		case "content_filter", "content_policy_violation":
			e.Class, e.Scope = "content_filter", string(ThisRequest)
		default:
			continue
		}
		return
	}
}

// RetryAfterMS reads how long the provider asks to wait: retry-after-ms,
// retry-after in seconds. Dates and provider-specific forms are left to the
// gateway.
func RetryAfterMS(r *Result) (int64, bool) {
	if ms, ok := decimal(r.Header("retry-after-ms"), 1); ok {
		return ms, true
	}
	return decimal(r.Header("retry-after"), 1000)
}

// decimal reads a non-negative number with an optional fraction, times scale.
func decimal(s string, scale int64) (int64, bool) {
	if s == "" || len(s) > 12 {
		return 0, false
	}
	var whole, frac, div int64 = 0, 0, 1
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		whole = whole*10 + int64(s[i]-'0')
	}
	if i == 0 {
		return 0, false
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			if div < 1_000_000 {
				frac, div = frac*10+int64(s[i]-'0'), div*10
			}
		}
	}
	if i != len(s) {
		return 0, false
	}
	return whole*scale + frac*scale/div, true
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// plainText returns a short error text; HTML pages say nothing useful.
func plainText(b []byte) string {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\r' || b[0] == '\t') {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == '<' || b[0] == '{' || b[0] == '[' {
		return ""
	}
	const limit = 512
	if len(b) > limit {
		b = b[:limit]
		for len(b) > 0 && b[len(b)-1]&0xC0 == 0x80 {
			b = b[:len(b)-1]
		}
		if len(b) > 0 && b[len(b)-1] >= 0xC0 {
			b = b[:len(b)-1]
		}
	}
	return string(b)
}
