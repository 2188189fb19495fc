package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

func parse(t testing.TB, text string) *config.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	snap, diags := config.Load(config.Options{Path: path, Env: []string{"HOME=/h"}})
	require.Empty(t, diags)
	return snap.File
}

func build(t testing.TB, text string, edit ...func(*Inputs)) *Catalog {
	t.Helper()
	in := Inputs{Config: parse(t, text)}
	for _, e := range edit {
		e(&in)
	}
	cat, diags := Build(in)
	require.Empty(t, diags)
	return cat
}

func problems(t *testing.T, text string, edit ...func(*Inputs)) []string {
	t.Helper()
	in := Inputs{Config: parse(t, text)}
	for _, e := range edit {
		e(&in)
	}
	cat, diags := Build(in)
	require.Equal(t, cat == nil, len(diags) > 0)
	var out []string
	for _, d := range diags {
		out = append(out, fmt.Sprintf("%d:%d: %s", d.Line, d.Column, d.Message))
	}
	return out
}

func classic(in *Inputs) { in.Classic = true }

func only(ids ...string) func(string) bool {
	return func(id string) bool { return slices.Contains(ids, id) }
}

func ids(targets []Target) []string {
	out := []string{}
	for _, t := range targets {
		out = append(out, t.ID)
	}
	return out
}

func TestBuiltinData(t *testing.T) {
	cat := build(t, "")
	require.Len(t, cat.Providers(), 33, "32 providers and demo; templates are no providers")
	for _, p := range cat.Providers() {
		require.NotEmpty(t, p.Dialect, p.ID)
		require.NotEmpty(t, p.Executor, p.ID)
		var profile map[string]any
		require.NoError(t, json.Unmarshal(p.Profile, &profile))
		require.Equal(t, p.ID, profile["id"])
		if !p.NoAuth {
			require.NotEmpty(t, p.Auth, p.ID)
			require.NotEmpty(t, p.BaseURLs, p.ID)
		}
		require.Equal(t, "builtin", p.Origin)
	}
	m, ok := cat.Model("cc", "claude-opus-4-6")
	require.True(t, ok)
	require.Equal(t, Rate(5_000_000), m.Price.Input)
	require.Equal(t, 6.25, m.Price.CacheWrite.USD())
	require.Equal(t, Caps{Vision: true, Tools: true, Thinking: true}, m.Caps)
	require.EqualValues(t, 200000, m.Context)
	require.Equal(t, "subscription", m.Tier)
	gemini, _ := cat.Provider("gemini")
	require.Equal(t, "model", gemini.QuotaScope)
	gh, _ := cat.Provider("gh")
	require.Equal(t, "github", gh.ID)
	require.Equal(t, "oauth", gh.Kind)
	codex, _ := cat.Model("github", "gpt-5.1-codex")
	require.Equal(t, "openai-responses", codex.Format)
	demo, _ := cat.Provider("demo")
	require.True(t, demo.NoAuth)
	require.Equal(t, "demo", demo.Executor)
	codexP, _ := cat.Provider("codex")
	require.True(t, codexP.ForcedStream)
}

func TestParseNames(t *testing.T) {
	cat := build(t, "")
	for _, c := range []struct{ in, want string }{
		{"openrouter/anthropic/claude-3", "openrouter/anthropic/claude-3"},
		{"gh/gpt-4o", "github/gpt-4o"},
		{"  cc/claude-opus-4-6 ", "claude/claude-opus-4-6"},
		{"gh/claude-opus-4.5", "github/claude-opus-4-5-20251101"},
		{"gh/gemini-3-pro", "github/gemini-3-pro-preview"},
		{"ag/gemini-3-flash", "antigravity/gemini-3-flash"},
		{"openai/some-new-model", "openai/some-new-model"},
		{"demo/fail-503", "demo/fail-503"},
		{"gemini/gemini-2.5-pro", "gemini/gemini-2.5-pro"},
	} {
		res, err := cat.Resolve(Query{Model: c.in})
		require.NoError(t, err, c.in)
		require.Equal(t, []string{c.want}, ids(res.Targets), c.in)
	}
	for _, c := range []struct {
		in   string
		code fault.Code
	}{
		{"", fault.MissingField}, {"   ", fault.MissingField}, {"a/../b", fault.InvalidBody}, {`a\..\b`, fault.InvalidBody},
		{"a\x00b", fault.InvalidBody}, {"a\x1fb", fault.InvalidBody}, {strings.Repeat("a", 257), fault.InvalidBody},
		{"/x", fault.ModelNotFound}, {"cc/", fault.ModelNotFound}, {"nobody/x", fault.ModelNotFound}, {"totally-unknown", fault.ModelNotFound},
	} {
		_, err := cat.Resolve(Query{Model: c.in})
		require.ErrorIs(t, err, fault.New(c.code), "%q", c.in)
	}
}

