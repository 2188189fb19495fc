package fault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCatalogue compares the table with the documented one in testdata.
func TestCatalogue(t *testing.T) {
	f, err := os.Open("testdata/catalogue.txt")
	require.NoError(t, err)
	defer f.Close()
	want := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" {
			want[line] = true
		}
	}
	seen := map[Code]bool{}
	for _, e := range Catalogue() {
		retry := "no"
		if e.Retryable {
			retry = "yes"
		}
		line := fmt.Sprintf("%s %d %s", e.Code, e.Status, retry)
		require.True(t, want[line], line)
		delete(want, line)
		require.False(t, seen[e.Code], e.Code)
		seen[e.Code] = true
		require.NotEmpty(t, e.Message)
		require.NotEmpty(t, e.Class)
		require.NotEmpty(t, e.Scope)
		require.NotEmpty(t, e.Reason)
		require.Equal(t, e, Lookup(e.Code))
	}
	require.Empty(t, want)
	require.Equal(t, Internal, Lookup("NO_SUCH").Code)
}

func TestErrors(t *testing.T) {
	said := errors.New("line 1")
	require.EqualError(t, Wrap(InvalidBody, said, "line 1"), "VALID_001: line 1", "a cause that was said is not said again")
	require.EqualError(t, Wrap(InvalidBody, said), "VALID_001: Invalid request body: line 1")

	cause := errors.New("boom")
	e := Wrap(Database, cause, "could not read")
	require.EqualError(t, e, "INTERNAL_002: could not read: boom")
	require.ErrorIs(t, e, cause)
	require.ErrorIs(t, fmt.Errorf("outer: %w", e), New(Database))
	require.NotErrorIs(t, e, New(Internal))
	require.Equal(t, e, As(fmt.Errorf("outer: %w", e)))
	require.Nil(t, As(cause))
	require.Equal(t, Unknown, e.RetryAfter)
	require.Equal(t, "Model not found", New(ModelNotFound).Message)
	require.Equal(t, `no "x"`, Newf(ModelNotFound, "no %q", "x").Message)

	require.Nil(t, From(nil))
	require.Equal(t, e, From(e))
	require.Equal(t, ClientClosed, From(context.Canceled).Code)
	require.Equal(t, ProviderTimeout, From(fmt.Errorf("x: %w", context.DeadlineExceeded)).Code)
	got := From(cause)
	require.Equal(t, []any{Internal, 500, "Internal server error"}, []any{got.Code, got.Status, got.Message})
}

func TestUpstream(t *testing.T) {
	for _, c := range []struct {
		status    int
		text      string
		reason    Reason
		class     Class
		scope     Scope
		retryable bool
	}{
		{401, "", ReasonAuth, ClassAuth, ScopeCredential, false},
		{403, "no such plan", ReasonAuth, ClassAuth, ScopeModel, false},
		{429, "slow down", ReasonRateLimit, ClassRate, ScopeCredential, true},
		{429, "insufficient_quota", ReasonCredits, ClassQuota, ScopeCredential, false},
		{402, "", ReasonQuota, ClassQuota, ScopeCredential, false},
		{404, "no model", ReasonUnknown, ClassNotFound, ScopeModel, false},
		{400, "prompt is too long: 300000 tokens", ReasonContextOverflow, ClassClient, ScopeRequest, false},
		{400, "odd", ReasonUnknown, ClassClient, ScopeRequest, false},
		{500, "", ReasonServer, ClassUpstream, ScopeProvider, true},
		{529, "Overloaded", ReasonCapacity, ClassOverloaded, ScopeModel, true},
		{403, "Account_Deactivated", ReasonBanned, ClassAuth, ScopeCredential, false},
		{408, "", ReasonUnknown, ClassTimeout, ScopeProvider, true},
	} {
		e := Upstream(c.status, c.text)
		require.Equal(t, []any{c.status, c.reason, c.class, c.scope, c.retryable}, []any{e.Status, e.Reason, e.Class, e.Scope, e.Retryable}, c)
		require.NotEmpty(t, e.Message)
	}
	require.Equal(t, 502, Upstream(0, "x").Status)
}

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		want   Reason
	}{
		// text beats status, in any case of letters
		{400, "Rate limit reached for requests", ReasonRateLimit},
		{500, "Too Many Requests", ReasonRateLimit},
		{429, "quota exceeded for project", ReasonQuota},
		{200, "Model is at capacity", ReasonCapacity},
		{401, "Overloaded", ReasonCapacity},
		{429, "RESOURCE EXHAUSTED: resource exhausted", ReasonCapacity},
		{400, "Invalid API key provided", ReasonAuth},
		{400, "internal error", ReasonServer},
		{0, "billing problem", ReasonQuota},
		// the order of the lists matters
		{429, "rate limit: quota exceeded", ReasonQuota},
		{429, "capacity rate_limit", ReasonRateLimit},
		{401, "authentication: overloaded", ReasonCapacity},
		// status alone
		{401, "", ReasonAuth}, {403, "x", ReasonAuth}, {402, "", ReasonQuota}, {429, "", ReasonRateLimit},
		{503, "", ReasonCapacity}, {529, "", ReasonCapacity}, {500, "", ReasonServer}, {502, "", ReasonServer},
		{520, "", ReasonServer}, {404, "", ReasonUnknown}, {400, "", ReasonUnknown}, {0, "", ReasonUnknown},
		// final for the account
		{401, "Your account has been suspended", ReasonBanned},
		{403, "Verify your account to continue.", ReasonBanned},
		{429, "You exceeded your current quota, please check your plan and billing details", ReasonCredits},
		{400, "Your credit balance is too low to access the API", ReasonCredits},
		{402, "Payment Required", ReasonCredits},
		// the request
		{400, "This model's maximum context length is 128000 tokens", ReasonContextOverflow},
		{500, "the maximum context was exceeded", ReasonServer},
		{400, "Improperly formed request.", ReasonMalformed},
		{400, "invalid user message format", ReasonMalformed},
		{400, "format of the message is invalid", ReasonUnknown},
		{400, "messages must alternate", ReasonMalformed},
		{400, "blocked by content_filter", ReasonContentPolicy},
		{401, "Invalid authentication credentials", ReasonAuth},
		{400, "You have reached your specified API usage limits. You will regain access on 2026-03-01", ReasonQuota},
		{429, strings.Repeat("x", maxReasonText) + "billing", ReasonRateLimit},
	} {
		require.Equal(t, c.want, ReasonOf(c.status, c.text), "%d %.60s", c.status, c.text)
	}
}

