package gemini

import (
	"math"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	maxStops      = 5  // L-3
	maxCandidates = 8  // L-4
	maxLogprobs   = 20 // L-4
)

// generationConfig writes limits, sampling, output format and thinking; nothing when
// there is nothing to say.
func (w *requestWriter) generationConfig(dst []byte) []byte {
	r := w.req
	at := len(dst)
	dst = append(jsn.AppendKey(dst, "generationConfig"), '{')
	empty := len(dst)
	dst = jsn.AppendMember(dst, "maxOutputTokens", r.MaxTokens)
	dst = jsn.AppendMember(dst, "temperature", hub.Clamp(r.Temperature, 0, 2))
	dst = jsn.AppendMember(dst, "topP", r.TopP)
	dst = jsn.AppendMember(dst, "topK", r.TopK)
	dst = jsn.AppendMember(dst, "presencePenalty", r.PresencePenalty)
	dst = jsn.AppendMember(dst, "frequencyPenalty", r.FrequencyPenalty)
	dst = w.stops(dst)
	if n, ok := jsn.Int(r.N); ok && n > 1 {
		if n > maxCandidates {
			w.ctx.Drop("n")
		}
		dst = jsn.AppendIntMember(dst, "candidateCount", min(n, maxCandidates))
	}
	if seed, ok := jsn.Int(r.Seed); ok && seed >= math.MinInt32 && seed <= math.MaxInt32 {
		dst = jsn.AppendMember(dst, "seed", r.Seed)
	} else {
		w.ctx.DropIf("seed", r.Seed)
	}
	if jsn.IsTrue(r.Logprobs) {
		dst = jsn.AppendBoolMember(dst, "responseLogprobs", true)
		if n, ok := jsn.Int(r.TopLogprobs); ok {
			dst = jsn.AppendIntMember(dst, "logprobs", min(n, maxLogprobs))
		}
	} else {
		w.ctx.DropIf("top_logprobs", r.TopLogprobs)
	}
	dst = w.format(dst)
	dst = w.thinking(dst)
	if len(dst) == empty {
		return dst[:at]
	}
	return append(dst, '}')
}

func (w *requestWriter) stops(dst []byte) []byte {
	stops := w.req.Stop
	if len(stops) == 0 {
		return dst
	}
	if len(stops) > maxStops {
		stops = stops[:maxStops]
		w.ctx.Drop("stop")
	}
	dst = append(jsn.AppendKey(dst, "stopSequences"), '[')
	for _, s := range stops {
		dst = jsn.AppendStr(jsn.Sep(dst), s)
	}
	return append(dst, ']')
}

// format writes the structured output wish (J-2).
func (w *requestWriter) format(dst []byte) []byte {
	f := &w.req.Format
	if f.Kind == "" {
		return dst
	}
	dst = jsn.AppendStringMember(dst, "responseMimeType", "application/json")
	if f.Kind == hub.FormatSchema && !jsn.IsNull(f.Schema) {
		dst = AppendSchema(jsn.AppendKey(dst, "responseSchema"), w.tokens, f.Schema, w.level)
	}
	return dst
}

// thinking writes thinkingConfig for what the model can do (H-7, H-8).
func (w *requestWriter) thinking(dst []byte) []byte {
	t := &w.req.Thinking
	if t.Mode == "" && !w.req.Visible {
		return dst
	}
	at := len(dst)
	dst = append(jsn.AppendKey(dst, "thinkingConfig"), '{')
	switch {
	case w.caps.Thinking == caps.ThinkBudget && (w.caps.Family == "gemini" || w.level == Strict):
		dst = w.budget(dst)
	case w.caps.Thinking == caps.ThinkLevel && w.caps.Family == "gemini":
		dst = w.effort(dst)
	default:
		if t.Mode != "" && t.Mode != hub.ThinkOff {
			w.ctx.Drop("reasoning_effort")
		}
		return dst[:at]
	}
	if t.Mode != hub.ThinkOff {
		dst = jsn.AppendBoolMember(dst, "includeThoughts", true)
	}
	return append(dst, '}')
}

func (w *requestWriter) budget(dst []byte) []byte {
	t, m := &w.req.Thinking, &w.caps
	n := t.Budget
	switch t.Mode {
	case "":
		return dst
	case hub.ThinkAuto:
		return jsn.AppendIntMember(dst, "thinkingBudget", -1)
	case hub.ThinkOff:
		n = 0
	case hub.ThinkEffort:
		n = caps.Budget(t.Effort)
	}
	if n == 0 && m.Zero {
		return jsn.AppendIntMember(dst, "thinkingBudget", 0)
	}
	n = max(n, m.BudgetMin)
	if m.BudgetMax > 0 {
		n = min(n, m.BudgetMax)
	}
	return jsn.AppendIntMember(dst, "thinkingBudget", n)
}

func (w *requestWriter) effort(dst []byte) []byte {
	t, levels := &w.req.Thinking, w.caps.Levels
	level := t.Effort
	switch t.Mode {
	case "", hub.ThinkAuto:
		return dst
	case hub.ThinkOff:
		level = levels[0]
	case hub.ThinkBudget:
		level = caps.Level(t.Budget)
	}
	for _, l := range levels {
		if l == level {
			return jsn.AppendStringMember(dst, "thinkingLevel", level)
		}
	}
	if caps.Known(level) && caps.AtLeast(level, caps.Medium) {
		level = caps.High
	} else {
		level = levels[0]
	}
	return jsn.AppendStringMember(dst, "thinkingLevel", level)
}