func TestClassicBareNames(t *testing.T) {
	cat := build(t, "", classic)
	for in, want := range map[string]string{"gpt-4o": "openai/gpt-4o", "claude-opus-4-6": "claude/claude-opus-4-6", "totally-unknown": "openai/totally-unknown"} {
		res, err := cat.Resolve(Query{Model: in, Active: only()})
		require.NoError(t, err)
		require.Equal(t, []string{want}, ids(res.Targets))
	}
	_, err := cat.Resolve(Query{Model: "gemini-2.5-pro"})
	require.ErrorIs(t, err, fault.New(fault.ModelAmbiguous))
	require.ErrorContains(t, err, "use gemini/gemini-2.5-pro or gc/gemini-2.5-pro (offered by gemini/gemini-2.5-pro, gc/gemini-2.5-pro, gh/gemini-2.5-pro)")
}

func TestModernBareNames(t *testing.T) {
	cat := build(t, "")
	res, err := cat.Resolve(Query{Model: "gpt-4o", Active: only("github")})
	require.NoError(t, err)
	require.Equal(t, []string{"github/gpt-4o"}, ids(res.Targets))
	require.Nil(t, res.Combo)

	res, err = cat.Resolve(Query{Model: "gemini-2.5-pro", Active: only("github", "gemini")})
	require.NoError(t, err)
	require.Equal(t, []string{"gemini/gemini-2.5-pro", "github/gemini-2.5-pro"}, ids(res.Targets))
	require.Equal(t, "gemini-2.5-pro", res.Combo.Name)
	require.Equal(t, 1, res.Targets[1].Position)

	_, err = cat.Resolve(Query{Model: "gpt-4o", Active: only()})
	require.ErrorIs(t, err, fault.New(fault.ModelNotFound))
	require.ErrorContains(t, err, "offered by")

	cat = build(t, "routing: {ambiguous: error, default_provider: openrouter}")
	_, err = cat.Resolve(Query{Model: "gemini-2.5-pro"})
	require.ErrorIs(t, err, fault.New(fault.ModelAmbiguous))
	res, err = cat.Resolve(Query{Model: "totally-unknown"})
	require.NoError(t, err)
	require.Equal(t, []string{"openrouter/totally-unknown"}, ids(res.Targets))
	require.Equal(t, []string{`1:29: routing.default_provider: there is no provider "nope"`}, problems(t, "routing: {default_provider: nope}"))
}

func TestSuffixes(t *testing.T) {
	cat := build(t, `
aliases: {fast: openai/gpt-4o-mini, "think-*": "cc/$1"}
combos: {daily: {models: [openai/gpt-4o, cc/claude-opus-4-6]}}
providers: {lab: {dialect: openai, base_urls: ["http://127.0.0.1:1"], models: [{id: llama3:8b}, {id: real-thinking}]}}
`)
	for _, c := range []struct {
		in, target, upstream string
		thinking             Thinking
		long                 bool
		tags                 []string
	}{
		{"openai/gpt-4o(high)", "openai/gpt-4o", "gpt-4o", Thinking{Effort: "high"}, false, nil},
		{"cc/claude-x(16384)", "claude/claude-x", "claude-x", Thinking{Budget: 16384}, false, nil},
		{"cc/claude-opus-4-6[1m]", "claude/claude-opus-4-6", "claude-opus-4-6", Thinking{}, true, nil},
		{"cc/claude-opus-4-6-thinking[1m](0)", "claude/claude-opus-4-6", "claude-opus-4-6", Thinking{Effort: "none", On: true}, true, nil},
		{"ag/claude-opus-4-6-thinking", "antigravity/claude-opus-4-6-thinking", "claude-opus-4-6-thinking", Thinking{}, false, nil},
		{"lab/real-thinking", "lab/real-thinking", "real-thinking", Thinking{}, false, nil},
		{"lab/foo-thinking", "lab/foo", "foo", Thinking{On: true}, false, nil},
		{"cx/gpt-5.3-codex-high", "codex/gpt-5.3-codex-high", "gpt-5.3-codex", Thinking{Effort: "high"}, false, nil},
		{"cx/gpt-5.2-codex-low", "codex/gpt-5.2-codex", "gpt-5.2-codex", Thinking{Effort: "low"}, false, nil},
		{"openai/o1-high", "openai/o1-high", "o1-high", Thinking{}, false, nil},
		{"openai/gpt-4o:floor", "openai/gpt-4o", "gpt-4o", Thinking{}, false, []string{"sort:price"}},
		{"openai/gpt-4o:nitro", "openai/gpt-4o", "gpt-4o", Thinking{}, false, []string{"sort:throughput"}},
		{"openrouter/meta/llama:free", "openrouter/meta/llama:free", "meta/llama:free", Thinking{}, false, nil},
		{"openrouter/meta/llama:free(low)", "openrouter/meta/llama:free", "meta/llama:free", Thinking{Effort: "low"}, false, nil},
		{"lab/llama3:8b", "lab/llama3:8b", "llama3:8b", Thinking{}, false, nil},
		{"lab/other:70b", "lab/other:70b", "other:70b", Thinking{}, false, nil},
		{"fast(low)", "openai/gpt-4o-mini", "gpt-4o-mini", Thinking{Effort: "low"}, false, nil},
		{"think-claude-opus-4-6(9)", "claude/claude-opus-4-6", "claude-opus-4-6", Thinking{Budget: 9}, false, nil},
		{"daily:floor", "openai/gpt-4o", "gpt-4o", Thinking{}, false, []string{"sort:price"}},
		{"gpt-4o-mini(max)", "openai/gpt-4o-mini", "gpt-4o-mini", Thinking{Effort: "max"}, false, nil},
		{"openai/x(weird)", "openai/x(weird)", "x(weird)", Thinking{}, false, nil},
		{"openai/x(99999999)", "openai/x(99999999)", "x(99999999)", Thinking{}, false, nil},
	} {
		res, err := cat.Resolve(Query{Model: c.in, Active: only("openai")})
		require.NoError(t, err, c.in)
		require.Equal(t, c.target, res.Targets[0].ID, c.in)
		require.Equal(t, c.upstream, res.Targets[0].Upstream, c.in)
		require.Equal(t, c.thinking, res.Thinking, c.in)
		require.Equal(t, c.long, res.LongContext, c.in)
		require.Equal(t, c.tags, res.Tags, c.in)
	}
}

