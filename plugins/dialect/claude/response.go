package claude

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// counters are the numbers of a Claude usage object, in streams merged so that the
// last non-null value of each wins (U-4).
type counters struct {
	input, output, read, written int64
	known                        bool
}

func (k *counters) merge(raw []byte) {
	for it := jsn.Object(raw); it.Next(); {
		n, ok := jsn.Int(it.Value())
		if !ok || n < 0 {
			continue
		}
		switch string(it.Key()) {
		case "input_tokens":
			k.input, k.known = n, true
		case "output_tokens":
			k.output, k.known = n, true
		case "cache_read_input_tokens":
			k.read, k.known = n, true
		case "cache_creation_input_tokens":
			k.written, k.known = n, true
		}
	}
}

func (k *counters) usage() hub.Usage {
	u := hub.Usage{Prompt: k.input + k.read + k.written, Completion: k.output, CachedRead: k.read, CacheWrite: k.written, Known: k.known}
	u.Total = u.Sum()
	return u
}

// appendUsage appends a usage object; both cache fields are always there (U-1).
func appendUsage(dst []byte, u *hub.Usage) []byte {
	dst = append(dst, '{')
	dst = jsn.AppendIntMember(dst, "input_tokens", max(u.Prompt-u.CachedRead-u.CacheWrite, 0))
	dst = jsn.AppendIntMember(dst, "cache_creation_input_tokens", u.CacheWrite)
	dst = jsn.AppendIntMember(dst, "cache_read_input_tokens", u.CachedRead)
	dst = jsn.AppendIntMember(dst, "output_tokens", u.Completion)
	return append(dst, '}')
}

// ParseResponse implements hub.Dialect.
func (d dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	body, err := hub.CheckAnswer(body)
	if err != nil {
		return nil, err
	}
	r := &hub.Response{}
	var k counters
	var content []byte
	for it := jsn.Object(body); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			if jsn.StrOf(v).Is("error") {
				return nil, d.ParseError(c, body)
			}
		case "error":
			if !jsn.IsNull(v) && jsn.Get(body, "content") == nil {
				return nil, d.ParseError(c, body)
			}
		case "id":
			r.ID = jsn.StrOf(v).String()
		case "model":
			r.Model = jsn.StrOf(v).String()
		case "content":
			content = v
		case "stop_reason":
			r.NativeFinish = jsn.StrOf(v).String()
		case "stop_sequence":
			r.StopSequence = jsn.StrOf(v)
		case "usage":
			k.merge(v)
		}
	}
	if s := jsn.StrOf(content); len(s) > 0 {
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemText, Text: s})
	}
	var b block
	for it := jsn.Array(content); it.Next(); {
		members := it.Object()
		b.read(&members)
		it.Leave(members.End())
		readItem(c, r, &b)
	}
	if r.NativeFinish == "" && len(r.Items) == 0 {
		return nil, hub.ErrEmpty()
	}
	r.Usage = k.usage()
	r.Finish = hub.FinishOf(r.NativeFinish)
	r.Settle()
	return r, nil
}

func readItem(c *hub.Ctx, r *hub.Response, b *block) {
	switch b.kind {
	case kindText:
		s := b.str(fieldText)
		if n := len(r.Items); n > 0 && r.Items[n-1].Kind == hub.ItemText {
			last := &r.Items[n-1]
			last.Text = append(append(jsn.Str(nil), last.Text...), s...)
		} else if len(s) > 0 {
			r.Items = append(r.Items, hub.Item{Kind: hub.ItemText, Text: s})
		}
	case kindThinking:
		th := hub.Reasoning{Text: b.str(fieldThinking)}
		if s := b.str(fieldSignature); len(s) > 0 {
			th.Sig, th.Provider = s, Name
		}
		if len(th.Text) > 0 || len(th.Sig) > 0 {
			r.Items = append(r.Items, hub.Item{Kind: hub.ItemReasoning, Reasoning: th})
		}
	case kindRedacted:
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemReasoning,
			Reasoning: hub.Reasoning{Redacted: true, Sig: b.str(fieldData), Provider: Name}})
	case kindToolUse:
		call := hub.Call{ID: b.str(fieldID).String(), Name: b.str(fieldName).String(), Args: hub.ArgsValue(b.raw(fieldInput))}
		if call.ID == "" {
			call.ID = c.NewID("toolu_")
		}
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemCall, Call: call})
	}
}

