package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// With everything that can be recorded switched on, credentials are still nowhere:
// not in the request log, the stage log, the textual log, the audit log, the
// metrics, an export, or a backup, nor in what commands say of them.
func TestCredentialsStayOutOfRecords(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"account key":          "sk-canary-account-2f9c7a41d0aa",
		"static client key":    "sk-canary-static-client-555001",
		"storage key":          strings.Repeat("ca11a7e5", 8),
		"key within a prompt":  "sk-canary-prompt-0123456789",
		"password in a prompt": "hunter2canary",
		"token in an answer":   "ya29.canary-answer-0123456789",
		"backup passphrase":    "canary staple battery horse",
	}
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if strings.Contains(string(r.Body), "fail") {
			return fake.Reply{Status: 401, Error: "Incorrect API key provided: " + r.Key()}
		}
		return fake.Reply{Text: "the token is " + secrets["token in an answer"]}
	})
	g := prepare(t, providers(
		node{id: "oai", dialect: "openai", url: up.OpenAIBase(), accounts: []string{secrets["account key"]}, models: []string{"m"}},
		node{id: "ant", dialect: "claude", url: up.URL, accounts: []string{secrets["account key"]}, models: []string{"m"}},
	)+"auth:\n  require_keys: true\n  keys: [{name: static, key: "+secrets["static client key"]+"}]\n"+
		"logging: {level: debug, requests: {bodies: all, stages: all, file: "+filepath.Join(t.TempDir(), "log.txt")+"}}\n")
	g.env = append(g.env, "OMNIROUTE_STORAGE_KEY="+secrets["storage key"], "OMNIROUTE_BACKUP_PASSPHRASE="+secrets["backup passphrase"])
	g.start()
	auth := []string{"Authorization", "Bearer " + secrets["static client key"]}
	for _, model := range []string{"oai/m", "ant/m"} {
		for _, word := range []string{"fine", "fail"} {
			for _, stream := range []string{"false", "true"} {
				g.post("/v1/chat/completions", `{"model":"`+model+`","stream":`+stream+`,"messages":[{"role":"user","content":"`+word+` `+secrets["key within a prompt"]+
					` {\"password\":\"`+secrets["password in a prompt"]+`\"}"}]}`, auth...)
			}
		}
	}
	places := map[string]string{"metrics": string(g.get("/metrics", auth...).Body)}
	secrets["created client key"] = strings.TrimSpace(g.must("key", "create", "--name", "canary"))
	backup := g.path("all.bak")
	places["backup report"] = g.must("backup", backup)
	places["export"] = g.must("export")
	places["doctor"] = g.must("doctor", "verify", "--json")
	places["requests"] = g.must("requests", "--json")
	for _, line := range strings.Split(places["requests"], "\n") {
		if id := between(line, `"id": "`, `"`); id != "" {
			places["explain"] += g.must("explain", "--json", id)
		}
	}
	require.Contains(t, places["explain"], `"served_account"`)
	g.stop()
	places["log"] = g.out.String()
	captured := 0
	for _, root := range []string{g.path("data"), backup, filepath.Dir(backup)} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || filepath.Base(path) == "omniroute.yaml" {
				return err
			}
			if strings.Contains(path, "captures") {
				captured++
			}
			text, err := os.ReadFile(path)
			for what, secret := range secrets {
				require.False(t, bytes.Contains(text, []byte(secret)), "%s in %s", what, path)
			}
			return err
		}))
	}
	require.GreaterOrEqual(t, captured, 8*5, "there were stages to look at")
	for place, text := range places {
		for what, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s in %s: …%s", what, place, text[max(0, i-150):min(len(text), i+100)])
			}
		}
	}
}
