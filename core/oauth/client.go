package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Request is an HTTP request to a provider. It holds secrets: never log it.
type Request struct {
	Method, URL string
	Header      []abi.Header
	Body        []byte
}

// String keeps a request's secrets out of logs.
func (r *Request) String() string { return r.Method + " (request of a login)" }

// Response is what came back.
type Response struct {
	Status int
	Header []abi.Header
	Body   []byte
}

// Get is a header of the response.
func (r *Response) Get(name string) string {
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Sender performs requests of a provider.
type Sender func(ctx context.Context, r *Request) (*Response, error)

// Error is a refusal, of a server in the words of RFC 6749 and 8628, or of this
// package.
type Error struct {
	Status int // HTTP; 0 = the server spoke through a redirect
	// Code is the error code, like invalid_grant; "" if there was none.
	Code, Text string
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Text != "" && e.Code != "":
		return e.Text + " (" + e.Code + ")"
	case e.Text != "":
		return e.Text
	case e.Code != "":
		return e.Code
	}
	return fmt.Sprintf("the provider answered with HTTP status %d", e.Status)
}

// finalCodes are errors of token endpoints after which no further try helps.
var finalCodes = []string{"invalid_grant", "refresh_token_reused", "refresh_token_expired", "refresh_token_invalidated", "token_revoked",
	"bad_refresh_token", "InvalidGrantException", "needs_login"}

// Final reports a refusal that trying again does not change: the account has to
// log in anew.
func (e *Error) Final() bool {
	return slices.Contains(finalCodes, e.Code) && (e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// client speaks with one server on behalf of one login or account.
type client struct {
	Server
	send  Sender
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	secrets []string // that must not come back in texts
}

// hide notes secrets of requests to come.
func (c *client) hide(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 6 {
			c.secrets = append(c.secrets, s)
		}
	}
}

// clean is a text of the provider without the secrets that were sent.
func (c *client) clean(s string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range c.secrets {
		for _, form := range [...]string{secret, url.QueryEscape(secret)} {
			s = strings.ReplaceAll(s, form, "…")
		}
	}
	return clip(s)
}

// cleanError removes the secrets from an error of the transport.
func (c *client) cleanError(err error) error {
	if text := err.Error(); c.clean(text) != clip(text) {
		return errors.New(c.clean(text))
	}
	return err
}

// pair is a named value that keeps its place.
type pair struct{ name, value string }

// do performs a request. The answer may be any.
func (c *client) do(ctx context.Context, r *Request) (*Response, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, c.cleanError(err)
	}
	return resp, nil
}

// post sends fields as a form or as JSON, without those that are empty.
func (c *client) post(ctx context.Context, target string, asJSON bool, fields []pair, more ...pair) (*Response, error) {
	r := &Request{Method: http.MethodPost, URL: target, Header: []abi.Header{{Name: "Accept", Value: "application/json"}}}
	fields = slices.DeleteFunc(slices.Clone(fields), func(p pair) bool { return p.value == "" })
	if asJSON {
		object := make(map[string]string, len(fields))
		for _, f := range fields {
			object[f.name] = f.value
		}
		body, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		r.header("Content-Type", "application/json")
		r.Body = body
	} else {
		form := url.Values{}
		for _, f := range fields {
			form.Set(f.name, f.value)
		}
		r.header("Content-Type", "application/x-www-form-urlencoded")
		r.Body = []byte(form.Encode())
	}
	for _, h := range more {
		r.header(h.name, h.value)
	}
	return c.do(ctx, r)
}

// postJSON sends a value as JSON.
func (c *client) postJSON(ctx context.Context, target string, v any, more ...pair) (*Response, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	r := &Request{Method: http.MethodPost, URL: target, Body: body}
	r.header("Content-Type", "application/json")
	r.header("Accept", "application/json")
	for _, h := range more {
		r.header(h.name, h.value)
	}
	return c.do(ctx, r)
}

// get asks with a bearer token, "" = none.
func (c *client) get(ctx context.Context, target, bearer string, more ...pair) (*Response, error) {
	r := &Request{Method: http.MethodGet, URL: target}
	r.header("Accept", "application/json")
	if bearer != "" {
		r.header("Authorization", "Bearer "+bearer)
	}
	for _, h := range more {
		r.header(h.name, h.value)
	}
	return c.do(ctx, r)
}

// header sets a header, in place of one that is there.
func (r *Request) header(name, value string) {
	for i := range r.Header {
		if strings.EqualFold(r.Header[i].Name, name) {
			r.Header[i].Value = value
			return
		}
	}
	r.Header = append(r.Header, abi.Header{Name: name, Value: value})
}

// basic is the client's own authentication (RFC 6749, section 2.3.1).
func (c *client) basic() []pair {
	if !c.Basic || c.ClientSecret == "" {
		return nil
	}
	return []pair{{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ClientID+":"+c.ClientSecret))}}
}

// refusal reads an answer as an error; nil if it is none. Servers exist that
// refuse with status 200.
func (c *client) refusal(r *Response) error {
	e := &Error{Status: r.Status, Code: text(r.Body, "error"), Text: text(r.Body, "error_description")}
	if e.Code == "" {
		e.Code = text(r.Body, "error", "code")
	}
	if e.Code == "" {
		e.Code = text(r.Body, "error", "type")
	}
	if r.Status < 300 && e.Code == "" {
		return nil
	}
	for _, path := range [...][]string{{"error", "message"}, {"errorDescription"}, {"message"}} {
		if e.Text == "" {
			e.Text = text(r.Body, path...)
		}
	}
	if e.Code == "" { // AWS names the exception
		_, e.Code, _ = strings.Cut("#"+text(r.Body, "__type"), "#")
	}
	e.Code, e.Text = c.clean(e.Code), c.clean(e.Text)
	return e
}

// tokens asks a token endpoint; body is its answer.
func (c *client) tokens(ctx context.Context, target string, asJSON bool, fields []pair, more ...pair) (g *Grant, body []byte, err error) {
	sent := c.now()
	resp, err := c.post(ctx, target, asJSON, fields, more...)
	if err != nil {
		return nil, nil, err
	}
	g, err = c.grant(resp, sent)
	return g, resp.Body, err
}

// grant reads the answer of a token endpoint (RFC 6749, section 5.1). Names are
// those of the RFC, or camel case.
func (c *client) grant(r *Response, sent time.Time) (*Grant, error) {
	if err := c.refusal(r); err != nil {
		return nil, err
	}
	either := func(a, b string) string {
		if v := text(r.Body, a); v != "" {
			return v
		}
		return text(r.Body, b)
	}
	g := &Grant{
		Access: either("access_token", "accessToken"), Refresh: either("refresh_token", "refreshToken"), ID: either("id_token", "idToken"),
		ExpiresAt: TokenEnd(either("expires_in", "expiresIn"), either("expires_at", "expiresAt"), r.Get("Date"), sent),
	}
	if g.Access == "" {
		return nil, &Error{Status: r.Status, Text: "the provider's answer holds no access token"}
	}
	c.hide(g.Access, g.Refresh, g.ID)
	g.data("scope", text(r.Body, "scope"))
	return g, nil
}
