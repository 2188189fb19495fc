package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMessages: what a person who made a mistake reads, and where it points.
func TestMessages(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"variable of another hook", "policies:\n  gate:\n    - {id: a, when: err.status == 1, deny: x}\n",
			"f.yaml:3:21: gate.a.when: unknown name err here (visible in on_error, on_exhausted, breaker)"},
		{"function of another hook", "policies:\n  gate:\n    - id: a\n      deny: '${coolUp(1, 2, \"x\")}'\n",
			"f.yaml:4:16: gate.a.deny: unknown name coolUp here (visible in accounts, limits, learn, on_error, on_exhausted, meter)"},
		{"misspelt field", "policies:\n  gate:\n    - id: a\n      when: req.stream and req.modle == \"x\"\n      deny: x\n",
			"f.yaml:4:32: gate.a.when: type Req has no field modle (did you mean model?)"},
		{"misspelt field in a function", "policies:\n  gate:\n    - {id: a, when: 'glob(\"a*\", req.modle)', deny: x}\n",
			"f.yaml:3:37: gate.a.when: type Req has no field modle (did you mean model?)"},
		{"misspelt variable", "policies:\n  gate:\n    - {id: a, when: rq.stream, deny: x}\n", "f.yaml:3:21: gate.a.when: unknown name rq (did you mean req?)"},
		{"int where bool is wanted", "policies:\n  gate:\n    - {id: a, when: req.tokens_in, deny: x}\n", "gate.a.when: expected bool, but got int"},
		{"text where number is wanted", "policies:\n  order:\n    - {id: a, by: ['target.id']}\n", "order.a.by: expected float64, but got string"},
		{"mismatched types", "policies:\n  vars: {n: 3}\n  gate:\n    - {id: a, when: 'req.model == vars.n', deny: x}\n",
			"mismatched types string and int"},
		{"unknown var", "policies:\n  vars: {nape: 3}\n  gate:\n    - {id: a, when: vars.nope > 1, deny: x}\n", "gate.a.when: unknown vars.nope (did you mean nape?)"},
		{"unknown list", "policies:\n  gate:\n    - {id: a, when: 'req.model in lists.m', deny: x}\n", "unknown lists.m"},
		{"whole vars", "policies:\n  gate:\n    - {id: a, when: 'vars[req.model] == 1', deny: x}\n", "vars needs a constant name"},
		{"bad regexp", "policies:\n  gate:\n    - {id: a, when: 'req.model matches \"(\"', deny: x}\n", "missing closing )"},
		{"pattern not constant", "policies:\n  gate:\n    - {id: a, when: 'req.model matches req.user', deny: x}\n", "f.yaml:3:44: gate.a.when: the pattern of matches must be a constant text"},
		{"now", "policies:\n  gate:\n    - {id: a, when: 'now().Hour() > 3', deny: x}\n", "unknown name now (not available because it is not repeatable; use clock)"},
		{"wrong verdict", "policies:\n  on_error:\n    - {id: a, do: '5'}\n", "on_error.a.do: the expression must yield a Decision (made by cool, coolUp, coolReset, next, retrySame, stop or disable), but yields int"},
		{"wrong verdict of a branch", "policies:\n  on_error:\n    - {id: a, do: 'err.status == 1 ? stop() : 5'}\n", "must yield a Decision"},
		{"verdict of another hook", "policies:\n  thinking:\n    - {id: a, do: 'stop()'}\n", "must yield a ThinkOp (made by keep, strip, think or effort), but yields Decision"},
		{"hole", "policies:\n  gate:\n    - id: a\n      deny: Model ${req.nope} is not allowed\n", "f.yaml:4:25: gate.a.deny: type Req has no field nope"},
		{"hole never closed", "policies:\n  gate:\n    - {id: a, deny: 'x ${req.model'}\n", "f.yaml:3:24: gate.a.deny: the ${ is never closed"},
		{"folded block", "policies:\n  gate:\n    - id: a\n      when: >-\n        req.stream\n        and req.modle == \"x\"\n      deny: x\n", "f.yaml:6:17: gate.a.when: type Req has no field modle"},
		{"literal block", "policies:\n  gate:\n    - id: a\n      when: |\n        req.stream\n        and req.modle == \"x\"\n      deny: x\n", "f.yaml:6:17: gate.a.when: type Req has no field modle"},
		{"doubled quotes", "policies:\n  gate:\n    - id: a\n      when: 'req.user == ''x'' and req.modle == \"x\"'\n      deny: x\n", "f.yaml:4:40: gate.a.when: type Req has no field modle"},
		{"escapes", "policies:\n  gate:\n    - id: a\n      when: \"req.user == \\\"x\\\" and req.modle == \\\"\\\"\"\n      deny: x\n", "f.yaml:4:40: gate.a.when: type Req has no field modle"},
		{"unknown field", "policies:\n  gate:\n    - {id: a, denny: 1}\n", "f.yaml:3:15: gate.a: unknown field \"denny\" (did you mean deny?)"},
		{"unknown hook", "policies:\n  gaet: []\n", "f.yaml:2:3: unknown key policies.gaet (did you mean gate?)"},
		{"repeated id", "policies:\n  gate:\n    - {id: a, deny: x}\n    - {id: a, deny: y}\n", "f.yaml:4:7: gate.a: the id is used twice, first in f.yaml line 3"},
		{"no id", "policies:\n  gate:\n    - {deny: x}\n", "gate: the rule has no id"},
		{"no answer", "policies:\n  gate:\n    - {id: a, when: req.stream}\n", "the rule answers nothing: it needs allow or deny or warn or tag"},
		{"repeated field", "policies:\n  gate:\n    - {id: a, deny: x, deny: y}\n", "the field deny is given twice"},
		{"repeated key", "policies:\n  gate: []\n  gate: []\n", "policies.gate is given twice, first in line 2"},
		{"rules not a list", "policies:\n  gate: {id: a, deny: x}\n", "policies.gate must be a list; each item begins with \"- \""},
		{"enum", "policies:\n  cache:\n    - {id: a, mode: on}\n", "cache.a.mode: must be off, read, write, read-write, not \"on\""},
		{"code", "policies:\n  gate:\n    - {id: a, deny: x, code: AUTH_070}\n", "unknown error code \"AUTH_070\" (did you mean AUTH_007?)"},
		{"status", "policies:\n  gate:\n    - {id: a, deny: x, status: 200}\n", "must be an HTTP status from 400 to 599"},
		{"flag", "policies:\n  filter:\n    - {id: a, keep: req.stream, soft: maybe}\n", "filter.a.soft: must be true or false"},
		{"keep and drop", "policies:\n  filter:\n    - {id: a, keep: req.stream, drop: req.stream}\n", "a rule has keep or drop, not both"},
		{"duration", "policies:\n  cache:\n    - {id: a, mode: read, ttl: 2 minutes}\n", "cache.a.ttl:"},
		{"duration in a function", "policies:\n  on_error:\n    - {id: a, do: 'cool(\"2 min\", \"x\")'}\n", "bad duration \"2 min\""},
		{"time zone", "policies:\n  gate:\n    - {id: a, when: 'hourIn(\"Europe/Berln\") > 3', deny: x}\n", "unknown time zone Europe/Berln"},
		{"time of day", "policies:\n  gate:\n    - {id: a, when: 'between(\"9\", \"18:00\", \"UTC\")', deny: x}\n", "bad time of day 9"},
		{"set zone", "policies: {tz: Mars}\n", "policies.tz: unknown time zone Mars"},
		{"preset", "policies: {preset: modren}\n", "unknown preset \"modren\" (did you mean modern?)"},
		{"var", "policies:\n  vars: {x: [1]}\n", "vars.x must be a text, a number or true/false"},
		{"list", "policies:\n  lists: {x: 1}\n", "lists.x must be a list"},
		{"no policies", "server: {}\n", "there is no \"policies:\" in the file"},
		{"empty", "", "the file is empty"},
		{"endless alias", "policies: &a\n  gate: [*a, *a]\n", "nested too deeply or are too many"},
		{"laughing aliases", "policies:\n  a: &a [x, x, x, x, x, x, x, x, x]\n  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n  c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n  d: &d [*c, *c, *c, *c, *c, *c, *c]\n  e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\n  f: [*e, *e, *e, *e, *e, *e, *e]\n", "too many"},
		{"two documents", "policies: {}\n---\npolicies: {}\n", "more than one YAML document"},
		{"test", "policies:\n  gate:\n    - {id: a, when: req.stream, deny: x}\n  tests:\n    - {hook: gate, given: {req.stream: true}, want: none}\n",
			"f.yaml:5:7: gate: test failed: want rule none, got a"},
		{"test field", "policies:\n  tests:\n    - {hook: gate, given: {req.strem: true}, want: none}\n", "given req.strem: no field strem (did you mean stream?)"},
		{"test hook", "policies:\n  tests:\n    - {hook: gat, want: none}\n", "unknown hook \"gat\" (did you mean gate?)"},
		{"test key", "policies:\n  tests:\n    - {hook: gate, wants: none}\n", "unknown field \"wants\" (did you mean want?)"},
		{"fail", "policies:\n  budget.fail: shut\n", "policies.budget.fail must be open or closed"},
		{"fail form", "policies:\n  fail: {budget: closed}\n", "unknown key policies.fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, diags := Load(Layer{File: "f.yaml", Data: []byte(c.text)})
			require.Nil(t, set)
			require.NotEmpty(t, diags)
			require.Contains(t, diags[0].String(), c.want)
		})
	}
}

