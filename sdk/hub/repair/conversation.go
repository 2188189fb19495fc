package repair

import (
	"slices"
	"strconv"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// NoResult is the text of the result that an unanswered call is given.
const NoResult = "[no result]"

// Filler is the text of turns that a strict target needs.
const Filler = "Continue."

const bookkeeping = "x-anthropic-billing-header:"

// Options steer [Conversation].
type Options struct {
	// NoBlank removes texts of nothing but white space, for targets that refuse them.
	NoBlank bool
}

// DropBookkeeping removes system parts that change with each request and would
// destroy prefix caching upstream (S-2).
func DropBookkeeping(c *hub.Ctx, r *hub.Request) {
	t := c.Tokens()
	for i := range r.Messages {
		m := &r.Messages[i]
		if !IsSystem(m) {
			continue
		}
		m.Parts = slices.DeleteFunc(m.Parts, func(p hub.Part) bool {
			return p.Kind == hub.PartText && t.HasPrefix(p.Text, bookkeeping)
		})
	}
}

// IsSystem tells whether m is a system or developer message.
func IsSystem(m *hub.Message) bool { return m.Role == hub.System || m.Role == hub.Developer }

// Conversation applies and gives every call an id (N-6).
func Conversation(c *hub.Ctx, r *hub.Request, o Options) {
	t := c.Tokens()
	r.Messages = dropEmpty(r.Messages, t, o.NoBlank)
	r.Messages = mergeCalls(r.Messages)
	assignIDs(r.Messages)
	if !paired(r.Messages) {
		r.Messages = pairResults(r.Messages)
	}
	onlySystem(r.Messages)
}

// dropEmpty removes empty texts and the messages they leave empty.
func dropEmpty(ms []hub.Message, t jsn.Tokens, noBlank bool) []hub.Message {
	n := 0
	for i := range ms {
		m := &ms[i]
		m.Parts = fullParts(m.Parts, t, noBlank)
		if len(m.Parts) == 0 && m.Role != hub.Tool && len(m.Calls) == 0 && len(m.Reasoning) == 0 {
			continue
		}
		if n != i {
			ms[n] = *m
		}
		n++
	}
	clear(ms[n:])
	return ms[:n]
}

// fullParts removes the empty texts of parts.
func fullParts(parts []hub.Part, t jsn.Tokens, noBlank bool) []hub.Part {
	n := 0
	for i := range parts {
		p := &parts[i]
		if p.Kind == hub.PartText && len(p.Sig) == 0 && (len(p.Text) == 0 || noBlank && t.Blank(p.Text)) {
			continue
		}
		if n != i {
			parts[n] = *p
		}
		n++
	}
	return parts[:n]
}

// mergeCalls joins an assistant message to the one before it when that has calls, so
// that calls spread over neighbours are one batch.
func mergeCalls(ms []hub.Message) []hub.Message {
	n := 0
	for i := range ms {
		m := &ms[i]
		if n > 0 && m.Role == hub.Assistant && ms[n-1].Role == hub.Assistant && len(ms[n-1].Calls) > 0 {
			prev := &ms[n-1]
			prev.Parts = JoinTexts(prev.Parts, m.Parts)
			prev.Reasoning = append(prev.Reasoning, m.Reasoning...)
			prev.Calls = append(prev.Calls, m.Calls...)
			continue
		}
		if n != i {
			ms[n] = *m
		}
		n++
	}
	clear(ms[n:])
	return ms[:n]
}

// JoinTexts appends the parts of a second message to those of a first, with a part
// holding a blank line between them (RS-3).
func JoinTexts(a, b []hub.Part) []hub.Part {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	out := make([]hub.Part, 0, len(a)+1+len(b))
	out = append(out, a...)
	out = append(out, hub.Part{Kind: hub.PartText, Text: jsn.Str(`\n\n`)})
	return append(out, b...)
}

// assignIDs gives ids to calls without one and tells equal ids of a batch apart
// (N-6). Results keep what they have; pairResults hands them out.
func assignIDs(ms []hub.Message) {
	for i := range ms {
		for j := range ms[i].Calls {
			if call := &ms[i].Calls[j]; call.ID == "" {
				call.ID = "call_m" + strconv.Itoa(i) + "_t" + strconv.Itoa(j)
			}
		}
	}
}

// batch is the calls of one assistant message with the results found for them.
type batch struct {
	calls   []hub.Call
	asked   []string // ids as the client wrote them
	results []hub.Message
	have    []bool
}

// reset makes b the batch of calls, keeping its memory.
func (b *batch) reset(calls []hub.Call) {
	b.calls, b.asked = calls, b.asked[:0]
	b.results = append(b.results[:0], make([]hub.Message, len(calls))...)
	b.have = append(b.have[:0], make([]bool, len(calls))...)
	for i := range calls {
		b.asked = append(b.asked, calls[i].ID)
	}
	for i := range calls {
		calls[i].ID = distinct(calls[i].ID, func(id string) bool {
			for j := range calls {
				if j != i && calls[j].ID == id && (j < i || b.asked[j] != b.asked[i]) {
					return true
				}
			}
			return false
		})
	}
}

// distinct returns s, or s with the first suffix _2, _3, … that is not taken.
func distinct(s string, taken func(string) bool) string {
	id := s
	for n := 2; taken(id); n++ {
		id = s + "_" + strconv.Itoa(n)
	}
	return id
}

// take stores a result with its call and reports whether there was one. Equal ids
// are handed out first-in first-out; a later duplicate replaces an earlier one.
func (b *batch) take(m *hub.Message) bool {
	at := -1
	for i := range b.calls {
		if m.CallID != "" && b.asked[i] != m.CallID {
			continue
		}
		if !b.have[i] {
			at = i
			break
		}
		if m.CallID != "" {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	m.CallID, m.Name = b.calls[at].ID, b.calls[at].Name
	b.results[at], b.have[at] = *m, true
	return true
}

// flush appends the results in call order, inventing the missing ones.
func (b *batch) flush(out []hub.Message) []hub.Message {
	for i := range b.calls {
		if !b.have[i] {
			b.results[i] = hub.Message{Role: hub.Tool, CallID: b.calls[i].ID, Name: b.calls[i].Name, IsError: true,
				Parts: []hub.Part{{Kind: hub.PartText, Text: jsn.Str(NoResult)}}}
		}
		out = append(out, b.results[i])
	}
	return out
}

// paired tells whether every call is followed by its result already, in order, which
// is what well-behaved clients send; results get the names of their calls.
func paired(ms []hub.Message) bool {
	for i := 0; i < len(ms); i++ {
		if ms[i].Role == hub.Tool {
			return false
		}
		calls := ms[i].Calls
		if len(calls) == 0 {
			continue
		}
		if len(calls) > maxQuickBatch || i+len(calls) >= len(ms) {
			return false
		}
		for j := range calls {
			m := &ms[i+1+j]
			if m.Role != hub.Tool || m.CallID != calls[j].ID {
				return false
			}
			for k := range j {
				if calls[k].ID == calls[j].ID {
					return false
				}
			}
			m.Name = calls[j].Name
		}
		i += len(calls)
		for j := i + 1; j < len(ms) && ms[j].Role != hub.Assistant; j++ {
			if ms[j].Role == hub.Tool {
				return false
			}
		}
	}
	return true
}

// maxQuickBatch bounds the comparison of ids with each other.
const maxQuickBatch = 16

// pairResults puts results directly behind their calls, answers unanswered
// calls and turns results without a call into user messages.
func pairResults(ms []hub.Message) []hub.Message {
	out := make([]hub.Message, 0, len(ms)+2)
	var b batch
	var lost []bool
	for i := 0; i < len(ms); {
		m := &ms[i]
		i++
		if m.Role == hub.Tool {
			out = append(out, orphan(m))
			continue
		}
		out = append(out, *m)
		if m.Role != hub.Assistant || len(m.Calls) == 0 {
			continue
		}
		b.reset(out[len(out)-1].Calls)
		end := i
		for end < len(ms) && ms[end].Role != hub.Assistant {
			end++
		}
		window := ms[i:end]
		lost = append(lost[:0], make([]bool, len(window))...)
		for k := range window {
			if window[k].Role == hub.Tool {
				lost[k] = !b.take(&window[k])
			}
		}
		out = b.flush(out)
		for k := range window {
			switch {
			case window[k].Role != hub.Tool:
				out = append(out, window[k])
			case lost[k]:
				out = append(out, orphan(&window[k]))
			}
		}
		i = end
	}
	return out
}

func orphan(m *hub.Message) hub.Message {
	what := m.CallID
	if what == "" {
		what = m.Name
	}
	if what == "" {
		what = "unknown"
	}
	parts := make([]hub.Part, 0, len(m.Parts)+1)
	parts = append(parts, hub.Part{Kind: hub.PartText, Text: jsn.Lit("[Tool result for " + what + "]")})
	return hub.Message{Role: hub.User, Parts: append(parts, m.Parts...)}
}

// onlySystem makes the last message the user's when only system text is left.
func onlySystem(ms []hub.Message) {
	for i := range ms {
		if !IsSystem(&ms[i]) {
			return
		}
	}
	if n := len(ms); n > 0 {
		ms[n-1].Role = hub.User
	}
}

// Turn is a maximal run of messages of one side: Messages[From:To].
type Turn struct {
	Assistant bool
	From, To  int
}

// Turns cuts the conversation into turns of alternating sides, adding the
// fillers a strict target needs: a first user turn, and a last one unless the model
// supports prefill. System messages must be gone (see [HoistSystem]).
func Turns(r *hub.Request, prefill bool) []Turn {
	ms := r.Messages
	filler := hub.Message{Role: hub.User, Parts: []hub.Part{{Kind: hub.PartText, Text: jsn.Str(Filler)}}}
	if len(ms) > 0 && ms[0].Role == hub.Assistant {
		ms = slices.Insert(ms, 0, filler)
	}
	if n := len(ms); n > 0 && ms[n-1].Role == hub.Assistant && !(prefill && len(ms[n-1].Parts) > 0) {
		ms = append(ms, filler)
	}
	r.Messages = ms
	var turns []Turn
	for i := range ms {
		side := ms[i].Role == hub.Assistant
		if n := len(turns); n > 0 && turns[n-1].Assistant == side {
			turns[n-1].To = i + 1
			continue
		}
		turns = append(turns, Turn{Assistant: side, From: i, To: i + 1})
	}
	return turns
}

// HoistSystem takes the system and developer messages out of the conversation and
// returns their parts in order. A message that stood behind the conversation's start
// is reported as degraded (S-3).
func HoistSystem(c *hub.Ctx, r *hub.Request) []hub.Part {
	var parts []hub.Part
	out := r.Messages[:0]
	for _, m := range r.Messages {
		if !IsSystem(&m) {
			out = append(out, m)
			continue
		}
		if len(out) > 0 {
			c.Drop(m.Role)
		}
		parts = append(parts, m.Parts...)
	}
	clear(r.Messages[len(out):])
	r.Messages = out
	return parts
}
