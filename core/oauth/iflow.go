package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// iflow gives an API key to who logged in: the OAuth tokens only serve to ask for
// it again.
type iflow struct{ standard }

func (iflow) authorize(c *client, f *flow) string {
	return authorizeURL(c, f, map[string]string{"response_type": ""}, false)
}

func (iflow) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	g, err := first(c.tokens(ctx, c.TokenURL, false, []pair{{"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", f.redirect},
		{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}}, c.basic()...))
	if err != nil {
		return nil, err
	}
	return g, iflowKey(ctx, c, g)
}

func (m iflow) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	g, err := m.standard.refresh(ctx, c, old)
	if err != nil {
		return nil, err
	}
	_ = iflowKey(ctx, c, g) // the key of before serves on; the tokens are new and must be kept
	return g, nil
}

// iflowKey asks for the API key of the account.
func iflowKey(ctx context.Context, c *client, g *Grant) error {
	resp, err := c.get(ctx, strings.ReplaceAll(c.UserinfoURL, "{access_token}", url.QueryEscape(g.Access)), "")
	if err != nil {
		return err
	}
	g.APIKey = text(resp.Body, "data", "apiKey")
	if resp.Status != http.StatusOK || g.APIKey == "" {
		return &Error{Status: resp.Status, Code: "no_api_key", Text: "the provider gives no API key to this account"}
	}
	c.hide(g.APIKey)
	g.Email = text(resp.Body, "data", "email")
	if g.Email == "" {
		g.Email = text(resp.Body, "data", "phone")
	}
	if g.Name = text(resp.Body, "data", "nickname"); g.Name == "" {
		g.Name = text(resp.Body, "data", "name")
	}
	return nil
}
