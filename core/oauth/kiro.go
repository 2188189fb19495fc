package oauth

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/omniroute/omniroute/core/doc"
)

// kiro is AWS' identity service (a client of our own is registered for every
// login) or a social login of Kiro's, whose redirect only Kiro's own program
// takes: its address is pasted.
type kiro struct{}

func (kiro) methods() []Method {
	social := "; paste the address that the browser cannot open"
	return []Method{
		{ID: "builder-id", Kind: KindDevice, Label: "AWS Builder ID"},
		{ID: "idc", Kind: KindDevice, Label: "AWS IAM Identity Center", Fields: []Field{
			{Name: "startUrl", Label: "Start URL"}, {Name: "region", Label: "Region", Optional: true}}},
		{ID: "google", Kind: KindBrowser, Label: "Google" + social},
		{ID: "github", Kind: KindBrowser, Label: "GitHub" + social},
		{ID: "import", Kind: KindImport, Label: "Refresh token of the Kiro IDE", Fields: []Field{{Name: "refreshToken", Label: "Refresh token", Secret: true}}},
		{ID: "auto-import", Kind: KindImport, Label: "Login of the Kiro IDE on this machine"},
	}
}

func (kiro) authorize(c *client, f *flow) string {
	idp := map[string]string{"google": "Google", "github": "Github"}[f.method.ID]
	return withQuery(c.SocialLoginURL, url.Values{"idp": {idp}, "redirect_uri": {f.redirect}, "code_challenge": {challenge(f.verifier)},
		"code_challenge_method": {"S256"}, "state": {f.state}, "prompt": {"select_account"}})
}

func (kiro) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	return kiroOwner(f.method.ID)(c.tokens(ctx, c.SocialTokenURL, true, []pair{{"code", code}, {"code_verifier", f.verifier}, {"redirect_uri", f.redirect}}))
}

func (kiro) device(ctx context.Context, c *client, f *flow) error {
	start := c.StartURL
	if own := f.fields["startUrl"]; f.method.ID == "idc" {
		u, err := url.Parse(own)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return &Error{Status: 400, Code: "invalid_start_url", Text: "the start URL has to be an address like https://d-1234567890.awsapps.com/start"}
		}
		start = own
	}
	resp, err := c.postJSON(ctx, c.RegisterURL, map[string]any{
		"clientName": "kiro-oauth-client", "clientType": "public", "scopes": c.Scopes,
		"grantTypes": []string{deviceGrant, "refresh_token"}, "issuerUrl": c.IssuerURL,
	})
	if err != nil {
		return err
	}
	if err := c.refusal(resp); err != nil {
		return err
	}
	id, secret := text(resp.Body, "clientId"), text(resp.Body, "clientSecret")
	c.hide(secret)
	f.keep("client_id", id)
	f.keep("client_secret", secret)
	f.keep("startUrl", start)
	if resp, err = c.post(ctx, c.DeviceURL, true, []pair{{"clientId", id}, {"clientSecret", secret}, {"startUrl", start}}); err != nil {
		return err
	}
	if err := c.refusal(resp); err != nil {
		return err
	}
	b := resp.Body
	f.dev = deviceCode{code: text(b, "deviceCode"), user: text(b, "userCode"), verify: text(b, "verificationUri"), complete: text(b, "verificationUriComplete"),
		life: secondsOf(text(b, "expiresIn")), interval: secondsOf(text(b, "interval"))}
	c.hide(f.dev.code)
	return nil
}

func (kiro) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	g, err := kiroOwner(f.method.ID)(c.tokens(ctx, c.TokenURL, true, []pair{{"clientId", f.extra["client_id"]}, {"clientSecret", f.extra["client_secret"]},
		{"deviceCode", f.dev.code}, {"grantType", deviceGrant}}))
	if err != nil {
		return nil, err
	}
	g.secret("client_id", f.extra["client_id"])
	g.secret("client_secret", f.extra["client_secret"])
	g.data("region", c.Region)
	if f.method.ID == "idc" {
		g.data("startUrl", f.extra["startUrl"])
	}
	return g, kiroProfile(ctx, c, g)
}

