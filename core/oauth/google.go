package oauth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/doc"
)

// google is the login of Gemini CLI and Antigravity: a web client with a secret
// that the operator supplies, no PKCE, and a project that the account works in.
type google struct {
	standard
	antigravity bool
}

func (google) authorize(c *client, f *flow) string { return authorizeURL(c, f, nil, false) }

func (m google) exchange(ctx context.Context, c *client, f *flow, code string) (*Grant, error) {
	g, err := first(c.tokens(ctx, c.TokenURL, false, []pair{{"grant_type", "authorization_code"}, {"client_id", c.ClientID},
		{"client_secret", c.ClientSecret}, {"code", code}, {"redirect_uri", f.redirect}}))
	if err != nil {
		return nil, err
	}
	if c.UserinfoURL != "" {
		if resp, err := c.get(ctx, c.UserinfoURL, g.Access); err == nil && resp.Status == http.StatusOK {
			g.Email, g.Subject, g.Name = text(resp.Body, "email"), text(resp.Body, "id"), text(resp.Body, "name")
		}
	}
	m.onboard(ctx, c, g, onboardTries) // a login without a project is one: the next renewal looks again
	return g, nil
}

func (m google) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	g, err := m.standard.refresh(ctx, c, old)
	if err == nil && old.Data["projectId"] == "" {
		m.onboard(ctx, c, g, 1) // requests wait for the token
	}
	return g, err
}

// Tries of onboarding at a login and the pause between them.
const (
	onboardTries = 10
	onboardPause = 5 * time.Second
)

// onboard finds the project of the account, and has the service make one where
// there is none, which takes a while: it is asked so many times.
func (m google) onboard(ctx context.Context, c *client, g *Grant, tries int) {
	if c.OnboardURL == "" {
		return
	}
	metadata := codeAssistMetadata()
	headers := codeAssistHeaders()
	headers = append([]pair{{"Authorization", "Bearer " + g.Access}}, headers...)
	resp, err := c.postJSON(ctx, c.OnboardURL+":loadCodeAssist", map[string]any{"metadata": metadata}, headers...)
	if err != nil || resp.Status != http.StatusOK {
		return
	}
	project := projectOf(resp.Body, "cloudaicompanionProject")
	tier := defaultTier(resp.Body)
	g.Plan = tier
	g.data("projectId", project)
	g.data("tierId", tier)
	if project != "" && !m.antigravity {
		return
	}
	want := map[string]any{"tierId": tier, "metadata": metadata}
	if project != "" {
		want["cloudaicompanionProject"] = project
	}
	for try := range tries {
		if try > 0 && c.sleep(ctx, onboardPause) != nil {
			return
		}
		resp, err := c.postJSON(ctx, c.OnboardURL+":onboardUser", want, headers...)
		if err != nil || resp.Status != http.StatusOK {
			return
		}
		if done, _ := doc.Bool(resp.Body, "done"); done {
			g.data("projectId", projectOf(resp.Body, "response", "cloudaicompanionProject"))
			return
		}
	}
}

// codeAssistMetadata says who calls Google's Code Assist.
func codeAssistMetadata() map[string]string {
	return map[string]string{"ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI"}
}

// codeAssistHeaders accompany it.
func codeAssistHeaders() []pair {
	metadata, _ := json.Marshal(codeAssistMetadata())
	return []pair{
		{"User-Agent", "google-api-nodejs-client/9.15.1"},
		{"X-Goog-Api-Client", "google-cloud-sdk vscode_cloudshelleditor/0.1"},
		{"Client-Metadata", string(metadata)},
	}
}

// projectOf reads a project: its id, or an object with it.
func projectOf(body []byte, path ...string) string {
	if s := text(body, path...); s != "" {
		return s
	}
	return text(body, append(path, "id")...)
}

// defaultTier is the tier that an account gets unless it chooses another.
func defaultTier(body []byte) string {
	tier := "legacy-tier"
	list, _ := doc.Get(body, "allowedTiers")
	doc.Each(list, func(_ int, raw []byte) bool {
		standard, _ := doc.Bool(raw, "isDefault")
		if id := text(raw, "id"); standard && id != "" {
			tier = strings.TrimSpace(id)
			return false
		}
		return true
	})
	return tier
}
