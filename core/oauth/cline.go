package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-json"
)

// cline puts the tokens into the code itself. It sends no state back, so the path
// of the redirect is the state.
type cline struct{ standard }

// clineLife is assumed of tokens that do not tell their end.
const clineLife = time.Hour

func (cline) authorize(c *client, f *flow) string {
	q := url.Values{"callback_url": {f.redirect}, "redirect_uri": {f.redirect}}
	for name, v := range c.Authorize {
		q.Set(name, v)
	}
	return withQuery(c.AuthorizeURL, q)
}

func (cline) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	if body := clineCode(code); body != nil {
		return c.clineGrant(body, "", "email")
	}
	resp, err := c.post(ctx, c.TokenURL, true, []pair{{"grant_type", "authorization_code"}, {"code", code}, {"client_type", "extension"}, {"redirect_uri", f.redirect}})
	if err != nil {
		return nil, err
	}
	if err := c.refusal(resp); err != nil {
		return nil, err
	}
	return c.clineGrant(member(resp.Body, "data"), resp.Get("Date"), "userInfo", "email")
}

// clineCode is the JSON that a code holds before its signature, nil if none.
func clineCode(code string) []byte {
	code = strings.NewReplacer("-", "+", "_", "/", " ", "+").Replace(strings.TrimRight(code, "="))
	raw, err := base64.RawStdEncoding.DecodeString(code)
	if err != nil {
		return nil
	}
	for end := bytes.LastIndexByte(raw, '}'); end > 0; end = bytes.LastIndexByte(raw[:end], '}') { // a signature may hold the brace too
		if json.Valid(raw[:end+1]) {
			return raw[:end+1]
		}
	}
	return nil
}

func (cline) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	resp, err := c.post(ctx, c.RefreshURL, true, []pair{{"refreshToken", old.Refresh}, {"grantType", "refresh_token"}, {"clientType", "extension"}})
	if err != nil {
		return nil, err
	}
	if err := c.refusal(resp); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Status == http.StatusUnauthorized {
			e.Code = "invalid_grant"
		}
		return nil, err
	}
	return c.clineGrant(member(resp.Body, "data"), resp.Get("Date"), "userInfo", "email")
}

// clineGrant reads its form of a grant.
func (c *client) clineGrant(body []byte, date string, email ...string) (*Grant, error) {
	now := c.now()
	g := &Grant{Access: text(body, "accessToken"), Refresh: text(body, "refreshToken"), ExpiresAt: TokenEnd("", text(body, "expiresAt"), date, now), Email: text(body, email...)}
	if g.Access == "" {
		return nil, &Error{Text: "the provider's answer holds no access token"}
	}
	c.hide(g.Access, g.Refresh)
	if g.ExpiresAt.IsZero() {
		g.ExpiresAt = now.Add(clineLife)
	}
	g.data("firstName", text(body, "firstName"))
	g.data("lastName", text(body, "lastName"))
	g.Name = strings.TrimSpace(g.Data["firstName"] + " " + g.Data["lastName"])
	return g, nil
}