// kiroProfile asks which profile the account works in. Without one it works too,
// though nothing can be said of its quota.
func kiroProfile(ctx context.Context, c *client, g *Grant) error {
	if c.ProfileURL == "" || g.Data["profileArn"] != "" {
		return nil
	}
	r, err := c.postJSON(ctx, c.ProfileURL, map[string]any{}, pair{"Authorization", "Bearer " + g.Access},
		pair{"Content-Type", "application/x-amz-json-1.0"}, pair{"X-Amz-Target", "AmazonCodeWhispererService.ListProfiles"})
	if err != nil || r.Status != 200 {
		return ctx.Err()
	}
	list, _ := doc.Get(r.Body, "profiles")
	doc.Each(list, func(_ int, raw []byte) bool {
		g.data("profileArn", text(raw, "arn"))
		return false
	})
	return nil
}

// take imports a refresh token; one renewal proves it.
func (m kiro) take(ctx context.Context, c *client, f *flow) (*Grant, error) {
	old := &Credential{Refresh: strings.TrimSpace(f.fields["refreshToken"]), Data: map[string]string{"authMethod": "imported"}}
	if f.method.ID == "auto-import" {
		var err error
		if old, err = kiroCache(c); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(old.Refresh, "aorAAAAAG") {
		return nil, &Error{Status: 400, Code: "invalid_token", Text: "refresh tokens of Kiro begin with aorAAAAAG"}
	}
	if region := old.Data["region"]; region != "" {
		var err error
		if c.Server, err = c.Server.inRegion(region); err != nil {
			return nil, err
		}
	}
	c.hide(old.Refresh, old.Extra["client_secret"])
	g, err := m.refresh(ctx, c, old)
	if err != nil {
		return nil, err
	}
	if g.Refresh == "" {
		g.Refresh = old.Refresh
	}
	for name, v := range old.Data {
		if g.Data[name] == "" {
			g.data(name, v)
		}
	}
	for name, v := range old.Extra {
		g.secret(name, v)
	}
	return g, nil
}

// kiroCache reads the credential cache of the Kiro IDE.
func kiroCache(c *client) (*Credential, error) {
	if !c.LocalImport {
		return nil, errLocal
	}
	dir := filepath.Join(c.Home, ".aws", "sso", "cache")
	raw, err := os.ReadFile(filepath.Join(dir, "kiro-auth-token.json"))
	if err != nil {
		return nil, &Error{Status: 404, Code: "not_found", Text: "there is no login of the Kiro IDE on this machine"}
	}
	old := &Credential{Refresh: text(raw, "refreshToken"), Data: map[string]string{"authMethod": "imported"}}
	for _, name := range [...]string{"profileArn", "region"} {
		if v := text(raw, name); v != "" {
			old.Data[name] = v
		}
	}
	hash := text(raw, "clientIdHash")
	if hash == "" || filepath.Base(hash) != hash {
		return old, nil
	}
	if reg, err := os.ReadFile(filepath.Join(dir, hash+".json")); err == nil {
		old.Extra = map[string]string{"client_id": text(reg, "clientId"), "client_secret": text(reg, "clientSecret")}
	}
	return old, nil
}

func (kiro) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	kind := old.Data["authMethod"]
	if id := old.Extra["client_id"]; id != "" {
		return kiroOwner(kind)(c.tokens(ctx, c.RefreshURL, true, []pair{{"clientId", id}, {"clientSecret", old.Extra["client_secret"]},
			{"refreshToken", old.Refresh}, {"grantType", "refresh_token"}}))
	}
	g, err := kiroOwner(kind)(c.tokens(ctx, c.SocialRefreshURL, true, []pair{{"refreshToken", old.Refresh}}))
	var e *Error
	if errors.As(err, &e) && e.Status == 401 {
		e.Code = "invalid_grant"
	}
	return g, err
}

// kiroOwner adds what the answers of all its endpoints may tell.
func kiroOwner(method string) func(*Grant, []byte, error) (*Grant, error) {
	return func(g *Grant, body []byte, err error) (*Grant, error) {
		if err != nil {
			return nil, err
		}
		g.data("authMethod", method)
		g.data("profileArn", text(body, "profileArn"))
		payload := claims(g.Access)
		g.Email, g.Subject = text(payload, "email"), text(payload, "sub")
		return g, nil
	}
}
