package config

import (
	"maps"
	"time"
)

// OAuth is about logins at providers.
type OAuth struct {
	// LocalImport allows to read the logins of other programs on this machine.
	LocalImport bool `yaml:"local_import"`
	// Clients has the operator's own clients, by provider.
	Clients map[string]OAuthClient `yaml:",inline"`
}

// OAuthClient is what this gateway is to a provider's authorization server.
// Empty fields leave what is known of the provider.
type OAuthClient struct {
	Pos          Pos    `yaml:"-"`
	ClientID     string `yaml:"client_id"`
	ClientSecret string `yaml:"client_secret"`
	TokenURL     string `yaml:"token_url"`
	RefreshURL   string `yaml:"refresh_url"` // "" = the token URL
	AuthorizeURL string `yaml:"authorize_url"`
	DeviceURL    string `yaml:"device_url"`
	PollURL      string `yaml:"poll_url"`
	RegisterURL  string `yaml:"register_url"`
	UserinfoURL  string `yaml:"userinfo_url"`
	ProfileURL   string `yaml:"profile_url"`
	OnboardURL   string `yaml:"onboard_url"`
	ExchangeURL  string `yaml:"exchange_url"`
	// Those of social logins.
	SocialLoginURL   string `yaml:"social_login_url"`
	SocialTokenURL   string `yaml:"social_token_url"`
	SocialRefreshURL string `yaml:"social_refresh_url"`
	// Redirect is where browsers come back to.
	Redirect string `yaml:"redirect"`
	Body     string `yaml:"body"` // of refreshes: form | json
	// RefreshLead is how long before its end an access token is renewed.
	RefreshLead time.Duration `yaml:"refresh_lead"`
}

// URLs are the addresses that are set, by the names of their keys.
func (o *OAuthClient) URLs() map[string]string {
	urls := map[string]string{
		"token_url": o.TokenURL, "refresh_url": o.RefreshURL, "authorize_url": o.AuthorizeURL, "device_url": o.DeviceURL, "poll_url": o.PollURL,
		"register_url": o.RegisterURL, "userinfo_url": o.UserinfoURL, "profile_url": o.ProfileURL, "onboard_url": o.OnboardURL,
		"exchange_url": o.ExchangeURL, "social_login_url": o.SocialLoginURL, "social_token_url": o.SocialTokenURL, "social_refresh_url": o.SocialRefreshURL,
	}
	maps.DeleteFunc(urls, func(_, v string) bool { return v == "" })
	return urls
}

// UsageAPI is where a provider tells what an account may still use.
type UsageAPI struct {
	URL string `yaml:"url"`
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
	for _, id := range sortedNames(c.file.OAuth.Clients) {
		o, path := c.file.OAuth.Clients[id], join("oauth", id)
		for name, u := range o.URLs() {
			c.url(join(path, name), u, "http", "https")
		}
		c.optional(join(path, "body"), o.Body, "form", "json")
	}
	for _, id := range sortedNames(c.file.Usage.APIs) {
		if u := c.file.Usage.APIs[id].URL; u != "" {
			c.url(join("usage", join(id, "url")), u, "http", "https")
		}
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
