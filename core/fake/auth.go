package fake

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// AuthSecret is the client secret that an [Auth] wants of providers whose clients
// have one.
const AuthSecret = "canary-client-secret"

// Auth plays the authorization servers and the quota endpoints of the providers
// that people log in at, each below a path of its own. It checks what those
// check: types of bodies, clients, redirects, PKCE, codes and refresh tokens that
// serve once. There are no pages: [Auth.Browse] is the person in the browser, and
// device codes are approved by their script.
type Auth struct {
	// URL is the base of all addresses.
	URL string
	// Skew of the servers' clocks. Set it before the first request.
	Skew time.Duration

	ln   net.Listener
	http *http.Server

	mu       sync.Mutex
	n        int
	codes    map[string]*authCode
	devices  map[string]*authDevice
	scripts  map[string][]string
	refresh  map[string]string // refresh token -> provider
	spent    map[string]bool   // refresh tokens that have served
	access   map[string]string // access token -> provider
	revoked  map[string]bool
	failing  map[string]int
	lost     map[string]int
	hold     chan struct{}
	waiting  int
	requests []AuthRequest
}

// AuthRequest is one request that an [Auth] received.
type AuthRequest struct {
	Provider, Path string // below the provider's own
	Method         string
	Header         http.Header
	Query          url.Values
	Fields         map[string]string // of the body
	Status         int               // of the answer; 0 = none was given
	Problem        string            // what the server did not like
}

type authCode struct {
	provider, challenge, redirect string
}

type authDevice struct {
	provider, challenge string
}

// StartAuth serves on a free loopback port. It panics when there is none.
func StartAuth() *Auth {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	a := &Auth{
		URL: "http://" + ln.Addr().String(), ln: ln, codes: map[string]*authCode{}, devices: map[string]*authDevice{}, scripts: map[string][]string{},
		refresh: map[string]string{}, spent: map[string]bool{}, access: map[string]string{}, revoked: map[string]bool{}, failing: map[string]int{}, lost: map[string]int{},
	}
	a.http = &http.Server{Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.http.Serve(ln) }()
	return a
}

// Close stops the servers.
func (a *Auth) Close() { _ = a.http.Close() }

// Settings are the addresses of a provider's servers, by the names of the keys
// below oauth.<provider> of omniroute.yaml.
func (a *Auth) Settings(provider string) map[string]string {
	base := a.URL + "/" + provider
	s := map[string]string{"token_url": base + "/token"}
	switch provider {
	case "claude":
		s["authorize_url"] = base + "/authorize"
	case "codex":
		s["authorize_url"], s["device_url"], s["poll_url"] = base+"/authorize", base+"/api/accounts/deviceauth/usercode", base+"/api/accounts/deviceauth/token"
	case "gemini", "gemini-cli", "antigravity":
		s["authorize_url"], s["userinfo_url"], s["onboard_url"] = base+"/authorize", base+"/userinfo?alt=json", base+"/v1internal"
		s["client_secret"] = AuthSecret
	case "iflow":
		s["authorize_url"], s["userinfo_url"], s["client_secret"] = base+"/authorize", base+"/userinfo?accessToken={access_token}", AuthSecret
	case "qwen", "kimi-coding":
		s["device_url"] = base + "/device"
	case "github":
		s["device_url"], s["userinfo_url"], s["exchange_url"] = base+"/device", base+"/user", base+"/copilot_internal/v2/token"
	case "kiro":
		s["register_url"], s["device_url"], s["profile_url"] = base+"/client/register", base+"/device_authorization", base+"/"
		s["social_login_url"], s["social_token_url"], s["social_refresh_url"] = base+"/login", base+"/social/token", base+"/social/refresh"
	case "kilocode":
		delete(s, "token_url")
		s["device_url"], s["poll_url"], s["profile_url"] = base+"/codes", base+"/codes/{code}", base+"/profile"
	case "cline":
		s["authorize_url"], s["refresh_url"] = base+"/authorize", base+"/refresh"
	default:
		return nil
	}
	return s
}

// UsageURL is the address of a provider's quota endpoint, "" if it has none.
func (a *Auth) UsageURL(provider string) string {
	switch provider {
	case "codex", "github", "claude":
		return a.URL + "/" + provider + "/usage"
	case "kiro":
		return a.URL + "/kiro/"
	case "antigravity", "gemini-cli":
		return a.URL + "/" + provider + "/v1internal"
	}
	return ""
}

