package policy

import (
	"reflect"
	"strings"
)

// fieldKind is how a payload field of a rule is read.
type fieldKind int

const (
	fieldBool     fieldKind = iota // expression of type bool
	fieldNumber                    // expression of a number
	fieldNumbers                   // list of such
	fieldDuration                  // literal like 2m, or an expression of milliseconds
	fieldText                      // literal with ${expression} holes
	fieldTexts                     // list of such
	fieldDecision                  // expression of type Decision
	fieldThink                     // expression of type ThinkOp
	fieldMap                       // body path -> expression
	fieldFlag                      // plain true or false
	fieldCount                     // plain whole number
	fieldName                      // plain text, checked by values or check
	fieldShares                    // plain number, or list of numbers, between 0 and 1
)

func (k fieldKind) String() string {
	return [...]string{
		"bool expression", "number expression", "list of number expressions", "duration or expression of ms",
		"text with ${…}", "list of texts with ${…}", "Decision expression", "ThinkOp expression",
		"map of body path to expression", "true or false", "whole number", "text", "number from 0 to 1, or list of them",
	}[k]
}

// field describes one payload field.
type field struct {
	name   string
	kind   fieldKind
	doc    string
	values []string                // allowed texts of a fieldName
	check  func(text string) error // further check of a fieldName
}

// HookInfo describes a hook for documentation and completion.
type HookInfo struct {
	Name        string `json:"name"`
	Phase       string `json:"phase"`
	When        string `json:"when"`
	Combination string `json:"combination"`
	Default     string `json:"default"`
	OnFailure   string `json:"on_failure"`

	env    reflect.Type
	fields []field
	// needs lists fields of which a rule must have at least one.
	needs []string
	// scopes are the own blocks (account, combo, provider) the hook may have.
	scopes []string
}

func name(n, doc string, values ...string) field {
	return field{name: n, kind: fieldName, doc: doc, values: values}
}

// Hooks describes all hooks in the order of a request's life.
func Hooks() []HookInfo {
	hooks := append(admissionHooks(), accountingHooks()...)
	hooks = append(hooks, routingHooks()...)
	hooks = append(hooks, upstreamHooks()...)
	return append(hooks, outcomeHooks()...)
}

func admissionHooks() []HookInfo {
	gate := reflect.TypeFor[GateEnv]()
	return []HookInfo{
		{
			Name: "ip", Phase: "lockout", When: "a connection's first request is seen", Combination: "first allow or deny wins",
			Default: "allow", OnFailure: "deny in whitelist mode, else the rule is skipped", env: reflect.TypeFor[IPEnv](),
			fields: []field{{name: "allow", kind: fieldFlag, doc: "let the address in"}, {name: "deny", kind: fieldText, doc: "refuse with this message"}},
			needs:  []string{"allow", "deny"},
		},
		{
			Name: "lockout", Phase: "lockout", When: "before a request, and after each login, key check and denial", Combination: "all rules; any locked subject refuses",
			Default: "not locked", OnFailure: "the rule is skipped", env: reflect.TypeFor[LockoutEnv](),
			fields: []field{
				{name: "subject", kind: fieldText, doc: "what is counted and locked"},
				{name: "count", kind: fieldBool, doc: "this event is a failure of the subject"},
				{name: "clear", kind: fieldBool, doc: "this event clears the subject"},
				{name: "exempt", kind: fieldBool, doc: "the subject is never locked"},
				{name: "max", kind: fieldNumber, doc: "failures within the window that lock"},
				{name: "window", kind: fieldDuration, doc: "window of the failures"},
				{name: "lock", kind: fieldDuration, doc: "duration of the lock"},
			},
			needs: []string{"subject"},
		},
		{
			Name: "gate", Phase: "admit", When: "the key is known", Combination: "first allow or deny wins; warn and tag collect until then",
			Default: "allow", OnFailure: "deny with POLICY_001", env: gate,
			fields: []field{
				{name: "allow", kind: fieldFlag, doc: "admit, whatever later rules say"},
				{name: "deny", kind: fieldText, doc: "refuse with this message"},
				{name: "code", kind: fieldName, doc: "error code of the refusal", check: checkCode},
				{name: "status", kind: fieldCount, doc: "HTTP status of the refusal"},
				{name: "retry_after", kind: fieldDuration, doc: "Retry-After of the refusal"},
				{name: "warn", kind: fieldText, doc: "warning attached to the answer"},
				{name: "tag", kind: fieldTexts, doc: "tags added to the request"},
			},
			needs: []string{"allow", "deny", "warn", "tag"},
		},
		{
			Name: "bypass", Phase: "admit", When: "after the gate", Combination: "first match wins",
			Default: "no bypass", OnFailure: "the rule is skipped", env: gate,
			fields: []field{{name: "reply", kind: fieldText, doc: "answer with this text, no upstream call"}, {name: "route", kind: fieldText, doc: "send to this model instead"}},
			needs:  []string{"reply", "route"},
		},
		{
			Name: "rewrite", Phase: "admit", When: "the model is resolved", Combination: "all in order, each sees the result of the ones before; last: true stops",
			Default: "unchanged", OnFailure: "the rule is skipped", env: gate,
			fields: []field{
				{name: "model", kind: fieldText, doc: "model to use instead"},
				{name: "set", kind: fieldMap, doc: "fields of the body to set"},
				{name: "tag", kind: fieldTexts, doc: "tags added to the request"},
				{name: "last", kind: fieldFlag, doc: "no further rewrite rule is asked"},
			},
			needs: []string{"model", "set", "tag", "last"},
		},
	}
}

