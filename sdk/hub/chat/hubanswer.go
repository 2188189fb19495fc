package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ParseResponse implements hub.Dialect.
func (Hub) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	r, err := parseResponse(c, body, false)
	if err != nil {
		return nil, err
	}
	for it := jsn.Object(jsn.Get(jsn.Trim(body), "x_omni")); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "items":
			r.Items = readItems(v, r.Items)
		case "native_finish":
			r.NativeFinish = jsn.StrOf(v).String()
		case "stop_sequence":
			r.StopSequence = jsn.StrOf(v)
		case "finish":
			r.Finish = jsn.StrOf(v).String()
		case "usage_known":
			r.Usage.Known = jsn.IsTrue(v)
		}
	}
	return r, nil
}

// AppendResponse implements hub.Dialect.
func (Hub) AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	plain := *c
	plain.Request, plain.Names = nil, nil
	dst, err := appendResponse(&plain, dst, r, r.ID)
	if err != nil {
		return dst, err
	}
	dst = append(jsn.AppendKey(dst[:len(dst)-1], "x_omni"), `{"items":[`...)
	for i := range r.Items {
		dst = appendItem(jsn.Sep(dst), &r.Items[i])
	}
	dst = append(dst, ']')
	dst = jsn.AppendStringMember(dst, "finish", r.Finish)
	dst = jsn.AppendStringMember(dst, "native_finish", r.NativeFinish)
	if r.StopSequence != nil {
		dst = jsn.AppendStrMember(dst, "stop_sequence", r.StopSequence)
	}
	dst = jsn.AppendBoolMember(dst, "usage_known", r.Usage.Known)
	return append(dst, '}', '}'), nil
}

// appendItem notes what an output item is and, for reasoning, all of it: the order of
// items and the blocks of reasoning have no place in a chat message. Text keeps its
// length, so that runs can be cut apart again.
func appendItem(dst []byte, it *hub.Item) []byte {
	dst = append(dst, '{')
	switch it.Kind {
	case hub.ItemReasoning:
		dst = appendHubReasoning(dst, []hub.Reasoning{it.Reasoning})
	case hub.ItemText:
		dst = jsn.AppendIntMember(dst, "text", int64(len(it.Text)))
		if len(it.Sig) > 0 {
			dst = jsn.AppendStrMember(dst, "sig", it.Sig)
		}
	case hub.ItemRefusal:
		dst = jsn.AppendIntMember(dst, "refusal", int64(len(it.Text)))
	case hub.ItemImage:
		dst = jsn.AppendBoolMember(dst, "image", true)
	case hub.ItemCall:
		dst = jsn.AppendBoolMember(dst, "call", true)
		dst = jsn.AppendBoolMember(dst, "custom", it.Call.Custom)
	}
	return append(dst, '}')
}

// readItems puts the items of a chat message into their order. Text that somebody
// changed in between no longer fits the lengths and is taken as it is.
func readItems(v []byte, items []hub.Item) []hub.Item {
	var text, refusal jsn.Str
	var calls, images []hub.Item
	for i := range items {
		switch items[i].Kind {
		case hub.ItemText:
			text = items[i].Text
		case hub.ItemRefusal:
			refusal = items[i].Text
		case hub.ItemCall:
			calls = append(calls, items[i])
		case hub.ItemImage:
			images = append(images, items[i])
		}
	}
	var out []hub.Item
	var textSum, refusalSum, callSum, imageSum int
	for it := jsn.Array(v); it.Next(); {
		el := it.Value()
		if rs := readHubReasoning(jsn.Get(el, "reasoning")); len(rs) > 0 {
			out = append(out, hub.Item{Kind: hub.ItemReasoning, Reasoning: rs[0]})
		}
		if n, ok := jsn.Int(jsn.Get(el, "text")); ok && n >= 0 && textSum+int(n) <= len(text) {
			out = append(out, hub.Item{Kind: hub.ItemText, Text: text[textSum : textSum+int(n)], Sig: jsn.StrOf(jsn.Get(el, "sig"))})
			textSum += int(n)
		}
		if n, ok := jsn.Int(jsn.Get(el, "refusal")); ok && n >= 0 && refusalSum+int(n) <= len(refusal) {
			out = append(out, hub.Item{Kind: hub.ItemRefusal, Text: refusal[refusalSum : refusalSum+int(n)]})
			refusalSum += int(n)
		}
		if jsn.IsTrue(jsn.Get(el, "image")) && imageSum < len(images) {
			out = append(out, images[imageSum])
			imageSum++
		}
		if jsn.IsTrue(jsn.Get(el, "call")) && callSum < len(calls) {
			call := calls[callSum]
			call.Call.Custom = jsn.IsTrue(jsn.Get(el, "custom"))
			out = append(out, call)
			callSum++
		}
	}
	if textSum != len(text) || refusalSum != len(refusal) || callSum != len(calls) || imageSum != len(images) {
		return items
	}
	return out
}

