package execute

import (
	"strconv"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
)

// shape is what rules change in a request on its way to one target. Taking
// things out is done in the client's dialect; everything else on the hub.
type shape struct {
	think  policy.ThinkOp
	system []policy.SystemText
	fit    int // tokens that the target takes; 0 = no trimming
	model  caps.Model
}

// shapeFor asks the thinking, system and context rules about a target.
func (s *Stage) shapeFor(c *call.Call, t *call.Target) (*shape, *fault.Error) {
	set, env := c.Snapshot.Policy, &c.Env.TargetEnv
	sh := &shape{think: set.Thinking(env, c.Trace), system: set.System(env, c.Trace), model: caps.Default().Lookup(t.Upstream)}
	if sh.think.Op == "keep" || sh.think.Op == "" {
		sh.think = suffixThinking(c.Resolution)
	}
	v := set.Context(env, c.Trace)
	if v.Mode == "off" || v.Mode == "" || t.Model.Context <= 0 {
		return sh, nil
	}
	limit := int(t.Model.Context)
	room := limit - reserve(v.Reserve, limit, c.Req)
	if c.Req.TokensIn <= room {
		return sh, nil
	}
	if v.Mode == "strict" || room <= 0 {
		e := fault.Newf(fault.ContextTooLong, "The request has about %d tokens; %s takes %d with room for the answer",
			c.Req.TokensIn, t.ID, max(room, 0))
		return nil, e
	}
	sh.fit = room
	return sh, nil
}

// reserve is the room kept for the answer, in tokens.
func reserve(fromRule, limit int, req *policy.Req) int {
	if fromRule > 0 {
		return fromRule
	}
	return max(min(16000, max(256, limit*15/100)), req.MaxTokens+req.Thinking.Budget)
}

// suffixThinking is the reasoning that a model suffix asks for.
func suffixThinking(res *catalog.Resolution) policy.ThinkOp {
	if res == nil {
		return policy.ThinkOp{}
	}
	switch t := res.Thinking; {
	case t.Budget > 0:
		return policy.ThinkOp{Op: "budget", Budget: int(t.Budget)}
	case t.Effort != "":
		return policy.ThinkOp{Op: "effort", Effort: t.Effort}
	case t.On:
		return policy.ThinkOp{Op: "effort", Effort: "auto"}
	}
	return policy.ThinkOp{}
}

func (sh *shape) needsHub() bool {
	return sh.think.Op == "budget" || sh.think.Op == "effort" || len(sh.system) > 0 || sh.fit > 0
}

// reasoningFields are the members that ask for reasoning, by client dialect.
var reasoningFields = map[string][][]string{
	"openai":           {{"reasoning_effort"}, {"reasoning"}, {"thinking"}, {"enable_thinking"}, {"chat_template_kwargs", "thinking"}},
	"claude":           {{"thinking"}, {"output_config", "effort"}},
	"openai-responses": {{"reasoning"}},
	"gemini":           {{"generationConfig", "thinkingConfig"}, {"generationConfig", "thinking_config"}, {"generation_config", "thinking_config"}},
}

// strip takes the wish for reasoning out of the client's request, if the rules
// want that.
func (sh *shape) strip(c *call.Call) []byte {
	if sh.think.Op != "strip" {
		return c.Source
	}
	body := c.Source
	for _, path := range reasoningFields[c.Dialect] {
		if _, ok := doc.Get(body, path...); ok {
			body, _ = doc.Delete(nil, body, path...)
		}
	}
	return body
}

// apply changes the hub document.
func (sh *shape) apply(c *call.Call, body []byte) ([]byte, *fault.Error) {
	if sh.think.Op != "" && sh.think.Op != "keep" { // what a client says in its own words counts no more
		for _, path := range reasoningFields["openai"] {
			body, _ = doc.Delete(nil, body, append([]string{extension, "raw"}, path...)...)
		}
	}
	switch sh.think.Op {
	case "budget", "effort":
		body = withRoom(withThinking(body, sh.think), sh.think, sh.model)
	case "strip":
		body, _ = doc.Delete(nil, body, "reasoning_effort")
		body, _ = doc.Delete(nil, body, extension, "thinking")
	}
	for _, text := range sh.system {
		body = withSystem(body, text)
	}
	if sh.fit > 0 {
		return trim(c, body, sh.fit)
	}
	return body, nil
}

const (
	probeTokens   = 256  // limits below are those of probes, which stay as they are
	answerTokens  = 8192 // room for the answer beside the thinking
	minimumBudget = 1024 // least budget a Claude model takes
)

// withRoom raises a client's output limit that leaves no room beside the budget which
// a rule or a model suffix asks for. Only Claude models that think by budget count the
// thinking against the limit; what the client asked for itself is lowered instead, by
// the translator.
func withRoom(request []byte, op policy.ThinkOp, model caps.Model) []byte {
	budget := int64(op.Budget)
	if op.Op == "effort" {
		budget = caps.Budget(op.Effort)
	}
	limit, ok := doc.Int(request, "max_tokens")
	if model.Family != "claude" || model.Thinking != caps.ThinkBudget || budget <= 0 || !ok || limit < probeTokens {
		return request
	}
	if budget = max(budget, minimumBudget); limit > budget {
		return request
	}
	room := min(budget+answerTokens, model.Ceiling)
	if room <= limit {
		return request
	}
	body, _ := doc.Set(nil, request, strconv.AppendInt(nil, room, 10), "max_tokens")
	return body
}

// withThinking writes a reasoning wish into the hub form: exactly, and as the
// level that the chat shape has a member for.
func withThinking(request []byte, op policy.ThinkOp) []byte {
	wish := hub.Thinking{Mode: hub.ThinkOff}
	switch {
	case op.Op == "budget" && op.Budget > 0:
		wish = hub.Thinking{Mode: hub.ThinkBudget, Budget: int64(op.Budget)}
	case op.Op == "effort" && op.Effort == "auto":
		wish = hub.Thinking{Mode: hub.ThinkAuto}
	case op.Op == "effort" && op.Effort != "none":
		wish = hub.Thinking{Mode: hub.ThinkEffort, Effort: op.Effort}
	}
	body, _ := doc.Delete(nil, request, "reasoning_effort")
	if level := wish.Level(); level != "" {
		body, _ = doc.Set(nil, body, doc.Quote(nil, level), "reasoning_effort")
	}
	raw := doc.Quote([]byte(`{"mode":`), wish.Mode)
	if wish.Budget > 0 {
		raw = strconv.AppendInt(append(raw, `,"budget":`...), wish.Budget, 10)
	}
	if wish.Effort != "" {
		raw = doc.Quote(append(raw, `,"effort":`...), wish.Effort)
	}
	body, _ = doc.Set(nil, body, append(raw, '}'), extension, "thinking")
	return body
}