var now = time.Date(2026, 2, 18, 12, 0, 0, 0, time.UTC)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30": 30 * time.Second, "1.5": 1500 * time.Millisecond, "0": 0, "-5": 0,
		"500ms": 500 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "6m0s": 6 * time.Minute,
		"1h2m3s": time.Hour + 2*time.Minute + 3*time.Second, "3s2m": 2*time.Minute + 3*time.Second, "1d": 24 * time.Hour,
		"5 minutes": 5 * time.Minute, "1 hour 30 min": 90 * time.Minute, "57.5 seconds": 57500 * time.Millisecond,
		fmt.Sprint(now.Unix() + 90): 90 * time.Second, fmt.Sprint(now.UnixMilli() + 1500): 1500 * time.Millisecond,
		fmt.Sprint(now.Unix() - 90):     0,
		"2026-02-18T12:01:00Z":          time.Minute,
		"2026-02-18T13:01:00.5+01:00":   time.Minute + 500*time.Millisecond,
		"2026-02-19":                    12 * time.Hour,
		"Wed, 18 Feb 2026 12:00:45 GMT": 45 * time.Second,
		"Wed, 18 Feb 2026 11:00:00 GMT": 0,
		"99999999999999999999s":         maxWait,
	} {
		got, ok := ParseDuration(in, now)
		require.True(t, ok, in)
		require.InDelta(t, want, got, float64(2*time.Millisecond), in)
	}
	for _, in := range []string{"", " ", "soon", "5 parsecs", "s", "1h x", "nan", "1e", "2026-13-01", "--"} {
		_, ok := ParseDuration(in, now)
		require.False(t, ok, in)
	}
}