// TestYAMLTraps: expressions YAML misreads are recognised as such.
func TestYAMLTraps(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"comment", "policies:\n  gate:\n    - id: a\n      when: any(req.tags, # in lists.x)\n      deny: x\n", "f.yaml:4:"},
		{"comment hint", "policies:\n  gate:\n    - id: a\n      when: any(req.tags, # in lists.x)\n      deny: x\n", "a # after a blank starts a comment"},
		{"comment in braces", "policies:\n  gate:\n    - {id: a, when: any(req.tags, # == \"x\"), deny: x}\n", "a # after a blank starts a comment"},
		{"ternary", "policies:\n  order:\n    - id: a\n      sample: target.weight > 0 ? 1 : 2\n", "f.yaml:4:1: YAML: mapping values are not allowed in this context; \": \" inside an unquoted value starts a mapping"},
		{"leading quote", "policies:\n  gate:\n    - id: a\n      when: \"x\" in req.tags\n      deny: x\n", "f.yaml:4:1: YAML: did not find expected key; a value that begins with a quote ends at the closing one"},
		{"leading bracket", "policies:\n  gate:\n    - id: a\n      when: [1, 2][0] == 1\n      deny: x\n", "f.yaml:"},
		{"list for an expression", "policies:\n  gate:\n    - id: a\n      when: [req.stream]\n      deny: x\n", "a value that begins with [ or { is YAML syntax"},
		{"tag", "policies:\n  gate:\n    - id: a\n      when: !req.stream\n      deny: x\n", "f.yaml:4:13: gate.a.when: YAML reads a ! at the beginning of a value as a tag"},
		{"alias", "policies:\n  gate:\n    - id: a\n      when: *x\n      deny: x\n", "YAML aliases and anchors"},
		{"anchor", "policies:\n  gate:\n    - id: a\n      when: &x true\n      deny: x\n", "YAML reads an & at the beginning of a value as an anchor"},
		{"at sign", "policies:\n  gate:\n    - id: a\n      deny: @x\n", "a value cannot begin with @"},
		{"comma in braces", "policies:\n  gate:\n    - {id: a, when: glob(req.user, req.model), deny: x}\n", "inside {…} a comma"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, diags := Load(Layer{File: "f.yaml", Data: []byte(c.text)})
			require.Nil(t, set)
			all := ""
			for _, d := range diags {
				all += d.Text() + "\n"
			}
			require.Contains(t, all, c.want)
		})
	}
}

