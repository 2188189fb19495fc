package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fault"
)

// The example of RFC 7636, appendix B.
func TestPKCE(t *testing.T) {
	require.Equal(t, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
	require.Len(t, token(), 43)
	require.NotEqual(t, token(), token())
}

func TestInstant(t *testing.T) {
	for s, want := range map[string]int64{
		"1771412345": 1771412345000, "1771412345.5": 1771412345500, "1771412345678": 1771412345678, "1.772323200E9": 1772323200000,
		"2026-02-18T15:00:00Z": 1771426800000, "2026-03-01": 1772323200000,
	} {
		got, ok := Instant(s)
		require.True(t, ok, s)
		require.Equal(t, want, got.UnixMilli(), s)
	}
	for _, s := range []string{"", "soon", "-5", "0", "NaN", "1e300", "null"} {
		_, ok := Instant(s)
		require.False(t, ok, s)
	}
}

func TestTokenEnd(t *testing.T) {
	now := time.Date(2026, 2, 18, 12, 0, 0, 0, time.UTC)
	date := now.Add(-2 * time.Hour).Format(http.TimeFormat)
	for _, c := range []struct {
		in, at, date string
		want         time.Duration
	}{
		{"3600", "", "", time.Hour}, {"3600.5", "", date, time.Hour + 500*time.Millisecond}, {"3600", "2026-02-18T23:00:00Z", "", time.Hour},
		{"", "2026-02-18T13:00:00Z", "", time.Hour}, {"", "2026-02-18T11:00:00Z", date, time.Hour}, {"1e30", "", "", maxLife},
	} {
		require.Equal(t, now.Add(c.want), TokenEnd(c.in, c.at, c.date, now).UTC(), c)
	}
	for _, in := range []string{"", "0", "-1", "soon", "NaN"} {
		require.Zero(t, TokenEnd(in, "", "", now), in)
	}
}

// Secrets of a request are removed from whatever the provider says.
func TestTextsAreClean(t *testing.T) {
	c := &client{}
	c.hide("refresh+secret/1", "short", "")
	require.Equal(t, "the token … and … is bad, short is not", c.clean("the token refresh+secret/1 and refresh%2Bsecret%2F1\n is bad, short is not"))
	require.Len(t, []rune(c.clean(strings.Repeat("x", 5000))), 201)
	err := c.cleanError(errors.New("GET https://x/?t=refresh%2Bsecret%2F1: no route"))
	require.NotContains(t, err.Error(), "secret")
	plain := errors.New("no route")
	require.Equal(t, plain, c.cleanError(plain))
}

// The code of Cline is its tokens, in any of the base64 alphabets, with bytes of a
// signature behind.
func TestClineCode(t *testing.T) {
	body := `{"accessToken":"a>>?","refreshToken":"b","email":"ada@example.com"}`
	for _, signature := range []string{"", "\x00\xff", "}}\x80}", "{}"} {
		raw := []byte(body + signature)
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			require.JSONEq(t, body, string(clineCode(e.EncodeToString(raw))))
			require.JSONEq(t, body, string(clineCode(strings.ReplaceAll(e.EncodeToString(raw), "+", " "))), "read from a query")
		}
	}
	require.Nil(t, clineCode("no base64!"))
	require.Nil(t, clineCode("YWJj"))
}

// answers of a provider, by path.
func answers(t *testing.T, replies map[string]string, seen *[]*Request) Sender {
	return func(_ context.Context, r *Request) (*Response, error) {
		if seen != nil {
			*seen = append(*seen, r)
		}
		for end, body := range replies {
			if strings.HasSuffix(r.URL, end) {
				status := 200
				if s, rest, ok := strings.Cut(body, "|"); ok && len(s) == 3 {
					status, body = int(s[0]-'0')*100+int(s[1]-'0')*10+int(s[2]-'0'), rest
				}
				return &Response{Status: status, Body: []byte(body)}, nil
			}
		}
		t.Errorf("unexpected request of %s", r.URL)
		return nil, errors.New("no route")
	}
}