func TestRetryAfter(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct {
		name    string
		headers m
		body    string
		want    time.Duration
	}{
		{"nothing", nil, "", Unknown},
		{"no JSON", nil, "<html>busy</html>", Unknown},
		{"milliseconds first", m{"retry-after-ms": "250", "retry-after": "9"}, "", 250 * time.Millisecond},
		{"seconds", m{"retry-after": "9"}, `{"error":{"details":[{"retryDelay":"3s"}]}}`, 9 * time.Second},
		{"HTTP date", m{"retry-after": "Wed, 18 Feb 2026 12:02:00 GMT"}, "", 2 * time.Minute},
		{"garbage is passed over", m{"retry-after": "soon", "x-ratelimit-reset-after": "1.5"}, "", 1500 * time.Millisecond},
		{"unified, rejected", m{"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": fmt.Sprint(now.Unix() + 18000)}, "", 5 * time.Hour},
		{"unified, allowed", m{"anthropic-ratelimit-unified-status": "allowed", "anthropic-ratelimit-unified-reset": fmt.Sprint(now.Unix() + 18000)}, "", Unknown},
		{"reset in seconds", m{"x-ratelimit-reset": fmt.Sprint(now.Unix() + 60)}, "", time.Minute},
		{"reset in milliseconds", m{"x-ratelimit-reset": fmt.Sprint(now.UnixMilli() + 60000)}, "", time.Minute},
		{"the larger of both", m{"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, "", 6 * time.Minute},
		{"Google details", nil, `{"error":{"code":429,"details":[{"@type":"x"},{"@type":"RetryInfo","retryDelay":"34.5s"}]}}`, 34500 * time.Millisecond},
		{"Google in an array", nil, `[{"error":{"details":[{"retryDelay":"500ms"}]}}]`, 500 * time.Millisecond},
		{"details at the root", nil, `{"details":[{"retryDelay":"2h"}]}`, 2 * time.Hour},
		{"bare delay", nil, `{"error":{"details":[{"retryDelay":12}]}}`, 12 * time.Second},
		{"resets_at", nil, fmt.Sprintf(`{"error":{"type":"usage_limit_reached","resets_at":%d}}`, now.Unix()+300), 5 * time.Minute},
		{"resets_in_seconds", nil, `{"error":{"resets_in_seconds":42}}`, 42 * time.Second},
		{"text", nil, `{"error":{"message":"Rate limited. Please try again in 1.5s."}}`, 1500 * time.Millisecond},
		{"text with words", nil, `{"message":"retry after 5 minutes"}`, 5 * time.Minute},
		{"text of Antigravity", nil, `{"error":{"message":"Your quota will reset after 2h7m23s."}}`, 2*time.Hour + 7*time.Minute + 23*time.Second},
		{"plain text", nil, "Retry after 30 seconds", 30 * time.Second},
		{"text date", nil, `{"error":{"message":"You will regain access on 2026-02-20 at 00:00 UTC."}}`, 36 * time.Hour},
		{"no number behind the words", nil, "retry in a moment, then try again in 3s", 3 * time.Second},
		{"past", m{"retry-after": "-3"}, "", 0},
	} {
		header := func(name string) string { return c.headers[name] }
		require.Equal(t, c.want, RetryAfter(header, []byte(c.body), now), c.name)
	}
	require.Equal(t, Unknown, RetryAfter(nil, nil, now))
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1h2m3s", `{"error":{"details":[{"retryDelay":"1.5s"}],"message":"try again in 5 minutes"}}`)
	f.Add("Wed, 18 Feb 2026 12:00:45 GMT", "reset after 2h7m23s")
	f.Fuzz(func(t *testing.T, header, body string) {
		d := RetryAfter(func(string) string { return header }, []byte(body), now)
		if d != Unknown && (d < 0 || d > maxWait) {
			t.Fatalf("%v", d)
		}
	})
}

func TestDiagnostic(t *testing.T) {
	src := []byte("a: 1\r\n\tb: é x\nlast")
	d := At("f.yaml", src, 2, 7, "unknown key")
	require.Equal(t, "f.yaml:2:7: unknown key", d.String())
	require.Equal(t, "f.yaml:2:7: unknown key\n\tb: é x\n\t     ^", d.Text())
	require.EqualError(t, d, d.String())
	require.Equal(t, "f.yaml:2: m", Diagnostic{File: "f.yaml", Line: 2, Message: "m"}.String())
	require.Equal(t, "f.yaml: m", Diagnostic{File: "f.yaml", Message: "m"}.Text())
	require.Equal(t, "m", Diagnostic{Message: "m"}.String())
	require.Equal(t, "a: 1\n    ^", Excerpt(src, 1, 5))
	require.Equal(t, "a: 1\n    ^", Excerpt(src, 1, 99))
	require.Equal(t, "last", Excerpt(src, 3, 0))
	require.Empty(t, Excerpt(src, 4, 1))
	require.Empty(t, Excerpt(src, 0, 1))

	long := []byte(strings.Repeat("x", 200) + "HERE" + strings.Repeat("y", 200))
	lines := strings.Split(Excerpt(long, 1, 201), "\n")
	require.Len(t, lines, 2)
	require.LessOrEqual(t, len([]rune(lines[0])), maxExcerpt+2)
	require.Equal(t, 'H', []rune(lines[0])[len([]rune(lines[1]))-1], "the caret is under the place")
}
