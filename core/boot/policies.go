package boot

import (
	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/policy"
)

// DefaultPreset is the preset of a configuration that names none.
const DefaultPreset = "modern"

// PolicyLayers are the rules a configuration brings, read without opening anything else.
func PolicyLayers(opt Options) ([]policy.Layer, error) {
	conf, problems := opt.load()
	if conf == nil {
		return nil, &ConfigError{problems}
	}
	return layers(conf), nil
}

// layers of rules that a configuration brings: its own section, its includes, and what accounts, combos and
// providers have of their own.
func layers(snap *config.Snapshot) []policy.Layer {
	list := make([]policy.Layer, 0, len(snap.Policies)+1)
	for _, src := range snap.Policies {
		l := policy.Layer{File: src.File, Data: src.Data, Node: src.Node, Level: policy.LevelFile,
			Scope: policy.Scope{Account: src.Account, Combo: src.Combo, Provider: src.Provider}}
		if !src.Included {
			l.DefaultPreset = DefaultPreset
			if src.Node == nil { // a file without rules has the preset alone
				l.Node = &yaml.Node{Kind: yaml.MappingNode}
			}
		}
		list = append(list, l)
	}
	if len(list) == 0 {
		list = append(list, policy.Layer{Node: &yaml.Node{Kind: yaml.MappingNode}, Level: policy.LevelFile, DefaultPreset: DefaultPreset})
	}
	if l, ok := settingRules(snap.File); ok {
		list = append(list, l)
	}
	return list
}

// loadPolicy compiles the rules of a configuration; expressions that stand in old, which may be nil, are not compiled
// again. Warnings come apart from the errors that make the set nil.
func loadPolicy(snap *config.Snapshot, old *policy.Set) (set *policy.Set, problems, warnings []fault.Diagnostic) {
	set, diags := policy.LoadAfter(old, layers(snap)...)
	for _, d := range diags {
		if d.Severity == policy.Warning {
			warnings = append(warnings, d.Diagnostic)
		} else {
			problems = append(problems, d.Diagnostic)
		}
	}
	return set, problems, warnings
}