func TestClassicSpecificity(t *testing.T) {
	for pattern, want := range map[string]int{
		"claude-sonnet-4": 165, "gpt-?o": 51, "claude-sonnet-*": 105, "claude-*": 28, "openai/gpt-4*": 73, "openai/*": 18,
		"claude-*-4*": 1, "*": -49, "a*b*c": -65,
	} {
		require.Equal(t, want, score(pattern), pattern)
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		captures      []string
		ok            bool
	}{
		{"*", "anything/at all", []string{"anything/at all"}, true},
		{"claude-*", "CLAUDE-Sonnet", []string{"Sonnet"}, true},
		{"claude-*", "claude-", []string{""}, true},
		{"claude-*", "xclaude-4", nil, false},
		{"anthropic/*", "anthropic/a/b", []string{"a/b"}, true},
		{"gpt-?o", "gpt-4o", nil, true},
		{"gpt-?o", "gpt-44o", nil, false},
		{"gpt-?", "gpt-é", nil, true},
		{"*-*", "a-b-c", []string{"a", "b-c"}, true},
		{"a*b*c", "aXbYc", []string{"X", "Y"}, true},
		{"a*b*c", "abbc", []string{"", "b"}, true},
		{"*b", "aab", []string{"aa"}, true},
		{"**", "x", []string{"", "x"}, true},
		{"", "", nil, true},
		{"*a*a*a*a*b", strings.Repeat("a", 200), nil, false},
	} {
		a := alias{lower: strings.ToLower(c.pattern)}
		captures, ok := a.match(c.name)
		require.Equal(t, c.ok, ok, "%s %s", c.pattern, c.name)
		require.Equal(t, c.captures, captures, "%s %s", c.pattern, c.name)
	}
	require.Equal(t, "x/b/a/$3$", fill("x/$2/$1/$3$", []string{"a", "b"}))
}

func FuzzWildcard(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		a := alias{lower: strings.ToLower(pattern)}
		captures, ok := a.match(name)
		if ok {
			require.Len(t, captures, strings.Count(pattern, "*"))
		}
	})
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"a/b(1)", "gpt-4o", "x[1m]", "daily", "claude-x", "a/b:free-thinking(low)"} {
		f.Add(s)
	}
	cat := build(f, `
aliases: {"claude-*": "openrouter/anthropic/claude-$1", loop: loop2, loop2: loop}
combos: {daily: {models: [openai/gpt-4o, fast]}, fast: {models: [loop, cc/x]}}
`)
	f.Fuzz(func(t *testing.T, name string) {
		res, err := cat.Resolve(Query{Model: name})
		require.Equal(t, err == nil, res != nil)
		if err == nil {
			require.NotEmpty(t, res.Targets)
		}
	})
}

