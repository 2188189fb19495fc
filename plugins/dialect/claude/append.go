package claude

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	defaultMaxTokens = 32000 // L-1, models of the table
	unknownMaxTokens = 8192  // L-1, names outside the table
	minBudget        = 1024  // least thinking budget, and least room for the answer (H-3)
	autoBudget       = 8192  // budget of the wish auto (H-3)
	maxMarks         = 4     // most cache marks
)

// unsigned tells whether a provider of this format takes thinking without signature
// (H-10).
func unsigned(provider string) bool {
	switch provider {
	case "kimi", "minimax", "glm":
		return true
	}
	return false
}

// writer writes one request.
type writer struct {
	c        *hub.Ctx
	t        jsn.Tokens
	r        *hub.Request
	model    string
	caps     caps.Model
	unsigned bool
	system   []hub.Part
	turns    []repair.Turn
	marks    marks

	maxTokens int64
	budget    int64  // thinking budget; 0 = no budget thinking
	adaptive  bool   // adaptive thinking
	effort    string // output_config.effort
}

// AppendRequest implements hub.Dialect.
func (dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	w := writer{c: c, t: c.Tokens(), r: r, model: c.TargetModel(r.Model), unsigned: unsigned(c.Provider)}
	w.caps = c.Capabilities(w.model)
	if w.caps.Family != Name {
		w.caps = caps.Model{Family: w.caps.Family, Thinking: caps.ThinkNone, Prefill: true}
	}
	w.pruneReasoning()
	repair.Conversation(c, r, repair.Options{NoBlank: true})
	if err := media.Refuse(c, r, w.takes); err != nil {
		return dst, err
	}
	repair.Tools(c, r, repair.ToolOptions{})
	repair.Names(c, r, repair.RuleOf(Name))
	repair.CallIDs(r, func(id string) string { return repair.Clean(id, "") })
	w.system = repair.HoistSystem(c, r)
	w.turns = repair.Turns(r, w.caps.Prefill)
	w.trimPrefill()
	w.limits()
	w.marks = w.countMarks()

	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", w.model)
	if !c.Count {
		dst = jsn.AppendIntMember(dst, "max_tokens", w.maxTokens)
	}
	dst = w.tools(dst)
	dst = w.systemBlocks(dst)
	dst = w.messages(dst)
	if !c.Count {
		dst = w.thinking(dst)
		dst = w.sampling(dst)
		dst = w.rest(dst)
		dst = hub.AppendOwn(dst, r, Name)
	}
	w.dropRest()
	return append(dst, '}'), nil
}

// pruneReasoning keeps the reasoning that may be sent here: what Claude signed, or the
// plain text for providers that do not sign (E-2, H-10).
func (w *writer) pruneReasoning() {
	for i := range w.r.Messages {
		m := &w.r.Messages[i]
		kept := m.Reasoning[:0]
		for _, r := range m.Reasoning {
			switch {
			case w.unsigned && len(r.Text) > 0:
				kept = append(kept, hub.Reasoning{Text: r.Text})
			case !w.unsigned && r.Provider == Name && len(r.Sig) > 0:
				kept = append(kept, r)
			default:
				w.c.Drop("reasoning_content")
			}
		}
		m.Reasoning = kept
	}
}

// takes tells which media a block exists for.
func (w *writer) takes(m *hub.Message, p *hub.Part) bool {
	if m.Role != hub.User && m.Role != hub.Tool {
		return false
	}
	switch p.Kind {
	case hub.PartImage:
		if len(p.Media.URL) > 0 {
			return w.t.HasPrefix(p.Media.URL, "http")
		}
		switch p.Media.MIME {
		case "image/jpeg", "image/png", "image/gif", "image/webp":
			return len(p.Media.Data) > 0
		}
	case hub.PartFile:
		if len(p.Media.URL) > 0 || p.Media.MIME == "application/pdf" {
			return true
		}
		if media.IsText(p.Media.MIME) {
			_, ok := media.Text(w.t, p.Media.Data)
			return ok
		}
	}
	return false
}

// trimPrefill cuts the white space behind an answer that the model is to continue
//
func (w *writer) trimPrefill() {
	n := len(w.r.Messages)
	if n == 0 || w.r.Messages[n-1].Role != hub.Assistant {
		return
	}
	parts := w.r.Messages[n-1].Parts
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].Kind == hub.PartText && !w.t.Blank(parts[i].Text) {
			parts[i].Text = trimRight(w.t, parts[i].Text)
			return
		}
	}
}

// trimRight cuts trailing white space of escaped text. A text that ends in a token is
// opened for it only when the hidden end is white space.
func trimRight(t jsn.Tokens, s jsn.Str) jsn.Str {
	if t.Has(s) {
		full := t.Expand(s)
		cut := trimRight(jsn.Tokens{}, full)
		if len(cut) == len(full) {
			return s
		}
		return cut
	}
	for n := len(s); n > 0; n = len(s) {
		switch {
		case s[n-1] == ' ':
			s = s[:n-1]
		case n > 1 && (s[n-1] == 'n' || s[n-1] == 't' || s[n-1] == 'r') && escaped(s[:n-1]):
			s = s[:n-2]
		default:
			return s
		}
	}
	return s
}

