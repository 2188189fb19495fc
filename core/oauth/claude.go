package oauth

import (
	"context"
	"errors"
	"strings"
)

// claude is Anthropic's login for Claude subscriptions. Bodies are JSON; the
// exchange wants the state as well.
type claude struct{ standard }

func (claude) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	state := f.state
	if before, after, ok := strings.Cut(code, "#"); ok { // the page shows code#state
		code, state = before, after
	}
	return claudeOwner(c.tokens(ctx, c.TokenURL, true, []pair{{"code", code}, {"state", state}, {"grant_type", "authorization_code"},
		{"client_id", c.ClientID}, {"redirect_uri", f.redirect}, {"code_verifier", f.verifier}}))
}

func (claude) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	g, err := claudeOwner(c.tokens(ctx, c.RefreshURL, true, []pair{{"grant_type", "refresh_token"}, {"refresh_token", old.Refresh}, {"client_id", c.ClientID}}))
	var e *Error
	if errors.As(err, &e) && e.Code == "invalid_request" { // is how a worn refresh token is called here
		e.Code = "invalid_grant"
	}
	return g, err
}

// claudeOwner adds whose the token is.
func claudeOwner(g *Grant, body []byte, err error) (*Grant, error) {
	if err != nil {
		return nil, err
	}
	g.Email, g.Subject = text(body, "account", "email_address"), text(body, "account", "uuid")
	g.data("accountUuid", g.Subject)
	g.data("organizationUuid", text(body, "organization", "uuid"))
	g.data("organizationName", text(body, "organization", "name"))
	return g, nil
}