// stopReason maps a finish reason (F-1).
func stopReason(finish string, stop jsn.Str) string {
	switch finish {
	case hub.FinishLength:
		return "max_tokens"
	case hub.FinishTools:
		return "tool_use"
	case hub.FinishFilter:
		return "refusal"
	}
	if len(stop) > 0 {
		return "stop_sequence"
	}
	return "end_turn"
}

func appendStop(dst []byte, finish string, stop jsn.Str) []byte {
	reason := stopReason(finish, stop)
	dst = jsn.AppendStringMember(dst, "stop_reason", reason)
	dst = jsn.AppendKey(dst, "stop_sequence")
	if reason == "stop_sequence" {
		return jsn.AppendStr(dst, stop)
	}
	return append(dst, "null"...)
}

// AppendResponse implements hub.Dialect.
func (dialect) AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	k := readClient(c)
	if k.model == "" {
		k.model = r.Model
	}
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "id", c.MessageID("msg_", r.ID))
	dst = append(dst, `,"type":"message","role":"assistant"`...)
	dst = jsn.AppendStringMember(dst, "model", k.model)
	dst = append(jsn.AppendKey(dst, "content"), '[')
	dst = appendItems(c, dst, r.Items, k.visible)
	dst = append(dst, ']')
	dst = appendStop(dst, r.Finish, r.StopSequence)
	dst = appendUsage(jsn.AppendKey(dst, "usage"), &r.Usage)
	return append(dst, '}'), nil
}

func appendItems(c *hub.Ctx, dst []byte, items []hub.Item, visible bool) []byte {
	var names func(string) string
	var text jsn.Str // the open run of text
	flush := func() {
		if len(text) > 0 {
			dst = append(jsn.Sep(dst), `{"type":"text"`...)
			dst = append(jsn.AppendStrMember(dst, "text", text), '}')
			text = nil
		}
	}
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case hub.ItemText, hub.ItemRefusal:
			text = append(text, it.Text...)
		case hub.ItemImage:
			text = append(text, imageText(&it.Media)...)
		case hub.ItemReasoning:
			th := it.Reasoning
			if !visible || len(th.Text) == 0 && len(th.Sig) == 0 {
				continue
			}
			flush()
			if len(th.Sig) == 0 && i+1 < len(items) && items[i+1].Kind == hub.ItemCall && len(items[i+1].Call.GoogleSig) > 0 {
				continue // written with the signature of the call
			}
			dst = appendForeign(jsn.Sep(dst), &th)
		case hub.ItemCall:
			flush()
			if visible && len(it.Call.GoogleSig) > 0 {
				th := hub.Reasoning{Sig: it.Call.GoogleSig, Provider: "gemini"}
				if i > 0 && items[i-1].Kind == hub.ItemReasoning && len(items[i-1].Reasoning.Sig) == 0 {
					th.Text = items[i-1].Reasoning.Text
				}
				dst = appendForeign(jsn.Sep(dst), &th)
			}
			if names == nil {
				names = repair.Restore(c, toolNames)
			}
			dst = append(jsn.Sep(dst), `{"type":"tool_use"`...)
			dst = jsn.AppendStringMember(dst, "id", it.Call.ID)
			dst = jsn.AppendStringMember(dst, "name", names(it.Call.Name))
			dst = it.Call.Args.AppendObject(jsn.AppendKey(dst, "input"), jsn.Tokens{})
			dst = append(dst, '}')
		}
	}
	flush()
	return dst
}

// imageText is what a client of this format sees of a generated image (M-6).
func imageText(m *hub.Media) jsn.Str {
	mime := m.MIME
	if mime == "" {
		mime = "image/png"
	}
	return jsn.Lit("[image omitted: " + mime + "]")
}

// appendForeign appends reasoning of any provider: Claude's own with its signature
// bare, others with the signature in an envelope (E-1).
func appendForeign(dst []byte, th *hub.Reasoning) []byte {
	if len(th.Sig) > 0 && th.Provider != Name {
		return appendThinking(dst, &hub.Reasoning{Text: th.Text, Sig: envelope.Append(nil, th)})
	}
	return appendThinking(dst, th)
}