// escaped tells whether s ends in a backslash that starts an escape.
func escaped(s jsn.Str) bool {
	n := 0
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// limits settles output limit and thinking (L-1, H-3 to H-6).
func (w *writer) limits() {
	ceiling := w.caps.Ceiling
	wish, explicit := jsn.Int(w.r.MaxTokens)
	explicit = explicit && wish > 0
	room := min(int64(defaultMaxTokens), ceiling)
	switch {
	case ceiling == 0 && explicit:
		w.maxTokens = wish
	case ceiling == 0:
		w.maxTokens = unknownMaxTokens
	case explicit:
		w.maxTokens = min(wish, ceiling)
	default:
		w.maxTokens = room
	}
	th := w.r.Thinking
	if th.Mode == "" || th.Mode == hub.ThinkOff {
		return
	}
	forced := w.r.Choice.Mode == hub.ChoiceRequired || w.r.Choice.Mode == hub.ChoiceNamed
	switch {
	case forced && w.caps.Thinking != caps.ThinkNone:
		w.c.Drop("reasoning_effort")
	case w.caps.Thinking == caps.ThinkAdaptive:
		w.adaptive = true
		if level := th.Level(); level != "" {
			w.effort = caps.Nearest(level, w.caps.Levels)
		}
	case w.caps.Thinking == caps.ThinkBudget && !w.openLoop():
		n := w.wishedBudget(th)
		if !explicit {
			w.maxTokens = min(ceiling, n+room)
		}
		if n = min(n, w.maxTokens-minBudget); n >= minBudget {
			w.budget = n
		} else {
			w.c.Drop("reasoning_effort")
		}
	default:
		w.c.Drop("reasoning_effort")
	}
}

func (w *writer) wishedBudget(th hub.Thinking) int64 {
	n := int64(autoBudget)
	switch th.Mode {
	case hub.ThinkBudget:
		n = th.Budget
	case hub.ThinkEffort:
		n = caps.Budget(th.Effort)
	}
	return max(minBudget, n)
}

// openLoop tells whether a tool loop is open whose assistant turn lost its thinking
// (H-6).
func (w *writer) openLoop() bool {
	n := len(w.turns)
	if n < 2 || w.turns[n-1].Assistant || w.r.Messages[w.turns[n-1].From].Role != hub.Tool {
		return false
	}
	return len(w.r.Messages[w.turns[n-2].From].Reasoning) == 0
}

func (w *writer) thinking(dst []byte) []byte {
	switch {
	case w.budget > 0:
		dst = append(jsn.AppendKey(dst, "thinking"), `{"type":"enabled"`...)
		dst = append(jsn.AppendIntMember(dst, "budget_tokens", w.budget), '}')
	case w.adaptive && w.caps.AdaptiveOnly:
		dst = append(jsn.AppendKey(dst, "thinking"), `{"type":"adaptive","display":"summarized"}`...)
	case w.adaptive:
		dst = append(jsn.AppendKey(dst, "thinking"), `{"type":"adaptive"}`...)
	}
	return dst
}

// sampling writes temperature, top_p and top_k as far as model and thinking allow
// (L-2, H-3).
func (w *writer) sampling(dst []byte) []byte {
	r := w.r
	temperature, topP, topK := hub.Clamp(r.Temperature, 0, 1), hub.Clamp(r.TopP, 0, 1), r.TopK
	if w.budget > 0 || w.adaptive {
		temperature, topK = nil, nil
		if f, _ := jsn.Float(topP); f < 0.95 {
			topP = nil
		}
	}
	if w.caps.Exclusive && temperature != nil {
		topP = nil
	}
	if w.caps.NoSampling {
		temperature, topP, topK = nil, nil, nil
	}
	for _, f := range [...]struct {
		name     string
		got, out []byte
	}{{"temperature", r.Temperature, temperature}, {"top_p", r.TopP, topP}, {"top_k", r.TopK, topK}} {
		if f.out == nil {
			w.c.DropIf(f.name, f.got)
		}
		dst = jsn.AppendMember(dst, f.name, f.out)
	}
	return dst
}

func (w *writer) rest(dst []byte) []byte {
	r := w.r
	open := false
	for _, s := range r.Stop {
		if w.t.Blank(s) {
			w.c.Drop("stop")
			continue
		}
		if !open {
			dst = append(jsn.AppendKey(dst, "stop_sequences"), '[')
			open = true
		}
		dst = jsn.AppendStr(jsn.Sep(dst), s)
	}
	if open {
		dst = append(dst, ']')
	}
	user := r.User
	if len(user) == 0 {
		user = r.SafetyIdentifier
	}
	if len(user) > 0 {
		dst = append(jsn.AppendKey(dst, "metadata"), '{')
		dst = append(jsn.AppendStrMember(dst, "user_id", user), '}')
	}
	native := w.nativeFormat()
	if w.effort != "" || native {
		dst = append(jsn.AppendKey(dst, "output_config"), '{')
		if w.effort != "" {
			dst = jsn.AppendStringMember(dst, "effort", w.effort)
		}
		if native {
			dst = append(jsn.AppendKey(dst, "format"), `{"type":"json_schema","schema":`...)
			dst = append(appendOutputSchema(dst, r.Format.Schema), '}')
		}
		dst = append(dst, '}')
	}
	if r.Stream {
		dst = jsn.AppendBoolMember(dst, "stream", true)
	}
	return dst
}

// nativeFormat tells whether the model has structured output for the client's wish
// (J-2).
func (w *writer) nativeFormat() bool {
	return w.r.Format.Kind == hub.FormatSchema && w.caps.Structured
}

// dropRest reports what has no counterpart here (L-4).
func (w *writer) dropRest() {
	hub.DropLost(w.c, w.r, Name, "max_tokens", "temperature", "top_p", "top_k", "stop", "response_format", "tool_choice",
		"parallel_tool_calls", "reasoning_effort", "cache_control", "user", "safety_identifier")
}
