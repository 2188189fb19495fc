package main

import (
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"
)

// Wherever a table is printed, --json gives one document with the same answer:
// the same exit code, nothing but JSON on standard output.
func TestEveryTableHasJSON(t *testing.T) {
	needsPlugins(t)
	s := newShell(t, `
providers: {lab: {dialect: openai, base_urls: ["http://127.0.0.1:9/v1"], allow_private: true, accounts: [{name: a, api_key: none}], models: [{id: m}]}}
policies:
  gate: [{id: closed, when: 'req.model == "x"', deny: No}]
  tests: [{hook: gate, given: {req.model: x}, want: {id: closed, deny: No}}]
`)
	s.yes("key", "create", "--name", "ci")
	s.yes("provider", "add", "openai", "--key", "sk-0123456789")
	facts := s.write("facts.json", `{"req":{"model":"x"},"targets":[{"id":"demo/echo"}]}`)
	draft := s.write("draft.yaml", "policies: {preset: modern}\n")
	bad := s.write("bad.yaml", "policies:\n  gate: [{id: a, when: req.modle == 1, deny: No}]\n")
	failing := s.write("failing.yaml", "policies:\n  gate: [{id: a, when: req.stream, deny: No}]\n  tests: [{hook: gate, given: {req.stream: true}, want: {id: b}}]\n")
	vectors := s.write("v.jsonl", vector+"\n")
	wrong := s.write("w.jsonl", strings.Replace(vector, `{"model":"m"}}}`, `{"model":"n"}}}`, 1)+"\n")

	for _, tc := range []struct {
		line string
		code int
		text bool // the other output is a document already, or nothing
	}{
		{line: "version"},
		{line: "check"},
		{line: "check " + bad, code: exitNo, text: true},
		{line: "key list"},
		{line: "provider list"},
		{line: "provider list --all"},
		{line: "provider models"},
		{line: "provider models lab"},
		{line: "provider test lab/a", code: exitNo},
		{line: "requests", text: true},
		{line: "plugin list"},
		{line: "policy check"},
		{line: "policy check " + bad, code: exitNo, text: true},
		{line: "policy test"},
		{line: "policy test " + failing, code: exitNo},
		{line: "policy env"},
		{line: "policy env gate"},
		{line: "policy explain " + facts},
		{line: "policy bench --time 20ms"},
		{line: "policy replay --policy " + draft},
		{line: "translate cases " + vectors},
		{line: "translate cases " + wrong, code: exitNo},
	} {
		t.Run(tc.line, func(t *testing.T) {
			args := strings.Fields(tc.line)
			if args[0] == "check" && len(args) > 1 {
				args = append(args, "--config", "")
			}
			code, out, err := s.run("", args...)
			require.Equal(t, tc.code, code, err)
			require.False(t, json.Valid([]byte(out)), "a person gets text: %s", out)
			if !tc.text {
				require.NotEmpty(t, out)
			}
			code, out, err = s.run("", append(args, "--json")...)
			require.Equal(t, tc.code, code, err)
			require.True(t, json.Valid([]byte(out)), out)
			require.NotContains(t, out, "null", "empty lists are lists")
		})
	}
}

// Wrong usage is told on standard error alone, with exit code 2, before anything is opened.
func TestWrongUsage(t *testing.T) {
	s := newShell(t, "")
	for _, line := range []string{
		"serve extra", "check a b", "key create", "key create --name a --expires x", "key list extra", "key revoke",
		"provider", "provider add", "provider add a b", "provider remove", "provider models a b", "provider models --live",
		"requests extra", "requests --limit many", "explain", "explain a b", "version --nope",
		"plugin", "plugin pack", "policy", "policy fmt", "policy explain", "policy bench --targets 0", "policy replay",
		"translate", "translate request", "translate cases", "translate cases --show some f", "translate batch extra",
	} {
		code, out, err := s.run("", strings.Fields(line)...)
		require.Equal(t, exitUsage, code, "%s: %s", line, err)
		require.Empty(t, out, line)
		require.True(t, strings.HasPrefix(err, "omniroute: "), "%s: %s", line, err)
	}
	require.NoDirExists(t, s.dir+"/data")
}