func accountingHooks() []HookInfo {
	gate := reflect.TypeFor[GateEnv]()
	return []HookInfo{
		{
			Name: "cache", Phase: "cache", When: "before targets are chosen", Combination: "first match wins",
			Default: "off", OnFailure: "off", env: gate,
			fields: []field{
				name("mode", "what the response cache may do", "off", "read", "write", "read-write"),
				{name: "ttl", kind: fieldDuration, doc: "life of an entry"},
				{name: "scope", kind: fieldText, doc: "who shares entries"},
				{name: "allow_tools", kind: fieldFlag, doc: "also requests with tools"},
			},
			needs: []string{"mode"},
		},
		{
			Name: "budget", Phase: "budget", When: "before and after a request", Combination: "all; the strictest action wins: deny, downgrade, warn",
			Default: "allow", OnFailure: "allow and alert; deny with budget.fail: closed", env: reflect.TypeFor[BudgetEnv](),
			fields: []field{
				{name: "scope", kind: fieldText, doc: "counter the budget is kept on, like key:${key.id}"},
				name("unit", "what is counted", "usd", "tokens", "requests"),
				{name: "limit", kind: fieldNumber, doc: "limit in that unit"},
				{name: "est", kind: fieldNumber, doc: "estimate for this request, if not the usual one"},
				name("period", "when the counter starts again", "minute", "hour", "day", "week", "month", "once"),
				{name: "tz", kind: fieldName, doc: "time zone of the period", check: checkZone},
				{name: "reset_at", kind: fieldName, doc: "time of day the period starts, HH:MM", check: checkClock},
				{name: "warn_at", kind: fieldShares, doc: "share of the limit at which to warn"},
				{name: "hard", kind: fieldFlag, doc: "end a stream that would pass the limit"},
				{name: "deny", kind: fieldBool, doc: "the action is due"},
				{name: "warn", kind: fieldBool, doc: "a warning is due"},
				name("action", "what deny means", "deny", "downgrade", "warn"),
				{name: "downgrade_to", kind: fieldText, doc: "model of the downgrade"},
			},
			needs: []string{"deny", "warn"},
		},
		{
			Name: "log", Phase: "admit", When: "the request is admitted", Combination: "first match wins",
			Default: "bodies of errors, full call log", OnFailure: "counters only", env: gate,
			fields: []field{
				name("bodies", "which bodies are kept", "none", "errors", "all"),
				name("stages", "which stages are kept", "none", "errors", "all"),
				name("call_log", "what the call log keeps", "full", "counters", "none"),
			},
			needs: []string{"bodies", "stages", "call_log"},
		},
	}
}