func TestAliases(t *testing.T) {
	const text = `
aliases:
  fast: {target: openai/gpt-4o-mini, set: {temperature: 0, top_p: 1}, tags: [cheap]}
  quick: {target: fast, set: {temperature: 1}, tags: [q]}
  "claude-*": openrouter/anthropic/claude-$1
  "claude-*-4*": cc/claude-opus-4-6
  "claude-sonnet-*": cc/sonnet-$1
  a: b
  b: c
  c: a
  h1: h2
  h2: h3
  h3: h4
  h4: h5
  h5: h6
  h6: openai/gpt-4o
  team: daily
  gpt-4o: gpt-4o-mini
  "self*": self$1
combos: {daily: {models: [openai/gpt-4o]}}
`
	cat := build(t, text)
	res, err := cat.Resolve(Query{Model: "quick"})
	require.NoError(t, err)
	require.Equal(t, []string{"openai/gpt-4o-mini"}, ids(res.Targets))
	require.Equal(t, []string{"quick", "fast"}, res.Path)
	require.Equal(t, map[string]any{"temperature": int64(1), "top_p": int64(1)}, res.Set)
	require.Equal(t, []string{"q", "cheap"}, res.Tags)

	for in, want := range map[string]string{
		"claude-x": "openrouter/anthropic/claude-x", "claude-opus-4-5": "claude/claude-opus-4-6", "Claude-Sonnet-9": "claude/sonnet-9",
		"team": "openai/gpt-4o", "gpt-4o": "github/gpt-4o-mini",
	} {
		res, err = cat.Resolve(Query{Model: in})
		require.NoError(t, err, in)
		require.Equal(t, want, res.Targets[0].ID, in)
	}
	res, err = build(t, text, classic).Resolve(Query{Model: "claude-opus-4-5"})
	require.NoError(t, err)
	require.Equal(t, "openrouter/anthropic/claude-opus-4-5", res.Targets[0].ID, "classic: two stars lose to a plain prefix")

	_, err = cat.Resolve(Query{Model: "a"})
	require.ErrorIs(t, err, fault.New(fault.ModelAmbiguous))
	require.ErrorContains(t, err, "a > b > c > a")
	_, err = cat.Resolve(Query{Model: "h1"})
	require.ErrorContains(t, err, "Alias cycle", "six hops")
	res, err = cat.Resolve(Query{Model: "h2"})
	require.NoError(t, err)
	require.Len(t, res.Path, 5)
	_, err = cat.Resolve(Query{Model: "selfish"})
	require.ErrorIs(t, err, fault.New(fault.ModelNotFound))

}

func TestAliasProblems(t *testing.T) {
	require.Equal(t, []string{
		`2:3: alias "x*": the target uses $2 but the pattern has 1 stars`,
		`3:3: alias "y": there is no provider "nope"`,
		`4:3: alias "both" is declared here and in the data directory; remove one of them`,
	}, problems(t, "aliases:\n  x*: cc/$2\n  y: nope/x\n  both: cc/x\n", func(in *Inputs) {
		in.Stored.Aliases = map[string]config.Alias{"both": {Target: "cc/y"}}
	}))
}

func TestCombos(t *testing.T) {
	cat := build(t, `
routing: {max_retries: 4}
aliases: {fast: openai/gpt-4o-mini}
combos:
  a: {models: [b, c], strategy: round-robin, tags: [x]}
  b: {models: [d]}
  c: {models: [d, {model: cc/claude-opus-4-6}]}
  d: {models: [openai/gpt-4o, fast]}
  w: {strategy: weighted, models: [{model: d, weight: 30}, {model: cc/claude-opus-4-6, weight: 70}], config: {max_retries: 0, timeout: 5s}}
  cc/claude-opus-4-6-shadow: {models: [openai/gpt-4o]}
  empty: {models: []}
  off: {models: [openai/gpt-4o], enabled: false}
  own: {strategy: my-own-score, models: [gpt-4o]}
`)
	res, err := cat.Resolve(Query{Model: "a"})
	require.NoError(t, err)
	require.Equal(t, []string{"openai/gpt-4o", "openai/gpt-4o-mini", "claude/claude-opus-4-6"}, ids(res.Targets), "a diamond is legal, duplicates keep the first place")
	require.Equal(t, "round-robin", res.Combo.Strategy)
	require.Equal(t, []string{"x"}, res.Tags)
	require.Equal(t, 4, res.Combo.Config.MaxRetries)

	res, err = cat.Resolve(Query{Model: "w"})
	require.NoError(t, err)
	require.Equal(t, []float64{30, 30, 70}, []float64{res.Targets[0].Weight, res.Targets[1].Weight, res.Targets[2].Weight})
	require.Equal(t, []int{0, 0, 1}, []int{res.Targets[0].Entry, res.Targets[1].Entry, res.Targets[2].Entry})
	require.Equal(t, 0, res.Combo.Config.MaxRetries)
	require.Equal(t, 30.0, res.Combo.Config.QueueTimeout.Seconds())

	res, err = cat.Resolve(Query{Model: "cc/claude-opus-4-6-shadow"})
	require.NoError(t, err)
	require.Equal(t, []string{"openai/gpt-4o"}, ids(res.Targets), "a combo may shadow a prefix")
	for _, none := range []string{"empty", "off", "A"} {
		_, err = cat.Resolve(Query{Model: none})
		require.ErrorIs(t, err, fault.New(fault.ModelNotFound), none)
	}
	res, err = cat.Resolve(Query{Model: "own", Active: only("github")})
	require.NoError(t, err)
	require.Equal(t, []string{"github/gpt-4o"}, ids(res.Targets), "bare members follow the accounts")
	require.Len(t, cat.Combos(), 7)

	// What Resolve returns belongs to the caller.
	res1, _ := cat.Resolve(Query{Model: "b"})
	res1.Targets[0].ID = "spoilt"
	res2, _ := cat.Resolve(Query{Model: "b"})
	require.NotEqual(t, "spoilt", res2.Targets[0].ID)
}

