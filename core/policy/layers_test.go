package policy

import (
	"slices"
	"testing"

	"github.com/omniroute/omniroute/policies"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func ids(s *Set, hook string) []string {
	var out []string
	for _, r := range s.Rules() {
		if r.Hook == hook {
			out = append(out, r.ID)
		}
	}
	return out
}

func TestModernIsClassicPlusItsFile(t *testing.T) {
	data, _ := policies.Preset("modern")
	spelled := mustLoad(t, Layer{File: "modern.yaml", Data: data}) // names preset: classic itself
	named := preset(t, "modern")
	for _, h := range Hooks() {
		require.Equal(t, ids(named, h.Name), ids(spelled, h.Name), h.Name)
	}
	classic := preset(t, "classic")
	data, _ = policies.Preset("modern")
	var raw struct {
		Policies map[string]yaml.Node `yaml:"policies"`
	}
	require.NoError(t, yaml.Unmarshal(data, &raw))
	for _, h := range Hooks() {
		var rules []struct {
			ID      string `yaml:"id"`
			Enabled *bool  `yaml:"enabled"`
		}
		if n, ok := raw.Policies[h.Name]; ok {
			require.NoError(t, n.Decode(&rules))
		}
		var fresh []string
		kept := ids(classic, h.Name)
		for _, r := range rules {
			if r.Enabled != nil && !*r.Enabled {
				kept = slices.DeleteFunc(kept, func(id string) bool { return id == r.ID })
				continue
			}
			if !slices.Contains(ids(classic, h.Name), r.ID) {
				fresh = append(fresh, r.ID)
			}
		}
		require.Equal(t, append(fresh, kept...), ids(named, h.Name), "%s: new rules first, classic ones in their place", h.Name)
	}
}

func fileLayer(text string) Layer { return Layer{File: "omniroute.yaml", Data: []byte(text)} }

func uiLayer(text string) Layer { return Layer{File: "ui", Data: []byte(text), Level: LevelUI} }

func TestLayersReplaceById(t *testing.T) {
	set := mustLoad(t,
		fileLayer("policies:\n  preset: none\n  gate:\n    - {id: a, when: req.model == \"x\", deny: first}\n    - {id: b, deny: second}\n"),
		uiLayer("policies:\n  gate:\n    - {id: c, when: req.model == \"y\", deny: third}\n    - {id: b, when: req.model == \"z\", deny: replaced}\n"),
	)
	require.Equal(t, []string{"c", "a", "b"}, ids(set, "gate"))
	for model, want := range map[string]string{"x": "first", "y": "third", "z": "replaced", "other": ""} {
		env := GateEnv{IPEnv: IPEnv{Req: &Req{Model: model}}}
		require.Equal(t, want, set.Gate(&env, nil).Message, model)
	}
}

func TestLayersSwitchOff(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  preset: modern\n  gate:\n    - {id: key-models, enabled: false}\n"))
	require.Equal(t, []string{"draining"}, ids(set, "gate"))
	back := mustLoad(t, fileLayer("policies:\n  preset: modern\n  gate:\n    - {id: key-models, enabled: false}\n"),
		uiLayer("policies:\n  gate:\n    - {id: key-models, enabled: true}\n"))
	require.Equal(t, []string{"draining", "key-models"}, ids(back, "gate"))
}

func TestFilesOfOneLevelAreOneLayer(t *testing.T) {
	set := mustLoad(t,
		Layer{File: "a.yaml", Data: []byte("policies:\n  gate:\n    - {id: a, deny: x}\n"), DefaultPreset: "modern"},
		Layer{File: "b.yaml", Data: []byte("policies:\n  gate:\n    - {id: b, deny: y}\n")},
	)
	require.Equal(t, "modern", set.Preset())
	require.Equal(t, []string{"a", "b", "draining", "key-models"}, ids(set, "gate"))
	_, diags := Load(
		Layer{File: "a.yaml", Data: []byte("policies:\n  gate:\n    - {id: a, deny: x}\n")},
		Layer{File: "b.yaml", Data: []byte("policies:\n  gate:\n    - {id: a, deny: y}\n")},
	)
	require.Len(t, diags, 1)
	require.Equal(t, "b.yaml:3:7: gate.a: the id is used twice, first in a.yaml line 3", diags[0].String())
}

func TestVarsOfHigherLayersWin(t *testing.T) {
	set := mustLoad(t, fileLayer("policies:\n  preset: modern\n  vars: {max_cooldown: 1h}\n"))
	w := newWorld(set)
	w.err.Status, w.err.RetryAfterMS, w.err.Reason, w.attempt.AccountsLeft = 429, 90_000_000, "quota_exhausted", 1
	env := w.errorEnv()
	require.Equal(t, 3_600_000, set.OnError(&env, nil).CooldownMS)
}

// TestOwnBlocks: the rules of an account, a combo and a provider are asked
// before the global ones, in that order.
func TestOwnBlocks(t *testing.T) {
	global := fileLayer("policies:\n  preset: modern\n  on_error:\n    - {id: g, do: stop(\"global\")}\n  order:\n    - {id: g, by: [target.position]}\n")
	own := func(sc Scope, text string) Layer {
		return Layer{File: "own", Data: []byte(text), Scope: sc}
	}
	set := mustLoad(t, global,
		own(Scope{Account: "acc"}, "policies:\n  on_error:\n    - {id: a, when: err.status == 401, do: stop(\"account\")}\n"),
		own(Scope{Combo: "daily"}, "policies:\n  on_error:\n    - {id: c, when: err.status <= 402, do: stop(\"combo\")}\n  order:\n    - {id: c, by: [-target.position]}\n"),
		own(Scope{Provider: "openai"}, "policies:\n  on_error:\n    - {id: p, when: err.status <= 403, do: stop(\"provider\")}\n"),
	)
	for status, want := range map[int]string{401: "account", 402: "combo", 403: "provider", 404: "global"} {
		w := newWorld(set)
		w.err.Status, w.account.ID, w.combo.Name, w.target.Provider = status, "acc", "daily", "openai"
		env := w.errorEnv()
		require.Equal(t, want, set.OnError(&env, nil).Reason)
		env.Account, env.Combo, env.Target = NewAccount(), &Combo{}, NewTarget()
		require.Equal(t, "global", set.OnError(&env, nil).Reason)
	}
	w := newWorld(set)
	targets := []*Target{{ID: "a", Position: 0}, {ID: "b", Position: 1}}
	env := w.targetEnv()
	require.Equal(t, []int{0, 1}, set.Order(&env, targets, nil))
	env.Combo = &Combo{Name: "daily"}
	require.Equal(t, []int{1, 0}, set.Order(&env, targets, nil))

	_, diags := Load(global, own(Scope{Account: "acc"}, "policies:\n  order:\n    - {id: x, by: [1]}\n"))
	require.Len(t, diags, 1)
	require.Contains(t, diags[0].Message, "an account cannot have its own order rules")
}

func TestNeeds(t *testing.T) {
	set := mustLoad(t, fileLayer(`policies:
  preset: none
  gate:
    - {id: a, when: 'req.body.provider?.zdr == true or header("x") == "1"', deny: 'x ${req.user_text}'}
  order:
    - {id: b, by: ['max(map(targets, .stats.p95_ms))', 'rand(target.id)']}
  rewrite:
    - {id: c, when: 'spend("key:x", "day") > 1', model: m}
`))
	for path, want := range map[string]bool{
		"req.body": true, "req.body.provider": true, "req.body.other": false, "req.headers": true, "req.user_text": true,
		"req.tokens_in": false, "target.stats": true, "target.stats.p95_ms": true, "target.stats.tps": false, "target.id": true,
		"guard": false, "req.id": true, "spend": true, "tokens": false, "account": false,
	} {
		require.Equal(t, want, set.Needs(path), path)
	}
	require.False(t, mustLoad(t, fileLayer("policies: {preset: none}")).Needs("req"))
}

// TestNeedsOfLists: a rule that looks at some members of the elements asks for
// no others, unless the elements themselves get out of its sight.
func TestNeedsOfLists(t *testing.T) {
	for src, want := range map[string][2]bool{ // spend_day, stats.p95_ms
		`any(targets, .spend_day > 1)`:                                     {true, false},
		`any(targets, #.stats.p95_ms > 1)`:                                 {false, true},
		`len(targets) > 1`:                                                 {false, false},
		`len(filter(targets, .stats.p95_ms > 1)) > 1`:                      {false, true},
		`any(filter(targets, .price.known), .spend_day > 1)`:               {true, false},
		`sum(map(targets, .spend_day)) > 1`:                                {true, false},
		`count(targets, .price.known) > 1`:                                 {false, false},
		`findIndex(targets, .price.known) == 0`:                            {false, false},
		`targets[0].stats.p95_ms > 1`:                                      {false, true},
		`len(targets[1:]) > 1`:                                             {true, true},
		`find(targets, .price.known)?.price?.input == 1.0`:                 {true, true},
		`let l = targets; any(l, .price.known)`:                            {true, true},
		`any(map(targets, #), .price.known)`:                               {true, true},
		`len(sortBy(targets, .weight)) > 1`:                                {true, true},
		`any(targets, .id == target.id and any(accounts, .spend_day > 1))`: {false, false},
	} {
		set := mustLoad(t, fileLayer("policies: {preset: none, accounts: [{id: x, eligible: true, when: '"+src+"'}]}"))
		require.Equal(t, want, [2]bool{set.Needs("target.spend_day"), set.Needs("target.stats.p95_ms")}, src)
	}
	for preset, wants := range map[string]map[string]bool{
		"modern":  {"account.bound": true, "account.spend_day": false, "account.tokens_minute": false, "target.spend_day": false, "guard": false, "req.body": false},
		"classic": {"account.bound": false, "target.stats.p95_ms": false, "account.spend_day": false},
	} {
		set := mustLoad(t, fileLayer("policies: {preset: "+preset+"}"))
		for path, want := range wants {
			require.Equal(t, want, set.Needs(path), preset+" "+path)
		}
	}
}
