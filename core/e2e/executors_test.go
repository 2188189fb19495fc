package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// codeGateway is a gateway with one of these providers at the given hosts.
func codeGateway(t *testing.T, id, account string, urls ...string) *gateway {
	return serve(t, fmt.Sprintf("providers:\n  %s:\n    base_urls: [%s]\n    allow_private: true\n    accounts:\n      - %s\n", id, strings.Join(urls, ", "), account)+freely)
}

// Antigravity has several hosts: short limits are waited for, long ones and lacks
// of capacity lead to the next. The first one here cannot be reached at all.
func TestAntigravityHosts(t *testing.T) {
	t.Parallel()
	a, b := fake.Start(fake.Options{}), fake.Start(fake.Options{})
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	g := codeGateway(t, "antigravity", `{name: main, access_token: tok, data: {projectId: p-1}}`, fake.RefusedURL(), a.URL, b.URL)
	chat := func(model string) answer {
		return g.post("/v1/chat/completions", `{"model":"ag/`+model+`","messages":[{"role":"user","content":"hi"}]}`)
	}
	served := func(status int, got answer, atA, atB int) {
		t.Helper()
		require.Equal(t, status, got.Status, got.Body)
		require.Len(t, a.Requests(), atA)
		require.Len(t, b.Requests(), atB)
		require.Empty(t, append(a.Violations(), b.Violations()...))
		a.Reset()
		b.Reset()
	}
	a.Push(fake.RateLimited("retry-after", time.Second))
	served(200, chat("gemini-2.5-flash"), 2, 0)
	a.Push(fake.ResetAfter("2h7m23s"))
	served(200, chat("gemini-2.5-flash"), 1, 1)
	a.Push(fake.CapacityError())
	b.Push(fake.CapacityError())
	served(200, chat("gemini-2.5-flash"), 2, 1)
	a.Push(fake.ResetAfter("2h7m23s"))
	b.Push(fake.ResetAfter("2h7m23s"))
	got := chat("gemini-2.5-flash")
	after, err := strconv.Atoi(got.Header.Get("Retry-After"))
	require.NoError(t, err, got.Body)
	require.InDelta(t, 7643, after, 3)
	served(429, got, 1, 1)
	served(503, chat("gemini-2.5-flash"), 0, 0) // the model is left alone
	served(200, chat("gemini-3-pro-low"), 1, 0)
}

// An account without a project is given one by its first request.
func TestOnboarding(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	g := codeGateway(t, "gemini-cli", `{name: main, access_token: tok}`, up.URL)
	for range 2 {
		got := g.post("/v1/chat/completions", `{"model":"gc/gemini-2.5-pro","messages":[{"role":"user","content":"hi"}]}`)
		require.Equal(t, 200, got.Status, got.Body)
	}
	var paths []string
	for _, r := range up.Requests() {
		paths = append(paths, strings.TrimPrefix(r.Path, "/v1internal:"))
	}
	require.Equal(t, []string{"loadCodeAssist", "onboardUser", "onboardUser", "generateContent", "generateContent"}, paths)
	project, _ := doc.String(up.Last().Body, "project")
	require.Equal(t, fake.DemoProject, project)
	require.Empty(t, up.Violations())
}

// A subscription that is used up is left alone until it is not.
func TestCodexLimit(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	g := codeGateway(t, "codex", `{name: main, access_token: tok, data: {chatgptAccountId: acc-1}}`, up.URL+"/backend-api/codex")
	up.Push(fake.RateLimited("resets_at", 2*time.Hour))
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		got := g.post("/v1/chat/completions", `{"model":"cx/gpt-5.1","messages":[{"role":"user","content":"hi"}]}`)
		require.Equal(t, status, got.Status, got.Body)
		after, err := strconv.Atoi(got.Header.Get("Retry-After"))
		require.NoError(t, err, got.Body)
		require.InDelta(t, 7200, after, 5)
	}
	require.Len(t, up.Requests(), 1)
}
