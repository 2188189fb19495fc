package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

type object = map[string]any

// refuse notes what is wrong with a request and says so as token endpoints do.
func (r *AuthRequest) refuse(status int, code, problem string) (int, any) {
	r.Problem = problem
	return status, object{"error": code, "error_description": problem}
}

// answer of a provider; a.mu is held.
func (a *Auth) answer(r *AuthRequest) (int, any) {
	if status := a.failing[r.Provider]; status != 0 {
		return status, object{"error": "temporarily_unavailable", "error_description": "try later"}
	}
	if r.Problem != "" {
		return http.StatusBadRequest, object{"error": "invalid_request", "error_description": r.Problem}
	}
	if status, body, ok := a.quota(r); ok {
		return status, body
	}
	switch path := r.Path; {
	case r.Provider == "kiro":
		return a.kiro(r)
	case r.Provider == "kilocode":
		return a.kilocode(r)
	case path == "token" && r.Method == http.MethodPost:
		return a.token(r)
	case path == "refresh" && r.Provider == "cline":
		return a.renew(r, r.Fields["refreshToken"])
	case path == "device" || strings.HasSuffix(path, "deviceauth/usercode"):
		return a.device(r)
	case strings.HasSuffix(path, "deviceauth/token"):
		return a.poll(r, r.Fields["device_auth_id"])
	case path == "userinfo" && r.Provider == "iflow":
		if !a.bears(r, r.Query.Get("accessToken")) {
			return http.StatusOK, object{"success": false, "message": "login expired"}
		}
		return http.StatusOK, object{"success": true, "data": object{"apiKey": fmt.Sprintf("canary-iflow-key-%d", a.n), "email": "ada@example.com", "phone": "1", "nickname": "Ada", "name": "Ada L."}}
	case path == "userinfo" || path == "user":
		if !a.bears(r, bearer(r)) {
			return http.StatusUnauthorized, object{"error": "invalid_token"}
		}
		return http.StatusOK, object{"id": 4711, "email": "ada@example.com", "login": "ada", "name": "Ada Lovelace"}
	case path == "copilot_internal/v2/token":
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "token ")
		if !ok || !a.bears(r, token) {
			return http.StatusUnauthorized, object{"message": "Bad credentials"}
		}
		a.n++
		return http.StatusOK, object{"token": fmt.Sprintf("canary-copilot-%d", a.n), "expires_at": time.Now().Add(a.Skew + 25*time.Minute).Unix(),
			"refresh_in": 1500, "sku": "monthly_subscriber", "endpoints": object{"api": a.URL + "/github/api"}}
	case path == "v1internal:onboardUser":
		return a.onboard(r)
	}
	return http.StatusNotFound, object{"error": "not_found"}
}

func bearer(r *AuthRequest) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func (a *Auth) bears(r *AuthRequest, token string) bool {
	return token != "" && a.access[token] == r.Provider
}

// forms are the providers whose token endpoints take forms.
func wantsForm(provider string) bool {
	return provider != "claude" && provider != "kiro" && provider != "cline"
}

// token is the token endpoint of RFC 6749.
func (a *Auth) token(r *AuthRequest) (int, any) {
	form := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	if form != wantsForm(r.Provider) {
		return r.refuse(400, "invalid_request", "the body has the wrong type")
	}
	secret, basic := "", r.Header.Get("Authorization")
	switch r.Provider {
	case "gemini", "gemini-cli", "antigravity", "iflow":
		secret = AuthSecret
	}
	switch {
	case r.Fields["client_id"] == "" && r.Provider != "cline":
		return r.refuse(400, "invalid_client", "no client id")
	case r.Fields["client_secret"] != secret:
		return r.refuse(401, "invalid_client", "wrong client secret")
	case r.Provider == "iflow" && basic != "Basic "+base64.StdEncoding.EncodeToString([]byte(r.Fields["client_id"]+":"+secret)):
		return r.refuse(401, "invalid_client", "the client is not in the Authorization header")
	case r.Provider == "kimi-coding" && (r.Header.Get("X-Msh-Device-Id") == "" || r.Header.Get("X-Msh-Platform") != "kimi_cli"):
		return r.refuse(400, "invalid_request", "the headers of the device are missing")
	}
	switch r.Fields["grant_type"] {
	case "authorization_code":
		return a.redeem(r, r.Fields["code_verifier"])
	case "urn:ietf:params:oauth:grant-type:device_code":
		return a.poll(r, r.Fields["device_code"])
	case "refresh_token":
		return a.renew(r, r.Fields["refresh_token"])
	}
	return r.refuse(400, "unsupported_grant_type", "unknown grant type")
}

