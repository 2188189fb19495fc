package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Issuer is a running OAuth token endpoint (RFC 6749) whose refresh tokens serve
// once: using one a second time revokes the grant, as providers do that watch for
// theft.
type Issuer struct {
	// URL is the token endpoint.
	URL string

	opt  IssuerOptions
	http *service

	mu      sync.Mutex
	n       int
	refresh string
	access  map[string]time.Time // valid ones and their end
	revoked bool
	hold    chan struct{}
	status  int
	log     []TokenRequest
}

// IssuerOptions of an [Issuer].
type IssuerOptions struct {
	Access, Refresh string        // that serve at first
	Life            time.Duration // of access tokens; 0 = an hour
	ClientID        string        // "" = any
	ClientSecret    string        // "" = none
	JSON            bool          // bodies are JSON, else forms
	Skew            time.Duration // of the issuer's clock
	// Absolute tells the end as expires_at by the issuer's clock instead of
	// expires_in.
	Absolute bool
}

// TokenRequest is one request that an [Issuer] received.
type TokenRequest struct {
	Fields map[string]string
	Status int // of the answer
}

// StartIssuer serves on a free loopback port.
func StartIssuer(opt IssuerOptions) *Issuer {
	if opt.Life == 0 {
		opt.Life = time.Hour
	}
	i := &Issuer{opt: opt, refresh: opt.Refresh, access: map[string]time.Time{opt.Access: time.Now().Add(opt.Life)}}
	i.http = serve("", http.HandlerFunc(i.serve))
	i.URL = i.http.URL + "/token"
	return i
}

// Close stops the issuer.
func (i *Issuer) Close() { i.http.Close() }

// Valid reports whether an access token serves.
func (i *Issuer) Valid(access string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	end, ok := i.access[access]
	return ok && time.Now().Before(end)
}

// Expire ends all access tokens.
func (i *Issuer) Expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.access)
}

// Revoke ends the grant: refreshes are refused with invalid_grant.
func (i *Issuer) Revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked = true
}

// Grant starts a new grant with these tokens.
func (i *Issuer) Grant(access, refresh string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked, i.refresh = false, refresh
	i.access[access] = time.Now().Add(i.opt.Life)
}

// Fail answers with a status until it is called with 0.
func (i *Issuer) Fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// Hold makes refreshes wait until the returned function is called.
func (i *Issuer) Hold() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := make(chan struct{})
	i.hold = c
	return sync.OnceFunc(func() { close(c) })
}

// Requests returns what was received so far.
func (i *Issuer) Requests() []TokenRequest {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]TokenRequest(nil), i.log...)
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	fields, problem := i.fields(r)
	i.mu.Lock()
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	i.mu.Lock()
	status, body := i.answer(fields, problem)
	i.log = append(i.log, TokenRequest{fields, status})
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().Add(i.opt.Skew).UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// fields reads a request; problem says what is wrong with it.
func (i *Issuer) fields(r *http.Request) (fields map[string]string, problem string) {
	fields = map[string]string{}
	if i.opt.JSON {
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return fields, "the content type is not JSON"
		}
		if json.NewDecoder(r.Body).Decode(&fields) != nil {
			return fields, "the body is no JSON object of strings"
		}
	} else {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			return fields, "the content type is not that of a form"
		}
		if r.ParseForm() != nil {
			return fields, "the body is no form"
		}
		for name := range r.PostForm {
			fields[name] = r.PostForm.Get(name)
		}
	}
	switch id, secret := fields["client_id"], fields["client_secret"]; {
	case r.Method != http.MethodPost:
		problem = "the method is not POST"
	case fields["grant_type"] != "refresh_token":
		problem = "the grant type is not refresh_token"
	case i.opt.ClientID != "" && id != i.opt.ClientID:
		problem = "unknown client " + url.QueryEscape(id)
	case secret != i.opt.ClientSecret:
		problem = "wrong client secret"
	}
	return fields, problem
}

// answer decides about a refresh; i.mu is held.
func (i *Issuer) answer(fields map[string]string, problem string) (int, any) {
	no := func(status int, code, text string) (int, any) {
		return status, map[string]string{"error": code, "error_description": text}
	}
	switch got := fields["refresh_token"]; {
	case i.status != 0:
		return no(i.status, "temporarily_unavailable", "try later")
	case problem != "":
		return no(http.StatusBadRequest, "invalid_client", problem)
	case i.revoked:
		return no(http.StatusBadRequest, "invalid_grant", "the grant of "+got+" was revoked")
	case got != i.refresh:
		i.revoked = true
		return no(http.StatusBadRequest, "refresh_token_reused", "the token was used before")
	}
	i.n++
	i.refresh = fmt.Sprintf("%s+&=%d", i.opt.Refresh, i.n) // has to be escaped in a form
	access := fmt.Sprintf("%s-%d", i.opt.Access, i.n)
	now := time.Now()
	i.access[access] = now.Add(i.opt.Life)
	out := map[string]any{"access_token": access, "refresh_token": i.refresh, "token_type": "Bearer"}
	if i.opt.Absolute {
		out["expires_at"] = now.Add(i.opt.Skew + i.opt.Life).Unix()
	} else {
		out["expires_in"] = int(i.opt.Life / time.Second)
	}
	return http.StatusOK, out
}
