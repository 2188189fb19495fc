package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	json "github.com/goccy/go-json"
	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

const password = "correct horse battery"

type noLockout struct{}

func (noLockout) Locked(netip.Addr) time.Duration { return 0 }
func (noLockout) Failed(netip.Addr, string)       {}
func (noLockout) Succeeded(netip.Addr, string)    {}

type keys map[string][]string

func (k keys) Identify(_ context.Context, secret string, _ netip.Addr) (string, string, []string, error) {
	scopes, ok := k[secret]
	if !ok {
		return "", "", nil, fault.New(fault.InvalidKey)
	}
	return "id-" + secret, secret, scopes, nil
}

type auditLog struct {
	mu     sync.Mutex
	events []Event
}

func (a *auditLog) Append(_ context.Context, e Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
}

// bench is a router with one route per tier and what it stands on.
type bench struct {
	*Router
	access *access.Service
	audit  *auditLog
	now    time.Time
	runs   int

	blocked bool
}

type thing struct {
	Name  string `json:"name" minLength:"1"`
	Count int    `json:"count,omitempty"`
}

func newBench(t *testing.T) *bench {
	b := &bench{audit: &auditLog{}, now: time.Unix(1_800_000_000, 0)}
	clock := func() time.Time { return b.now }
	var err error
	b.access, err = access.Open(t.Context(), state.NewMemory(clock), access.Options{
		Secret: []byte("0123456789abcdef0123456789abcdef"), InitialPassword: password, Lockout: noLockout{}, Now: clock,
		Cost: access.Cost{Memory: 64, Passes: 1},
	})
	require.NoError(t, err)
	b.Router = New(Config{
		Version: "test", Access: b.access, Audit: b.audit, Keys: keys{"sk-plain": {"inference"}, "sk-root": {"inference", "admin"}},
		ClientIP: func(c *fiber.Ctx) netip.Addr { return netip.MustParseAddr("203.0.113.7") },
		Secure:   func(*fiber.Ctx) bool { return false },
		Allow: func(ip netip.Addr, _ string) error {
			if b.blocked {
				return fault.New(fault.AddressNotAllowed)
			}
			return nil
		},
		BaseURL: func() string { return "" }, Draining: func() bool { return false },
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: clock,
	})
	for tier := range tiers {
		Handle(b.Router, Route{Method: "GET", Path: "/api/tier/" + string(tier), Tier: tier, Summary: "x"},
			func(context.Context, *struct{}) (*Body[thing], error) { return Reply(thing{Name: string(tier)}), nil })
	}
	Handle(b.Router, Route{Method: "POST", Path: "/api/things", Tier: Admin, Summary: "x", Audit: "thing.create", Status: 201, Aliases: []string{"/api/old/things"}},
		func(ctx context.Context, in *struct{ Body thing }) (*Body[thing], error) {
			b.runs++
			Touched(ctx, "thing", in.Body.Name, nil, in.Body)
			if in.Body.Name == "bad" {
				return nil, WithDetails(fault.New(fault.Conflict, "taken"), Detail{Field: "name", Message: "taken"})
			}
			if in.Body.Name == "panic" {
				panic("secret words")
			}
			if in.Body.Name == "raw" {
				return nil, io.ErrUnexpectedEOF
			}
			return Reply(in.Body), nil
		})
	Handle(b.Router, Route{Method: "DELETE", Path: "/api/things/{id}", Tier: Admin, Summary: "x", Audit: "thing.remove", Confirm: true},
		func(context.Context, *struct {
			ID string `path:"id"`
		}) (*struct{}, error) {
			return nil, nil
		})
	b.Seal()
	return b
}

type headers map[string]string

func (b *bench) do(t *testing.T, method, path, body string, h headers) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	require.NoError(t, err)
	for k, v := range h {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	if body != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.app.Test(req, -1)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text), res.Header
}

func errorCode(t *testing.T, body string) fault.Code {
	t.Helper()
	var e Error
	require.NoError(t, json.Unmarshal([]byte(body), &e), body)
	require.NotEmpty(t, e.Body.Message)
	require.NotEmpty(t, e.Body.CorrelationID)
	return e.Body.Code
}