func TestComboProblems(t *testing.T) {
	require.Equal(t, []string{
		`9:3: combo "bad name": a name has 1 to 100 letters, digits or the signs _ / . -`,
		`10:3: combo "typo": unknown strategy "round_robin", did you mean "round-robin"?`,
		`2:3: combo "a": circular combo reference: a > b > a`,
		`4:3: combo "d0": max nesting depth (3) exceeded at d0 > d1 > d2 > d3 > d4`,
		`11:22: combo "missing": there is no model, alias or combo "nothing-like-it"`,
		`11:39: combo "missing": there is no provider "nope"`,
	}, problems(t, `combos:
  a: {models: [b]}
  b: {models: [a]}
  d0: {models: [d1]}
  d1: {models: [d2]}
  d2: {models: [d3]}
  d3: {models: [d4]}
  d4: {models: [openai/x]}
  bad name: {models: [openai/x]}
  typo: {strategy: round_robin, models: [openai/x]}
  missing: {models: [nothing-like-it, nope/x]}
`))
	require.Equal(t, []string{`1:10: combo "x" is declared here and in the data directory; remove one of them`},
		problems(t, `combos: {x: {models: [openai/x]}}`, func(in *Inputs) {
			in.Stored.Combos = map[string]config.Combo{"x": {Enabled: true, Models: []config.ComboMember{{Model: "openai/y"}}}}
		}))
}

// roles is what the executor of a provider is told to rename roles to.
func roles(t *testing.T, cat *Catalog, id string) map[string]string {
	p, ok := cat.Provider(id)
	require.True(t, ok)
	var profile struct {
		Rules struct {
			Roles map[string]string `json:"role_map"`
		} `json:"request_rules"`
	}
	require.NoError(t, json.Unmarshal(p.Profile, &profile))
	return profile.Rules.Roles
}

func TestProviders(t *testing.T) {
	cat := build(t, `
providers:
  openai:
    base_urls: [http://127.0.0.1:1/v1/]
    headers: {X-Extra: "1"}
    allow_private: true
    models: [{id: gpt-4o, context: 5, price: {input: 1}}, {id: mine, tools: false, hidden: true}]
  claude: {headers: {anthropic-beta: "", X-app: mine}}
  groq: {enabled: false}
  openrouter: {developer_role: system}
  knows: {dialect: openai, base_urls: ["https://k.example/v1"], developer_role: keep, think_tags: [thought], think_prefilled: true}
  gemini: {base_urls: ["http://127.0.0.1:2/v1beta"]}
  lab: {dialect: openai, prefix: l, base_urls: ["http://127.0.0.1:8000/v1"], allow_private: true, tags: [home], accounts: [{name: a, api_key: none}],
    models: [{id: qwen3-32b, context: 131072, max_output: 8192, tools: true, price: {input: 0, output: 0}}]}
  resp: {dialect: openai-responses, base_urls: ["https://r.example/v1"], billing: subscription}
  anth: {dialect: claude, base_urls: ["https://a.example/v1/messages"]}
  gem: {dialect: gemini, base_urls: ["https://g.example/v1beta"]}
pricing: {override: {anthropic: {claude-3-5-sonnet-20241022: {output: 99, long_context: {above: 200000, input: 6}}}}}
`)
	openai, _ := cat.Provider("openai")
	require.Equal(t, []string{"http://127.0.0.1:1/v1"}, openai.BaseURLs)
	knows, _ := cat.Provider("knows")
	require.Equal(t, []string{"developer", "think_prefilled", "think:thought"}, knows.Traits)
	require.Empty(t, openai.Traits)
	require.Equal(t, "local", openai.Kind)
	require.Equal(t, "file", openai.Origin)
	m, _ := cat.Model("openai", "gpt-4o")
	require.EqualValues(t, 5, m.Context)
	require.EqualValues(t, 16384, m.MaxOutput)
	require.Equal(t, 1.0, m.Price.Input.USD())
	require.Equal(t, 10.0, m.Price.Output.USD())
	require.Equal(t, NoRate, m.Price.Cached, "a rate that followed from the old price goes with it")
	mine, _ := cat.Model("openai", "mine")
	require.True(t, mine.Custom)
	require.False(t, mine.Caps.Tools)
	require.True(t, mine.Caps.Vision, "as its provider")
	var profile struct {
		Headers  map[string]string    `json:"headers"`
		BaseURLs []string             `json:"base_urls"`
		Models   []map[string]any     `json:"models"`
		Paths    map[string]string    `json:"paths"`
		Format   string               `json:"format"`
		List     struct{ URL string } `json:"models_list"`
	}
	require.NoError(t, json.Unmarshal(openai.Profile, &profile))
	require.Equal(t, "1", profile.Headers["X-Extra"])
	require.Equal(t, openai.BaseURLs, profile.BaseURLs)

	require.Contains(t, roles(t, cat, "lab"), "developer", "a compatible server may not know the role")
	require.NotContains(t, roles(t, cat, "knows"), "developer")
	require.Equal(t, "system", roles(t, cat, "openrouter")["developer"])

	claude, _ := cat.Provider("claude")
	profile.Headers = nil
	require.NoError(t, json.Unmarshal(claude.Profile, &profile))
	require.NotContains(t, profile.Headers, "Anthropic-Beta")
	require.NotContains(t, profile.Headers, "X-App")
	require.Equal(t, "mine", profile.Headers["X-app"])
	require.Contains(t, profile.Headers, "Anthropic-Version")

	_, ok := cat.Provider("groq")
	require.False(t, ok)
	gemini, _ := cat.Provider("gemini")
	require.Equal(t, []string{"http://127.0.0.1:2/v1beta/models"}, gemini.BaseURLs)

	lab, ok := cat.Provider("l")
	require.True(t, ok)
	require.Equal(t, "lab", lab.ID)
	require.Equal(t, "local", lab.Kind)
	require.Equal(t, "model", lab.QuotaScope)
	res, err := cat.Resolve(Query{Model: "l/moonshotai/kimi-k2.5"})
	require.NoError(t, err)
	require.Equal(t, "moonshotai/kimi-k2.5", res.Targets[0].Upstream, "everything right of the prefix")
	require.Equal(t, 0.6, res.Targets[0].Model.Price.Input.USD(), "priced by its vendor")
	require.Equal(t, []string{"home"}, res.Targets[0].Tags)
	qwen, _ := cat.Model("lab", "qwen3-32b")
	require.True(t, qwen.Price.Free())
	require.Equal(t, "free", qwen.Tier)
	require.NoError(t, json.Unmarshal(lab.Profile, &profile))
	require.Equal(t, "http://127.0.0.1:8000/v1/models", profile.List.URL)

	resp, _ := cat.Provider("resp")
	require.Equal(t, "openai-responses", resp.Dialect)
	require.NoError(t, json.Unmarshal(resp.Profile, &profile))
	require.Equal(t, "/responses", profile.Paths["chat"])
	anth, _ := cat.Provider("anth")
	require.Equal(t, []string{"https://a.example/v1"}, anth.BaseURLs)
	gem, _ := cat.Provider("gem")
	require.Equal(t, []string{"https://g.example/v1beta/models"}, gem.BaseURLs)
	require.Empty(t, gem.Models, "a node has the models it is given")

	sonnet, _ := cat.Model("anthropic", "claude-3-5-sonnet-20241022")
	require.Equal(t, 3.0, sonnet.Price.Input.USD())
	require.Equal(t, 99.0, sonnet.Price.Output.USD())
	require.Equal(t, 6.0, sonnet.Price.LongInput.USD())
	require.Equal(t, NoRate, sonnet.Price.LongOutput)

	seed := build(t, "pricing: {table: seed}")
	opus, _ := seed.Model("claude", "claude-opus-4-5-20251101")
	require.Equal(t, 15.0, opus.Price.Input.USD())
	unknown, _ := seed.Model("cursor", "default")
	require.False(t, unknown.Price.Known)
}

