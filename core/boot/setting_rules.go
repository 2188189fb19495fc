package boot

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/policy"
)

// settingsFile names the rules that follow from settings, in traces and listings.
const settingsFile = "settings"

// rule is one rule as YAML has it.
type rule map[string]any

// settingRules are the rules that settings mean. They lie between the presets and the rules of the file, which can
// replace each by its id; ok is false if there are none.
func settingRules(f *config.File) (_ policy.Layer, ok bool) {
	hooks := map[string][]rule{}
	if gate := guardRules(f.Guard); len(gate) > 0 {
		hooks["gate"] = gate
	}
	if f.SystemPrompt.Enabled {
		hooks["system"] = []rule{{
			"id":   "global",
			"when": `cfg.system_enabled and not (req.endpoint in ["embeddings", "images", "audio", "rerank", "moderations", "count_tokens"])`,
			"text": "${cfg.system_prompt}", "position": f.SystemPrompt.Position,
		}}
	}
	if len(hooks) == 0 {
		return policy.Layer{}, false
	}
	text, err := yaml.Marshal(map[string]any{"policies": hooks})
	if err != nil { // nothing here that YAML could not hold
		panic(err)
	}
	return policy.Layer{File: settingsFile, Data: text, Level: policy.LevelPreset}, true
}

// guardRules are what the section guard means: its findings are facts, these rules judge them.
func guardRules(g config.Guard) (out []rule) {
	found := `any(guard.hits, not hasPrefix(#, "pii_"))`
	switch g.Mode {
	case "block":
		out = append(out, rule{"id": "guard-block", "when": `guard.severity == "high"`,
			"deny": `The input guard refused this request (${join(guard.hits, ", ")})`, "code": "VALID_003", "status": 400})
		fallthrough
	case "warn":
		out = append(out, rule{"id": "guard-warn", "when": found, "warn": `The input guard found ${join(guard.hits, ", ")}`})
		fallthrough
	case "log":
		out = append(out, rule{"id": "guard-log", "when": found, "tag": []string{"guard:${guard.severity}"}})
	}
	personal := `any(guard.hits, hasPrefix(#, "pii_"))`
	switch g.PII.Requests {
	case "block":
		out = append(out, rule{"id": "guard-pii-block", "when": personal,
			"deny": `The request holds personal data (${join(filter(guard.hits, hasPrefix(#, "pii_")), ", ")})`, "code": "VALID_003", "status": 400})
	case "log", "redact":
		out = append(out, rule{"id": "guard-pii-log", "when": personal, "tag": []string{"guard:pii"}})
	}
	quoted := make([]string, len(g.Tools.Names))
	for i, name := range g.Tools.Names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	forbidden := "globAny([" + strings.Join(quoted, ", ") + "], #)"
	switch {
	case len(quoted) == 0 || g.Tools.Mode == "disabled":
		return out
	case g.Tools.Mode == "allowlist":
		forbidden = "not " + forbidden
	}
	return append(out, rule{"id": "guard-tools", "when": "any(req.tool_names, " + forbidden + ")",
		"deny": "The tool ${find(req.tool_names, " + forbidden + ")} is not allowed", "code": "ACCESS_001"})
}