func TestAllErrorsAreCollected(t *testing.T) {
	_, diags := Load(Layer{File: "f.yaml", Data: []byte(`policies:
  gate:
    - {id: a, when: req.modle == "x", deny: x}
    - {id: b, when: req.tokens_in, deny: 'y ${nope}'}
  order:
    - {id: c, by: [target.nope, target.weight, 'target.id']}
`)})
	var got []string
	for _, d := range diags {
		got = append(got, fmt.Sprintf("%d %s.%s.%s", d.Line, d.Hook, d.Rule, d.Field))
		require.Equal(t, Error, d.Severity)
		require.Contains(t, d.Excerpt, "^")
	}
	require.Equal(t, []string{"3 gate.a.when", "4 gate.b.when", "4 gate.b.deny", "6 order.c.by", "6 order.c.by"}, got)
	require.Equal(t, "    - {id: a, when: req.modle == \"x\", deny: x}\n                        ^", diags[0].Excerpt[:strings.LastIndex(diags[0].Excerpt, "^")+1])
}

func TestFailedTestsMayWarn(t *testing.T) {
	set, diags := Load(Layer{File: "f.yaml", Data: []byte("policies:\n  on_test_failure: warn\n  tests:\n    - {hook: gate, want: x}\n")})
	require.NotNil(t, set)
	require.Len(t, diags, 1)
	require.Equal(t, Warning, diags[0].Severity)
}