// redeem exchanges a code, once.
func (a *Auth) redeem(r *AuthRequest, verifier string) (int, any) {
	code := a.codes[r.Fields["code"]]
	delete(a.codes, r.Fields["code"])
	switch {
	case code == nil || code.provider != r.Provider:
		return r.refuse(400, "invalid_grant", "the code "+r.Fields["code"]+" is unknown or was used before")
	case !pkceMatches(verifier, code.challenge):
		return r.refuse(400, "invalid_grant", "the verifier does not match")
	case code.redirect != r.Fields["redirect_uri"]:
		return r.refuse(400, "invalid_grant", "the redirect is another one than at first")
	case r.Provider == "claude" && r.Fields["state"] == "":
		return r.refuse(400, "invalid_request", "no state")
	}
	return http.StatusOK, a.granted(r)
}

// renew takes a refresh token. Using one a second time ends the grant.
func (a *Auth) renew(r *AuthRequest, refresh string) (int, any) {
	switch {
	case a.revoked[r.Provider] || a.refresh[refresh] != r.Provider:
		return r.refuse(400, "invalid_grant", "the refresh token "+refresh+" was revoked")
	case a.spent[refresh]:
		a.revoked[r.Provider] = true
		return r.refuse(400, "invalid_grant", "the refresh token "+refresh+" was used before")
	}
	body := a.granted(r)
	if google := strings.HasPrefix(r.Provider, "gemini") || r.Provider == "antigravity"; google {
		delete(body, "refresh_token") // the old one stays
	} else {
		a.spent[refresh] = true
	}
	return http.StatusOK, body
}

