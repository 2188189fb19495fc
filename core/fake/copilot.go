package fake

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/cases"
)

// copilotToken is where a GitHub token is exchanged for one of Copilot. The token is
// named after the number of the exchange: copilot-1, copilot-2, …
const copilotToken = "/copilot_internal/v2/token"

// exchange answers the token exchange of Copilot.
func (s *Server) exchange(w http.ResponseWriter, hr *http.Request, r *Request) {
	if len(r.Violations) > 0 {
		s.plain(w, answer{status: http.StatusUnauthorized, body: encode(obj{"message": "Bad credentials"})})
		return
	}
	s.plain(w, answer{status: http.StatusOK, body: encode(obj{
		"token": fmt.Sprintf("copilot-%d", r.earlier+1), "expires_at": time.Now().Add(30 * time.Minute).Unix(), "refresh_in": 1500,
		"endpoints": obj{"api": "http://" + hr.Host}, "sku": "individual", "chat_enabled": true,
	})})
}

// checkExchange checks the request of a token exchange.
func checkExchange(r *Request) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "token "); !ok || token == "" || r.Method != http.MethodGet {
		r.violate("the exchange wants GET with the scheme token")
	}
	for name, prefix := range map[string]string{"Editor-Version": "vscode/", "Editor-Plugin-Version": "copilot", "User-Agent": "G"} {
		if !strings.HasPrefix(r.Header.Get(name), prefix) {
			r.violate("header %s is %q", name, r.Header.Get(name))
		}
	}
}

// checkCodex are the rules of the Responses API behind a ChatGPT plan.
func checkCodex(r *Request) {
	v := r.JSON
	if stream, _ := v.Get("stream"); !stream.Bool {
		r.violate("Stream must be set to true")
	}
	if store, ok := v.Get("store"); !ok || store.Bool {
		r.violate("Store must be set to false")
	}
	r.want(v, "", "instructions", cases.String)
	for _, name := range []string{"temperature", "top_p", "max_output_tokens", "metadata", "user", "previous_response_id", "safety_identifier", "top_logprobs"} {
		if hasAny(v, name) {
			r.violate("Unsupported parameter: %s", name)
		}
	}
	if r.Header.Get("Chatgpt-Account-Id") == "" {
		r.violate("there is no chatgpt-account-id")
	}
	if r.Header.Get("Session_id") == "" {
		r.violate("there is no session_id")
	}
	input, _ := v.Get("input")
	for i, item := range input.Items {
		if item.Str("role") == "system" {
			r.violate("input[%d]: System messages are not allowed", i)
		}
	}
}
