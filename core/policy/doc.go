// Package policy decides. Every choice the gateway makes (may this request
// pass, which target comes first, which account is used, what a failure means)
// is a rule in a YAML file whose conditions and values are expr-lang
// expressions, checked against one typed environment per hook when the file is
// loaded.
//
// The gateway's mechanism asks a hook a question; the hook's rules answer:
//
//	set, diags := policy.Load(policy.Layer{File: "omniroute.yaml", Data: data, DefaultPreset: "modern"})
//	if set == nil { report(diags); return }
//
//	env := policy.GateEnv{IPEnv: policy.IPEnv{Req: req, Clock: set.Clock(time.Now())}, Key: key}
//	if v := set.Gate(&env, nil); !v.Allowed { refuse(v) }
//
// A Set is immutable and safe for concurrent use: whoever serves requests keeps
// the current one behind an atomic pointer, and a request pins the Set it started
// with. LoadAfter makes the next one; if it has errors there is none, and the one
// in force stays. State never
// lives in rules: counters, cooldowns and breakers reach them as facts, and a
// verdict is a plain struct which the mechanism applies.
//
// Evaluation is bounded in time and memory and never fails a request by
// itself: an expression that cannot be evaluated turns into the failure answer
// of its hook (see HookInfo.OnFailure).
//
// Environments (env.go) and verdicts (verdict.go) are shared by the engine, the
// editor's completion, the documentation generator and the inline tests of rule
// files; adding a field to a struct makes it visible everywhere.
package policy

//go:generate go run ./internal/refgen ../../docs/policy-reference.md
