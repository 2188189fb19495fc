package boot_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
)

// dashboard is a gateway, without plugins, and a browser in front of it.
type dashboard struct {
	t      *testing.T
	gw     *boot.Gateway
	out    *console
	cookie string
}

func openDashboard(t *testing.T, yaml string) *dashboard {
	t.Helper()
	return openDashboardWith(t, yaml, nil)
}

// openDashboardWith has the plugins of a bundle.
func openDashboardWith(t *testing.T, yaml string, core func() []byte) *dashboard {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte("server:\n  listen: 127.0.0.1:0\n"+yaml), 0o600))
	d := &dashboard{t: t, out: &console{}}
	gw, err := boot.Start(t.Context(), boot.Options{Config: path, DataDir: filepath.Join(dir, "data"), Out: d.out, Err: io.Discard, Version: "test", Core: core, Env: []string{"HOME=" + dir, "OMNIROUTE_PLUGINS__CACHE__DIR=" + os.Getenv("OMNIROUTE_PLUGINS__CACHE__DIR")}})
	require.NoError(t, err)
	d.gw = gw
	t.Cleanup(func() { require.NoError(t, gw.Shutdown(t.Context())) })
	return d
}

// behindProxy believes what loopback peers say about who they speak for.
const behindProxy = `  trusted_proxies: [127.0.0.0/8]
auth: {initial_password: "correct horse battery"}
`

// do sends a request as a page of ours would.
func (d *dashboard) do(method, path, body string, header ...string) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.gw.URL()+path, strings.NewReader(body))
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if d.cookie != "" {
		req.Header.Set("Cookie", d.cookie)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(d.t, err)
	for _, c := range res.Cookies() {
		if d.cookie = c.Name + "=" + c.Value; c.MaxAge < 0 {
			d.cookie = ""
		}
	}
	return res, string(text)
}

func (d *dashboard) status(method, path, body string, header ...string) int {
	d.t.Helper()
	res, _ := d.do(method, path, body, header...)
	return res.StatusCode
}

// A new gateway has no password: nothing can be administered until the setup link was used.
func TestSetupLink(t *testing.T) {
	d := openDashboard(t, "")
	link := regexp.MustCompile(`Setup: +(\S+)/setup#(\S+)`).FindStringSubmatch(d.out.String())
	require.Len(t, link, 3, d.out.String())
	require.Equal(t, d.gw.URL(), link[1])

	require.Equal(t, 403, d.status("GET", "/api/version", ""))
	_, text := d.do("GET", "/api/version", "")
	require.Contains(t, text, "SETUP_REQUIRED")
	_, text = d.do("GET", "/api/settings/require-login", "")
	require.JSONEq(t, `{"requireLogin":true,"hasPassword":false,"setupComplete":false}`, text)
	proxy := []string{"X-Forwarded-For", "203.0.113.9"}
	require.Equal(t, 401, d.status("POST", "/api/setup", `{"token":"wrong","password":"correct horse battery"}`, proxy...))
	require.Equal(t, 403, d.status("POST", "/api/settings/require-login", `{"password":"correct horse battery"}`, proxy...))
	require.Equal(t, 200, d.status("POST", "/api/setup", `{"token":"`+link[2]+`","password":"correct horse battery"}`, proxy...))
	require.Equal(t, 200, d.status("GET", "/api/version", ""))
	d.cookie = ""
	require.Equal(t, 401, d.status("GET", "/api/version", ""))
	require.Equal(t, 409, d.status("POST", "/api/setup", `{"token":"`+link[2]+`","password":"another battery"}`))
}