func routingHooks() []HookInfo {
	target, account := reflect.TypeFor[TargetEnv](), reflect.TypeFor[AccountEnv]()
	return []HookInfo{
		{
			Name: "filter", Phase: "route", When: "targets are known, and again before one is tried", Combination: "all in order, hard rules first; a soft rule that would empty the list is skipped",
			Default: "keep", OnFailure: "keep the target", env: target,
			fields: []field{
				{name: "keep", kind: fieldBool, doc: "the target stays if true"},
				{name: "drop", kind: fieldBool, doc: "the target goes if true"},
				{name: "soft", kind: fieldFlag, doc: "only if another target remains"},
				{name: "reason", kind: fieldText, doc: "reason shown for a dropped target"},
			},
			needs: []string{"keep", "drop"}, scopes: []string{"combo"},
		},
		{
			Name: "order", Phase: "route", When: "targets are filtered", Combination: "first by or sample rule; then every front and back rule moves targets",
			Default: "order of the list", OnFailure: "the key counts as infinite", env: target,
			fields: []field{
				{name: "by", kind: fieldNumbers, doc: "keys compared one after the other, smallest first"},
				{name: "sample", kind: fieldNumber, doc: "weight for drawing the first target; the rest follows by, or weight"},
				{name: "front", kind: fieldBool, doc: "targets to move to the front"},
				{name: "back", kind: fieldBool, doc: "targets to move to the back"},
			},
			needs: []string{"by", "sample", "front", "back"}, scopes: []string{"combo"},
		},
		{
			Name: "accounts", Phase: "route", When: "an account is needed", Combination: "all eligible rules, then the first of by, sample or p2c",
			Default: "order of priority", OnFailure: "the key counts as infinite; the account is not eligible", env: account,
			fields: []field{
				{name: "eligible", kind: fieldBool, doc: "the account may be used"},
				{name: "soft", kind: fieldFlag, doc: "only if another account remains"},
				{name: "by", kind: fieldNumbers, doc: "keys compared one after the other, smallest first"},
				{name: "sample", kind: fieldNumber, doc: "weight for drawing the account"},
				{name: "p2c", kind: fieldNumber, doc: "cost; the cheaper of two accounts drawn at random is used"},
				{name: "p2c_min", kind: fieldCount, doc: "with fewer accounts than this the first is used"},
			},
			needs: []string{"eligible", "by", "sample", "p2c"}, scopes: []string{"combo", "provider"},
		},
	}
}

