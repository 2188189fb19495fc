package policy

import (
	"fmt"
	"math"
	"strings"

	"github.com/omniroute/omniroute/core/fault"
)

// IP asks whether an address may talk to the gateway.
func (s *Set) IP(env *IPEnv, tr *Trace) GateVerdict {
	f := s.acquire(env, hookIP)
	f.bindRoot(env)
	defer s.release(f)
	for _, r := range s.global.rules[hookIP] {
		v, ok, err := ask(s, f, r, tr, ipAnswer)
		if err != nil && strings.HasPrefix(env.Cfg.IPMode, "whitelist") {
			return refusal(r.id, string(fault.AddressNotAllowed))
		}
		if ok {
			return v
		}
	}
	return GateVerdict{Allowed: true, RetryAfterMS: Unset}
}

// refusal is the failure answer of ip and gate.
func refusal(rule, code string) GateVerdict {
	return GateVerdict{
		Rule: rule, Message: "The request could not be checked against the policies", Failed: true,
		Code: code, Status: fault.Lookup(fault.Code(code)).Status, RetryAfterMS: Unset,
	}
}

func ipAnswer(f *frame, r *rule) (GateVerdict, error) {
	v := GateVerdict{Rule: r.id, Allowed: true, RetryAfterMS: Unset}
	if r.values["deny"] == nil {
		return v, nil
	}
	msg, err := r.text(f, "deny")
	v.Allowed, v.Message, v.Code, v.Status = false, msg, string(fault.AddressNotAllowed), 403
	return v, err
}

// gateAnswer is what one gate rule says.
type gateAnswer struct {
	verdict GateVerdict
	decides bool
	warn    string
	hasWarn bool
	tags    []string
}

// traced is what a trace shows of the answer.
func (a gateAnswer) traced() any {
	if a.decides {
		return a.verdict
	}
	v := map[string]any{}
	if a.hasWarn {
		v["warn"] = a.warn
	}
	if len(a.tags) > 0 {
		v["tag"] = a.tags
	}
	return v
}

func gateRule(f *frame, r *rule) (gateAnswer, error) {
	a := gateAnswer{verdict: GateVerdict{Rule: r.id, Allowed: true, RetryAfterMS: Unset}}
	var err error
	if r.values["warn"] != nil {
		if a.warn, err = r.text(f, "warn"); err != nil {
			return a, err
		}
		a.hasWarn = true
	}
	if a.tags, err = r.texts(f, "tag"); err != nil {
		return a, err
	}
	if r.flag("allow") {
		a.decides = true
	}
	if r.values["deny"] == nil {
		return a, nil
	}
	a.decides, a.verdict.Allowed = true, false
	if a.verdict.Message, err = r.text(f, "deny"); err != nil {
		return a, err
	}
	if a.verdict.RetryAfterMS, err = r.duration(f, "retry_after"); err != nil {
		return a, err
	}
	a.verdict.Code = r.word("code", string(fault.Denied))
	a.verdict.Status = r.amount("status", fault.Lookup(fault.Code(a.verdict.Code)).Status)
	return a, nil
}

// Gate asks whether the request is admitted.
func (s *Set) Gate(env *GateEnv, tr *Trace) GateVerdict {
	f := s.acquire(env, hookGate)
	f.bindGate(env)
	defer s.release(f)
	v := GateVerdict{Allowed: true, RetryAfterMS: Unset}
	for _, r := range s.global.rules[hookGate] {
		a, ok, err := ask(s, f, r, tr, gateRule)
		if err != nil {
			no := refusal(r.id, string(fault.PolicyFailed))
			no.Warnings, no.Tags = v.Warnings, v.Tags
			return no
		}
		if !ok {
			continue
		}
		if a.hasWarn {
			v.Warnings = append(v.Warnings, Note{r.id, a.warn})
		}
		v.Tags = append(v.Tags, a.tags...)
		if a.decides {
			a.verdict.Warnings, a.verdict.Tags = v.Warnings, v.Tags
			return a.verdict
		}
	}
	return v
}

// Bypass asks whether the request is answered without a model.
func (s *Set) Bypass(env *GateEnv, tr *Trace) BypassVerdict {
	f := s.acquire(env, hookBypass)
	f.bindGate(env)
	defer s.release(f)
	for _, r := range s.global.rules[hookBypass] {
		if v, ok, _ := ask(s, f, r, tr, bypassRule); ok {
			return v
		}
	}
	return BypassVerdict{}
}

func bypassRule(f *frame, r *rule) (v BypassVerdict, err error) {
	v.Rule, v.Hit = r.id, true
	if v.Reply, err = r.text(f, "reply"); err != nil {
		return v, err
	}
	v.Route, err = r.text(f, "route")
	return v, err
}

// rewriteAnswer is what one rewrite rule says.
type rewriteAnswer struct {
	Model string     `json:"model,omitempty"`
	Set   []SetField `json:"set,omitempty"`
	Tags  []string   `json:"tag,omitempty"`
}