func (b *bench) cookie(t *testing.T) string {
	t.Helper()
	cookie, _, err := b.access.Login(t.Context(), password, access.Client{})
	require.NoError(t, err)
	return CookieName + "=" + cookie
}

func TestTiers(t *testing.T) {
	b := newBench(t)
	reader, _, err := b.access.CreateToken(t.Context(), "r", []string{"read"}, time.Time{})
	require.NoError(t, err)
	admin, _, err := b.access.CreateToken(t.Context(), "a", []string{"admin"}, time.Time{})
	require.NoError(t, err)
	for _, test := range []struct {
		name string
		h    headers
		want map[Tier]int
	}{
		{"nobody", headers{}, map[Tier]int{Public: 200, Setup: 401, Viewer: 401, Admin: 401, Local: 401, Key: 401}},
		{"reader", headers{"Authorization": "Bearer " + reader}, map[Tier]int{Public: 200, Setup: 403, Viewer: 200, Admin: 403, Local: 403, Key: 401}},
		{"admin", headers{"Authorization": "Bearer " + admin}, map[Tier]int{Public: 200, Setup: 200, Viewer: 200, Admin: 200, Local: 403, Key: 401}},
		{"session", headers{"Cookie": b.cookie(t)}, map[Tier]int{Public: 200, Setup: 200, Viewer: 200, Admin: 200, Local: 403, Key: 401}},
		{"client key", headers{"Authorization": "Bearer sk-plain"}, map[Tier]int{Public: 200, Setup: 403, Viewer: 403, Admin: 403, Local: 403, Key: 200}},
		{"client key by x-api-key", headers{"x-api-key": "sk-plain"}, map[Tier]int{Public: 200, Viewer: 403, Key: 200}},
		{"client key with the scope", headers{"Authorization": "Bearer sk-root"}, map[Tier]int{Viewer: 200, Admin: 200, Key: 200}},
		{"wrong key", headers{"Authorization": "Bearer sk-nosuch"}, map[Tier]int{Public: 200, Viewer: 401, Admin: 401, Key: 401}},
		{"wrong token", headers{"Authorization": "Bearer omr_x_y"}, map[Tier]int{Public: 200, Viewer: 401}},
		{"forged cookie", headers{"Cookie": CookieName + "=x.y.z"}, map[Tier]int{Public: 200, Viewer: 401}},
	} {
		for tier, want := range test.want {
			status, body, h := b.do(t, "GET", "/api/tier/"+string(tier), "", test.h)
			require.Equal(t, want, status, "%s %s: %s", test.name, tier, body)
			require.NotEmpty(t, h.Get("X-Request-Id"))
			require.Equal(t, "no-store", h.Get("Cache-Control"))
			require.Empty(t, h.Get("Access-Control-Allow-Origin"))
			if status >= 400 {
				errorCode(t, body)
				require.NotEmpty(t, h.Get("X-Error-Message"))
			}
		}
	}
}

// The connection of Test has no loopback address, so the rule itself is asked.
func TestOwnName(t *testing.T) {
	b := newBench(t)
	for host, want := range map[string]bool{
		"localhost": true, "localhost:20128": true, "127.0.0.1:20128": true, "[::1]:20128": true, "a.localhost:1": true,
		"evil.example": false, "localhost.evil.example": false, "203.0.113.7": false, "": false,
	} {
		require.Equal(t, want, b.ownName(host), host)
	}
	b.conf.BaseURL = func() string { return "https://gateway.example:8443" }
	require.True(t, b.ownName("gateway.example:8443"))
}

