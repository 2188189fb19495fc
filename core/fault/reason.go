package fault

import "strings"

// Reason is the word by which policies know why an upstream failed.
type Reason string

// The reasons.
const (
	ReasonRateLimit       Reason = "rate_limit_exceeded"
	ReasonQuota           Reason = "quota_exhausted"
	ReasonCapacity        Reason = "model_capacity"
	ReasonAuth            Reason = "auth_error"
	ReasonServer          Reason = "server_error"
	ReasonUnknown         Reason = "unknown"
	ReasonBanned          Reason = "banned"
	ReasonCredits         Reason = "credits_exhausted"
	ReasonContextOverflow Reason = "context_overflow"
	ReasonContentPolicy   Reason = "content_policy"
	ReasonMalformed       Reason = "malformed"
	ReasonUnsupported     Reason = "unsupported"
	ReasonTimeout         Reason = "timeout"
	ReasonNetwork         Reason = "network"
	ReasonEmptyOutput     Reason = "empty_output"
	ReasonAborted         Reason = "aborted"
)

// signal is one line of the text classifier: any of the words, seen in an
// answer with the given status (0 = any), means the reason.
type signal struct {
	status int
	reason Reason
	words  []string
}

// signals is ordered: what is final for an account comes before what passes,
// and the particular before the general. All words are lower case.
var signals = []signal{
	{0, ReasonBanned, []string{
		"account_deactivated", "account has been deactivated", "account has been disabled",
		"your account has been suspended", "this account is deactivated",
		"verify your account to continue", "this service has been disabled in this account",
	}},
	{0, ReasonCredits, []string{
		"insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota",
		"credit_balance_too_low", "your credit balance is too low", "credits exhausted",
		"out of credits", "payment required",
	}},
	{0, ReasonQuota, []string{"specified api usage limits", "regain access on"}},
	{400, ReasonContextOverflow, []string{
		"input is too long", "prompt is too long", "too many tokens", "context window",
		"maximum context", "context_length_exceeded", "token limit", "request too large",
	}},
	{400, ReasonContentPolicy, []string{"content_policy", "content policy", "content_filter", "content management policy"}},
	{400, ReasonMalformed, []string{"improperly formed request", "messages must alternate", "empty message", "empty content"}},
	{0, ReasonQuota, []string{"quota exceeded", "quota depleted", "billing"}},
	{0, ReasonRateLimit, []string{"rate limit", "too many requests", "rate_limit"}},
	{0, ReasonCapacity, []string{"capacity", "overloaded", "resource exhausted"}},
	{0, ReasonAuth, []string{
		"invalid authentication credentials", "login cookie", "invalid credentials",
		"unauthorized", "invalid api key", "authentication",
	}},
	{0, ReasonServer, []string{"server error", "internal error"}},
}

// maxReasonText bounds how much of an error text the classifier reads.
const maxReasonText = 8 << 10

// ReasonOf classifies an upstream failure by its status (0 = none) and error
// text. Text beats status.
func ReasonOf(status int, text string) Reason {
	if text != "" {
		if len(text) > maxReasonText {
			text = text[:maxReasonText]
		}
		text = strings.ToLower(text)
		for _, s := range signals {
			if s.status != 0 && s.status != status {
				continue
			}
			for _, w := range s.words {
				if strings.Contains(text, w) {
					return s.reason
				}
			}
		}
		if status == 400 && invalidMessageFormat(text) {
			return ReasonMalformed
		}
	}
	switch {
	case status == 401 || status == 403:
		return ReasonAuth
	case status == 402:
		return ReasonQuota
	case status == 429:
		return ReasonRateLimit
	case status == 503 || status == 529:
		return ReasonCapacity
	case status >= 500:
		return ReasonServer
	default:
		return ReasonUnknown
	}
}

// invalidMessageFormat finds "invalid … message … format" in lower-case text.
func invalidMessageFormat(text string) bool {
	for _, w := range []string{"invalid", "message", "format"} {
		i := strings.Index(text, w)
		if i < 0 {
			return false
		}
		text = text[i+len(w):]
	}
	return true
}

// blame derives class and scope of an upstream failure.
func blame(status int, reason Reason) (Class, Scope) {
	switch reason {
	case ReasonBanned:
		return ClassAuth, ScopeCredential
	case ReasonCredits, ReasonQuota:
		return ClassQuota, ScopeCredential
	case ReasonRateLimit:
		return ClassRate, ScopeCredential
	case ReasonCapacity:
		return ClassOverloaded, ScopeModel
	case ReasonContextOverflow, ReasonMalformed, ReasonUnsupported:
		return ClassClient, ScopeRequest
	case ReasonContentPolicy:
		return ClassContentFilter, ScopeRequest
	case ReasonTimeout:
		return ClassTimeout, ScopeProvider
	case ReasonNetwork:
		return ClassTransport, ScopeProvider
	case ReasonAborted:
		return ClassClient, ScopeRequest
	case ReasonAuth:
		if status == 403 {
			return ClassAuth, ScopeModel
		}
		return ClassAuth, ScopeCredential
	}
	switch {
	case status == 404:
		return ClassNotFound, ScopeModel
	case status == 408 || status == 504:
		return ClassTimeout, ScopeProvider
	case status >= 400 && status < 500:
		return ClassClient, ScopeRequest
	default:
		return ClassUpstream, ScopeProvider
	}
}

// retryable tells a client whether the same request may succeed later.
func retryable(status int, reason Reason) bool {
	switch reason {
	case ReasonBanned, ReasonCredits, ReasonContextOverflow, ReasonContentPolicy,
		ReasonMalformed, ReasonUnsupported, ReasonAborted:
		return false
	case ReasonRateLimit, ReasonCapacity, ReasonTimeout, ReasonNetwork:
		return true
	}
	return status == 408 || status == 409 || status == 429 || status >= 500 || status == 0
}
