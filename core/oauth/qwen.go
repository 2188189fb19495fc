package oauth

import (
	"context"
	"strings"
)

// qwen is a device login with PKCE; the answer names the host to use.
type qwen struct{ standard }

func deviceOnly() []Method {
	return []Method{{ID: "device", Kind: KindDevice, Label: "Enter a code in a browser"}}
}

func (qwen) methods() []Method { return deviceOnly() }

func (qwen) device(ctx context.Context, c *client, f *flow) error {
	return startDevice(ctx, c, f, []pair{{"client_id", c.ClientID}, {"scope", strings.Join(c.Scopes, " ")},
		{"code_challenge", challenge(f.verifier)}, {"code_challenge_method", "S256"}})
}

func (qwen) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	return qwenHost(c.tokens(ctx, c.TokenURL, false, []pair{{"grant_type", deviceGrant}, {"client_id", c.ClientID},
		{"device_code", f.dev.code}, {"code_verifier", f.verifier}}))
}

func (qwen) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	return qwenHost(c.tokens(ctx, c.RefreshURL, false, []pair{{"grant_type", "refresh_token"}, {"refresh_token", old.Refresh}, {"client_id", c.ClientID}}))
}

// qwenHost keeps the host, which a renewal may change.
func qwenHost(g *Grant, body []byte, err error) (*Grant, error) {
	if err != nil {
		return nil, err
	}
	g.data("resourceUrl", text(body, "resource_url"))
	return g, nil
}
