package execute

import (
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/policy"
)

// learn lets the rules draw conclusions from the rate-limit fields of a
// response head, and notes how much quota the account has left.
func (a *attempt) learn() {
	a.quota()
	now := a.l.s.Now()
	if t := tokenWindow(a.resp.Get, now); t != nil {
		a.l.s.Health.Limits.Learn(a.limiter(), health.Learned{Gap: -1, Reservoir: -1, Tokens: t})
	}
	hdr, any := rateHeaders(a.resp.Status, a.resp.Get, now)
	if !any {
		return
	}
	env := policy.LearnEnv{AccountEnv: a.c.Env.AccountEnv, Hdr: hdr}
	v := a.c.Snapshot.Policy.Learn(&env, a.c.Trace)
	if !v.Hit {
		return
	}
	learned := health.Learned{Gap: -1, Reservoir: v.Reservoir, Open: v.Open}
	if v.GapMS >= 0 {
		learned.Gap = millis(v.GapMS)
	}
	if v.Refill > 0 {
		learned.Refill = v.Refill
	}
	learned.Every = millis(max(v.EveryMS, 0))
	a.l.s.Health.Limits.Learn(a.limiter(), learned)
}

// rateHeaders reads the rate-limit fields in the spellings of OpenAI and
// Anthropic. any is false when they tell nothing.
func rateHeaders(status int, get func(string) string, now time.Time) (h *policy.RateHeaders, any bool) {
	h = policy.NewRateHeaders(status)
	number := func(to *int, names ...string) {
		for _, n := range names {
			if v, err := strconv.Atoi(strings.TrimSpace(get(n))); err == nil && v >= 0 {
				*to, any = v, true
				return
			}
		}
	}
	distance := func(to *int, names ...string) {
		for _, n := range names {
			if s := get(n); s != "" {
				if d, ok := fault.ParseDuration(s, now); ok {
					*to, any = int(max(d, 0).Milliseconds()), true
					return
				}
			}
		}
	}
	number(&h.Limit, "x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit")
	number(&h.Remaining, "x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
	distance(&h.ResetMS, "x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset")
	number(&h.LimitTokens, "x-ratelimit-limit-tokens", "anthropic-ratelimit-input-tokens-limit")
	number(&h.RemainingTokens, "x-ratelimit-remaining-tokens", "anthropic-ratelimit-input-tokens-remaining")
	if wait := fault.RetryAfter(get, nil, now); wait >= 0 {
		h.RetryMS, any = int(wait.Milliseconds()), true
	}
	if over := get("x-ratelimit-over-limit"); over != "" {
		h.OverLimit, any = strings.ToLower(over), true
	}
	return h, any || status == 429
}

// tokenWindow reads how many tokens are left and when all of them are back; nil
// when the fields tell nothing of use. Of several counts the scarcest holds.
func tokenWindow(get func(string) string, now time.Time) *health.TokenWindow {
	var out *health.TokenWindow
	for _, n := range [...][3]string{
		{"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
		{"anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"},
		{"anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"},
	} {
		limit, err1 := strconv.ParseInt(strings.TrimSpace(get(n[0])), 10, 64)
		left, err2 := strconv.ParseInt(strings.TrimSpace(get(n[1])), 10, 64)
		if err1 != nil || err2 != nil || limit <= 0 || left < 0 {
			continue
		}
		t := &health.TokenWindow{Limit: limit, Remaining: left}
		if s := get(n[2]); s != "" {
			if d, ok := fault.ParseDuration(s, now); ok {
				t.Reset = max(d, 0)
			}
		}
		if out == nil || t.Remaining*out.Limit < out.Remaining*t.Limit {
			out = t
		}
	}
	return out
}

// quota reads the utilisation that subscriptions report in their responses.
func (a *attempt) quota() {
	if windows := quotaWindows(a.resp.Get, a.l.s.Now()); len(windows) > 0 {
		a.l.s.Pool.NoteQuota(a.lease.Account().ID, windows)
	}
}

// quotaWindows are the windows of subscriptions: of Anthropic as shares of one, of
// Codex in percent, under the names by which the providers' own reports call them.
func quotaWindows(get func(string) string, now time.Time) map[string]account.Window {
	var out map[string]account.Window
	note := func(name string, percent float64, reset time.Time) {
		if out == nil {
			out = map[string]account.Window{}
		}
		used := min(max(percent, 0), 100)
		out[name] = account.Window{Used: used, Total: 100, Left: 100 - used, ResetAt: reset}
	}
	for _, name := range [...]string{"5h", "7d"} {
		share, err := strconv.ParseFloat(get("anthropic-ratelimit-unified-"+name+"-utilization"), 64)
		if err != nil {
			continue
		}
		var reset time.Time
		if epoch, err := strconv.ParseInt(get("anthropic-ratelimit-unified-"+name+"-reset"), 10, 64); err == nil {
			reset = time.Unix(epoch, 0)
		}
		note(name, 100*share, reset)
	}
	for _, w := range [...][2]string{{"primary", "session"}, {"secondary", "weekly"}} {
		percent, err := strconv.ParseFloat(get("x-codex-"+w[0]+"-used-percent"), 64)
		if err != nil {
			continue
		}
		var reset time.Time
		if epoch, err := strconv.ParseInt(get("x-codex-"+w[0]+"-reset-at"), 10, 64); err == nil {
			reset = time.Unix(epoch, 0)
		} else if after, err := strconv.ParseInt(get("x-codex-"+w[0]+"-reset-after-seconds"), 10, 64); err == nil {
			reset = now.Add(time.Duration(after) * time.Second)
		}
		note(w[1], percent, reset)
	}
	return out
}