// Script says what a provider answers to the next polls of device logins: pending,
// slow_down, expired, denied, or unavailable; after the last it grants.
func (a *Auth) Script(provider string, answers ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scripts[provider] = answers
}

// Fail answers everything of a provider with a status; 0 ends that.
func (a *Auth) Fail(provider string, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failing[provider] = status
}

// Lose does as a provider asks for n requests to its token endpoint, and cuts the
// connection in place of the answer.
func (a *Auth) Lose(provider string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost[provider] = n
}

// Revoke ends all grants of a provider.
func (a *Auth) Revoke(provider string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked[provider] = true
	maps.DeleteFunc(a.access, func(_, p string) bool { return p == provider })
}

// Expire ends all access tokens of a provider.
func (a *Auth) Expire(provider string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.access, func(_, p string) bool { return p == provider })
}

// Grant makes tokens of a provider valid.
func (a *Auth) Grant(provider, access, refresh string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked[provider] = false
	a.access[access], a.refresh[refresh] = provider, provider
}

// Valid reports whether an access token serves.
func (a *Auth) Valid(access string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.access[access]
	return ok
}

// Requests returns what a provider's servers received so far; path "" = all.
func (a *Auth) Requests(provider, path string) (out []AuthRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if r.Provider == provider && (path == "" || r.Path == path) {
			out = append(out, r)
		}
	}
	return out
}

// Problems returns what the servers did not like.
func (a *Auth) Problems() (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if r.Problem != "" {
			out = append(out, r.Provider+" "+r.Path+": "+r.Problem)
		}
	}
	return out
}

// Browse is a person who opens an authorization address and agrees: it returns the
// address that the browser is sent to, or what is wrong with the request.
func (a *Auth) Browse(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	provider, page, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	q := u.Query()
	redirect := q.Get("redirect_uri")
	if provider == "iflow" {
		redirect = q.Get("redirect")
	}
	back, err := url.Parse(redirect)
	switch {
	case !strings.HasPrefix(address, a.URL) || page != "authorize" && page != "login":
		return "", fmt.Errorf("%s is no authorization page", address)
	case err != nil || redirect == "":
		return "", fmt.Errorf("no redirect")
	case strings.Contains(u.RawQuery, "+"):
		return "", fmt.Errorf("a space is written as +")
	}
	if err := browsable(provider, q); err != nil {
		return "", err
	}
	code := a.newCode(provider, q.Get("code_challenge"), redirect)
	answer := url.Values{"code": {code}}
	if provider != "cline" {
		answer.Set("state", q.Get("state"))
	}
	back.RawQuery = answer.Encode()
	return back.String(), nil
}

// browsable checks an authorization request.
func browsable(provider string, q url.Values) error {
	pkce := provider == "claude" || provider == "codex" || provider == "kiro"
	switch {
	case provider == "cline":
		if q.Get("client_type") != "extension" || q.Get("callback_url") != q.Get("redirect_uri") {
			return fmt.Errorf("a parameter of cline is missing")
		}
		return nil
	case q.Get("state") == "":
		return fmt.Errorf("no state")
	case pkce != (q.Get("code_challenge") != "") || pkce && q.Get("code_challenge_method") != "S256":
		return fmt.Errorf("PKCE is not as it should be")
	case provider == "kiro":
		if q.Get("redirect_uri") != "kiro://kiro.kiroAgent/authenticate-success" || q.Get("idp") == "" {
			return fmt.Errorf("a parameter of kiro is missing")
		}
		return nil
	case q.Get("client_id") == "":
		return fmt.Errorf("no client id")
	}
	want := map[string]map[string]string{
		"claude":      {"code": "true", "response_type": "code", "scope": "org:create_api_key user:profile user:inference"},
		"codex":       {"id_token_add_organizations": "true", "codex_cli_simplified_flow": "true", "originator": "codex_cli_rs", "scope": "openid profile email offline_access", "redirect_uri": "http://localhost:1455/auth/callback"},
		"gemini-cli":  {"access_type": "offline", "prompt": "consent", "response_type": "code"},
		"antigravity": {"access_type": "offline", "prompt": "consent", "response_type": "code"},
		"iflow":       {"loginMethod": "phone", "type": "phone"},
	}[provider]
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if q.Get(name) != want[name] && !(provider == "codex" && name == "redirect_uri") {
			return fmt.Errorf("%s is %q", name, q.Get(name))
		}
	}
	return nil
}