func TestForeignPagesCannotWrite(t *testing.T) {
	b := newBench(t)
	cookie := b.cookie(t)
	token, _, err := b.access.CreateToken(t.Context(), "a", []string{"admin"}, time.Time{})
	require.NoError(t, err)
	for _, test := range []struct {
		name string
		h    headers
		want int
	}{
		{"our page", headers{"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}, 201},
		{"our page, older browser", headers{"Cookie": cookie, "Origin": "http://localhost"}, 201},
		{"another site", headers{"Cookie": cookie, "Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403},
		{"another port", headers{"Cookie": cookie, "Origin": "http://localhost:8080"}, 403},
		{"no origin", headers{"Cookie": cookie}, 403},
		{"opaque origin", headers{"Cookie": cookie, "Origin": "null"}, 403},
		{"a form", headers{"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}, 415},
		{"a script with a token", headers{"Authorization": "Bearer " + token}, 201},
	} {
		status, body, _ := b.do(t, "POST", "/api/things", `{"name":"x"}`, test.h)
		require.Equal(t, test.want, status, "%s: %s", test.name, body)
	}
}

func TestConfirmation(t *testing.T) {
	b := newBench(t)
	h := headers{"Cookie": b.cookie(t), "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
	status, _, _ := b.do(t, "DELETE", "/api/things/1", "", h)
	require.Equal(t, 204, status)
	b.now = b.now.Add(10 * time.Minute)
	status, body, _ := b.do(t, "DELETE", "/api/things/1", "", h)
	require.Equal(t, 403, status)
	require.Equal(t, fault.ConfirmFirst, errorCode(t, body))
}

func TestLoginSwitchedOff(t *testing.T) {
	b := newBench(t)
	require.NoError(t, b.access.SetRequireLogin(t.Context(), false))
	status, _, _ := b.do(t, "GET", "/api/tier/admin", "", nil)
	require.Equal(t, 200, status)
	status, _, _ = b.do(t, "GET", "/api/tier/local", "", nil)
	require.Equal(t, 403, status)
	status, _, _ = b.do(t, "POST", "/api/things", `{"name":"x"}`, nil)
	require.Equal(t, 201, status, "a script")
	status, _, _ = b.do(t, "POST", "/api/things", `{"name":"x"}`, headers{"Sec-Fetch-Site": "cross-site"})
	require.Equal(t, 403, status, "a foreign page")
	status, _, _ = b.do(t, "GET", "/api/tier/viewer", "", headers{"Authorization": "Bearer nosuch"})
	require.Equal(t, 401, status, "a credential that is presented must be good")
}

func TestErrors(t *testing.T) {
	b := newBench(t)
	h := headers{"Authorization": "Bearer sk-root"}
	for _, test := range []struct {
		method, path, body string
		status             int
		code               fault.Code
		says               string
	}{
		{"POST", "/api/things", `{"name":""}`, 400, fault.InvalidBody, "name"},
		{"POST", "/api/things", `{"nam":"x"}`, 400, fault.InvalidBody, "nam"},
		{"POST", "/api/things", `{"name":"x","more":1}`, 400, fault.InvalidBody, "more"},
		{"POST", "/api/things", `{"name"`, 400, fault.InvalidBody, ""},
		{"POST", "/api/things", ``, 400, fault.InvalidBody, ""},
		{"POST", "/api/things?x=1", `{"name":"x"}`, 400, fault.InvalidBody, "x"},
		{"POST", "/api/things", `{"name":"bad"}`, 409, fault.Conflict, "taken"},
		{"POST", "/api/things", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, fault.PayloadTooLarge, ""},
		{"POST", "/api/things", `{"name":"raw"}`, 500, fault.Internal, "Internal server error"},
		{"POST", "/api/things", `{"name":"panic"}`, 500, fault.Internal, "Internal server error"},
		{"GET", "/api/nosuch", ``, 404, fault.NotFound, "No such route"},
		{"GET", "/api/THINGS", ``, 404, fault.NotFound, ""},
		{"PUT", "/api/things", `{}`, 405, fault.InvalidBody, ""},
	} {
		status, body, _ := b.do(t, test.method, test.path, test.body, h)
		require.Equal(t, test.status, status, "%s %s: %s", test.method, test.path, body)
		require.Equal(t, test.code, errorCode(t, body))
		require.Contains(t, body, test.says)
		require.NotContains(t, body, "secret words")
		require.NotContains(t, body, "EOF\"")
	}
}

func TestWritesAreAudited(t *testing.T) {
	b := newBench(t)
	h := headers{"Authorization": "Bearer sk-root", "X-Request-Id": "r-1"}
	b.do(t, "POST", "/api/things", `{"name":"x","count":2}`, h)
	b.do(t, "POST", "/api/things", `{"name":"bad"}`, h)
	b.do(t, "POST", "/api/things", `{"name":"panic"}`, h)
	b.do(t, "GET", "/api/tier/admin", "", h)
	require.Len(t, b.audit.events, 3)
	first := b.audit.events[0]
	require.Equal(t, Event{
		Action: "thing.create", ActorKind: "key", ActorID: "id-sk-root", ActorName: "sk-root", IP: netip.MustParseAddr("203.0.113.7"),
		Target: Target{"thing", "x"}, After: thing{"x", 2}, Result: "ok", RequestID: "r-1",
	}, first)
	require.Equal(t, "CONFLICT_001", b.audit.events[1].Result)
	require.Equal(t, "INTERNAL_001", b.audit.events[2].Result)
}

func TestIdempotencyKey(t *testing.T) {
	b := newBench(t)
	h := headers{"Authorization": "Bearer sk-root", "Idempotency-Key": "k1"}
	status, first, _ := b.do(t, "POST", "/api/things", `{"name":"x"}`, h)
	require.Equal(t, 201, status)
	status, again, got := b.do(t, "POST", "/api/things", `{"name":"x"}`, h)
	require.Equal(t, 201, status)
	require.Equal(t, first, again)
	require.Equal(t, "true", got.Get("Idempotent-Replayed"))
	require.Equal(t, 1, b.runs)
	status, body, _ := b.do(t, "POST", "/api/things", `{"name":"y"}`, h)
	require.Equal(t, 409, status)
	require.Equal(t, fault.IdempotencyConflict, errorCode(t, body))
	b.now = b.now.Add(repeatFor)
	b.do(t, "POST", "/api/things", `{"name":"x"}`, h)
	require.Equal(t, 2, b.runs)
	b.do(t, "POST", "/api/things", `{"name":"bad"}`, headers{"Authorization": "Bearer sk-root", "Idempotency-Key": "k2"})
	b.do(t, "POST", "/api/things", `{"name":"bad"}`, headers{"Authorization": "Bearer sk-root", "Idempotency-Key": "k2"})
	require.Equal(t, 4, b.runs, "a failure may be tried again")
}

func TestRegistrationRefusesWhatIsIncomplete(t *testing.T) {
	handler := func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }
	for name, route := range map[string]Route{
		"no tier":    {Method: "GET", Path: "/api/x", Summary: "x"},
		"no summary": {Method: "GET", Path: "/api/x", Tier: Viewer},
		"no audit":   {Method: "POST", Path: "/api/x", Tier: Viewer, Summary: "x"},
		"elsewhere":  {Method: "GET", Path: "/x", Tier: Viewer, Summary: "x"},
	} {
		require.Panics(t, func() { Handle(New(Config{}), route, handler) }, name)
	}
}

func TestDocument(t *testing.T) {
	b := newBench(t)
	doc := b.OpenAPI()
	require.Equal(t, "3.1.0", doc.OpenAPI)
	seed := doc.Paths["/api/old/things"].Post
	require.Equal(t, "seed", seed.Extensions["x-compat"])
	require.Equal(t, "admin", seed.Extensions["x-tier"])
	require.Contains(t, seed.Responses, "403")
	text, err := doc.MarshalJSON()
	require.NoError(t, err)
	require.Contains(t, string(text), `"correlation_id"`)
	var _ huma.StatusError = (*Error)(nil)
}

func TestDraining(t *testing.T) {
	b := newBench(t)
	b.conf.Draining = func() bool { return true }
	status, body, _ := b.do(t, "GET", "/api/tier/public", "", nil)
	require.Equal(t, 503, status)
	require.Equal(t, fault.Unavailable, errorCode(t, body))
}

func TestBlockedAddress(t *testing.T) {
	b := newBench(t)
	b.blocked = true
	status, body, _ := b.do(t, "GET", "/api/tier/public", "", nil)
	require.Equal(t, 403, status)
	require.Equal(t, fault.AddressNotAllowed, errorCode(t, body))
}