// What providers say of quotas, in one form.
func TestQuotaReports(t *testing.T) {
	at := func(s string) time.Time { v, _ := Instant(s); return v }
	for _, c := range []struct {
		name, provider string
		data           map[string]string
		replies        map[string]string
		want           Report
	}{
		{"codex", "codex", map[string]string{"chatgptAccountId": "cg"}, map[string]string{"/wham/usage": `{"plan_type":"plus","rate_limit":{"limit_reached":false,"primary_window":{"used_percent":12,"limit_window_seconds":18000,"reset_at":1771412345},"secondary_window":{"used_percent":40,"limit_window_seconds":604800,"reset_at":1771900000}}}`},
			Report{Plan: "plus", Quotas: map[string]Quota{
				"session": {Used: 12, Total: 100, Remaining: 88, Percent: 88, ResetAt: at("1771412345"), Display: "Session"},
				"weekly":  {Used: 40, Total: 100, Remaining: 60, Percent: 60, ResetAt: at("1771900000"), Display: "Weekly"}}}},
		{"github paid", "github", nil, map[string]string{"/copilot_internal/user": `{"copilot_plan":"individual","quota_reset_date":"2026-03-01","quota_snapshots":{"chat":{"entitlement":0,"remaining":0,"unlimited":true},"completions":{"entitlement":0,"remaining":0,"unlimited":true},"premium_interactions":{"entitlement":300,"remaining":250,"percent_remaining":83.3,"unlimited":false}}}`},
			Report{Plan: "individual", Quotas: map[string]Quota{
				"chat": {Unlimited: true, Percent: 100, ResetAt: at("2026-03-01")}, "completions": {Unlimited: true, Percent: 100, ResetAt: at("2026-03-01")},
				"premium_interactions": {Used: 50, Total: 300, Remaining: 250, Percent: 83.3, ResetAt: at("2026-03-01")}}}},
		{"github free", "github", nil, map[string]string{"/copilot_internal/user": `{"access_type_sku":"free_limited_copilot","monthly_quotas":{"chat":500,"completions":4000},"limited_user_quotas":{"chat":450,"completions":1000},"limited_user_reset_date":"2026-03-01"}`},
			Report{Plan: "free_limited_copilot", Quotas: map[string]Quota{
				"chat":        {Used: 50, Total: 500, Remaining: 450, Percent: 90, ResetAt: at("2026-03-01")},
				"completions": {Used: 3000, Total: 4000, Remaining: 1000, Percent: 25, ResetAt: at("2026-03-01")}}}},
		{"kiro", "kiro", map[string]string{"profileArn": "arn"}, map[string]string{".com/": `{"usageBreakdownList":[{"resourceType":"AGENTIC_REQUEST","currentUsageWithPrecision":12.5,"usageLimitWithPrecision":50,"freeTrialInfo":{"currentUsageWithPrecision":1,"usageLimitWithPrecision":4,"freeTrialExpiry":1772323200.5}}],"nextDateReset":1772323200,"subscriptionInfo":{"subscriptionTitle":"KIRO FREE"}}`},
			Report{Plan: "KIRO FREE", Quotas: map[string]Quota{
				"agentic_request":           {Used: 12.5, Total: 50, Remaining: 37.5, Percent: 75, ResetAt: at("2026-03-01T00:00:00Z").Local()},
				"agentic_request_freetrial": {Used: 1, Total: 4, Remaining: 3, Percent: 75, ResetAt: at("1772323200.5")}}}},
		{"kiro without profile", "kiro", nil, nil, Report{Message: "The account has no profile, without which the provider tells no quota."}},
		{"antigravity", "antigravity", nil, map[string]string{
			":loadCodeAssist":       `{"allowedTiers":[{"id":"x"},{"id":"g1-pro-tier","isDefault":true}]}`,
			":fetchAvailableModels": `{"models":{"gemini-3-flash":{"displayName":"Gemini 3 Flash","quotaInfo":{"remainingFraction":0.75,"resetTime":"2026-02-18T15:00:00Z"}},"empty":{"quotaInfo":{"resetTime":"2026-02-18T15:00:00Z"}},"unlisted":{"quotaInfo":{"remainingFraction":1}},"chat_20706":{"isInternal":true}}}`},
			Report{Plan: "Pro", Quotas: map[string]Quota{
				"gemini-3-flash": {Used: 250, Total: 1000, Remaining: 750, Percent: 75, ResetAt: at("2026-02-18T15:00:00Z"), Display: "Gemini 3 Flash"},
				"empty":          {Used: 1000, Total: 1000, ResetAt: at("2026-02-18T15:00:00Z")}}}},
		{"antigravity forbidden", "antigravity", nil, map[string]string{":loadCodeAssist": `{"currentTier":{"id":"free-tier"}}`, ":fetchAvailableModels": `403|{}`},
			Report{Plan: "Free", Message: "The provider forbids access to the quota of this account."}},
		{"gemini-cli", "gemini-cli", map[string]string{"projectId": "p", "tierId": "free-tier"}, map[string]string{":retrieveUserQuota": `{"buckets":[{"modelId":"m","tokenType":"A","remainingFraction":0.5,"resetTime":"2026-02-18T15:00:00Z"},{"modelId":"m","tokenType":"B","remainingFraction":0.25},{"modelId":"m","remainingFraction":1}]}`},
			Report{Plan: "free-tier", Quotas: map[string]Quota{"m": {Used: 750, Total: 1000, Remaining: 250, Percent: 25}}}},
		{"claude", "claude", nil, map[string]string{"/api/oauth/usage": `{"five_hour":{"utilization":23.0,"resets_at":"2026-02-18T15:00:00Z"},"seven_day":{"utilization":100.0,"resets_at":"2026-02-22T00:00:00Z"},"seven_day_opus":null}`},
			Report{LimitReached: true, Quotas: map[string]Quota{
				"five_hour": {Used: 23, Total: 100, Remaining: 77, Percent: 77, ResetAt: at("2026-02-18T15:00:00Z"), Display: "Session (5h)"},
				"seven_day": {Used: 100, Total: 100, ResetAt: at("2026-02-22T00:00:00Z"), Display: "Weekly"}}}},
		{"nothing", "claude", nil, map[string]string{"/api/oauth/usage": `{}`}, Report{Quotas: map[string]Quota{}, Message: "The provider tells no quota of this account."}},
		{"qwen", "qwen", nil, nil, Report{Message: "The provider tells no quota; use is counted per request."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FetchQuota(t.Context(), Holder{Provider: c.provider, Credential: Credential{Access: "canary-token", Data: c.data}, Models: []string{"gemini-3-flash", "empty"}}, answers(t, c.replies, nil))
			require.NoError(t, err)
			want, err := json.Marshal(utc(c.want))
			require.NoError(t, err)
			have, err := json.Marshal(utc(got))
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(have))
			back, err := ReadReport(have)
			require.NoError(t, err)
			require.Len(t, back.Quotas, len(got.Quotas))
		})
	}
	_, err := FetchQuota(t.Context(), Holder{Provider: "openai"}, nil)
	require.ErrorIs(t, err, ErrNoQuota)
	require.False(t, TellsQuota("openai"))
}

