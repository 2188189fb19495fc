package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/doc"
)

// kilocode is a device login with a protocol of its own: the status says how it
// stands.
type kilocode struct{ standard }

// kilocodePoll is how often it is asked.
const kilocodePoll = 3 * time.Second

func (kilocode) methods() []Method { return deviceOnly() }

func (kilocode) device(ctx context.Context, c *client, f *flow) error {
	resp, err := c.do(ctx, &Request{Method: http.MethodPost, URL: c.DeviceURL})
	if err != nil {
		return err
	}
	switch {
	case resp.Status == http.StatusTooManyRequests:
		return &Error{Status: resp.Status, Code: "slow_down", Text: "too many logins are pending at the provider; try again in a few minutes"}
	case resp.Status >= 300:
		return c.refusal(resp)
	}
	code := text(resp.Body, "code")
	if code == "" {
		return &Error{Status: resp.Status, Text: "the provider's answer holds no code"}
	}
	f.dev = deviceCode{code: code, user: code, verify: text(resp.Body, "verificationUrl"), life: secondsOf(text(resp.Body, "expiresIn")), interval: kilocodePoll}
	return nil
}

func (kilocode) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	resp, err := c.get(ctx, strings.ReplaceAll(c.PollURL, "{code}", url.PathEscape(f.dev.code)), "")
	if err != nil {
		return nil, err
	}
	switch resp.Status {
	case http.StatusAccepted:
		return nil, errPending
	case http.StatusForbidden:
		return nil, &Error{Status: resp.Status, Code: codeDenied, Text: "the login was denied"}
	case http.StatusGone:
		return nil, &Error{Status: resp.Status, Code: codeExpired, Text: "the code has expired"}
	}
	if err := c.refusal(resp); err != nil {
		return nil, err
	}
	g := &Grant{Access: text(resp.Body, "token"), Email: text(resp.Body, "userEmail")}
	if g.Access == "" {
		return nil, errPending
	}
	c.hide(g.Access)
	g.ExpiresAt = TokenEnd("", text(claims(g.Access), "exp"), resp.Get("Date"), c.now())
	if c.ProfileURL != "" {
		if r, err := c.get(ctx, c.ProfileURL, g.Access); err == nil && r.Status == http.StatusOK {
			list, _ := doc.Get(r.Body, "organizations")
			doc.Each(list, func(_ int, raw []byte) bool {
				g.data("orgId", text(raw, "id"))
				return false
			})
		}
	}
	return g, nil
}

func (kilocode) refresh(context.Context, *client, *Credential) (*Grant, error) {
	return nil, ErrNotRenewable
}
