package oauth

import (
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
)

// codexQuota reads the windows of a ChatGPT subscription.
func codexQuota(ctx context.Context, a *asker) (Report, error) {
	var more []pair
	if id := a.Data["chatgptAccountId"]; id != "" {
		more = append(more, pair{"Chatgpt-Account-Id", id})
	}
	body, err := a.answer(a.get(ctx, a.url, a.Access, more...))
	if err != nil {
		return Report{}, err
	}
	r := Report{Plan: text(body, "plan_type"), Quotas: map[string]Quota{}}
	r.LimitReached, _ = doc.Bool(body, "rate_limit", "limit_reached")
	for _, w := range [...]struct{ name, member, display string }{{"session", "primary_window", "Session"}, {"weekly", "secondary_window", "Weekly"}} {
		window, ok := doc.Get(body, "rate_limit", w.member)
		used, known := doc.Float(window, "used_percent")
		if !ok || !known {
			continue
		}
		reset, ok := Instant(text(window, "reset_at"))
		if after := secondsOf(text(window, "reset_after_seconds")); !ok && after > 0 {
			reset = a.now().Add(after)
		}
		r.Quotas[w.name] = share(used, reset, w.display)
	}
	return told(r), nil
}

// told gives a report without numbers the words for it.
func told(r Report) Report {
	if len(r.Quotas) == 0 && r.Message == "" {
		r.Message = "The provider tells no quota of this account."
	}
	return r
}

// claudeQuota reads the windows of a Claude subscription.
func claudeQuota(ctx context.Context, a *asker) (Report, error) {
	body, err := a.answer(a.get(ctx, a.url, a.Access, pair{"anthropic-beta", "oauth-2025-04-20"}))
	if err != nil {
		return Report{}, err
	}
	r := Report{Quotas: map[string]Quota{}}
	for _, w := range [...]struct{ name, display string }{
		{"five_hour", "Session (5h)"}, {"seven_day", "Weekly"}, {"seven_day_opus", "Weekly (Opus)"}, {"seven_day_sonnet", "Weekly (Sonnet)"},
	} {
		used, ok := doc.Float(body, w.name, "utilization")
		if !ok {
			continue
		}
		reset, _ := Instant(text(body, w.name, "resets_at"))
		r.Quotas[w.name] = share(used, reset, w.display)
		r.LimitReached = r.LimitReached || used >= 100
	}
	return told(r), nil
}

// githubQuota reads the counters of a Copilot subscription, paid or free.
func githubQuota(ctx context.Context, a *asker) (Report, error) {
	body, err := a.answer(a.get(ctx, a.url, "", pair{"Authorization", "token " + a.Access}, pair{"X-GitHub-Api-Version", "2022-11-28"},
		pair{"User-Agent", "GitHubCopilotChat/0.26.7"}, pair{"Editor-Version", "vscode/1.100.0"}, pair{"Editor-Plugin-Version", "copilot-chat/0.26.7"}))
	if err != nil {
		return Report{}, err
	}
	r := Report{Plan: text(body, "copilot_plan"), Quotas: map[string]Quota{}}
	if _, paid := doc.Get(body, "quota_snapshots"); paid {
		reset, _ := Instant(text(body, "quota_reset_date"))
		for _, name := range [...]string{"chat", "completions", "premium_interactions"} {
			total, known := doc.Float(body, "quota_snapshots", name, "entitlement")
			left, _ := doc.Float(body, "quota_snapshots", name, "remaining")
			if free, _ := doc.Bool(body, "quota_snapshots", name, "unlimited"); free || !known {
				r.Quotas[name] = Quota{Unlimited: true, Percent: 100, ResetAt: reset}
				continue
			}
			q := counted(total-left, total, reset)
			if percent, ok := doc.Float(body, "quota_snapshots", name, "percent_remaining"); ok && total > 0 {
				q.Percent = min(max(percent, 0), 100)
			}
			r.Quotas[name] = q
		}
		return told(r), nil
	}
	if r.Plan == "" {
		r.Plan = text(body, "access_type_sku")
	}
	reset, _ := Instant(text(body, "limited_user_reset_date"))
	for _, name := range [...]string{"chat", "completions"} {
		total, known := doc.Float(body, "monthly_quotas", name)
		left, ok := doc.Float(body, "limited_user_quotas", name)
		if known && ok { // what is left, though its name does not say so
			r.Quotas[name] = counted(total-left, total, reset)
		}
	}
	return told(r), nil
}