// Rewrite runs all rewrite rules, each seeing the result of the ones before.
// env.Req is left as it was; apply the verdict.
func (s *Set) Rewrite(env *GateEnv, tr *Trace) RewriteVerdict {
	f := s.acquire(env, hookRewrite)
	f.bindGate(env)
	defer s.release(f)
	var v RewriteVerdict
	original := env.Req
	defer func() { env.Req = original }()
	for _, r := range s.global.rules[hookRewrite] {
		a, ok, _ := ask(s, f, r, tr, rewriteRule)
		if !ok {
			continue
		}
		if env.Req == original {
			changed := *original
			env.Req = &changed
		}
		a.applyTo(env.Req)
		f.slots[slotReq] = structOf(env.Req)
		if a.Model != "" {
			v.Model = a.Model
		}
		v.Set = append(v.Set, a.Set...)
		v.Tags = append(v.Tags, a.Tags...)
		v.Rules = append(v.Rules, r.id)
		if r.flag("last") {
			break
		}
	}
	return v
}

func rewriteRule(f *frame, r *rule) (a rewriteAnswer, err error) {
	if a.Model, err = r.text(f, "model"); err != nil {
		return a, err
	}
	if a.Tags, err = r.texts(f, "tag"); err != nil {
		return a, err
	}
	v := r.values["set"]
	if v == nil {
		return a, nil
	}
	for _, st := range v.sets {
		x, err := st.prog.value(f)
		if err != nil {
			return a, wrap("set."+st.path, err)
		}
		if n, ok := x.(float64); ok && (math.IsNaN(n) || math.IsInf(n, 0)) {
			return a, wrap("set."+st.path, fmt.Errorf("%v cannot be written as JSON", n))
		}
		a.Set = append(a.Set, SetField{st.path, x})
	}
	return a, nil
}

// applyTo shows the next rule what this one changed. req is already a copy.
func (a rewriteAnswer) applyTo(req *Req) {
	if a.Model != "" {
		req.Model = a.Model
	}
	if len(a.Tags) > 0 {
		req.Tags = append(append([]string(nil), req.Tags...), a.Tags...)
	}
	for _, st := range a.Set {
		switch st.Path {
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			if n, ok := st.Value.(int); ok {
				req.MaxTokens = n
			}
		case "temperature":
			if n, err := number(st.Value); err == nil {
				req.Temperature = &n
			}
		case "top_p":
			if n, err := number(st.Value); err == nil {
				req.TopP = &n
			}
		case "n":
			if n, ok := st.Value.(int); ok {
				req.N = n
			}
		case "user":
			if u, ok := st.Value.(string); ok {
				req.User = u
			}
		}
		req.Body = setIn(req.Body, st.Path, st.Value)
	}
}

// setIn returns body with one dotted path set, copying what it changes.
func setIn(body map[string]any, path string, v any) map[string]any {
	out := make(map[string]any, len(body)+1)
	for k, x := range body {
		out[k] = x
	}
	head, rest, nested := strings.Cut(path, ".")
	if !nested {
		out[head] = v
		return out
	}
	inner, _ := out[head].(map[string]any)
	out[head] = setIn(inner, rest, v)
	return out
}

// Cache asks how the response cache treats the request.
func (s *Set) Cache(env *GateEnv, tr *Trace) CacheVerdict {
	f := s.acquire(env, hookCache)
	f.bindGate(env)
	defer s.release(f)
	for _, r := range s.global.rules[hookCache] {
		v, ok, err := ask(s, f, r, tr, cacheRule)
		if err != nil {
			return CacheVerdict{Rule: r.id}
		}
		if ok {
			return v
		}
	}
	return CacheVerdict{}
}

func cacheRule(f *frame, r *rule) (v CacheVerdict, err error) {
	mode := r.word("mode", "off")
	v.Rule, v.AllowTools, v.Preset = r.id, r.flag("allow_tools"), r.origin.Level == LevelPreset
	v.Read, v.Write = strings.HasPrefix(mode, "read"), strings.HasSuffix(mode, "write")
	if v.TTLMS, err = r.duration(f, "ttl"); err != nil {
		return v, err
	}
	v.Scope, err = r.text(f, "scope")
	return v, err
}

// Log asks what is kept of the request.
func (s *Set) Log(env *GateEnv, tr *Trace) LogVerdict {
	f := s.acquire(env, hookLog)
	f.bindGate(env)
	defer s.release(f)
	for _, r := range s.global.rules[hookLog] {
		v, ok, err := ask(s, f, r, tr, logRule)
		if err != nil {
			return LogVerdict{Rule: r.id, Bodies: "none", Stages: "none", CallLog: "counters"}
		}
		if ok {
			return v
		}
	}
	return LogVerdict{Bodies: "errors", Stages: "none", CallLog: "full"}
}

func logRule(_ *frame, r *rule) (LogVerdict, error) {
	return LogVerdict{Rule: r.id, Bodies: r.word("bodies", "errors"), Stages: r.word("stages", "none"), CallLog: r.word("call_log", "full")}, nil
}