func TestProviderProblems(t *testing.T) {
	require.Equal(t, []string{
		`2:3: unknown provider "opnai": no plugin brings it, and a compatible server needs a dialect (openai, openai-responses, claude, gemini, ollama)`,
		`3:3: provider "lab" needs base_urls`,
		`5:3: provider "both" is declared here and in the data directory; remove one of them`,
		`4:3: the prefix "cc" of provider "clash" is already a name of provider "clash"`,
	}[:3], problems(t, `providers:
  opnai: {accounts: [{name: a, api_key: b}]}
  lab: {dialect: openai}
  fine: {dialect: openai, base_urls: ["http://x"]}
  both: {dialect: openai, base_urls: ["http://x"]}
`, func(in *Inputs) {
		in.Stored.Providers = map[string]config.Provider{"both": {Dialect: "openai", BaseURLs: []string{"http://y"}}}
	}))
	require.Equal(t, []string{`2:3: the prefix "cc" of provider "clash" is already a name of provider "claude"`},
		problems(t, "providers:\n  clash: {dialect: openai, base_urls: [\"http://x\"], prefix: cc}\n"))
}

func TestPluginProviders(t *testing.T) {
	cat := build(t, "providers: {acme: {accounts: [{name: a, api_key: k}], base_urls: [\"http://127.0.0.1:1\"]}}", func(in *Inputs) {
		in.Plugins = []PluginProvider{
			{Plugin: "acme/acme-llm", Part: "acme", ID: "acme", Alias: []string{"ac"}, Dialect: "openai", BaseURLs: []string{"https://api.acme.example/v1"},
				Auth: []string{"api_key"}, Models: []PluginModel{{ID: "acme-large", Context: 131072, Tools: true}}, Profile: []byte(`{"id":"evil","region_hint":"eu"}`)},
			{Plugin: "core", Part: "demo", ID: "demo", Models: []PluginModel{{ID: "extra"}}},
		}
	})
	p, ok := cat.Provider("ac")
	require.True(t, ok)
	require.Equal(t, "acme", p.ID)
	require.Equal(t, "acme", p.Executor)
	require.Equal(t, []string{"http://127.0.0.1:1"}, p.BaseURLs, "the file is over the manifest")
	require.Equal(t, []string{"api_key"}, p.Auth)
	require.Contains(t, string(p.Profile), `"region_hint":"eu"`)
	m, ok := cat.Model("acme", "acme-large")
	require.True(t, ok)
	require.False(t, m.Custom)
	require.True(t, m.Caps.Tools)
	_, ok = cat.Model("demo", "extra")
	require.True(t, ok)
	_, ok = cat.Model("demo", "echo")
	require.True(t, ok)
	demo, _ := cat.Provider("demo")
	require.True(t, demo.NoAuth)
}

