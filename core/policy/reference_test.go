package policy

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferenceIsFresh(t *testing.T) {
	data, err := os.ReadFile("../../docs/policy-reference.md")
	require.NoError(t, err)
	require.Equal(t, string(Reference()), string(data), "run go generate ./core/policy")
}

// documented reads testdata/environment.txt into paths.
func documented(t *testing.T) []string {
	data, err := os.ReadFile("testdata/environment.txt")
	require.NoError(t, err)
	var out []string
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, ": ")
		group := ""
		rest = strings.ReplaceAll(strings.ReplaceAll(rest, "{", " { "), "}", " } ")
		for _, w := range strings.Fields(rest) {
			switch w {
			case "{":
				group = out[len(out)-1][len(name)+1:] + "."
				out = out[:len(out)-1]
			case "}":
				group = ""
			default:
				out = append(out, name+"."+group+w)
			}
		}
	}
	slices.Sort(out)
	return out
}

// defined lists the paths the Go types define, and checks that each is described.
func defined(t *testing.T) []string {
	var out []string
	var visit func(at string, fields []VariableDoc)
	visit = func(at string, fields []VariableDoc) {
		for _, f := range fields {
			require.NotEmpty(t, f.Doc, at+f.Name)
			if len(f.Fields) > 0 {
				visit(at+f.Name+".", f.Fields)
				continue
			}
			out = append(out, at+f.Name)
		}
	}
	docs, err := EnvDoc()
	require.NoError(t, err)
	for _, h := range docs {
		for _, v := range h.Variables {
			require.NotEmpty(t, v.Doc, v.Name)
			if v.Name != "targets" && v.Name != "accounts" {
				visit(v.Name+".", v.Fields)
			}
		}
		for _, f := range h.Fields {
			require.NotEmpty(t, f.Doc, h.Name+"."+f.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestEnvironmentMatchesItsDocumentation(t *testing.T) {
	require.Equal(t, documented(t), defined(t))
}

// TestEveryFactIsUsed: each fact is read by a shipped rule or listed as meant
// for free use.
func TestEveryFactIsUsed(t *testing.T) {
	used := map[string]bool{}
	files, err := Files(policiesDir, "testdata/example.yaml")
	require.NoError(t, err)
	for _, file := range files {
		layers, err := Layers(file)
		require.NoError(t, err)
		for ref := range mustLoad(t, layers...).leaves {
			used[ref] = true
		}
	}
	data, err := os.ReadFile("testdata/free-use.txt")
	require.NoError(t, err)
	free := strings.Fields(string(data))
	var unused []string
	for _, path := range defined(t) {
		isUsed := slices.ContainsFunc(sortedKeys(used), func(ref string) bool {
			return ref == path || strings.HasPrefix(ref, path+".") || strings.HasPrefix(path, ref+".")
		})
		if !isUsed {
			unused = append(unused, path)
		}
	}
	require.Equal(t, free, unused, "facts no shipped rule reads, as listed in testdata/free-use.txt")
}

func TestVisibility(t *testing.T) {
	docs, err := EnvDoc()
	require.NoError(t, err)
	visible := map[string][]string{}
	for _, h := range docs {
		for _, v := range h.Variables {
			visible[v.Name] = append(visible[v.Name], h.Name)
		}
	}
	routed := []string{"filter", "order", "accounts", "limits", "learn", "system", "thinking", "context", "timeouts", "on_error", "on_exhausted", "breaker", "meter"}
	admitted := append([]string{"gate", "bypass", "rewrite", "cache", "budget", "log"}, routed...)
	accounts := []string{"accounts", "limits", "learn", "on_error", "on_exhausted", "meter"}
	for name, want := range map[string][]string{
		"key": admitted, "guard": admitted, "combo": routed, "target": routed, "targets": routed, "attempt": routed, "profile": routed,
		"account": accounts, "accounts": accounts, "err": {"on_error", "on_exhausted", "breaker"}, "breaker": {"on_error", "on_exhausted", "breaker"},
		"lock": {"lockout"}, "event": {"lockout"}, "hdr": {"learn"}, "budget": {"budget"}, "usage": {"meter"},
	} {
		require.Equal(t, want, visible[name], name)
	}
	for _, name := range []string{"req", "clock", "sys", "cfg"} {
		require.Len(t, visible[name], len(docs), name)
	}
	_, err = EnvDoc("gat")
	require.EqualError(t, err, `unknown hook "gat" (did you mean gate?); there are ip, lockout, gate, bypass, rewrite, cache, budget, log, filter, order, accounts, limits, learn, system, thinking, context, timeouts, on_error, on_exhausted, breaker, meter`)
}

// TestFunctions evaluates each function once, as native code and in the VM.
func TestFunctions(t *testing.T) {
	set := preset(t, "none")
	tested := map[string]bool{}
	for src, want := range map[string]any{
		`glob("claude-*", "Claude-Opus/x")`: true, `glob("gpt-?o", "gpt-4o")`: true, `glob("a", "ab")`: false, `glob("*", "")`: true, `glob("ä*", "Äb")`: true,
		`globAny(["x", "*b"], "ab")`:              true,
		`ipIn("::ffff:10.1.2.3", ["10.0.0.0/8"])`: true,
		`ipIn("192.168.4.9", ["192.168.*.*"])`:    true,
		`ipIn("192.168.4.9", ["192.168.4"])`:      false,
		`ipIn("2001:db8::7", ["2001:db8::/32"])`:  true,
		`ipIn("nonsense", ["0.0.0.0/0"])`:         false,
		`banned("6.6.6.6")`:                       true,
		`header("X-Thing")`:                       "there",
		`hasTag(["a", "b"], "x", "b")`:            true,
		`overlap(req.tags, ["x", "t1"])`:          true,
		`ms("1h30m")`:                             5_400_000,
		`ms("1.5s")`:                              1500,
		`ms(20)`:                                  20,
		`backoff("1s", 3, "2m")`:                  8000,
		`backoff("1s", 60, "2m")`:                 120_000,
		`backoff(1000, -5, 99999)`:                1000,
		`steps(1, ["1s", "2s"])`:                  2000,
		`steps(9, ["1s", "2s"])`:                  2000,
		`steps(-1, ["1s", "2s"])`:                 1000,
		`clamp(5, 1, 3)`:                          3.0,
		`norm(1, 4)`:                              0.75,
		`norm(1, 0)`:                              1.0,
		`hash("a")`:                               4706636184713914157,
		`bucket("canary1|u13", 100)`:              4,
		`rand("x") == rand("x")`:                  true,
		`between("22:00", "06:00", "UTC")`:        false,
		`between("21:30", "06:00", "UTC")`:        true,
		`between("09:00", "21:30", "UTC")`:        false,
		`hourIn("Europe/Berlin")`:                 22,
		`weekdayIn("Pacific/Auckland")`:           4,
		`spend("key:k1", "day")`:                  2.5,
		`requests("key:k1", "minute")`:            7,
		`tokens("key:k1", "hour")`:                900,
		`effortTokens("low")`:                     1024,
		`keep().op`:                               "keep",
		`strip().op`:                              "strip",
		`think(7.9).budget`:                       7,
		`effort("low").effort`:                    "low",
		`cool("2s", "r", "provider").to`:          "target",
		`cool("2s", "r").level`:                   2,
		`coolUp("2s", 15, "r").level`:             3,
		`coolReset("2s", "r", "model").scope`:     "model",
		`next("r").to`:                            "target",
		`retrySame("3s").wait_ms`:                 3000,
		`stop().reason`:                           "unknown",
		`disable("r").disable`:                    true,
		`repeat("ab", 2)`:                         "abab",
		`replace("aba", "a", "c")`:                "cbc",
		`replace("aba", "a", "c", 1)`:             "cba",
		`join(["a", "b"], "-")`:                   "a-b",
		`keys({"b": 1, "a": 2})`:                  []any{"a", "b"},
		`values({"b": 1, "a": 2})`:                []any{2, 1},
		`toPairs({"a": 2})`:                       []any{[]any{"a", 2}},
		`"a" in req.tags ? 1 : 2`:                 2,
		`req.temperature ?? 1`:                    1,
		`7 / 2`:                                   3.5,
		`req.headers.nope == ""`:                  true,
		`key.meta.none ?? 3`:                      3,
		`get(req.tags, 9) ?? "d"`:                 "d",
		`len("äöü")`:                              3,
		`if req.n > 0 { 1 } else { 2 }`:           1,
	} {
		for _, vmOnly := range []bool{false, true} {
			x := newExpressions(constants{})
			x.vmOnly = vmOnly
			p, cerr := x.compile(reflect.TypeFor[ErrorEnv](), src, wantAny)
			require.Nil(t, cerr, src)
			w := newWorld(set)
			w.req.Tags, w.req.Headers, w.account.Backoff = []string{"t1"}, map[string]string{"x-thing": "there"}, 2
			require.NoError(t, w.set("spend", map[string]any{"key:k1/day": 2.5}))
			require.NoError(t, w.set("requests", map[string]any{"key:k1/minute": 7}))
			require.NoError(t, w.set("tokens", map[string]any{"key:k1/hour": 900}))
			require.NoError(t, w.set("banned", []any{"6.6.6.6"}))
			f, done := set.bindWorld("on_error", w)
			got, err := p.value(f)
			done()
			require.NoError(t, err, src)
			require.Equal(t, want, got, "%s, vm only %v", src, vmOnly)
		}
		name, _, _ := strings.Cut(src, "(")
		tested[name] = true
	}
	for _, f := range functions() {
		require.True(t, tested[f.name], "%s has no test", f.name)
	}
}
