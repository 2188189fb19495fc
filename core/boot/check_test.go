package boot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/plugins/bundle"
)

// check runs Check over a file of the given text and returns what it found as
// "line:column: message".
func check(t *testing.T, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "omniroute.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	problems, _, err := boot.Check(t.Context(), boot.Options{Config: file, DataDir: t.TempDir(), Env: os.Environ(), Core: bundle.Core})
	require.NoError(t, err)
	found := []string{}
	for _, d := range problems {
		require.Equal(t, file, d.File, d.Message)
		requireCaret(t, text, d)
		found = append(found, fmt.Sprintf("%d:%d: %s", d.Line, d.Column, d.Message))
	}
	return found
}

// requireCaret checks that a problem shows its line with a caret below the place.
func requireCaret(t *testing.T, text string, d fault.Diagnostic) {
	t.Helper()
	if d.Column == 0 {
		return // the YAML parser knows the line only
	}
	line := strings.Split(text, "\n")[d.Line-1]
	shown := strings.Split(strings.TrimRight(d.Text(), "\n"), "\n")
	require.Len(t, shown, 3, d.Text())
	require.Len(t, shown[1], len(line), "secrets are masked in place")
	require.Equal(t, strings.Repeat(" ", d.Column-1)+"^", shown[2])
}

// Every problem of every layer is told in one run: the file, its types and
// values, references between entities, rules of the policy section and of
// entities, includes. What refers to something broken is not reported again.
func TestCheckTellsEverythingAtOnce(t *testing.T) {
	text := `server:
  listen: 5
  lisen: 127.0.0.1:1
logging: {level: loud}
auth: {keys: [{name: a, key: sk-abcdefgh}, {name: b, key: sk-abcdefgh}]}
providers:
  lab:
    dialect: opnai
    base_urls: ["ftp://x"]
    accounts: [{name: a}]
  lab2:
    dialect: openai
    base_urls: [http://127.0.0.1:1/v1]
    accounts: [{name: a, api_key: none}, {name: a, api_key: none}]
    on_error: [{id: q, when: err.statu == 4, to: client}]
  lab3: 7
  lab4: {accounts: [{name: a, api_key: none}]}
aliases: {fast: nobody/nothing, ok: lab/x, ok2: lab2/x, ok3: lab3/x, ok4: lab4/x, demo: demo/echo, via: fast}
combos:
  daily: {strategy: priority, models: [zz/none]}
  bad: {models: 7}
  uses: {models: [bad, daily, fast, lab3/y]}
  round: {models: [trip]}
  trip: {models: [round]}
plugins: {trust: {mode: maybe}}
routing: {default_provider: nope}
policies:
  preset: modrn
  include: [./none.yaml]
  gate:
    - {id: x, when: req.nosuch == 1, deny: "no"}
    - {id: y, whn: "true", deny: "no"}
  order:
    - {id: o, by: [1 + ]}
cache: {ttl: forever}
`
	require.Equal(t, []string{
		"2:11: server.listen: want text, got the number 5 (quote it)",
		"3:3: unknown key \"server.lisen\", did you mean \"listen\"?",
		"4:18: logging.level: unknown value \"loud\" (want debug, info, warn, error)",
		"5:44: auth.keys.1: key \"b\" is the same as key \"a\"",
		"8:14: providers.lab.dialect: unknown value \"opnai\", did you mean \"openai\"?",
		"9:17: providers.lab.base_urls.0: want a URL that starts with http:// or https://",
		"10:16: providers.lab.accounts.0: an account needs an api_key (none for servers without keys)",
		"14:49: providers.lab2.accounts.1.name: the name \"a\" is taken by the account in line 14",
		"15:34: on_error.q.when: type Err has no field statu (did you mean status?)",
		"15:46: on_error.q: unknown field \"to\" (did you mean do?)",
		"16:9: providers.lab3: want a mapping, got the number 7",
		"17:3: unknown provider \"lab4\": no plugin brings it, and a compatible server needs a dialect (openai, openai-responses, claude, gemini, ollama)",
		"18:11: alias \"fast\": there is no provider \"nobody\"",
		"20:40: combo \"daily\": there is no provider \"zz\"",
		"21:17: combos.bad.models: want a list, got the number 7",
		"23:3: combo \"round\": circular combo reference: round > trip > round",
		"25:25: plugins.trust.mode: unknown value \"maybe\" (want warn, enforce, dev)",
		"26:29: routing.default_provider: there is no provider \"nope\"",
		"28:11: unknown preset \"modrn\" (did you mean modern?); there are classic, modern and none",
		"29:13: policies.include: no file ./none.yaml",
		"31:25: gate.x.when: type Req has no field nosuch",
		"32:15: gate.y: unknown field \"whn\" (did you mean when?)",
		"34:22: order.o.by: unexpected token EOF",
		"35:14: cache.ttl: \"forever\" is not a duration such as 30s, 5m or 7d",
	}, check(t, text))
}

func TestCheckMakesNoNoise(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // beginnings
	}{
		"nothing":                        {"server: {}\n", nil},
		"a number for a text":            {"server:\n  listen: 5\n", []string{"2:11: server.listen: want text, got the number 5"}},
		"no YAML":                        {"providers: {lab: [}\ncombos: {a: {models: [lab/x]}}\n", []string{"1:"}},
		"a section that is no mapping":   {"providers: [lab]\naliases: {a: lab/x}\ncombos: {c: {models: [lab/x, a]}}\n", []string{"1:12: providers: want a mapping"}},
		"a provider that is a number":    {"providers: {lab: 7}\naliases: {a: lab/x}\ncombos: {c: {models: [lab/x, a]}}\n", []string{"1:18: providers.lab: want a mapping"}},
		"a misspelt base_urls":           {"providers: {lab: {dialect: openai, base_url: [http://x]}}\naliases: {a: lab/x}\n", []string{"1:36: unknown key"}},
		"a node without a dialect":       {"providers: {lab: {prefix: lb, base_urls: [http://x]}}\naliases: {a: lab/x, b: lb/x}\n", []string{`1:13: unknown provider "lab"`}},
		"a chain of names to nowhere":    {"aliases: {a: gone/x}\ncombos: {c: {models: [a]}, d: {models: [c]}}\n", []string{`1:11: alias "a": there is no provider "gone"`}},
		"a circle of combos":             {"combos: {a: {models: [b]}, b: {models: [c]}, c: {models: [a]}}\n", []string{`1:10: combo "a": circular combo reference`}},
		"policies that are a list":       {"policies: [a]\n", []string{"1:11: policies: want a mapping"}},
		"an include that is a number":    {"policies: {include: 7}\n", []string{"1:21: policies.include: want a list"}},
		"an unknown mode of trust":       {"plugins: {trust: {mode: open}}\naliases: {d: demo/echo}\n", []string{"1:25: plugins.trust.mode"}},
		"settings of a plugin that fail": {"plugins: {items: {core: 7}}\naliases: {d: demo/echo}\n", []string{"1:25: plugins.items.core"}},
		"the account of a good provider": {"providers: {openai: {accounts: [{api_key: none}]}}\naliases: {a: openai/gpt-4o}\n", []string{"1:33: providers.openai.accounts.0: an account needs a name"}},
		"rules of an account like that":  {"providers: {openai: {accounts: [7, {name: a, api_key: k, on_error: [{id: r, when: nope}]}]}}\n", []string{"1:33: providers.openai.accounts.0", "1:"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := check(t, c.text)
			require.Len(t, found, len(c.want), "%v", found)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(found[i], want), found[i])
			}
		})
	}
}