func TestChainProblems(t *testing.T) {
	require.Equal(t, []string{`2:7: fallback chain of "m": there is no provider "opnai"`},
		problems(t, "fallback_chains:\n  m: [opnai]\n"))
	require.Equal(t, []string{`2:7: the fallback chain of "m" is declared here and in the data directory; remove one of them`},
		problems(t, "fallback_chains:\n  m: [openai]\n", func(in *Inputs) {
			in.Stored.Chains = map[string][]config.ChainLink{"m": {{Provider: "cc", Enabled: true}}}
		}))
}

func TestList(t *testing.T) {
	cat := build(t, `
combos: {daily: {models: [openai/gpt-4o]}}
providers: {openai: {models: [{id: mine}, {id: hidden, hidden: true}]}}
`)
	rows := cat.List(ListOptions{Active: only("openai", "claude")})
	require.Equal(t, "daily", rows[0].ID)
	require.Equal(t, "combo", rows[0].OwnedBy)
	require.Equal(t, "cc/claude-opus-4-6", rows[1].ID)
	require.Equal(t, "claude/claude-opus-4-6", rows[2].ID)
	require.Equal(t, "cc/claude-opus-4-6", rows[2].Parent)
	seen := map[string]Listing{}
	for _, r := range rows {
		require.NotContains(t, seen, r.ID, "no id twice")
		seen[r.ID] = r
	}
	require.True(t, seen["openai/mine"].Custom)
	require.NotContains(t, seen, "openai/hidden")
	require.NotContains(t, seen, "groq/openai/gpt-oss-120b")
	require.EqualValues(t, 1536, seen["openai/text-embedding-3-small"].Dimensions)
	require.Equal(t, "image", seen["openai/dall-e-3"].Type)
	require.NotContains(t, seen, "mistral/mistral-embed", "other kinds hide without an account too")
	require.Greater(t, len(cat.List(ListOptions{Full: true})), 200)
	rows = cat.List(ListOptions{Allow: func(id string) bool { return id == "openai/gpt-4o" }})
	require.Len(t, rows, 1)
}

func TestChains(t *testing.T) {
	cat := build(t, "", func(in *Inputs) {
		in.Stored.Chains = map[string][]config.ChainLink{
			"claude-*": {{Provider: "openrouter", Priority: 2, Enabled: true}, {Provider: "groq", Priority: 0, Enabled: true},
				{Model: "openai/gpt-4o", Priority: 1, Enabled: true}, {Provider: "claude"}},
			"claude-x*": {{Model: "cc/claude-opus-4-6", Enabled: true}},
		}
	})
	chain := func(model string, exclude func(Target) bool) []string {
		_, targets := cat.Chain(model, exclude)
		return ids(targets)
	}
	require.Equal(t, []string{"openai/gpt-4o", "openrouter/claude-9"}, chain("claude-9", nil), "groq does not know the model")
	require.Equal(t, []string{"openrouter/claude-9"}, chain("cc/claude-9", func(t Target) bool { return t.Provider.ID == "openai" }))
	require.Equal(t, []string{"claude/claude-opus-4-6"}, chain("claude-x1", nil), "the more specific pattern")
	require.Empty(t, chain("gpt-4o", nil))
}

func TestChainsOfTheFile(t *testing.T) {
	cat := build(t, `
fallback_chains:
  "claude-*": [openrouter, {model: openai/gpt-4o, priority: -1}, {provider: claude, enabled: false}]
  gpt-4o: [openrouter/openai/gpt-4o, {provider: openrouter, model: z-ai/glm-4.6, priority: 3}]
`)
	pattern, targets := cat.Chain("claude-9", nil)
	require.Equal(t, "claude-*", pattern)
	require.Equal(t, []string{"openai/gpt-4o", "openrouter/claude-9"}, ids(targets))
	_, targets = cat.Chain("openai/gpt-4o", nil)
	require.Equal(t, []string{"openrouter/openai/gpt-4o", "openrouter/z-ai/glm-4.6"}, ids(targets))
}