func utc(r Report) Report {
	for name, q := range r.Quotas {
		if !q.ResetAt.IsZero() {
			q.ResetAt = q.ResetAt.UTC()
		}
		r.Quotas[name] = q
	}
	return r
}

// A GitHub account without Copilot is told so, and a server that is away for a
// moment says nothing of that.
func TestCopilotIsThere(t *testing.T) {
	for body, code := range map[string]string{`403|{}`: "no_copilot", `404|{}`: "no_copilot", `401|{"message":"Bad credentials"}`: "", `503|`: "fine", `{"token":"t","sku":"s","endpoints":{"api":"https://api.business.example.com"}}`: "fine"} {
		c := &client{Server: Server{ExchangeURL: "https://x/v2/token"}, now: time.Now, send: answers(t, map[string]string{"/v2/token": body}, nil)}
		g := &Grant{Access: "canary-token"}
		err := copilot(t.Context(), c, g)
		var e *Error
		if code == "fine" {
			require.NoError(t, err)
			continue
		}
		require.ErrorAs(t, err, &e)
		require.Equal(t, code, e.Code)
	}
}

// A renewal gives new tokens but no key: the tokens are kept, the old one may not
// serve again.
func TestRenewalWithoutAKeyKeepsTheTokens(t *testing.T) {
	c := &client{Server: Server{RefreshURL: "https://x/token", UserinfoURL: "https://x/info?t={access_token}"}, now: time.Now}
	c.send = answers(t, map[string]string{"/token": `{"access_token":"a2","refresh_token":"r2","expires_in":60}`, "t=a2": `503|`}, nil)
	g, err := iflow{}.refresh(t.Context(), c, &Credential{Refresh: "r1"})
	require.NoError(t, err)
	require.Equal(t, "r2", g.Refresh)
	require.Empty(t, g.APIKey)
}

// Refusals keep their status, so that a token is renewed and a limit is heeded,
// and quote no token.
func TestQuotaErrors(t *testing.T) {
	for body, status := range map[string]int{
		`401|{"error":{"message":"canary-token is bad"}}`: 401, `429|{"error":"slow down"}`: 429, `500|oops`: 500, `<html>`: 502, `302|`: 502,
	} {
		_, err := FetchQuota(t.Context(), Holder{Provider: "claude", Credential: Credential{Access: "canary-token"}}, answers(t, map[string]string{"/api/oauth/usage": body}, nil))
		f := fault.As(err)
		require.NotNil(t, f, body)
		require.Equal(t, status, f.Status, body)
		require.NotContains(t, f.Message, "canary")
	}
}

