package cases

// gemini checks the GenerateContentResponse stream grammar.
func (g *grammar) gemini(events []Event, data []Value) {
	for i, e := range events {
		last := i == len(events)-1
		if e.Name != "" {
			g.bad(i, "has an event name %q", e.Name)
		}
		v := data[i]
		if e.Done() {
			g.bad(i, "[DONE] does not exist in this format")
			continue
		}
		if present(v, "error") {
			if !last {
				g.bad(i, "an error that is not the last event")
			}
			if !kindAt(v, "error.code", Number) || !kindAt(v, "error.message", String) || textAt(v, "error.status") == "" {
				g.bad(i, "an error needs code, message and status")
			}
			continue
		}
		g.geminiChunk(i, last, v)
	}
}

func (g *grammar) geminiChunk(i int, last bool, v Value) {
	candidates, _ := v.Get("candidates")
	if candidates.Kind != Array || len(candidates.Items) == 0 {
		g.bad(i, "no candidates")
		return
	}
	c := candidates.Items[0]
	if textAt(c, "content.role") != "model" {
		g.bad(i, "content has no role model")
	}
	parts, ok := at(c, "content.parts")
	if !ok || parts.Kind != Array {
		g.bad(i, "content has no parts")
	}
	for _, p := range parts.Items {
		if call, ok := p.Get("functionCall"); ok && !kindAt(call, "args", Object) {
			g.bad(i, "functionCall.args is no object")
		}
	}
	switch finished := present(c, "finishReason"); {
	case finished && !last:
		g.bad(i, "finishReason before the last chunk")
	case !finished && last:
		g.bad(i, "the last chunk has no finishReason")
	}
	if last && !kindAt(v, "usageMetadata", Object) {
		g.bad(i, "the last chunk has no usageMetadata")
	}
}
