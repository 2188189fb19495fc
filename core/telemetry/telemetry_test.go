package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "c4n4ry0123456789abcdefABCDEF"

// secrets are texts that hold the canary where a credential would be.
var secrets = []string{
	"Bearer " + canary, "authorization: bearer " + canary, "Basic " + canary + "==",
	"sk-" + canary, "sk-ant-api03-" + canary, "key sk-proj-" + canary + ", please",
	"AIza" + canary, "ya29." + canary, "gsk_" + canary, "xai-" + canary, "ghp_" + canary, "hf_" + canary,
	"https://example.com/v1?key=" + canary + "&alt=sse", "api_key=" + canary, "?a=1&access_token=" + canary,
	"eyJhbGciOiJIUzI1NiJ9." + canary + "." + canary,
	`{"api_key": "` + canary + `","n":1}`, `{\"refresh_token\":\"` + canary + `\"}`, "Authorization: " + canary, "X-Api-Key:[" + canary + "]",
	"OPENAI_API_KEY=" + canary, "?code=" + canary, `password: "` + canary + `"`,
	`{"error":"Incorrect API key provided: sk-` + canary + `."}`,
}

func TestRedact(t *testing.T) {
	for _, s := range secrets {
		got := Redact(s)
		require.NotContains(t, got, canary, s)
		require.Contains(t, got, mask)
	}
	require.Equal(t, "https://example.com/v1?key=[redacted]&alt=sse", Redact("https://example.com/v1?key="+canary+"&alt=sse"))
	require.Equal(t, "Bearer [redacted]", Redact("Bearer "+canary))
	require.Equal(t, "a [redacted], b", Redact("a sk-"+canary+", b"))
	for _, s := range []string{
		"", "plain text", "the bearer of news", "risk-averse", "ask-me", "a basic fix", "sk-", "model gpt-5.2 at 10:30",
		"tokens=15", "monkey=banana", "task-0123456789abcdef", "err: key not found",
		"duplicate key: model", "unexpected token: }", "max_tokens: 4096000000", "code: 429", `{"key":"short"}`, "status code 200",
	} {
		require.Equal(t, s, Redact(s))
	}
}

// Members of JSON hide even short values; prose with a colon stays readable.
func TestRedactMembers(t *testing.T) {
	for in, want := range map[string]string{
		`{"password":"hunter2","n":1}`:             `{"password":"[redacted]","n":1}`,
		`{"api_key": "x", "model": "m"}`:           `{"api_key": "[redacted]", "model": "m"}`,
		`{"a":"{\"access_token\":\"abc\"}"}`:       `{"a":"{\"access_token\":\"[redacted]\"}"}`,
		`the secret: it is not`:                    `the secret: it is not`,
		`{"max_tokens":100,"total_tokens": 5}`:     `{"max_tokens":100,"total_tokens": 5}`,
		`{"usage":{"prompt_tokens":3},"key":null}`: `{"usage":{"prompt_tokens":3},"key":null}`,
	} {
		require.Equal(t, want, Redact(in))
	}
}

func TestSensitiveName(t *testing.T) {
	for _, n := range []string{
		"Authorization", "proxy-authorization", "x-api-key", "X-Goog-Api-Key", "api_key", "apiKey", "OPENAI_API_KEY",
		"access_token", "refreshToken", "password", "client_secret", "Set-Cookie", "cookie", "token", "x-amz-security-token",
		"OMNIROUTE_STORAGE_KEY", "aws_secret_access_key",
	} {
		require.True(t, SensitiveName(n), n)
	}
	for _, n := range []string{"", "a", "model", "max_tokens", "tokens", "content-type", "key_id", "keys", "x-request-id", strings.Repeat("x", 200)} {
		require.False(t, SensitiveName(n), n)
	}
}

type stringer struct{ s string }

func (s stringer) String() string { return s.s }

type valuer struct{ s string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("api_key", v.s), slog.String("name", "n"))
}

// TestNoSecretReachesTheLog logs canaries in every way there is.
func TestNoSecretReachesTheLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			var buf bytes.Buffer
			log, level, err := NewLogger(&buf, LogOptions{Level: "debug", Format: format})
			require.NoError(t, err)
			for _, s := range secrets {
				log.Info(s)
				log.Debug("text", "detail", s)
				log.Warn("error", "err", fmt.Errorf("wrapped: %w", errors.New(s)))
				log.Error("any", "v", struct{ A string }{s}, "list", []string{s}, "bytes", []byte(s), "str", stringer{s})
				log.With("where", s).WithGroup("g").Info("m", slog.Group("inner", "x", s))
			}
			log.Info("names", "authorization", canary, "api_key", canary, slog.Group("account", "refresh_token", canary, "id", "a1"))
			log.Info("header", "header", http.Header{"X-Api-Key": {canary}, "Accept": {"*/*"}}, "map", map[string]string{"cookie": canary})
			log.Info("secret", "v", Secret(canary), "in", struct{ S Secret }{canary}, "p", []any{Secret(canary)},
				"struct", struct{ APIKey, Name string }{canary, "n"}, "lists", map[string][]string{"X-Api-Key": {canary}})
			log.Info("valuer", "account", valuer{canary})
			log.WithGroup("credentials").Info("m", "plain", canary)
			log.With("token", canary).Info("m")
			log.Info("kept", "model", "gpt", "n", 5, "ok", true, "api_key", "")
			out := buf.String()
			require.NotContains(t, out, canary)
			require.Contains(t, out, "a1")
			require.Contains(t, out, "gpt")
			require.Contains(t, out, "*/*")

			buf.Reset()
			level.Set(slog.LevelError)
			log.Info("quiet")
			require.Empty(t, buf.String())
			require.False(t, log.Enabled(context.Background(), slog.LevelWarn))
		})
	}
}

