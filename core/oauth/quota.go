package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/fault"
)

// ErrNoQuota says that a provider tells no quotas, or that nobody knows how.
var ErrNoQuota = errors.New("oauth: the provider tells no quotas")

// Report is what a provider says an account may still use, in one form for all:
// either Quotas or Message is set.
type Report struct {
	Plan         string           `json:"plan,omitempty"`
	LimitReached bool             `json:"limitReached,omitempty"`
	Quotas       map[string]Quota `json:"quotas,omitempty"`
	Message      string           `json:"message,omitempty"`
}

// Quota is one allowance: a time span, a resource, or a model.
type Quota struct {
	Used      float64 `json:"used"`
	Total     float64 `json:"total"`
	Remaining float64 `json:"remaining"`
	// Percent is what is left, 0 to 100.
	Percent   float64   `json:"remainingPercentage"`
	ResetAt   time.Time `json:"resetAt,omitzero"` // zero = unknown
	Unlimited bool      `json:"unlimited"`
	Display   string    `json:"displayName,omitempty"`
}

// ReadReport reads the form of a [Report] as plugins write it: times as numbers or
// dates, members left out.
func ReadReport(report []byte) (Report, error) {
	var r struct {
		Plan         string `json:"plan"`
		LimitReached bool   `json:"limitReached"`
		Message      string `json:"message"`
		Quotas       map[string]struct {
			Used      float64         `json:"used"`
			Total     float64         `json:"total"`
			Remaining *float64        `json:"remaining"`
			Percent   *float64        `json:"remainingPercentage"`
			ResetAt   json.RawMessage `json:"resetAt"`
			Unlimited bool            `json:"unlimited"`
			Display   string          `json:"displayName"`
		} `json:"quotas"`
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return Report{}, fault.Wrap(fault.PluginTrap, err, "The plugin's quota report cannot be read")
	}
	out := Report{Plan: r.Plan, LimitReached: r.LimitReached, Message: r.Message, Quotas: map[string]Quota{}}
	for name, v := range r.Quotas {
		q := Quota{Used: v.Used, Total: v.Total, Unlimited: v.Unlimited, Display: v.Display, Remaining: v.Total - v.Used}
		if v.Remaining != nil {
			q.Remaining = *v.Remaining
		}
		switch {
		case v.Percent != nil:
			q.Percent = *v.Percent
		case v.Total > 0:
			q.Percent = 100 * q.Remaining / v.Total
		default:
			q.Unlimited = true // nothing is said of how much there is
		}
		q.Percent = min(max(q.Percent, 0), 100)
		moment := string(v.ResetAt)
		_ = json.Unmarshal(v.ResetAt, &moment) // a number stays as it is
		q.ResetAt, _ = Instant(moment)
		out.Quotas[name] = q
	}
	return out, nil
}

// Holder is the account whose quota is asked for.
type Holder struct {
	Provider string
	Credential
	// URL replaces the provider's address; "" = the known one.
	URL string
	// Models are those that the catalogue lists of the provider.
	Models []string
}

// quotaReaders by provider; nil for one that tells nothing but a message.
func quotaReader(provider string) (read func(context.Context, *asker) (Report, error), url string) {
	switch provider {
	case "antigravity":
		return antigravityQuota, "https://cloudcode-pa.googleapis.com/v1internal"
	case "gemini-cli":
		return geminiQuota, "https://cloudcode-pa.googleapis.com/v1internal"
	case "codex":
		return codexQuota, "https://chatgpt.com/backend-api/wham/usage"
	case "github":
		return githubQuota, "https://api.github.com/copilot_internal/user"
	case "kiro":
		return kiroQuota, "https://codewhisperer.us-east-1.amazonaws.com/"
	case "claude":
		return claudeQuota, "https://api.anthropic.com/api/oauth/usage"
	case "qwen", "iflow":
		return func(context.Context, *asker) (Report, error) {
			return Report{Message: "The provider tells no quota; use is counted per request."}, nil
		}, ""
	}
	return nil, ""
}

// TellsQuota reports whether there is a way to ask a provider for quotas.
func TellsQuota(provider string) bool { read, _ := quotaReader(provider); return read != nil }

// FetchQuota asks a provider what an account has left. ErrNoQuota if it tells
// none; a *fault.Error with the provider's status if it refuses.
func FetchQuota(ctx context.Context, h Holder, send Sender) (Report, error) {
	read, url := quotaReader(h.Provider)
	if read == nil {
		return Report{}, ErrNoQuota
	}
	if h.URL != "" {
		url = strings.TrimRight(h.URL, "/")
		if h.Provider == "kiro" {
			url += "/"
		}
	}
	a := &asker{Holder: h, url: url, client: client{send: send, now: time.Now}}
	a.hide(h.Access, h.Refresh, h.ID, h.APIKey)
	for _, v := range h.Extra {
		a.hide(v)
	}
	return read(ctx, a)
}

// asker asks for one quota.
type asker struct {
	Holder
	client
	url string
}

// answer is the body of a good response; anything else is an error.
func (a *asker) answer(r *Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if r.Status == http.StatusOK && json.Valid(r.Body) {
		return r.Body, nil
	}
	message := "The provider does not tell the quota"
	if r.Status != http.StatusOK {
		var e *Error
		if errors.As(a.refusal(r), &e) && e.Error() != "" {
			message += ": " + e.Error()
		}
	} else {
		message += ": its answer is no JSON"
	}
	status := r.Status
	if status < 400 {
		status = http.StatusBadGateway
	}
	f := fault.Upstream(status, message)
	f.RetryAfter = fault.RetryAfter(r.Get, r.Body, a.now())
	return nil, f
}

// share is a quota of which a percentage is used.
func share(used float64, reset time.Time, display string) Quota {
	used = min(max(used, 0), 100)
	return Quota{Used: used, Total: 100, Remaining: 100 - used, Percent: 100 - used, ResetAt: reset, Display: display}
}

// counted is a quota of things.
func counted(used, total float64, reset time.Time) Quota {
	left := max(total-used, 0)
	q := Quota{Used: used, Total: total, Remaining: left, ResetAt: reset}
	if total > 0 {
		q.Percent = min(100*left/total, 100)
	}
	return q
}

// listed reports a model of the catalogue.
func (h *Holder) listed(model string) bool { return slices.Contains(h.Models, model) }