// kiroQuota reads the counters of a Kiro subscription.
func kiroQuota(ctx context.Context, a *asker) (Report, error) {
	arn := a.Data["profileArn"]
	if arn == "" {
		return Report{Message: "The account has no profile, without which the provider tells no quota."}, nil
	}
	body, err := a.answer(a.postJSON(ctx, a.url, map[string]string{"origin": "AI_EDITOR", "profileArn": arn, "resourceType": "AGENTIC_REQUEST"},
		pair{"Authorization", "Bearer " + a.Access}, pair{"Content-Type", "application/x-amz-json-1.0"},
		pair{"X-Amz-Target", "AmazonCodeWhispererService.GetUsageLimits"}))
	if err != nil {
		return Report{}, err
	}
	r := Report{Plan: text(body, "subscriptionInfo", "subscriptionTitle"), Quotas: map[string]Quota{}}
	if r.Plan == "" {
		r.Plan = "Kiro"
	}
	reset, _ := Instant(text(body, "nextDateReset"))
	list, _ := doc.Get(body, "usageBreakdownList")
	doc.Each(list, func(_ int, raw []byte) bool {
		name := strings.ToLower(text(raw, "resourceType"))
		if name == "" {
			return true
		}
		used, _ := doc.Float(raw, "currentUsageWithPrecision")
		total, _ := doc.Float(raw, "usageLimitWithPrecision")
		r.Quotas[name] = counted(used, total, reset)
		if trial, ok := doc.Float(raw, "freeTrialInfo", "usageLimitWithPrecision"); ok {
			used, _ := doc.Float(raw, "freeTrialInfo", "currentUsageWithPrecision")
			end, _ := Instant(text(raw, "freeTrialInfo", "freeTrialExpiry"))
			r.Quotas[name+"_freetrial"] = counted(used, trial, end)
		}
		return true
	})
	return told(r), nil
}

// base of fractions, which providers give without a number of things.
const fractionBase = 1000

// fraction is a quota of which a part is left.
func fraction(left float64, reset time.Time, display string) Quota {
	left = min(max(left, 0), 1)
	n := math.Round(fractionBase * left)
	return Quota{Used: fractionBase - n, Total: fractionBase, Remaining: n, Percent: 100 * left, ResetAt: reset, Display: display}
}

// antigravityQuota reads what is left of each model, and the plan.
func antigravityQuota(ctx context.Context, a *asker) (Report, error) {
	bearer := pair{"Authorization", "Bearer " + a.Access}
	var r Report
	if resp, err := a.postJSON(ctx, a.url+":loadCodeAssist", map[string]any{"metadata": codeAssistMetadata()}, append([]pair{bearer}, codeAssistHeaders()...)...); err == nil && resp.Status == http.StatusOK {
		r.Plan = antigravityPlan(resp.Body)
	}
	want := map[string]string{}
	if id := a.Data["projectId"]; id != "" {
		want["project"] = id
	}
	body, err := a.answer(a.postJSON(ctx, a.url+":fetchAvailableModels", want, bearer, pair{"User-Agent", "antigravity/1.11.3 Darwin/arm64"}))
	if e := fault.As(err); e != nil && e.Status == http.StatusForbidden {
		r.Message = "The provider forbids access to the quota of this account."
		return r, nil
	}
	if err != nil {
		return Report{}, err
	}
	r.Quotas = map[string]Quota{}
	models, _ := doc.Get(body, "models")
	doc.Scan(models, func(key, raw []byte) bool {
		model := string(key)
		internal, _ := doc.Bool(raw, "isInternal")
		if _, limited := doc.Get(raw, "quotaInfo"); internal || !limited || !a.listed(model) {
			return true
		}
		left, _ := doc.Float(raw, "quotaInfo", "remainingFraction")
		reset, _ := Instant(text(raw, "quotaInfo", "resetTime"))
		r.Quotas[model] = fraction(left, reset, text(raw, "displayName"))
		return true
	})
	return told(r), nil
}

// antigravityPlan names the plan of an account by its tier.
func antigravityPlan(body []byte) string {
	tier := defaultTier(body)
	if tier == "legacy-tier" {
		for _, path := range [...][]string{{"currentTier", "id"}, {"currentTier", "name"}} {
			if v := text(body, path...); v != "" {
				tier = v
				break
			}
		}
	}
	upper := strings.ToUpper(tier)
	for _, p := range [...]struct{ word, plan string }{
		{"ULTRA", "Ultra"}, {"PRO", "Pro"}, {"ENTERPRISE", "Enterprise"}, {"BUSINESS", "Business"}, {"STANDARD", "Business"},
		{"FREE", "Free"}, {"INDIVIDUAL", "Free"}, {"LEGACY", "Free"},
	} {
		if strings.Contains(upper, p.word) {
			return p.plan
		}
	}
	return tier
}

// geminiQuota reads what is left of each model of Gemini CLI.
func geminiQuota(ctx context.Context, a *asker) (Report, error) {
	project := a.Data["projectId"]
	if project == "" {
		return Report{Message: "The account has no project yet, without which the provider tells no quota."}, nil
	}
	body, err := a.answer(a.postJSON(ctx, a.url+":retrieveUserQuota", map[string]string{"project": project}, pair{"Authorization", "Bearer " + a.Access}))
	if err != nil {
		return Report{}, err
	}
	r := Report{Plan: a.Data["tierId"], Quotas: map[string]Quota{}}
	list, _ := doc.Get(body, "buckets")
	doc.Each(list, func(_ int, raw []byte) bool {
		model := text(raw, "modelId")
		if model == "" {
			return true
		}
		left, _ := doc.Float(raw, "remainingFraction")
		reset, _ := Instant(text(raw, "resetTime"))
		if was, seen := r.Quotas[model]; !seen || was.Percent > 100*left { // the scarcest kind of token counts
			r.Quotas[model] = fraction(left, reset, "")
		}
		return true
	})
	return told(r), nil
}
