package oauth

import (
	"context"
	"errors"
	"net/http"
)

// github is the device login of GitHub Copilot. The GitHub token that it gives
// lives long and buys Copilot tokens that live for half an hour: in a grant the
// former is the refresh token, and "github_token" of the extras, and the latter
// the access token.
type github struct{ standard }

func (github) methods() []Method { return deviceOnly() }

func (m github) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	got, err := m.standard.poll(ctx, c, f)
	if err != nil {
		return nil, err
	}
	g, err := copilot(ctx, c, got.Access)
	if err != nil {
		return nil, err
	}
	g.secret("github_refresh_token", got.Refresh)
	if c.UserinfoURL == "" {
		return g, nil
	}
	resp, err := c.get(ctx, c.UserinfoURL, "", pair{"Authorization", "Bearer " + got.Access},
		pair{"X-GitHub-Api-Version", "2022-11-28"}, pair{"User-Agent", "GitHubCopilotChat/0.26.7"})
	if err == nil && resp.Status == http.StatusOK {
		g.Subject, g.Email, g.Name = text(resp.Body, "id"), text(resp.Body, "email"), text(resp.Body, "login")
		g.data("githubUserId", g.Subject)
		g.data("githubLogin", g.Name)
		g.data("githubName", text(resp.Body, "name"))
		g.data("githubEmail", g.Email)
	}
	return g, nil
}

// copilot buys a Copilot token.
func copilot(ctx context.Context, c *client, token string) (*Grant, error) {
	c.hide(token)
	sent := c.now()
	resp, err := c.get(ctx, c.ExchangeURL, "", pair{"Authorization", "token " + token}, pair{"User-Agent", "GithubCopilot/1.0"},
		pair{"Editor-Version", "vscode/1.100.0"}, pair{"Editor-Plugin-Version", "copilot/1.300.0"})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK || text(resp.Body, "token") == "" {
		e := &Error{Status: resp.Status, Text: c.clean(text(resp.Body, "message"))}
		switch resp.Status {
		case http.StatusUnauthorized:
			e.Code = "invalid_grant"
		case http.StatusForbidden, http.StatusNotFound:
			e.Code, e.Text = "no_copilot", "this GitHub account has no Copilot subscription"
		}
		return nil, e
	}
	g := &Grant{Access: text(resp.Body, "token"), Refresh: token, ExpiresAt: TokenEnd("", text(resp.Body, "expires_at"), resp.Get("Date"), sent)}
	c.hide(g.Access)
	g.secret("github_token", token)
	g.Plan = text(resp.Body, "sku")
	g.data("copilotApi", text(resp.Body, "endpoints", "api"))
	return g, nil
}

func (github) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	g, err := copilot(ctx, c, old.Refresh)
	var e *Error
	again := old.Extra["github_refresh_token"]
	if err == nil || again == "" || errors.As(err, &e) && e.Code == "no_copilot" {
		return g, err
	}
	c.hide(again)
	got, _, err := c.tokens(ctx, c.RefreshURL, false, []pair{{"grant_type", "refresh_token"}, {"refresh_token", again},
		{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}})
	if err != nil {
		return nil, err
	}
	if g, err = copilot(ctx, c, got.Access); err != nil { // the new GitHub token must be kept all the same
		g = &Grant{Access: old.Access, Refresh: got.Access, ExpiresAt: c.now()}
		g.secret("github_token", got.Access)
	}
	g.secret("github_refresh_token", got.Refresh)
	return g, nil
}