func (a *Auth) newCode(provider, challenge, redirect string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
	code := fmt.Sprintf("canary-code-%s-%d", provider, a.n)
	if provider == "cline" {
		access, refresh := a.tokens(provider)
		raw, _ := json.Marshal(map[string]string{"accessToken": access, "refreshToken": refresh, "email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace",
			"expiresAt": time.Now().Add(a.Skew + time.Hour).UTC().Format(time.RFC3339)})
		return base64.RawURLEncoding.EncodeToString(append(raw, "\x01\x9f}signature"...))
	}
	a.codes[code] = &authCode{provider, challenge, redirect}
	return code
}

// tokens makes a pair; a.mu is held.
func (a *Auth) tokens(provider string) (access, refresh string) {
	a.n++
	access, refresh = fmt.Sprintf("canary-access-%s-%d", provider, a.n), fmt.Sprintf("canary-refresh-%s-%d", provider, a.n)
	switch provider {
	case "claude":
		access = "sk-ant-oat01-" + access
	case "kiro":
		refresh = "aorAAAAAG" + refresh
	case "kilocode":
		access = JWT(map[string]any{"sub": "kilo-user", "exp": time.Now().Add(time.Hour).Unix(), "n": a.n})
	}
	a.access[access], a.refresh[refresh] = provider, provider
	return access, refresh
}

// JWT is an unsigned token with these claims.
func JWT(claims map[string]any) string {
	raw, _ := json.Marshal(claims)
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(raw) + ".canary"
}

func (a *Auth) serve(w http.ResponseWriter, r *http.Request) {
	provider, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	req := AuthRequest{Provider: provider, Path: path, Method: r.Method, Header: r.Header.Clone(), Query: r.URL.Query(), Fields: map[string]string{}}
	req.Fields, req.Problem = authFields(r)
	a.mu.Lock()
	var body any
	req.Status, body = a.answer(&req)
	lose := a.lost[provider] > 0 && (path == "token" || strings.HasSuffix(path, "refresh"))
	if lose {
		a.lost[provider]--
		req.Status = 0
	}
	a.requests = append(a.requests, req)
	hold := a.hold
	if hold != nil && r.Method == http.MethodPost {
		a.waiting++
	}
	a.mu.Unlock()
	if hold != nil && r.Method == http.MethodPost {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	if lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().Add(a.Skew).UTC().Format(http.TimeFormat))
	w.WriteHeader(req.Status)
	_ = json.NewEncoder(w).Encode(body)
}

// authFields reads a body, whose type the provider prescribes.
func authFields(r *http.Request) (fields map[string]string, problem string) {
	fields = map[string]string{}
	raw, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(raw) == 0:
	case strings.HasSuffix(kind, "json") || kind == "application/x-amz-json-1.0":
		var object map[string]any
		if json.Unmarshal(raw, &object) != nil {
			return fields, "the body is no JSON object"
		}
		for name, v := range object {
			s, ok := v.(string)
			if !ok {
				text, _ := json.Marshal(v)
				s = string(text)
			}
			fields[name] = s
		}
	case kind == "application/x-www-form-urlencoded":
		q, err := url.ParseQuery(string(raw))
		if err != nil {
			return fields, "the body is no form"
		}
		for name := range q {
			fields[name] = q.Get(name)
		}
	default:
		return fields, "the content type is " + kind
	}
	return fields, ""
}

// Hold keeps back the answers to POST requests until release is called; what was
// asked for is done by then.
func (a *Auth) Hold() (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := make(chan struct{})
	a.hold = c
	return sync.OnceFunc(func() {
		a.mu.Lock()
		a.hold = nil
		a.mu.Unlock()
		close(c)
	})
}

// Waiting counts the requests that were held so far.
func (a *Auth) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

// pkceMatches compares a verifier with the challenge of a request.
func pkceMatches(verifier, challenge string) bool {
	if challenge == "" {
		return true
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}