func upstreamHooks() []HookInfo {
	target, account := reflect.TypeFor[TargetEnv](), reflect.TypeFor[AccountEnv]()
	return []HookInfo{
		{
			Name: "limits", Phase: "route", When: "a limiter is made or the rules change", Combination: "all; the tightest limit of each scope",
			Default: "unlimited", OnFailure: "the rule is skipped", env: account,
			fields: []field{
				{name: "scope", kind: fieldText, doc: "limiter the limits are kept on"},
				{name: "rpm", kind: fieldNumber, doc: "requests a minute"},
				{name: "tpm", kind: fieldNumber, doc: "tokens a minute"},
				{name: "rpd", kind: fieldNumber, doc: "requests a day"},
				{name: "concurrency", kind: fieldNumber, doc: "requests at the same time"},
				{name: "gap", kind: fieldDuration, doc: "time between two requests"},
				{name: "max_wait", kind: fieldDuration, doc: "longest wait for a slot"},
			},
			needs: []string{"rpm", "tpm", "rpd", "concurrency", "gap", "max_wait"}, scopes: []string{"account", "combo", "provider"},
		},
		{
			Name: "learn", Phase: "route", When: "the head of an upstream response is seen", Combination: "first match wins",
			Default: "nothing is learnt", OnFailure: "the rule is skipped", env: reflect.TypeFor[LearnEnv](),
			fields: []field{
				{name: "gap", kind: fieldDuration, doc: "new time between two requests"},
				{name: "reservoir", kind: fieldNumber, doc: "requests left now"},
				{name: "refill", kind: fieldNumber, doc: "requests after a refill"},
				{name: "every", kind: fieldDuration, doc: "time to the refill"},
				{name: "open", kind: fieldFlag, doc: "lift an earlier pause"},
			},
			needs: []string{"gap", "reservoir", "refill", "every", "open"}, scopes: []string{"account", "combo", "provider"},
		},
		{
			Name: "system", Phase: "route", When: "a target is prepared", Combination: "all in order",
			Default: "none", OnFailure: "the rule is skipped", env: target,
			fields: []field{
				{name: "text", kind: fieldText, doc: "system prompt"},
				name("position", "where it goes", "prepend", "append", "replace", "last_user"),
			},
			needs: []string{"text"}, scopes: []string{"combo", "provider"},
		},
		{
			Name: "thinking", Phase: "route", When: "a target is prepared", Combination: "first match wins",
			Default: "keep()", OnFailure: "keep()", env: target,
			fields: []field{{name: "do", kind: fieldThink, doc: "what happens to the thinking parameters"}},
			needs:  []string{"do"}, scopes: []string{"combo", "provider"},
		},
		{
			Name: "context", Phase: "route", When: "a target is prepared", Combination: "first match wins",
			Default: "off", OnFailure: "off", env: target,
			fields: []field{
				name("mode", "what happens to a prompt that does not fit", "off", "fit", "strict"),
				{name: "reserve", kind: fieldNumber, doc: "tokens kept free for the answer"},
			},
			needs: []string{"mode"}, scopes: []string{"combo", "provider"},
		},
		{
			Name: "timeouts", Phase: "route", When: "a target is prepared", Combination: "all; the first value of each field wins",
			Default: "built-in clocks", OnFailure: "built-in clocks", env: target,
			fields: []field{
				{name: "connect", kind: fieldDuration, doc: "to a connection"},
				{name: "headers", kind: fieldDuration, doc: "to the response head"},
				{name: "first_event", kind: fieldDuration, doc: "to the first content"},
				{name: "idle", kind: fieldDuration, doc: "between two pieces of content"},
				{name: "total", kind: fieldDuration, doc: "for the whole response"},
				{name: "heartbeat", kind: fieldDuration, doc: "between heartbeats to the client"},
			},
			needs: []string{"connect", "headers", "first_event", "idle", "total", "heartbeat"}, scopes: []string{"combo", "provider"},
		},
	}
}

func outcomeHooks() []HookInfo {
	failure := reflect.TypeFor[ErrorEnv]()
	all := []string{"account", "combo", "provider"}
	return []HookInfo{
		{
			Name: "on_error", Phase: "fallback", When: "an attempt failed", Combination: "first match wins",
			Default: `cool("5s", "unknown")`, OnFailure: "that default", env: failure,
			fields: []field{{name: "do", kind: fieldDecision, doc: "what follows"}}, needs: []string{"do"}, scopes: all,
		},
		{
			Name: "on_exhausted", Phase: "fallback", When: "a target has no account left to try", Combination: "first match wins",
			Default: `next("exhausted")`, OnFailure: "that default", env: failure,
			fields: []field{{name: "do", kind: fieldDecision, doc: "what follows"}}, needs: []string{"do"}, scopes: all,
		},
		{
			Name: "breaker", Phase: "fallback", When: "the outcome of an attempt is known", Combination: "first match wins",
			Default: "built-in behaviour", OnFailure: "the outcome is ignored", env: reflect.TypeFor[BreakerEnv](),
			fields: []field{
				{name: "count", kind: fieldBool, doc: "the outcome is a failure of the provider"},
				{name: "ignore", kind: fieldBool, doc: "the outcome says nothing about the provider"},
				{name: "trip", kind: fieldBool, doc: "the breaker opens"},
				{name: "reset", kind: fieldDuration, doc: "time until a probe"},
				{name: "successes", kind: fieldNumber, doc: "probes that must succeed before it closes; 1 if absent"},
			},
			needs: []string{"count", "ignore", "trip", "reset"}, scopes: []string{"combo", "provider"},
		},
		{
			Name: "meter", Phase: "budget", When: "the usage is known", Combination: "all; the last cost wins",
			Default: "nothing", OnFailure: "the rule is skipped", env: reflect.TypeFor[MeterEnv](),
			fields: []field{
				{name: "counter", kind: fieldText, doc: "counter to add to"},
				{name: "add", kind: fieldNumber, doc: "how much"},
				{name: "cost", kind: fieldNumber, doc: "cost of the request in USD, instead of the computed one"},
			},
			needs: []string{"counter", "cost"}, scopes: all,
		},
	}
}