func TestSecret(t *testing.T) {
	s := Secret(canary)
	require.Equal(t, canary, s.Reveal())
	for _, format := range []string{"%s", "%v", "%+v", "%#v", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, s), canary)
		require.NotContains(t, fmt.Sprintf(format, struct{ S Secret }{s}), canary)
	}
	b, err := json.Marshal(map[string]any{"s": s})
	require.NoError(t, err)
	require.Equal(t, `{"s":"[redacted]"}`, string(b))
	require.Empty(t, Secret("").String())
}

func TestNewLogger(t *testing.T) {
	_, _, err := NewLogger(&bytes.Buffer{}, LogOptions{Level: "loud"})
	require.ErrorContains(t, err, "loud")
	_, _, err = NewLogger(&bytes.Buffer{}, LogOptions{Format: "xml"})
	require.ErrorContains(t, err, "xml")
	var buf bytes.Buffer
	log, _, err := NewLogger(&buf, LogOptions{Format: "json"})
	require.NoError(t, err)
	log.Debug("hidden")
	log.Info("shown", "n", 1)
	var rec map[string]any
	require.NoError(t, json.Unmarshal(buf.Bytes(), &rec))
	require.Equal(t, "shown", rec["msg"])
	Discard().Error("nothing")
}

func TestRequestID(t *testing.T) {
	for _, ok := range []string{"a", "req_1.2:3-4", strings.Repeat("x", 128)} {
		require.Equal(t, ok, RequestID(ok))
	}
	const uuid7 = `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	for _, bad := range []string{"", strings.Repeat("x", 129), "a b", "a\n", "é", "a/b", "<x>"} {
		require.Regexp(t, uuid7, RequestID(bad))
	}
	a, b := NewRequestID(), NewRequestID()
	require.Less(t, a[:13], b[:13]+"~")
	require.NotEqual(t, a, b)
}

func scrape(t *testing.T, m *Metrics) string {
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, rec.Code)
	return rec.Body.String()
}

func TestMetrics(t *testing.T) {
	m := NewMetrics()
	m.Counter("omniroute_requests_total", "Requests.", "surface", "status").Add(2, "chat", "200")
	m.Counter("omniroute_requests_total", "Requests.", "surface", "status").Add(1, "chat", "200")
	m.Counter("omniroute_requests_total", "Requests.", "surface", "status").Add(-1, "chat", "200")
	m.Counter("omniroute_requests_total", "Requests.", "surface", "status").Add(1, "bad\xff")
	g := m.Gauge("omniroute_inflight", "Requests in flight.")
	g.Set(5)
	g.Add(-2)
	m.Histogram("omniroute_seconds", "Time.", nil, "phase").Observe(0.003, "total")
	out := scrape(t, m)
	require.Contains(t, out, `omniroute_requests_total{status="200",surface="chat"} 3`)
	require.Contains(t, out, "omniroute_requests_total{status=\"\",surface=\"bad\ufffd\"} 1")
	require.Contains(t, out, "omniroute_inflight 3")
	require.Contains(t, out, `omniroute_seconds_bucket{phase="total",le="0.005"} 1`)
	require.Contains(t, out, "go_goroutines")
	require.Panics(t, func() { m.Gauge("omniroute_requests_total", "x") })
	require.Panics(t, func() { m.Counter("omniroute_requests_total", "x", "other") })
	require.Contains(t, scrape(t, NewMetrics()), "go_goroutines", "each has a registry of its own")
}

func TestMetricsBoundTheirLabels(t *testing.T) {
	m := NewMetrics()
	c := m.Counter("omniroute_models_total", "x", "model")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range MaxSeries {
				c.Add(1, fmt.Sprintf("model-%d-%d", g, i))
			}
		})
	}
	wg.Wait()
	out := scrape(t, m)
	require.LessOrEqual(t, strings.Count(out, "omniroute_models_total{"), MaxSeries+1)
	require.Contains(t, out, fmt.Sprintf(`omniroute_models_total{model="other"} %d`, 3*MaxSeries))
}

func FuzzRedact(f *testing.F) {
	for _, s := range secrets {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Redact(s)
		if strings.Contains(Redact("Bearer "+canary+" "+s), canary) && !strings.Contains(s, canary) {
			t.Fatalf("canary survives before %q", s)
		}
		if len(once) > len(s)+len(mask)*(len(s)+1) {
			t.Fatal("grew too much")
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	text := strings.Repeat("an ordinary line about a request that went well, ", 4)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Redact(text)
	}
}

func BenchmarkCounter(b *testing.B) {
	c := NewMetrics().Counter("omniroute_requests_total", "x", "surface", "status")
	b.ReportAllocs()
	for b.Loop() {
		c.Add(1, "chat", "200")
	}
}

func BenchmarkLog(b *testing.B) {
	log, _, err := NewLogger(discard{}, LogOptions{Format: "json"})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		log.Info("request", "id", "0198c7a2-7f3c-7000-8000-000000000000", "model", "openai/gpt-5.2", "status", 200, "ms", 1234)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
