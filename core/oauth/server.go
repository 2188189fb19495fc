package oauth

import (
	"fmt"
	"slices"
	"strings"
)

// Server is what is known of a provider's authorization server. Addresses that
// are empty do not exist at this provider.
type Server struct {
	Provider               string
	ClientID, ClientSecret string
	// SecretEnv is the environment variable that gives the client secret; with
	// NeedsSecret the provider refuses clients without one.
	SecretEnv   string
	NeedsSecret bool

	AuthorizeURL, TokenURL, RefreshURL string
	DeviceURL, PollURL, RegisterURL    string
	// UserinfoURL tells who logged in; ProfileURL what else belongs to the account.
	UserinfoURL, ProfileURL string
	// OnboardURL is the service that finds the project of a Google account, up to
	// the colon; ExchangeURL turns a long-lived token into short-lived ones.
	OnboardURL, ExchangeURL                          string
	SocialLoginURL, SocialTokenURL, SocialRefreshURL string
	// VerifyURL is where a device code is entered if the server does not say.
	VerifyURL           string
	StartURL, IssuerURL string // of AWS IAM Identity Center
	Region              string // "{region}" of the addresses

	Scopes []string
	// Authorize are further parameters of the authorization request.
	Authorize map[string]string
	// Redirect has "{port}" where any port of the loopback will do. RedirectParam
	// is its name in the authorization request.
	Redirect, RedirectParam string
	// TokenJSON and RefreshJSON: bodies are JSON, else forms. Basic puts the client
	// into the Authorization header too.
	TokenJSON, RefreshJSON, Basic bool
	// LocalImport allows to read the credential files of other programs on this
	// machine; Home is where they are.
	LocalImport bool
	Home        string
}

// ReadServer reads an entry of the catalogue's data: the keys of its "oauth"
// section, by their names there.
func ReadServer(provider string, entry map[string]any) Server {
	text := func(name string) string {
		s, _ := entry[name].(string)
		return s
	}
	s := Server{
		Provider: provider, ClientID: text("client_id"), SecretEnv: text("client_secret_env"),
		AuthorizeURL: text("authorize_url"), TokenURL: text("token_url"), RefreshURL: text("refresh_url"),
		DeviceURL: text("device_url"), PollURL: text("poll_url"), RegisterURL: text("register_url"),
		UserinfoURL: text("userinfo_url"), ProfileURL: text("profile_url"), OnboardURL: text("onboard_url"), ExchangeURL: text("exchange_url"),
		SocialLoginURL: text("social_login_url"), SocialTokenURL: text("social_token_url"), SocialRefreshURL: text("social_refresh_url"),
		VerifyURL: text("default_verification_uri"), StartURL: text("start_url"), IssuerURL: text("issuer_url"), Region: text("default_region"),
		Redirect: text("redirect"), RedirectParam: text("redirect_param"),
		TokenJSON: text("token_body") == "json", RefreshJSON: text("refresh_body") == "json", Basic: strings.HasPrefix(text("client_auth"), "basic"),
	}
	if s.RefreshURL == "" {
		s.RefreshURL = s.TokenURL
	}
	if s.RedirectParam == "" {
		s.RedirectParam = "redirect_uri"
	}
	s.NeedsSecret = s.SecretEnv != "" && s.AuthorizeURL != "" && provider != "codex"
	list, _ := entry["scopes"].([]any)
	for _, v := range list {
		s.Scopes = append(s.Scopes, fmt.Sprint(v))
	}
	if more, ok := entry["extra_authorize"].(map[string]any); ok {
		s.Authorize = make(map[string]string, len(more))
		for name, v := range more {
			s.Authorize[name] = fmt.Sprint(v)
		}
	}
	return s
}

// regions that may become part of a host name: those where AWS offers its
// identity service.
var regions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "sa-east-1",
	"eu-central-1", "eu-central-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-south-1", "eu-south-2",
	"ap-south-1", "ap-south-2", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
	"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "me-south-1", "me-central-1", "il-central-1", "af-south-1",
	"us-gov-east-1", "us-gov-west-1",
}

// inRegion puts a region into the addresses of the server.
func (s Server) inRegion(region string) (Server, error) {
	if region == "" {
		region = s.Region
	}
	if !slices.Contains(regions, region) {
		return s, &Error{Status: 400, Code: "invalid_region", Text: "no such AWS region: " + clip(region)}
	}
	for _, u := range []*string{&s.RegisterURL, &s.DeviceURL, &s.TokenURL, &s.RefreshURL} {
		*u = strings.ReplaceAll(*u, "{region}", region)
	}
	s.Region = region
	return s, nil
}
