package catalog

import (
	"time"

	"github.com/omniroute/omniroute/core/config"
)

// OAuth is how the credentials of a provider are had and renewed.
type OAuth struct {
	ClientID, ClientSecret string // of this gateway at the provider
	// Lead is how long before its end an access token is renewed; 0 = as usual.
	Lead time.Duration
	// Renewable says that there is an endpoint to renew at.
	Renewable bool
	// Entry is all that is known of the authorization server, by the names of the
	// data, without the client's secret; nil = nothing.
	Entry map[string]any
}

// oauth puts the authorization server of a provider into its entry, for its
// executor, and returns what is not the executor's business: client id and
// secret reach a request by their names only.
func (b *builder) oauth(id string, r raw, known []map[string]any) OAuth {
	entry := raw{}
	for _, e := range known {
		if e["provider"] == id {
			entry.merge(e)
		}
	}
	var mine config.OAuthClient
	if b.in.Config != nil {
		mine = b.in.Config.OAuth.Clients[id]
	}
	own, _ := r["oauth"].(map[string]any) // of a plugin
	entry.merge(own)
	entry.client(&mine)
	o := OAuth{ClientID: entry.text("client_id"), ClientSecret: mine.ClientSecret, Lead: mine.RefreshLead,
		Renewable: entry.text("refresh_url") != "" || entry.text("token_url") != ""}
	if o.Lead == 0 {
		o.Lead = time.Duration(seconds(entry["refresh_lead_seconds"])) * time.Second
	}
	if len(entry) == 0 {
		return o
	}
	o.Entry = entry
	if auth := r.sub("auth"); o.Renewable && auth["oauth"] == nil && r.text("group") == "compatible" {
		auth["oauth"] = map[string]any{"header": "Authorization", "prefix": "Bearer "} // RFC 6750
	}
	shown := map[string]any{"secret": o.ClientSecret != ""}
	for _, name := range [...]string{"authorize_url", "token_url", "refresh_url", "token_body", "refresh_body", "client_auth"} {
		if v := entry.text(name); v != "" {
			shown[name] = v
		}
	}
	if o.ClientSecret == "" {
		delete(shown, "client_auth")
	}
	r["oauth"] = shown
	return o
}

// client applies what the operator says about an authorization server.
func (r raw) client(c *config.OAuthClient) {
	set := c.URLs()
	set["client_id"], set["redirect"], set["refresh_body"] = c.ClientID, c.Redirect, c.Body
	for name, v := range set {
		if v != "" {
			r[name] = v
		}
	}
	if c.TokenURL != "" && c.RefreshURL == "" {
		delete(r, "refresh_url")
	}
}

// seconds reads a number of the data, whose type depends on where it comes from.
func seconds(v any) int64 {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case uint64:
		return int64(n)
	case float64:
		return int64(n)
	}
	return 0
}