// NewDecoder implements hub.Dialect. Streams of plain chat chunks, as executors of
// other wires emit them, are read as well.
func (Hub) NewDecoder(c *hub.Ctx) hub.Decoder { return &hubDecoder{d: newDecoder(c, false)} }

// hubDecoder adds x_omni to the decoder of chat chunks.
type hubDecoder struct {
	d    *decoder
	out  hub.Chunk
	stop jsn.Str
	nat  *string // nil = not said
	emit func(*hub.Chunk)
}

// Decode implements hub.Decoder.
func (h *hubDecoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	if h.d.done {
		return
	}
	h.emit = emit
	data := jsn.Trim(ev.Data)
	omni := jsn.Get(data, "x_omni")
	if omni == nil || jsn.Valid(data) != nil {
		h.d.Decode(ev, h.pass)
		return
	}
	if jsn.Get(data, "error") != nil {
		h.d.emit = emit
		h.d.fail(readHubError(0, data))
		return
	}
	if s := jsn.StrOf(jsn.Get(omni, "native_finish")); s != nil {
		native := s.String()
		h.nat = &native
	}
	if s := jsn.StrOf(jsn.Get(omni, "stop_sequence")); s != nil {
		h.stop = append(jsn.Str{}, s...)
	}
	h.d.Decode(ev, h.pass)
	if h.d.done {
		return
	}
	h.out = hub.Chunk{}
	for it := jsn.Object(omni); it.Next(); {
		v := it.Value()
		n, isInt := jsn.Int(v)
		switch string(it.Key()) {
		case "sig":
			h.out.Kind, h.out.Text = hub.ChunkSignature, jsn.StrOf(v)
		case "text_sig":
			h.out.Kind, h.out.Text = hub.ChunkTextSig, jsn.StrOf(v)
		case "redacted":
			h.out.Kind, h.out.Text = hub.ChunkRedacted, jsn.StrOf(v)
		case "provider":
			h.out.Provider = jsn.StrOf(v).String()
		case "reasoning_end":
			h.out.Kind = hub.ChunkReasoningEnd
		case "call_end":
			if at := h.d.find(n, "", false); isInt && at >= 0 {
				h.out.Kind, h.out.Call = hub.ChunkCallEnd, at
			}
		case "custom":
			if at := h.d.find(n, "", false); isInt && at >= 0 {
				h.out.Kind, h.out.Call, h.out.Custom = hub.ChunkCallStart, at, true
			}
		}
	}
	if h.out.Kind != hub.ChunkStart {
		h.d.output = true
		emit(&h.out)
	}
}

// pass completes the finish chunk by what x_omni said.
func (h *hubDecoder) pass(ch *hub.Chunk) {
	if ch.Kind == hub.ChunkFinish {
		if h.nat != nil {
			ch.Native = *h.nat
		}
		ch.StopSequence = h.stop
	}
	h.emit(ch)
}

// End implements hub.Decoder.
func (h *hubDecoder) End(emit func(*hub.Chunk)) {
	h.emit = emit
	h.d.End(h.pass)
}

// NewEncoder implements hub.Dialect.
func (Hub) NewEncoder(c *hub.Ctx) hub.Encoder { return &hubEncoder{e: encoder{c: c, keepID: true}} }

// hubEncoder writes chunks one to one, as they come.
type hubEncoder struct {
	e encoder
}

