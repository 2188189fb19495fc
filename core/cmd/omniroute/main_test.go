package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/plugins/bundle"
)

// shell runs command lines against a configuration and a data directory of their own.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

func newShell(t *testing.T, yaml string) *shell {
	s := &shell{t: t, dir: t.TempDir()}
	s.env = []string{"HOME=" + s.dir, "OMNIROUTE_PLUGINS__CACHE__DIR=" + filepath.Join(os.TempDir(), "omniroute-test-cache")}
	s.write("omniroute.yaml", "server: {data_dir: "+filepath.Join(s.dir, "data")+"}\nplugins: {dir: "+filepath.Join(s.dir, "plugins")+"}\n"+yaml)
	return s
}

func (s *shell) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run gives exit code, standard output and standard error.
func (s *shell) run(stdin string, args ...string) (int, string, string) {
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(stdin), out: &out, err: &err, env: s.env, version: "v1.2.3", core: bundle.Core}
	code := run(context.Background(), a, append([]string{"--config", filepath.Join(s.dir, "omniroute.yaml")}, args...))
	return code, out.String(), err.String()
}

// yes runs a command that has to succeed and gives its output.
func (s *shell) yes(args ...string) string {
	s.t.Helper()
	code, out, err := s.run("", args...)
	require.Equal(s.t, exitYes, code, "%v: %s", args, err)
	return out
}

func needsPlugins(t *testing.T) {
	if bundle.Core() == nil {
		t.Skip("core.wasm is not built: make plugins")
	}
}

func TestExitCodes(t *testing.T) {
	s := newShell(t, "")
	for _, tc := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"version"}, exitYes, ""},
		{[]string{"nonsense"}, exitUsage, "unknown command"},
		{[]string{"version", "extra"}, exitUsage, "unknown command"},
		{[]string{"version", "--nonsense"}, exitUsage, "unknown flag"},
		{[]string{"key"}, exitUsage, "needs one of its verbs"},
		{[]string{"key", "create"}, exitUsage, "needs --name"},
		{[]string{"key", "revoke"}, exitUsage, "requires at least 1 arg"},
		{[]string{"key", "revoke", "nobody"}, exitNo, "no client key"},
		{[]string{"translate", "request", "--from", "openai"}, exitUsage, `"to" not set`},
		{[]string{"translate", "request", "--from", "openai", "--to", "claude", "--ctx", "{"}, exitUsage, "--ctx"},
		{[]string{"provider", "add", "nowhere", "--key", "x"}, exitNo, "nowhere"},
		{[]string{"provider", "add", "openai", "--key", "x", "--key-stdin"}, exitUsage, "key-stdin"},
		{[]string{"provider", "add", "openai", "--key-env", "NOT_SET"}, exitUsage, "NOT_SET"},
		{[]string{"explain", "no-such-request"}, exitNo, "no-such-request"},
		{[]string{"policy", "env", "nonsense"}, exitUsage, "unknown hook"},
		{[]string{"policy", "replay"}, exitUsage, "--policy"},
	} {
		if strings.Contains(strings.Join(tc.args, " "), "nowhere") && bundle.Core() == nil {
			continue
		}
		code, out, err := s.run("", tc.args...)
		require.Equal(t, tc.code, code, "%v: %s", tc.args, err)
		require.Contains(t, err, tc.err, "%v", tc.args)
		if tc.code != exitYes {
			require.Empty(t, out, "errors do not go to standard output: %v", tc.args)
		}
	}
}

func TestVersion(t *testing.T) {
	s := newShell(t, "")
	require.Contains(t, s.yes("version"), "omniroute v1.2.3 go")
	var v map[string]string
	require.NoError(t, json.Unmarshal([]byte(s.yes("version", "--json")), &v))
	require.Equal(t, "v1.2.3", v["version"])
}

// A key is printed once, alone on standard output, and is listed and revoked by name.
func TestKeys(t *testing.T) {
	s := newShell(t, "")
	code, out, err := s.run("", "key", "create", "--name", "ci", "--models", "openai/*", "--budget-daily", "5", "--rpm", "60")
	require.Equal(t, exitYes, code, err)
	secret := strings.TrimSpace(out)
	require.True(t, strings.HasPrefix(secret, "sk-"), out)
	require.Contains(t, err, `"ci"`)

	list := s.yes("key", "list")
	require.Contains(t, list, "openai/*")
	require.Contains(t, list, "$5/day, 60 rpm")
	require.NotContains(t, list, secret)
	var keys []map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.yes("key", "list", "--json")), &keys))
	require.Len(t, keys, 1)

	s.yes("key", "revoke", "ci")
	require.Equal(t, "[]\n", s.yes("key", "list", "--json"))
}