// granted is a new pair of tokens, in the provider's words.
func (a *Auth) granted(r *AuthRequest) object {
	access, refresh := a.tokens(r.Provider)
	out := object{"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600}
	switch r.Provider {
	case "claude":
		out["expires_in"], out["scope"] = 28800, "user:inference"
		out["organization"], out["account"] = object{"uuid": "org-1", "name": "Engines"}, object{"uuid": "acct-1", "email_address": "ada@example.com"}
	case "codex":
		out["expires_in"] = 864000
		out["id_token"] = JWT(object{"email": "ada@example.com", "https://api.openai.com/auth": object{"chatgpt_account_id": "cg-1", "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1"}})
	case "qwen":
		out["resource_url"] = "portal.example.com"
	case "kimi-coding":
		out["expires_in"] = 3600.5
	case "github":
		delete(out, "refresh_token")
		delete(out, "expires_in")
	case "kiro":
		out = object{"accessToken": access, "refreshToken": refresh, "expiresIn": 3600}
	case "cline":
		return object{"success": true, "data": object{"accessToken": access, "refreshToken": refresh,
			"expiresAt": time.Now().Add(a.Skew + time.Hour).UTC().Format(time.RFC3339), "userInfo": object{"email": "ada@example.com"}}}
	}
	return out
}

// device starts a device login.
func (a *Auth) device(r *AuthRequest) (int, any) {
	a.n++
	code := fmt.Sprintf("canary-device-%s-%d", r.Provider, a.n)
	a.devices[code] = &authDevice{r.Provider, r.Fields["code_challenge"]}
	page := a.URL + "/" + r.Provider + "/verify"
	switch {
	case r.Fields["client_id"] == "" && r.Provider != "kiro":
		return r.refuse(400, "invalid_client", "no client id")
	case r.Provider == "qwen" && (r.Fields["code_challenge"] == "" || r.Fields["code_challenge_method"] != "S256"):
		return r.refuse(400, "invalid_request", "no PKCE challenge")
	case r.Provider == "codex":
		return http.StatusOK, object{"device_auth_id": code, "user_code": "ABCD-1234", "interval": "1"}
	case r.Provider == "kiro":
		return http.StatusOK, object{"deviceCode": code, "userCode": "ABCD-1234", "verificationUri": page, "verificationUriComplete": page + "?user_code=ABCD-1234", "expiresIn": 600, "interval": 1}
	case r.Provider == "kimi-coding":
		return http.StatusOK, object{"device_code": code, "user_code": "ABCD-1234", "expires_in": 600.5, "interval": 1}
	}
	return http.StatusOK, object{"device_code": code, "user_code": "ABCD-1234", "verification_uri": page, "verification_uri_complete": page + "?user_code=ABCD-1234", "expires_in": 600, "interval": 1}
}

// next is the scripted answer to a poll.
func (a *Auth) next(provider string) string {
	script := a.scripts[provider]
	if len(script) == 0 {
		return ""
	}
	a.scripts[provider] = script[1:]
	return script[0]
}

// poll answers whoever waits for a device code, in the provider's way.
func (a *Auth) poll(r *AuthRequest, code string) (int, any) {
	d := a.devices[code]
	if d == nil || d.provider != r.Provider {
		return r.refuse(400, "invalid_grant", "the device code is unknown or was used before")
	}
	words := map[string]struct {
		status int
		code   string
	}{"pending": {400, "authorization_pending"}, "slow_down": {400, "slow_down"}, "expired": {401, "expired_token"}, "denied": {400, "access_denied"}, "unavailable": {503, "server_error"}}
	if say := a.next(r.Provider); say != "" {
		word := words[say]
		switch r.Provider {
		case "github", "kimi-coding":
			if word.status < 500 {
				word.status = http.StatusOK
			}
		case "qwen":
			if say == "slow_down" {
				word.status = http.StatusTooManyRequests
			}
		case "codex":
			if say == "pending" {
				return http.StatusForbidden, object{"error": object{"message": "not yet"}}
			}
		}
		return word.status, object{"error": word.code, "error_description": say}
	}
	if !pkceMatches(r.Fields["code_verifier"], d.challenge) {
		return r.refuse(400, "invalid_grant", "the verifier does not match")
	}
	delete(a.devices, code)
	if r.Provider != "codex" {
		return http.StatusOK, a.granted(r)
	}
	a.n++
	redirect, verifier := a.URL+"/codex/deviceauth/callback", "canary-device-verifier"
	next := fmt.Sprintf("canary-code-codex-%d", a.n)
	a.codes[next] = &authCode{"codex", "", redirect}
	return http.StatusOK, object{"authorization_code": next, "code_verifier": verifier}
}

// kiro is AWS' identity service, Kiro's social login, and its profiles.
func (a *Auth) kiro(r *AuthRequest) (int, any) {
	const id, secret = "kiro-client", "canary-kiro-client-secret"
	if r.Header.Get("Content-Type") != "application/json" && r.Path != "" {
		return r.refuse(400, "invalid_request", "the body has the wrong type")
	}
	mine := r.Fields["clientId"] == id && r.Fields["clientSecret"] == secret
	switch r.Path {
	case "client/register":
		if r.Fields["clientType"] != "public" || r.Fields["issuerUrl"] == "" || !strings.Contains(r.Fields["scopes"], "codewhisperer:completions") {
			return r.refuse(400, "invalid_request", "a field of the registration is wrong")
		}
		return http.StatusOK, object{"clientId": id, "clientSecret": secret, "clientSecretExpiresAt": time.Now().Add(90 * 24 * time.Hour).Unix()}
	case "device_authorization":
		if !mine || r.Fields["startUrl"] == "" {
			return r.refuse(401, "invalid_client", "unknown client")
		}
		return a.device(r)
	case "token":
		switch {
		case !mine:
			return r.refuse(401, "invalid_client", "unknown client")
		case r.Fields["grantType"] == "refresh_token":
			return a.renew(r, r.Fields["refreshToken"])
		}
		return a.poll(r, r.Fields["deviceCode"])
	case "social/token":
		return a.redeem(r, r.Fields["code_verifier"])
	case "social/refresh":
		status, body := a.renew(r, r.Fields["refreshToken"])
		if o, ok := body.(object); ok && status == http.StatusOK {
			o["profileArn"] = kiroARN
		}
		return status, body
	case "":
		if !a.bears(r, bearer(r)) {
			return http.StatusUnauthorized, object{"__type": "com.amazon#ExpiredTokenException", "message": "expired"}
		}
		return http.StatusOK, object{"profiles": []object{{"arn": kiroARN}}}
	}
	return http.StatusNotFound, object{"message": "not found"}
}

const kiroARN = "arn:aws:codewhisperer:us-east-1:1:profile/P1"

// kilocode says by statuses how a login stands.
func (a *Auth) kilocode(r *AuthRequest) (int, any) {
	code, poll := strings.CutPrefix(r.Path, "codes/")
	switch {
	case r.Path == "codes":
		a.n++
		code = fmt.Sprintf("CODE%d", a.n)
		a.devices[code] = &authDevice{"kilocode", ""}
		return http.StatusOK, object{"code": code, "verificationUrl": a.URL + "/kilocode/verify/" + code, "expiresIn": 300}
	case poll && a.devices[code] != nil:
		switch a.next("kilocode") {
		case "pending":
			return http.StatusAccepted, object{"status": "pending"}
		case "denied":
			return http.StatusForbidden, object{"status": "denied"}
		case "expired":
			return http.StatusGone, object{"status": "expired"}
		case "unavailable":
			return http.StatusServiceUnavailable, object{}
		case "slow_down":
			return http.StatusTooManyRequests, object{}
		}
		delete(a.devices, code)
		access, _ := a.tokens("kilocode")
		return http.StatusOK, object{"status": "approved", "token": access, "userEmail": "ada@example.com"}
	case r.Path == "profile" && a.bears(r, bearer(r)):
		return http.StatusOK, object{"organizations": []object{{"id": "org-7"}}}
	}
	return http.StatusGone, object{"error": "not_found"}
}

// onboard makes a project, at the second request.
func (a *Auth) onboard(r *AuthRequest) (int, any) {
	if !a.bears(r, bearer(r)) {
		return http.StatusUnauthorized, object{"error": object{"code": 401, "message": "unauthorized"}}
	}
	seen := 0
	for _, old := range a.requests {
		if old.Provider == r.Provider && old.Path == r.Path {
			seen++
		}
	}
	if seen%2 == 0 {
		return http.StatusOK, object{"name": "operations/1", "done": false}
	}
	return http.StatusOK, object{"done": true, "response": object{"cloudaicompanionProject": object{"id": "demo-project"}}}
}

// quota is the endpoint that tells what an account may still use; ok is false for
// other paths.
func (a *Auth) quota(r *AuthRequest) (status int, body any, ok bool) {
	token := bearer(r)
	raw := ""
	switch {
	case r.Path == "usage" && r.Provider == "codex":
		raw = `{"plan_type":"plus","rate_limit":{"limit_reached":false,"primary_window":{"used_percent":12,"limit_window_seconds":18000,"reset_at":4102444800},"secondary_window":{"used_percent":40,"limit_window_seconds":604800,"reset_at":4102444800}}}`
	case r.Path == "usage" && r.Provider == "github":
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "token ")
		raw = `{"copilot_plan":"individual","quota_reset_date":"2099-03-01","quota_snapshots":{"chat":{"entitlement":0,"remaining":0,"unlimited":true},"completions":{"entitlement":0,"remaining":0,"unlimited":true},"premium_interactions":{"entitlement":300,"remaining":250,"percent_remaining":83.3,"unlimited":false}}}`
	case r.Path == "usage" && r.Provider == "claude" && r.Header.Get("Anthropic-Beta") == "oauth-2025-04-20":
		raw = `{"five_hour":{"utilization":23.0,"resets_at":"2099-02-18T15:00:00Z"},"seven_day":{"utilization":41.0,"resets_at":"2099-02-22T00:00:00Z"},"seven_day_opus":null}`
	case r.Provider == "kiro" && r.Header.Get("X-Amz-Target") == "AmazonCodeWhispererService.GetUsageLimits":
		if r.Fields["profileArn"] == "" || r.Fields["origin"] != "AI_EDITOR" {
			status, body = r.refuse(400, "ValidationException", "no profile")
			return status, body, true
		}
		raw = `{"usageBreakdownList":[{"resourceType":"AGENTIC_REQUEST","currentUsageWithPrecision":12.5,"usageLimitWithPrecision":50}],"nextDateReset":4075660800.0,"subscriptionInfo":{"subscriptionTitle":"KIRO FREE"}}`
	case r.Path == "v1internal:loadCodeAssist":
		raw = `{"allowedTiers":[{"id":"free-tier","isDefault":true}],"currentTier":{"id":"free-tier"}}`
	case r.Path == "v1internal:fetchAvailableModels":
		raw = `{"models":{"gemini-3-flash":{"displayName":"Gemini 3 Flash","quotaInfo":{"remainingFraction":0.75,"resetTime":"2099-02-18T15:00:00Z"}},"not-in-the-catalogue":{"quotaInfo":{"remainingFraction":0}},"chat_20706":{"isInternal":true}}}`
	case r.Path == "v1internal:retrieveUserQuota":
		raw = `{"buckets":[{"modelId":"gemini-2.5-pro","tokenType":"REQUESTS","remainingFraction":0.5,"resetTime":"2099-02-18T15:00:00Z"},{"modelId":"gemini-2.5-pro","tokenType":"TOKENS","remainingFraction":0.9}]}`
	default:
		return 0, nil, false
	}
	if !a.bears(r, token) {
		return http.StatusUnauthorized, object{"error": object{"message": "the token " + token + " is not valid"}}, true
	}
	return http.StatusOK, rawJSON(raw), true
}

// rawJSON is written as it is.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }
