package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// codex is OpenAI's login for ChatGPT subscriptions. The redirect is fixed; who
// logged in is in the id token. Its device login is its own.
type codex struct{ standard }

// codexClaims is where OpenAI's claims are in the id token.
const codexClaims = "https://api.openai.com/auth"

func (codex) methods() []Method {
	return []Method{
		{ID: "browser", Kind: KindBrowser, Label: "Log in with a browser"},
		{ID: "device", Kind: KindDevice, Label: "Enter a code on another device"},
	}
}

func (codex) authorize(c *client, f *flow) string {
	return authorizeURL(c, f, map[string]string{"id_token_add_organizations": "true", "codex_cli_simplified_flow": "true", "originator": "codex_cli_rs"}, true)
}

func (codex) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	return codexRedeem(ctx, c, code, f.redirect, f.verifier)
}

func codexRedeem(ctx context.Context, c *client, code, redirect, verifier string) (*Grant, error) {
	return codexOwner(c.tokens(ctx, c.TokenURL, false, []pair{{"grant_type", "authorization_code"}, {"client_id", c.ClientID}, {"code", code},
		{"redirect_uri", redirect}, {"code_verifier", verifier}}))
}

func (codex) device(ctx context.Context, c *client, f *flow) error {
	resp, err := c.post(ctx, c.DeviceURL, true, []pair{{"client_id", c.ClientID}})
	if err != nil {
		return err
	}
	if err := c.refusal(resp); err != nil {
		return err
	}
	f.dev = deviceCode{code: text(resp.Body, "device_auth_id"), user: text(resp.Body, "user_code"), verify: c.VerifyURL,
		life: maxDeviceLife, interval: secondsOf(text(resp.Body, "interval"))}
	if f.dev.code == "" || f.dev.user == "" {
		return &Error{Status: resp.Status, Text: "the provider's answer holds no device code"}
	}
	c.hide(f.dev.code)
	return nil
}

func (codex) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	resp, err := c.post(ctx, c.PollURL, true, []pair{{"device_auth_id", f.dev.code}, {"user_code", f.dev.user}})
	if err != nil {
		return nil, err
	}
	if resp.Status == http.StatusForbidden || resp.Status == http.StatusNotFound {
		return nil, errPending
	}
	if err := c.refusal(resp); err != nil {
		return nil, err
	}
	code, verifier := text(resp.Body, "authorization_code"), text(resp.Body, "code_verifier")
	c.hide(code, verifier)
	root, _, _ := strings.Cut(c.DeviceURL, "/api/accounts/") // the page that nobody opens
	return codexRedeem(ctx, c, code, root+"/deviceauth/callback", verifier)
}

func (codex) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	return codexOwner(c.tokens(ctx, c.RefreshURL, false, []pair{{"grant_type", "refresh_token"}, {"refresh_token", old.Refresh},
		{"client_id", c.ClientID}, {"scope", strings.Join(c.Scopes, " ")}}))
}

// codexOwner reads the id token, if there is one.
func codexOwner(g *Grant, _ []byte, err error) (*Grant, error) {
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Status == http.StatusUnauthorized && e.Code == "" {
			e.Code = "invalid_grant"
		}
		return nil, err
	}
	payload := claims(g.ID)
	g.Email = text(payload, "email")
	account := text(payload, codexClaims, "chatgpt_account_id")
	if user := text(payload, codexClaims, "chatgpt_user_id"); user != "" && account != "" {
		g.Subject = account + "/" + user
	}
	g.Plan = text(payload, codexClaims, "chatgpt_plan_type")
	g.data("chatgptAccountId", account)
	g.data("planType", g.Plan)
	return g, nil
}