func TestKeysOfTheFileAreReadOnly(t *testing.T) {
	s := newShell(t, "auth: {keys: [{name: ci, key: sk-ci-000000000000000000}]}\n")
	require.Contains(t, s.yes("key", "list"), "from file")
	code, _, err := s.run("", "key", "revoke", "ci")
	require.Equal(t, exitNo, code)
	require.Contains(t, err, "omniroute.yaml")
}

func TestAccounts(t *testing.T) {
	s := newShell(t, "")
	code, out, err := s.run("sk-from-stdin-0001\n", "provider", "add", "openai", "--key-stdin")
	require.Equal(t, exitYes, code, err)
	require.Equal(t, "openai/main\n", out)
	s.env = append(s.env, "MY_KEY=sk-from-env-0002")
	require.Equal(t, "openai/main-2\n", s.yes("provider", "add", "openai", "--key-env", "MY_KEY"))

	list := s.yes("provider", "list")
	require.Contains(t, list, "openai/main")
	require.NotContains(t, list, "sk-from-stdin-0001", "a secret is never shown again")
	require.NotContains(t, s.yes("provider", "list", "--json"), "sk-from-env-0002")

	s.yes("provider", "remove", "openai/main")
	require.NotContains(t, s.yes("provider", "list"), "openai/main ")
}

func TestCatalogue(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, "")
	all := s.yes("provider", "list", "--all")
	for _, id := range []string{"openai", "anthropic", "gemini", "demo"} {
		require.Contains(t, all, "\n"+id+" ")
	}
	require.Contains(t, s.yes("provider", "models"), "demo/echo")
	require.Contains(t, s.yes("provider", "models", "openai"), "openai/gpt-4o")
}

func TestCheck(t *testing.T) {
	s := newShell(t, "")
	require.Equal(t, "ok\n", s.yes("check"))

	bad := s.write("bad.yaml", "serverr: {}\npolicies:\n  gate:\n    - {id: a, when: req.modle == \"x\", deny: No}\n")
	code, out, err := s.run("", "check", bad, "--config", "")
	require.Equal(t, exitNo, code)
	require.Empty(t, out)
	require.Contains(t, err, "bad.yaml:1:1: ")
	require.Contains(t, err, "^")
}

func TestTranslate(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, "")
	code, out, err := s.run(`{"model":"m","max_tokens":9,"top_k":3,"messages":[{"role":"user","content":"hi"}]}`,
		"translate", "request", "--from", "claude", "--to", "openai", "--ctx", `{"model":"gpt-4o"}`)
	require.Equal(t, exitYes, code, err)
	require.JSONEq(t, `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":9}`, out)
	require.Contains(t, err, "degraded: top_k")

	code, out, err = s.run(`{"error":{"message":"slow down"}}`, "translate", "response", "--from", "openai", "--to", "claude", "--ctx", `{"status":429}`)
	require.Equal(t, exitNo, code)
	require.Contains(t, err, "status 429")
	require.Contains(t, out, `"rate_limit_error"`)

	code, out, err = s.run("{", "translate", "request", "--from", "claude", "--to", "openai")
	require.Equal(t, exitNo, code, "bad input is answered as the gateway would")
	require.Contains(t, err, "status 400")
	require.Contains(t, out, `"type":"error"`)

	stream := "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n" +
		"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	code, out, err = s.run(stream, "translate", "stream", "--from", "openai", "--to", "claude")
	require.Equal(t, exitYes, code, err)
	require.Contains(t, out, "event: content_block_delta")
	require.Contains(t, out, "event: message_stop")

	_, out, _ = s.run(stream, "translate", "stream", "--from", "openai", "--to", "claude", "--ctx", `{"collect":true}`)
	require.Contains(t, out, `"stop_reason":"end_turn"`)
}

const vector = `{"id":"a","kind":"request","from":"openai","to":"claude","input":{"model":"m","messages":[{"role":"user","content":"x"}]},"expect":{"body":{"model":"m"}}}`