func TestSessionsAndTokens(t *testing.T) {
	d := openDashboard(t, "auth: {initial_password: \"correct horse battery\"}\n")
	require.NotContains(t, d.out.String(), "/setup#")
	require.Equal(t, 401, d.status("POST", "/api/auth/login", `{"password":"wrong"}`))
	res, text := d.do("POST", "/api/auth/login", `{"password":"correct horse battery"}`)
	require.Equal(t, 200, res.StatusCode, text)
	require.JSONEq(t, `{"success":true}`, text)
	set := res.Header.Get("Set-Cookie")
	require.Contains(t, set, "HttpOnly")
	require.Contains(t, set, "SameSite=Lax")
	require.NotContains(t, set, "Secure", "plain HTTP")

	_, text = d.do("GET", "/api/auth/status", "")
	require.JSONEq(t, `{"authenticated":true}`, text)
	_, text = d.do("GET", "/api/auth/session", "")
	require.Contains(t, text, `"user":"admin"`)
	_, text = d.do("POST", "/api/auth/tokens", `{"name":"ci","scopes":["read"]}`)
	token := regexp.MustCompile(`omr_[^"]+`).FindString(text)
	require.NotEmpty(t, token, text)
	_, text = d.do("GET", "/api/auth/tokens", "")
	require.NotContains(t, text, token)
	require.Contains(t, text, `"name":"ci"`)

	old := d.cookie
	require.Equal(t, 200, d.status("POST", "/api/auth/password", `{"currentPassword":"correct horse battery","newPassword":"a better password"}`))
	require.NotEqual(t, old, d.cookie)
	require.Equal(t, 200, d.status("GET", "/api/version", ""))
	require.Equal(t, 401, d.status("GET", "/api/version", "", "Cookie", old))
	require.Equal(t, 200, d.status("POST", "/api/auth/logout", `{}`))
	require.Empty(t, d.cookie)
	require.Equal(t, 200, d.status("GET", "/api/version", "", "Authorization", "Bearer "+token))
	require.Equal(t, 403, d.status("GET", "/api/auth/tokens", "", "Authorization", "Bearer "+token))
}

// Five wrong passwords from one address, seen through a trusted proxy, lock it out; the machine itself stays open.
func TestLoginLockout(t *testing.T) {
	d := openDashboard(t, behindProxy)
	from := []string{"X-Forwarded-For", "203.0.113.9"}
	for range 5 {
		require.Equal(t, 401, d.status("POST", "/api/auth/login", `{"password":"wrong"}`, from...))
	}
	res, text := d.do("POST", "/api/auth/login", `{"password":"correct horse battery"}`, from...)
	require.Equal(t, 423, res.StatusCode, text)
	require.Equal(t, "900", res.Header.Get("Retry-After"))
	require.Contains(t, text, "AUTH_005")
	require.Equal(t, 200, d.status("POST", "/api/auth/login", `{"password":"correct horse battery"}`, "X-Forwarded-For", "203.0.113.10"))
}

// A blocked address gets nothing from the management API either.
func TestBlockedAddressCannotAdminister(t *testing.T) {
	d := openDashboard(t, behindProxy+"ip_filter: {enabled: true, mode: blacklist, blacklist: [203.0.113.0/24]}\n")
	require.Equal(t, 200, d.status("GET", "/api/monitoring/health", ""))
	require.Equal(t, 403, d.status("GET", "/api/monitoring/health", "", "X-Forwarded-For", "203.0.113.9"))
	require.Equal(t, 403, d.status("POST", "/api/auth/login", `{"password":"correct horse battery"}`, "X-Forwarded-For", "203.0.113.9"))
}

// Nothing but a short list answers somebody unknown.
func TestAnonymousSweep(t *testing.T) {
	d := openDashboard(t, "auth: {initial_password: \"correct horse battery\"}\n")
	open := map[string]bool{
		"POST /api/setup": true, "POST /api/auth/login": true, "POST /api/auth/logout": true, "GET /api/auth/status": true,
		"GET /api/settings/require-login": true, "GET /api/monitoring/health": true,
		"GET /api/health": true, "GET /api/health/live": true, "GET /api/health/ready": true,
	}
	routes := d.gw.AdminRoutes()
	require.NotEmpty(t, routes)
	params := regexp.MustCompile(`\{[^}]+\}`)
	for _, r := range routes {
		res, text := d.do(r.Method, params.ReplaceAllString(r.Path, "x"), "{}")
		name := r.Method + " " + r.Path
		if open[name] {
			require.Contains(t, []int{200, 400, 409}, res.StatusCode, "%s: %s", name, text)
			continue
		}
		require.Contains(t, []int{401, 403}, res.StatusCode, "%s: %s", name, text)
		require.NotEqual(t, "public", string(r.Tier), name)
	}
}
