package repair

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// SeeMedia is the text of a result whose media was lifted out of it (M-5).
const SeeMedia = "(see attached media)"

// LiftMedia moves media out of tool results for targets whose results hold text only
// (M-5): one user message behind each batch carries it, named by call. Results must
// stand behind their calls (see [Conversation]).
func LiftMedia(r *hub.Request) {
	if !anyMediaResult(r.Messages) {
		return
	}
	out := make([]hub.Message, 0, len(r.Messages)+1)
	var lifted []hub.Part
	for i := range r.Messages {
		m := r.Messages[i]
		if m.Role != hub.Tool && len(lifted) > 0 {
			out = append(out, hub.Message{Role: hub.User, Parts: lifted})
			lifted = nil
		}
		if m.Role == hub.Tool {
			m.Parts, lifted = liftParts(&m, lifted)
		}
		out = append(out, m)
	}
	if len(lifted) > 0 {
		out = append(out, hub.Message{Role: hub.User, Parts: lifted})
	}
	r.Messages = out
}

func anyMediaResult(ms []hub.Message) bool {
	for i := range ms {
		if ms[i].Role != hub.Tool {
			continue
		}
		for j := range ms[i].Parts {
			if ms[i].Parts[j].Kind != hub.PartText {
				return true
			}
		}
	}
	return false
}

// liftParts splits a result into the text that stays and the media that goes.
func liftParts(m *hub.Message, lifted []hub.Part) (stay, gone []hub.Part) {
	first, hasText := true, false
	for _, p := range m.Parts {
		if p.Kind == hub.PartText {
			stay = append(stay, p)
			hasText = hasText || len(p.Text) > 0
			continue
		}
		if first {
			lifted = append(lifted, hub.Part{Kind: hub.PartText, Text: jsn.Lit("Media returned by tool call " + m.CallID + ":")})
			first = false
		}
		lifted = append(lifted, p)
	}
	if !first && !hasText {
		stay = []hub.Part{{Kind: hub.PartText, Text: jsn.Str(SeeMedia)}}
	}
	return stay, lifted
}