func TestCases(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, "")
	good := s.write("good.jsonl", vector+"\n")
	require.Equal(t, "1 passed, 0 failed\n", s.yes("translate", "cases", good))
	require.Contains(t, s.yes("translate", "cases", good, "--show", "all"), "pass a (request openai -> claude)")

	bad := s.write("bad.jsonl", vector+"\n"+strings.NewReplacer(`"id":"a"`, `"id":"b"`, `{"model":"m"}}}`, `{"model":"n"}}}`).Replace(vector)+"\n")
	code, out, _ := s.run("", "translate", "cases", bad)
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "FAIL b")
	require.Contains(t, out, "1 passed, 1 failed\n")
}

// Batch answers every line, in order, and compares nothing.
func TestBatch(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, "")
	in := vector + "\n\n" + `{"id":"s","kind":"stream","from":"openai","to":"claude","input":[]}` + "\n" + `{"id":"x","kind":"nope"}` + "\nnot json\n"
	code, out, err := s.run(in, "translate", "batch")
	require.Equal(t, exitNo, code)
	require.Contains(t, err, "line 4: ")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4)
	for i, id := range []string{"a", "s", "x", ""} {
		var line struct {
			ID    string          `json:"id"`
			Body  json.RawMessage `json:"body"`
			Error *struct {
				Status int `json:"status"`
			} `json:"error"`
		}
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line), lines[i])
		require.Equal(t, id, line.ID)
		require.Equal(t, i == 0, line.Body != nil, lines[i])
		require.Equal(t, i != 0, line.Error != nil, lines[i])
	}
}

func TestPolicies(t *testing.T) {
	s := newShell(t, "policies:\n  gate:\n    - {id: closed, when: 'req.model == \"x\"', deny: No}\n  tests:\n    - {hook: gate, given: {req.model: x}, want: {id: closed, deny: No}}\n")
	require.Contains(t, s.yes("policy", "check"), "ok: ")
	require.Contains(t, s.yes("policy", "test"), "1 passed, 0 failed")
	require.Contains(t, s.yes("policy", "env"), "on_error")
	require.Contains(t, s.yes("policy", "env", "gate"), "req.model")
	require.Contains(t, s.yes("policy", "env", "--markdown"), "# Policy reference")
	require.Contains(t, s.yes("policy", "bench", "--time", "50ms"), "all")

	facts := s.write("facts.json", `{"req":{"model":"x"},"targets":[{"id":"demo/echo"}]}`)
	out := s.yes("policy", "explain", facts)
	require.Contains(t, out, "refused: 403")
	require.Contains(t, out, `req.model = x`)
	require.Equal(t, s.yes("policy", "explain", facts, "--json"), s.yes("policy", "explain", facts, "--json"), "same facts, same bytes")

	draft := s.write("draft.yaml", "policies:\n  preset: modern\n")
	require.Contains(t, s.yes("policy", "explain", facts, "--policy", draft), "allowed")
	require.Contains(t, s.yes("policy", "replay", "--policy", draft, "--fail-on-change"), "0 of 0 requests would change")

	bad := s.write("bad.yaml", "policies:\n  gate:\n    - {id: a, when: req.modle == \"x\", deny: No}\n")
	code, _, err := s.run("", "policy", "check", bad)
	require.Equal(t, exitNo, code)
	require.Contains(t, err, "bad.yaml:3:")

	plain := s.write("plain.yaml", "policies:\n  gate:\n    - id: a\n      when: \"a\" == req.model\n      deny: No\n")
	code, out, _ = s.run("", "policy", "fmt", "--check", plain)
	require.Equal(t, exitNo, code)
	require.Equal(t, plain+"\n", out)
	s.yes("policy", "fmt", plain)
	require.Contains(t, s.yes("policy", "check", plain), "ok: ")
}

func TestPluginVerbs(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, "")
	require.Contains(t, s.yes("plugin", "list"), "claude")
	junk := s.write("junk.wasm", "no module")
	code, _, err := s.run("", "plugin", "pack", junk)
	require.Equal(t, exitNo, code)
	require.Contains(t, err, "junk.wasm")
}

func TestResetPassword(t *testing.T) {
	s := newShell(t, "")
	code, _, text := s.run("short\n", "admin", "reset-password", "--stdin")
	require.Equal(t, exitNo, code)
	require.Contains(t, text, "at least 8 characters")
	code, _, text = s.run("", "admin", "reset-password", "--stdin")
	require.Equal(t, exitUsage, code, text)
	code, out, text := s.run("a good password\n", "admin", "reset-password", "--stdin", "--json")
	require.Equal(t, exitYes, code, text)
	require.JSONEq(t, `{"changed":true}`, out)
}
