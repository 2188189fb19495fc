package sdk

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Refresher is an executor whose credentials expire and can be renewed.
type Refresher interface {
	// Refresh plans the request that renews the account's credential. Secrets
	// stand in it as {{secret:refresh_token}}, {{secret:client_id}} and so on;
	// [Plan.Token] says where the reply has the new ones. The executor sees
	// neither. [Relogin] says that only a person can help.
	Refresh(c *Ctx, p *Plan) error
}

// Quoter is an executor that can tell how much of its quota an account has left.
type Quoter interface {
	// Quota returns {"plan", "limitReached", "quotas": {"<name>": {"used",
	// "total", "remaining", "remainingPercentage", "resetAt", "unlimited",
	// "displayName"}}, "message"} after asking over HTTP with a *[Need].
	Quota(c *Ctx) ([]byte, error)
}

// ExpiresMS is when the account's access token expires, in Unix milliseconds; 0
// if nobody knows.
func (c *Ctx) ExpiresMS() int64 { return c.expires }

// Token says where the reply of a plan has a field of the credential: path is
// dotted. Fields are access_token, refresh_token, id_token, expires_in (seconds),
// expires_at (a Unix time or a date), api_key, or a name of the provider's own.
//
// In a plan of a [Need] it obtains a token for the request itself: the gateway
// keeps the fields in memory until shortly before they expire, shows **** in
// their place, and the plan that follows uses them like any secret.
func (p *Plan) Token(field, path string) {
	p.tokens = append(p.tokens, abi.Header{Name: field, Value: path})
}

// Relogin is the error of a credential that cannot be renewed any more.
func Relogin(message string) error {
	return &abi.ErrorRecord{Message: message, Class: classAuth, Scope: string(Credential), Status: 401, Code: "relogin"}
}

// tokenWords are how providers say that it is the token they do not like.
var tokenWords = [...]string{
	"invalid authentication credentials", "invalid credentials", "login cookie", "invalid token", "invalid_token",
	"token expired", "token has expired", "token is expired", "expired token", "token is invalid", "token has been revoked",
}

// TokenRefused reports an answer that means the access token is no good: any 401,
// and a 403 that says so. Most others are about quotas, regions or rights, which
// no new token changes.
func TokenRefused(r *Result) bool {
	switch r.Status {
	case 401:
		return true
	case 403:
		text := lower(r.Body)
		for _, w := range tokenWords {
			if strings.Contains(text, w) {
				return true
			}
		}
	}
	return false
}

// lower is ASCII text in lower case; package unicode is not worth its size here.
func lower(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return string(out)
}

// OAuth is what a standard refresh needs to know (RFC 6749, section 6).
type OAuth struct {
	URL  string // token endpoint
	JSON bool   // the body is JSON, else a form
	// Secret sends {{secret:client_secret}} beside the client id; Basic sends both
	// in the Authorization header as well.
	Secret, Basic bool
	Scope         string // "" = none is sent
}

// Plan fills in the refresh request and the places of the usual tokens.
func (o OAuth) Plan(p *Plan) {
	p.Method, p.URLs, p.Auth = "POST", []string{o.URL}, NoAuth()
	if o.Basic {
		p.Auth = BasicAuth("client_id", "client_secret")
	}
	p.Header("Accept", "application/json")
	fields := []abi.Header{
		{Name: "grant_type", Value: "refresh_token"},
		{Name: "refresh_token", Value: "{{secret:refresh_token}}"},
		{Name: "client_id", Value: "{{secret:client_id}}"},
	}
	if o.Secret {
		fields = append(fields, abi.Header{Name: "client_secret", Value: "{{secret:client_secret}}"})
	}
	if o.Scope != "" {
		fields = append(fields, abi.Header{Name: "scope", Value: o.Scope})
	}
	if o.JSON {
		p.Header("Content-Type", "application/json")
		p.Body.Replace(jsonBody(fields))
	} else {
		p.Header("Content-Type", "application/x-www-form-urlencoded")
		p.Body.Replace(formBody(fields))
	}
	for _, name := range [...]string{"access_token", "refresh_token", "id_token", "expires_in", "expires_at"} {
		p.Token(name, name)
	}
}

func jsonBody(fields []abi.Header) []byte {
	b := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, Quote(f.Name)...), ':')
		b = append(b, Quote(f.Value)...)
	}
	return append(b, '}')
}

// formBody needs no escapes but for blanks: names and values are ours, and the
// gateway escapes the secrets it fills in.
func formBody(fields []abi.Header) []byte {
	var b []byte
	for i, f := range fields {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, f.Name...), '='), strings.ReplaceAll(f.Value, " ", "+")...)
	}
	return b
}

// OnRefresh plans the request that renews a credential; see [Refresher].
func (p *ProviderPart) OnRefresh(f func(*Ctx, *Plan) error) *ProviderPart {
	p.onRefresh = f
	return p
}

// OnQuota reads what an account has left; see [Quoter].
func (p *ProviderPart) OnQuota(f func(*Ctx) ([]byte, error)) *ProviderPart {
	p.onQuota = f
	return p
}

// Refresh implements [Refresher].
func (x *providerExecutor) Refresh(c *Ctx, p *Plan) error {
	if x.p.onRefresh == nil {
		return unsupported(abi.OpAuthRefresh)
	}
	return x.p.onRefresh(c, p)
}

// Quota implements [Quoter].
func (x *providerExecutor) Quota(c *Ctx) ([]byte, error) {
	if x.p.onQuota == nil {
		return nil, unsupported(abi.OpQuota)
	}
	return x.p.onQuota(c)
}

func (m *Module) renew(c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	r, ok := ex.(Refresher)
	if !ok {
		return unsupported(abi.OpAuthRefresh)
	}
	p := &Plan{}
	if err := r.Refresh(&c.Ctx, p); err != nil {
		return err
	}
	mark := m.out.Open(abi.TagPlan)
	p.appendTo(&m.out)
	m.out.Close(mark)
	return nil
}

func (m *Module) quota(c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	q, ok := ex.(Quoter)
	if !ok {
		return unsupported(abi.OpQuota)
	}
	report, err := q.Quota(&c.Ctx)
	if err != nil {
		return err
	}
	m.out.Bytes(abi.TagJSON, report)
	return nil
}
