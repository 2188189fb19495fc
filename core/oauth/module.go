package oauth

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// Method is a way to log in at a provider.
type Method struct {
	ID    string `json:"id"`
	Kind  Kind   `json:"kind"`
	Label string `json:"label"`
	// Fields are what a person has to give beforehand.
	Fields []Field `json:"fields,omitempty"`
}

// Field is one value that a method asks for.
type Field struct {
	Name     string `json:"name"`
	Label    string `json:"label"`
	Secret   bool   `json:"secret,omitempty"`
	Optional bool   `json:"optional,omitempty"`
}

// Kind is what a method is like for the person.
type Kind string

// The kinds.
const (
	KindBrowser Kind = "browser" // open an address; the browser comes back to this machine, or its address is pasted
	KindDevice  Kind = "device"  // open an address anywhere and enter a code
	KindImport  Kind = "import"  // give a credential that exists
)

// module is how one provider wants to be spoken to.
type module interface {
	// methods in order of preference.
	methods() []Method
	// authorize is the address to open in a browser.
	authorize(c *client, f *flow) string
	// exchange redeems the code that came back.
	exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error)
	// device starts a device login: it fills in f.device.
	device(ctx context.Context, c *client, f *flow) error
	// poll asks once whether the person is done: an *Error with code
	// authorization_pending or slow_down says not yet.
	poll(ctx context.Context, c *client, f *flow) (*Grant, error)
	// take makes a grant of values a person gave.
	take(ctx context.Context, c *client, f *flow) (*Grant, error)
	// refresh renews a credential: what is empty in the grant stays as it is.
	refresh(ctx context.Context, c *client, old *Credential) (*Grant, error)
}

// flow is what is remembered of a login between its steps.
type flow struct {
	method   Method
	state    string
	verifier string
	redirect string            // as the provider knows it
	fields   map[string]string // the person's
	dev      deviceCode
	extra    map[string]string // of the module: secrets too
}

func (f *flow) keep(name, v string) {
	if f.extra == nil {
		f.extra = map[string]string{}
	}
	f.extra[name] = v
}

// deviceCode is the answer to the start of a device login.
type deviceCode struct {
	code, user       string
	verify, complete string // addresses; complete has the code in it
	life, interval   time.Duration
}

// modules of the providers that have one.
func moduleOf(provider string) module {
	switch provider {
	case "claude":
		return claude{}
	case "codex":
		return codex{}
	case "gemini", "gemini-cli":
		return google{}
	case "antigravity":
		return google{antigravity: true}
	case "iflow":
		return iflow{}
	case "qwen":
		return qwen{}
	case "kimi-coding":
		return kimi{}
	case "github":
		return github{}
	case "kiro":
		return kiro{}
	case "cursor":
		return cursor{}
	case "kilocode":
		return kilocode{}
	case "cline":
		return cline{}
	}
	return nil
}

// Known reports whether there is a module for a provider.
func Known(provider string) bool { return moduleOf(provider) != nil }

// Providers lists the providers with a module.
func Providers() []string {
	return []string{"antigravity", "claude", "cline", "codex", "cursor", "gemini", "gemini-cli", "github", "iflow", "kilocode", "kimi-coding", "kiro", "qwen"}
}

// Methods are the ways to log in at a provider, the best first; nil if there is
// none.
func Methods(provider string) []Method {
	if m := moduleOf(provider); m != nil {
		return m.methods()
	}
	return nil
}

// Notice is what people should know before they log in.
const Notice = "Some providers restrict the use of subscription credentials outside their own programs. " +
	"Whether you may use yours here is a matter of your contract with the provider, which can suspend accounts."

// standard is RFC 6749, 7636 and 8628 as they are written; modules change what
// their provider does otherwise.
type standard struct{}

func (standard) methods() []Method {
	return []Method{{ID: "browser", Kind: KindBrowser, Label: "Log in with a browser"}}
}

func (standard) authorize(c *client, f *flow) string {
	return authorizeURL(c, f, nil, true)
}

// authorizeURL is the authorization request (RFC 6749, section 4.1.1), with what
// a module adds. Spaces are "%20": "+" is not read everywhere.
func authorizeURL(c *client, f *flow, more map[string]string, pkce bool) string {
	q := url.Values{"response_type": {"code"}, "client_id": {c.ClientID}, "state": {f.state}}
	q.Set(c.RedirectParam, f.redirect)
	if len(c.Scopes) > 0 {
		q.Set("scope", strings.Join(c.Scopes, " "))
	}
	if pkce {
		q.Set("code_challenge", challenge(f.verifier))
		q.Set("code_challenge_method", "S256")
	}
	for name, v := range c.Authorize {
		q.Set(name, v)
	}
	for name, v := range more {
		if q.Set(name, v); v == "" {
			q.Del(name)
		}
	}
	return withQuery(c.AuthorizeURL, q)
}

// withQuery appends parameters to an address that may have some.
func withQuery(base string, q url.Values) string {
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	return base + sep + strings.ReplaceAll(q.Encode(), "+", "%20")
}

func (standard) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	return first(c.tokens(ctx, c.TokenURL, c.TokenJSON, []pair{
		{"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", f.redirect},
		{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}, {"code_verifier", f.verifier},
	}, c.basic()...))
}

// first is the grant of an answer whose other members do not matter.
func first(g *Grant, _ []byte, err error) (*Grant, error) { return g, err }

func (standard) device(ctx context.Context, c *client, f *flow) error {
	return startDevice(ctx, c, f, []pair{{"client_id", c.ClientID}, {"scope", strings.Join(c.Scopes, " ")}})
}

// startDevice asks for a device code (RFC 8628, section 3.2).
func startDevice(ctx context.Context, c *client, f *flow, fields []pair, more ...pair) error {
	resp, err := c.post(ctx, c.DeviceURL, false, fields, more...)
	if err != nil {
		return err
	}
	if err := c.refusal(resp); err != nil {
		return err
	}
	b := resp.Body
	f.dev = deviceCode{code: text(b, "device_code"), user: text(b, "user_code"), verify: text(b, "verification_uri"), complete: text(b, "verification_uri_complete"),
		life: secondsOf(text(b, "expires_in")), interval: secondsOf(text(b, "interval"))}
	if f.dev.verify == "" {
		f.dev.verify = text(b, "verification_url")
	}
	if f.dev.code == "" {
		return &Error{Status: resp.Status, Text: "the provider's answer holds no device code"}
	}
	c.hide(f.dev.code)
	return nil
}

// deviceGrant is the grant type of RFC 8628, section 3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

func (standard) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	return first(c.tokens(ctx, c.TokenURL, false, []pair{
		{"grant_type", deviceGrant}, {"client_id", c.ClientID}, {"device_code", f.dev.code}, {"code_verifier", f.verifier},
	}))
}

func (standard) take(context.Context, *client, *flow) (*Grant, error) {
	return nil, &Error{Status: 400, Text: "credentials of this provider cannot be imported"}
}

func (standard) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	return first(c.tokens(ctx, c.RefreshURL, c.RefreshJSON, []pair{
		{"grant_type", "refresh_token"}, {"refresh_token", old.Refresh}, {"client_id", c.ClientID}, {"client_secret", c.ClientSecret},
	}, c.basic()...))
}

// secondsOf reads a number of seconds.
func secondsOf(s string) time.Duration {
	end := TokenEnd(s, "", "", time.Unix(0, 0))
	if end.IsZero() {
		return 0
	}
	return end.Sub(time.Unix(0, 0))
}