// Requests of quotas, as the providers want them.
func TestQuotaRequests(t *testing.T) {
	var seen []*Request
	send := answers(t, map[string]string{"/wham/usage": `{}`, "/user": `{}`, ".com/": `{}`, "/api/oauth/usage": `{}`}, &seen)
	for _, p := range []string{"codex", "github", "kiro", "claude"} {
		_, err := FetchQuota(t.Context(), Holder{Provider: p, Credential: Credential{Access: "T", Data: map[string]string{"chatgptAccountId": "cg", "profileArn": "arn"}}}, send)
		require.NoError(t, err)
	}
	line := func(r *Request) string {
		s := r.Method + " " + r.URL
		for _, h := range r.Header {
			s += "\n" + h.Name + ": " + h.Value
		}
		return s + "\n" + string(r.Body)
	}
	require.Equal(t, "GET https://chatgpt.com/backend-api/wham/usage\nAccept: application/json\nAuthorization: Bearer T\nChatgpt-Account-Id: cg\n", line(seen[0]))
	require.Equal(t, "GET https://api.github.com/copilot_internal/user\nAccept: application/json\nAuthorization: token T\nX-GitHub-Api-Version: 2022-11-28\nUser-Agent: GitHubCopilotChat/0.26.7\nEditor-Version: vscode/1.100.0\nEditor-Plugin-Version: copilot-chat/0.26.7\n", line(seen[1]))
	require.Equal(t, "POST https://codewhisperer.us-east-1.amazonaws.com/\nContent-Type: application/x-amz-json-1.0\nAccept: application/json\nAuthorization: Bearer T\nX-Amz-Target: AmazonCodeWhispererService.GetUsageLimits\n"+`{"origin":"AI_EDITOR","profileArn":"arn","resourceType":"AGENTIC_REQUEST"}`, line(seen[2]))
	require.Equal(t, "GET https://api.anthropic.com/api/oauth/usage\nAccept: application/json\nAuthorization: Bearer T\nanthropic-beta: oauth-2025-04-20\n", line(seen[3]))
}

// Reports of plugins leave members out and write times as they like.
func TestReadReport(t *testing.T) {
	r, err := ReadReport([]byte(`{"plan":"p","quotas":{"a":{"used":1,"total":4,"resetAt":1771412345},"b":{"remaining":3,"total":4,"resetAt":"2026-02-18T15:00:00Z"},"c":{"remainingPercentage":150,"resetAt":null},"d":{"used":5},"e":{"used":1,"total":2,"resetAt":"nonsense"}}}`))
	require.NoError(t, err)
	require.Equal(t, 75.0, r.Quotas["a"].Percent)
	require.Equal(t, int64(1771412345), r.Quotas["a"].ResetAt.Unix())
	require.Equal(t, 75.0, r.Quotas["b"].Percent)
	require.Equal(t, 100.0, r.Quotas["c"].Percent)
	require.True(t, r.Quotas["d"].Unlimited)
	require.Zero(t, r.Quotas["e"].ResetAt)
	_, err = ReadReport([]byte(`[]`))
	require.Error(t, err)
}

// The state of the Cursor program, written by SQLite itself: pages of 512 bytes,
// so that the table has branches and the token overflows.
func TestCursorState(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the file lies elsewhere on this system")
	}
	raw, err := os.ReadFile("testdata/state.vscdb")
	require.NoError(t, err)
	home := t.TempDir()
	_, _, err = cursorState(home)
	require.ErrorContains(t, err, "there is no login")
	dir := filepath.Join(home, ".config", "Cursor", "User", "globalStorage")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.vscdb"), raw, 0o600))
	access, machine, err := cursorState(home)
	require.NoError(t, err)
	require.Len(t, access, 20+52+1+1500)
	require.Equal(t, "01234567-89ab-cdef-0123-456789abcdef", machine)
	c := &client{Server: Server{LocalImport: true, Home: home}, now: time.Now}
	g, err := cursor{}.take(t.Context(), c, &flow{method: Method{ID: "auto-import"}})
	require.NoError(t, err)
	require.Equal(t, "auth0|user-1", g.Subject)
	require.Equal(t, int64(4102444800), g.ExpiresAt.Unix())
	c.LocalImport = false
	_, err = cursor{}.take(t.Context(), c, &flow{method: Method{ID: "auto-import"}})
	require.ErrorContains(t, err, "oauth.local_import")
}

func FuzzSQLite(f *testing.F) {
	raw, err := os.ReadFile("testdata/state.vscdb")
	require.NoError(f, err)
	f.Add(raw[:4096])
	f.Add(raw)
	f.Fuzz(func(_ *testing.T, file []byte) {
		_, _ = sqliteRead(bytes.NewReader(file), int64(len(file)), "itemtable", []string{"cursorAuth/accessToken"})
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"http://localhost/callback?code=a&state=b", "a#b", "?error=x", "code=1#2", "%zz", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := readAnswer(s); err == nil && a.code == "" && a.failure == "" && strings.TrimSpace(strings.Split(s, "#")[0]) != "" {
			t.Fatal("nothing was read and nothing is wrong")
		}
		_ = clineCode(s)
		_ = claims(s)
	})
}
