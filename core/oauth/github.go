package oauth

import (
	"context"
	"net/http"
)

// github is the device login of GitHub Copilot. The GitHub token that it gives
// lives long; requests use tokens that are bought with it, which is the business
// of the provider's executor.
type github struct{ standard }

func (github) methods() []Method { return deviceOnly() }

func (m github) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	g, err := m.standard.poll(ctx, c, f)
	if err != nil {
		return nil, err
	}
	if err := copilot(ctx, c, g); err != nil {
		return nil, err
	}
	if c.UserinfoURL == "" {
		return g, nil
	}
	resp, err := c.get(ctx, c.UserinfoURL, g.Access, pair{"X-GitHub-Api-Version", "2022-11-28"}, pair{"User-Agent", "GitHubCopilotChat/0.26.7"})
	if err == nil && resp.Status == http.StatusOK {
		g.Subject, g.Email, g.Name = text(resp.Body, "id"), text(resp.Body, "email"), text(resp.Body, "login")
		g.data("githubUserId", g.Subject)
		g.data("githubLogin", g.Name)
		g.data("githubName", text(resp.Body, "name"))
		g.data("githubEmail", g.Email)
	}
	return g, nil
}

// copilot buys a Copilot token, to see that the account has Copilot. A passing
// failure says nothing of that.
func copilot(ctx context.Context, c *client, g *Grant) error {
	resp, err := c.get(ctx, c.ExchangeURL, "", pair{"Authorization", "token " + g.Access}, pair{"User-Agent", "GithubCopilot/1.0"},
		pair{"Editor-Version", "vscode/1.100.0"}, pair{"Editor-Plugin-Version", "copilot/1.300.0"})
	if err != nil {
		return err
	}
	switch resp.Status {
	case http.StatusOK:
		g.Plan = text(resp.Body, "sku")
		g.data("copilotApi", text(resp.Body, "endpoints", "api"))
	case http.StatusForbidden, http.StatusNotFound:
		return &Error{Status: resp.Status, Code: "no_copilot", Text: "this GitHub account has no Copilot subscription"}
	case http.StatusUnauthorized:
		return c.refusal(resp)
	}
	return nil
}