// Encode implements hub.Encoder.
func (h *hubEncoder) Encode(ch *hub.Chunk, emit func(hub.Event)) error {
	e := &h.e
	if e.done {
		return nil
	}
	e.emit = emit
	switch ch.Kind {
	case hub.ChunkCallStart:
		h.callStart(ch)
	case hub.ChunkCallArgs:
		if len(ch.Raw) > 0 {
			quoted := hub.Chunk{Kind: ch.Kind, Call: ch.Call, Text: jsn.Tokens{}.AppendQuoted(nil, ch.Raw)}
			ch = &quoted
		}
		e.take(ch)
	case hub.ChunkSignature, hub.ChunkRedacted:
		key := "sig"
		if ch.Kind == hub.ChunkRedacted {
			key = "redacted"
		}
		h.omni(func(b []byte) []byte {
			b = jsn.AppendStrMember(b, key, ch.Text)
			return jsn.AppendStringMember(b, "provider", ch.Provider)
		})
	case hub.ChunkTextSig:
		h.omni(func(b []byte) []byte { return jsn.AppendStrMember(b, "text_sig", ch.Text) })
	case hub.ChunkReasoning:
		if len(ch.Text) > 0 {
			e.ended = false
			e.reasoning(ch.Text)
		}
	case hub.ChunkReasoningEnd:
		h.omni(func(b []byte) []byte { return jsn.AppendBoolMember(b, "reasoning_end", true) })
	case hub.ChunkCallEnd:
		h.omni(func(b []byte) []byte { return jsn.AppendIntMember(b, "call_end", int64(ch.Call)) })
	case hub.ChunkFinish:
		h.finish(ch)
	case hub.ChunkError:
		e.done = true
		if !e.sent {
			return ch.Err
		}
		e.event(appendHubError(e.buf[:0], ch.Err))
	default:
		e.take(ch)
	}
	return nil
}

// callStart sends id and name as far as they are known.
func (h *hubEncoder) callStart(ch *hub.Chunk) {
	e := &h.e
	e.open()
	e.buf = append(e.buf, `"tool_calls":[{`...)
	e.buf = jsn.AppendIntMember(e.buf, "index", int64(ch.Call))
	if ch.CallID != "" {
		e.buf = jsn.AppendStringMember(e.buf, "id", ch.CallID)
	}
	e.buf = append(e.buf, `,"type":"function","function":{`...)
	if ch.Name != "" {
		e.buf = jsn.AppendStringMember(e.buf, "name", ch.Name)
	}
	e.buf = append(e.buf, '}')
	if len(ch.Sig) > 0 {
		e.buf = appendGoogle(e.buf, ch.Sig)
	}
	e.buf = append(e.buf, `}]`...)
	e.flush("")
	if ch.Custom {
		h.omni(func(b []byte) []byte { return jsn.AppendIntMember(b, "custom", int64(ch.Call)) })
	}
}

// omni sends a chunk with an empty delta and the x_omni members that write appends.
func (h *hubEncoder) omni(write func([]byte) []byte) {
	e := &h.e
	e.open()
	e.buf = append(e.buf, `},"finish_reason":null}]`...)
	e.buf = append(jsn.AppendKey(e.buf, "x_omni"), '{')
	e.buf = append(write(e.buf), '}', '}')
	e.event(e.buf)
}

func (h *hubEncoder) finish(ch *hub.Chunk) {
	e := &h.e
	e.open()
	e.done = true
	e.buf = append(e.buf, `},"finish_reason":`...)
	e.buf = append(jsn.AppendString(e.buf, finishReason(ch.Finish)), '}', ']')
	if ch.Usage.Known {
		e.buf = appendUsage(jsn.AppendKey(e.buf, "usage"), &ch.Usage)
	}
	e.buf = append(jsn.AppendKey(e.buf, "x_omni"), '{')
	e.buf = jsn.AppendStringMember(e.buf, "native_finish", ch.Native)
	if ch.StopSequence != nil {
		e.buf = jsn.AppendStrMember(e.buf, "stop_sequence", ch.StopSequence)
	}
	e.event(append(e.buf, '}', '}'))
	e.emit(hub.Event{Data: []byte("[DONE]")})
}
