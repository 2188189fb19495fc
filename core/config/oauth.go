package config

import "time"

// OAuthClient is what this gateway is to a provider's authorization server.
// Empty fields leave what is known of the provider.
type OAuthClient struct {
	Pos          Pos    `yaml:"-"`
	ClientID     string `yaml:"client_id"`
	ClientSecret string `yaml:"client_secret"`
	TokenURL     string `yaml:"token_url"`
	RefreshURL   string `yaml:"refresh_url"` // "" = the token URL
	AuthorizeURL string `yaml:"authorize_url"`
	Body         string `yaml:"body"` // of refreshes: form | json
	// Lead is how long before its end an access token is renewed.
	Lead time.Duration `yaml:"lead"`
}

// oauthSeeds are the variables of client ids and secrets. Of two for one key the
// later wins.
func oauthSeeds() []seed {
	var out []seed
	for _, v := range [...][2]string{
		{"CLAUDE", "claude"}, {"CODEX", "codex"}, {"GEMINI", "gemini-cli"}, {"GEMINI_CLI", "gemini-cli"}, {"GEMINI", "gemini"},
		{"ANTIGRAVITY", "antigravity"}, {"IFLOW", "iflow"}, {"QWEN", "qwen"}, {"KIMI_CODING", "kimi-coding"}, {"GITHUB", "github"},
	} {
		path := "oauth." + v[1]
		out = append(out, seed{name: v[0] + "_OAUTH_CLIENT_ID", path: path + ".client_id"})
		switch v[1] {
		case "claude", "codex", "qwen", "kimi-coding": // have none
		default:
			out = append(out, seed{name: v[0] + "_OAUTH_CLIENT_SECRET", path: path + ".client_secret"})
		}
	}
	return out
}

// guards checks what the accounts' credentials and quotas are about.
func (c *checker) guards() {
	for _, id := range sortedNames(c.file.OAuth) {
		o, path := c.file.OAuth[id], join("oauth", id)
		for name, u := range map[string]string{"token_url": o.TokenURL, "refresh_url": o.RefreshURL, "authorize_url": o.AuthorizeURL} {
			if u != "" {
				c.url(join(path, name), u, "http", "https")
			}
		}
		c.optional(join(path, "body"), o.Body, "form", "json")
	}
	for i, h := range c.file.Server.RealIPHeaders {
		c.oneOf(index(join("server", "real_ip_headers"), i), h, "cf-connecting-ip", "x-real-ip")
	}
	c.oneOf(join("cache", "coalesce"), c.file.Cache.Coalesce, "off", "plain", "all")
	for _, id := range sortedNames(c.file.Providers) {
		for i, a := range c.file.Providers[id].Accounts {
			for window, left := range a.QuotaPolicy {
				if left < 0 || left > 100 {
					c.bad(join(index(join(join("providers", id), "accounts"), i), join("quota_policy", window)), "want a percentage from 0 to 100")
				}
			}
		}
	}
}
