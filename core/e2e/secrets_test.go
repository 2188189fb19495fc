package e2e

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// Secrets of every kind, each recognisable, appear nowhere but where they belong.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"account key of the file":      "sk-canary-file-2f9c7a41d0",
		"account key by command":       "sk-canary-command-8812c0ffee",
		"header of the provider":       "canary-header-77aa01",
		"storage key":                  strings.Repeat("ca11a7e5", 8),
		"static client key":            "sk-canary-static-client-555001",
		"wrong key sent by a client":   "sk-canary-wrong-991",
		"prompt of a failed request":   "canary-prompt-mustard",
		"secret in the upstream's URL": "canary-query-4411",
	}
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		switch {
		case strings.Contains(string(r.Body), "fail"): // real services quote the key they refuse
			return fake.Reply{Status: http.StatusUnauthorized, Error: "Incorrect API key provided: " + r.Key() + ". (" + r.Header.Get("X-Extra") + ")"}
		case strings.Contains(string(r.Body), "break"):
			return fake.Reply{Status: http.StatusInternalServerError, Error: "config was Authorization: Bearer " + r.Key()}
		case strings.Contains(string(r.Body), "reset"):
			return fake.Reply{Fault: fake.Fault{Kind: fake.FaultReset}}
		}
		return fake.Reply{Text: "fine"}
	})
	nodes := providers(
		node{id: "filed", dialect: "openai", url: up.OpenAIBase(), accounts: []string{secrets["account key of the file"]}, models: []string{"m"},
			extra: "    headers: {X-Extra: " + secrets["header of the provider"] + "}\n"},
		node{id: "breaks", dialect: "claude", url: up.URL, accounts: []string{secrets["account key of the file"]}, models: []string{"m"}},
		node{id: "resets", dialect: "openai", url: up.OpenAIBase(), accounts: []string{secrets["account key of the file"]}, models: []string{"m"}},
	) + strings.Replace(node{id: "commanded", dialect: "openai", url: up.OpenAIBase(), accounts: []string{}, models: []string{"m"}}.yaml(), "    accounts:\n", "", 1)
	g := prepare(t, nodes+"auth:\n  require_keys: true\n  keys: [{name: static, key: "+secrets["static client key"]+"}]\nlogging: {level: debug, requests: {bodies: none}}\n")
	g.env = append(g.env, "OMNIROUTE_STORAGE_KEY="+secrets["storage key"], "CANARY_KEY="+secrets["account key by command"])
	g.start()
	var shown strings.Builder
	show := func(a answer) {
		shown.WriteString(a.Body)
		for name, values := range a.Header {
			shown.WriteString(name + ": " + strings.Join(values, ",") + "\n")
		}
	}
	g.must("provider", "add", "commanded", "--key-env", "CANARY_KEY")
	client := strings.TrimSpace(g.must("key", "create", "--name", "canary"))
	secrets["created client key"] = client

	auth := []string{"Authorization", "Bearer " + client}
	for _, model := range []string{"filed/m", "commanded/m", "breaks/m", "resets/m"} {
		word := map[string]string{"filed/m": "ok", "commanded/m": "ok", "breaks/m": "break", "resets/m": "reset"}[model]
		for _, stream := range []string{"false", "true"} {
			body := `{"model":"` + model + `","stream":` + stream + `,"messages":[{"role":"user","content":"` + word + `"}]}`
			show(g.post("/v1/chat/completions", body, auth...))
		}
	}
	for _, model := range []string{"filed/m", "commanded/m"} {
		show(g.post("/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"fail `+secrets["prompt of a failed request"]+`"}]}`, auth...))
		show(g.post("/v1/messages", `{"model":"`+model+`","max_tokens":9,"messages":[{"role":"user","content":"fail"}]}`, "x-api-key", secrets["static client key"]))
	}
	show(g.post("/v1/chat/completions", `{"model":"filed/m","messages":[]}`, "Authorization", "Bearer "+secrets["wrong key sent by a client"]))
	show(g.get("/v1/models?key="+secrets["secret in the upstream's URL"], auth...))
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/v1/models"} {
		show(g.get(path, auth...))
	}
	require.NotEmpty(t, up.Requests())
	requests := g.must("requests", "--json")
	places := map[string]string{
		"answers":      shown.String(),
		"requests":     requests,
		"key list":     g.must("key", "list", "--json"),
		"account list": g.must("provider", "list", "--json"),
		"explain":      "",
	}
	for _, line := range strings.Split(requests, "\n") {
		if id := between(line, `"id": "`, `"`); id != "" {
			out, errs, _ := g.run("explain", id)
			places["explain"] += out + errs
		}
	}
	g.stop()
	places["log"] = g.out.String()
	for place, text := range places {
		for what, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s in %s: …%s", what, place, text[max(0, i-150):min(len(text), i+100)])
			}
		}
	}
	require.NotContains(t, places["log"]+places["answers"], "panic")
	err := filepath.WalkDir(g.path("data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for what, secret := range secrets {
			require.False(t, bytes.Contains(text, []byte(secret)), "%s in %s", what, path)
		}
		return nil
	})
	require.NoError(t, err)
	info, err := os.Stat(g.path("data"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "the data directory is open to others")
}