// common are the fields every rule may have.
func common() []field {
	return []field{
		{name: "id", kind: fieldName, doc: "name of the rule, unique in its hook"},
		{name: "enabled", kind: fieldFlag, doc: "false switches the rule off, also one of a lower layer"},
		{name: "shadow", kind: fieldFlag, doc: "evaluate and count, but ignore the answer"},
		{name: "when", kind: fieldBool, doc: "condition; a rule without one always applies"},
	}
}

func (h *HookInfo) field(name string) (field, bool) {
	for _, f := range h.fields {
		if f.name == name {
			return f, true
		}
	}
	for _, f := range common() {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// variableType finds a variable of an environment by its name.
func variableType(env reflect.Type, name string) (reflect.Type, bool) {
	for _, v := range variables(env) {
		if v.name == name {
			return v.typ, true
		}
	}
	return nil, false
}

func hasVariable(env reflect.Type, name string) bool {
	_, ok := variableType(env, name)
	return ok
}

func variableNames(env reflect.Type) []string {
	var names []string
	for _, v := range variables(env) {
		names = append(names, v.name)
	}
	return names
}

type variable struct {
	name, doc string
	typ       reflect.Type
}

// variables lists the variables of an environment, those of embedded structs
// first.
func variables(env reflect.Type) []variable {
	var out []variable
	for i := 0; i < env.NumField(); i++ {
		f := env.Field(i)
		tag := f.Tag.Get("expr")
		switch {
		case f.Anonymous:
			out = append(out, variables(f.Type)...)
		case tag != "" && tag != "-":
			out = append(out, variable{tag, f.Tag.Get("doc"), f.Type})
		}
	}
	return out
}

// fieldNames lists the fields of a fact as expressions know them.
func fieldNames(t reflect.Type) []string {
	var out []string
	for i := 0; i < t.NumField(); i++ {
		if tag := t.Field(i).Tag.Get("expr"); tag != "" && tag != "-" {
			out = append(out, tag)
		}
	}
	return out
}

// factType finds a fact struct by its Go name.
func factType(name string) reflect.Type {
	var found reflect.Type
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || found != nil {
			return
		}
		if t.Name() == name {
			found = t
			return
		}
		for i := 0; i < t.NumField(); i++ {
			if t.Field(i).Tag.Get("expr") != "" {
				visit(t.Field(i).Type)
			}
		}
	}
	for _, h := range Hooks() {
		for _, v := range variables(h.env) {
			visit(v.typ)
		}
	}
	return found
}

// nearest returns the candidate that looks most like name, or "" if none does.
func nearest(name string, candidates []string) string {
	best, distance := "", 1+len(name)/3
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d <= distance && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

func didYouMean(name string, candidates []string) string {
	if s := nearest(name, candidates); s != "" {
		return " (did you mean " + s + "?)"
	}
	return ""
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment).
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