func TestRepo(t *testing.T) {
	s := state.NewMemory(nil)
	defer s.Close()
	r := NewRepo(s)
	ctx := t.Context()
	yes, price := true, 1.5
	require.NoError(t, r.PutProvider(ctx, "lab", config.Provider{Dialect: "openai", BaseURLs: []string{"http://x"}, AllowPrivate: &yes, Accounts: []config.Account{{Name: "a", APIKey: "secret"}}}))
	require.NoError(t, r.PutAlias(ctx, "claude/*", config.Alias{Target: "cc/$1", Set: map[string]any{"temperature": 0.5}}))
	require.NoError(t, r.PutCombo(ctx, "a/b", config.Combo{Enabled: true, Models: []config.ComboMember{{Model: "cc/x", Weight: 2}}}))
	require.NoError(t, r.PutChain(ctx, "m", []config.ChainLink{{Provider: "cc", Enabled: true}}))
	require.NoError(t, r.PutPrice(ctx, "openai", "gpt-4o", config.Price{Input: &price}))
	m, err := r.AddModel(ctx, "openai", config.Model{ID: "mine"})
	require.NoError(t, err)
	require.Equal(t, "mine", m.Name)
	m, err = r.AddModel(ctx, "openai", config.Model{ID: "mine", Name: "other"})
	require.NoError(t, err)
	require.Equal(t, "mine", m.Name, "an id that exists stays")

	stored, err := r.Load(ctx)
	require.NoError(t, err)
	require.Empty(t, stored.Providers["lab"].Accounts)
	cat, diags := Build(Inputs{Stored: stored})
	require.Empty(t, diags)
	lab, _ := cat.Provider("lab")
	require.Equal(t, "state", lab.Origin)
	require.True(t, lab.AllowPrivate)
	res, err := cat.Resolve(Query{Model: "a/b"})
	require.NoError(t, err)
	require.Equal(t, "claude/x", res.Targets[0].ID)
	gpt, _ := cat.Model("openai", "gpt-4o")
	require.Equal(t, 1.5, gpt.Price.Input.USD())
	mine, _ := cat.Model("openai", "mine")
	require.True(t, mine.Custom)

	gone, err := r.RemoveModel(ctx, "openai", "unknown")
	require.NoError(t, err)
	require.False(t, gone)
	gone, err = r.RemoveModel(ctx, "openai", "mine")
	require.NoError(t, err)
	require.True(t, gone)
	require.NoError(t, r.RemovePrice(ctx, "openai", "gpt-4o"))
	require.NoError(t, r.RemoveProvider(ctx, "lab"))
	require.NoError(t, r.RemoveAlias(ctx, "claude/*"))
	require.NoError(t, r.RemoveCombo(ctx, "a/b"))
	require.NoError(t, r.RemoveChain(ctx, "m"))
	require.ErrorIs(t, r.RemoveChain(ctx, "m"), state.ErrNotFound)
	stored, err = r.Load(ctx)
	require.NoError(t, err)
	require.Empty(t, stored.Models)
	require.Empty(t, stored.Prices)
	require.NoError(t, s.Put(ctx, state.Key("cat/alias", "broken"), []byte("[}"), 0))
	_, err = r.Load(ctx)
	require.ErrorContains(t, err, `"broken"`)
}

func BenchmarkResolve(b *testing.B) {
	cat := build(b, `
aliases: {fast: openai/gpt-4o-mini, "foo-*": "openrouter/$1"}
combos: {daily: {models: [openai/gpt-4o, cc/claude-opus-4-6, groq/llama-3.3-70b-versatile]}}
`)
	for _, name := range []string{"openai/gpt-4o", "fast", "daily", "claude-opus-4-6", "foo-bar"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cat.Resolve(Query{Model: name}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	in := Inputs{}
	b.ReportAllocs()
	for b.Loop() {
		if _, d := Build(in); d != nil {
			b.Fatal(d)
		}
	}
}

// What names a provider that is gone is left out and reported; the rest is there.
func TestPartial(t *testing.T) {
	in := Inputs{Partial: true, Config: parse(t, `
providers: {acme: {accounts: [{name: a, api_key: k}]}}
routing: {default_provider: acme}
aliases: {fast: acme/large, other: cc/claude-sonnet-4-5}
combos:
  half: {models: [acme/large, cc/claude-sonnet-4-5]}
  none: {models: [acme/large]}
  outer: {models: [none, half]}
`)}
	cat, diags := Build(in)
	require.NotNil(t, cat)
	require.Len(t, diags, 6)
	require.Contains(t, diags[0].Message, `unknown provider "acme"`)
	for name, found := range map[string]bool{"fast": false, "none": false, "acme/large": false, "other": true, "half": true, "outer": true} {
		res, err := cat.Resolve(Query{Model: name})
		require.Equal(t, found, err == nil, name)
		if found {
			require.Len(t, res.Targets, 1, name)
		}
	}
	in.Partial = false
	cat, strict := Build(in)
	require.Nil(t, cat)
	require.Equal(t, diags[:1], strict, "what follows from the first is not told")

	in.Partial = true
	in.Config = parse(t, "combos: {bad name: {models: [cc/x]}}\n")
	cat, diags = Build(in)
	require.Nil(t, cat, "other problems are as serious as ever")
	require.Len(t, diags, 1)
}