func TestFmt(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"policies:\n  gate:\n    - id: a  # first\n      when: \"x\" in req.tags   # why\n      deny: no \n\n\n", "policies:\n  gate:\n    - id: a  # first\n      when: '\"x\" in req.tags'  # why\n      deny: no\n"},
		{"policies:\n  order:\n    - {id: a, by: [target.position]}  # stays\n    - {id: b, sample: target.weight > 0 ? 1 : 2}\n", "policies:\n  order:\n    - {id: a, by: [target.position]}  # stays\n    - {id: b, sample: 'target.weight > 0 ? 1 : 2'}\n"},
		{"policies:\n  gate:\n    - {id: a, when: glob(\"a, when: b\", req.model) and any(req.tags, # == 'x'), deny: \"x, y\"}\n", "policies:\n  gate:\n    - {id: a, when: 'glob(\"a, when: b\", req.model) and any(req.tags, # == ''x'')', deny: \"x, y\"}\n"},
		{"policies:\n  order:\n    - id: a\n      by:\n        - target.price.known ? 0 : 1\n        - target.position\n", "policies:\n  order:\n    - id: a\n      by:\n        - 'target.price.known ? 0 : 1'\n        - target.position\n"},
		{"policies:\n  gate:\n    - id: a\n      when: >-\n        \"x\" in req.tags\n        and a ? b : c\n      deny: 'ok: ${req.model}'\n", "policies:\n  gate:\n    - id: a\n      when: >-\n        \"x\" in req.tags\n        and a ? b : c\n      deny: 'ok: ${req.model}'\n"},
		{"policies:\n  gate:\n    - id: a\n      when: !req.stream\n      deny: x\n", "policies:\n  gate:\n    - id: a\n      when: '!req.stream'\n      deny: x\n"},
	} {
		got, err := Fmt([]byte(c.in))
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		again, err := Fmt(got)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again), "formatting twice changes nothing")
	}
	_, err := Fmt([]byte("policies:\n  gate: [\n"))
	require.Error(t, err)
}

func TestShippedFilesAreFormatted(t *testing.T) {
	files, err := Files(policiesDir)
	require.NoError(t, err)
	files = append(files, policiesDir+"/classic_test.yaml", policiesDir+"/modern_test.yaml")
	require.Len(t, files, 64)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		got, err := Fmt(data)
		require.NoError(t, err, f)
		require.Equal(t, string(data), string(got), f)
	}
}
