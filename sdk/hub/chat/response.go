package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// official is the one provider of this format whose text never holds think tags.
const official = "openai"

// tagged tells whether reasoning may stand between tags in the text of an answer.
func tagged(c *hub.Ctx) bool {
	return c.Provider != official || len(c.ThinkTags) > 0 || c.ThinkPrefilled
}

// ParseResponse reads a chat completion. Think tags in its text become reasoning
// (W-4).
func ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	return parseResponse(c, body, tagged(c))
}

func parseResponse(c *hub.Ctx, body []byte, tags bool) (*hub.Response, error) {
	body, err := hub.CheckAnswer(body)
	if err != nil {
		return nil, err
	}
	r := &hub.Response{}
	var k counters
	var choice, fail []byte
	for it := jsn.Object(body); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "id":
			r.ID = jsn.StrOf(v).String()
		case "model":
			r.Model = jsn.StrOf(v).String()
		case "created":
			r.Created, _ = jsn.Int(v)
		case "choices":
			if el := jsn.Array(v); el.Next() {
				choice = el.Value()
			}
		case "usage":
			k.merge(v)
		case "x_groq":
			k.merge(jsn.Get(v, "usage"))
		case "error":
			fail = v
		}
	}
	if jsn.KindOf(choice) != jsn.Obj {
		if !jsn.IsNull(fail) {
			return nil, hub.ReadError(c.Status, body)
		}
		return nil, hub.ErrEmpty()
	}
	if err := readChoice(c, r, &k, choice, tags); err != nil {
		return nil, err
	}
	r.Usage = k.usage()
	return r, nil
}

func readChoice(c *hub.Ctx, r *hub.Response, k *counters, choice []byte, tags bool) error {
	var message, fail []byte
	for it := jsn.Object(choice); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "message":
			message = v
		case "finish_reason":
			r.NativeFinish = jsn.StrOf(v).String()
		case "usage":
			k.merge(v)
		case "error":
			fail = v
		case "logprobs":
			if jsn.KindOf(v) == jsn.Obj {
				r.Logprobs = v
			}
		}
	}
	if r.NativeFinish == "error" || !jsn.IsNull(fail) && r.NativeFinish == "" {
		return hub.ReadError(0, choice)
	}
	readMessage(c, r, message, tags)
	if r.NativeFinish == "" && len(r.Items) == 0 {
		return hub.ErrEmpty()
	}
	r.Finish = hub.FinishOf(r.NativeFinish)
	r.Settle()
	return nil
}

func readMessage(c *hub.Ctx, r *hub.Response, message []byte, tags bool) {
	var content, refusal, reasoning, calls, legacy, images []byte
	for it := jsn.Object(message); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "content":
			content = v
		case "refusal":
			refusal = v
		case "reasoning_content":
			if len(jsn.StrOf(v)) > 0 {
				reasoning = v
			}
		case "reasoning":
			if len(jsn.StrOf(v)) > 0 && reasoning == nil {
				reasoning = v
			}
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "images":
			images = v
		}
	}
	addThought := func(s jsn.Str) {
		if n := len(r.Items); n > 0 && r.Items[n-1].Kind == hub.ItemReasoning {
			r.Items[n-1].Reasoning.Text = append(r.Items[n-1].Reasoning.Text, s...)
			return
		}
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemReasoning, Reasoning: hub.Reasoning{Text: append(jsn.Str(nil), s...)}})
	}
	if s := jsn.StrOf(reasoning); s != nil {
		addThought(s)
	}
	text := joinContent(content, r)
	if tags && reasoning == nil && len(text) > 0 {
		think := stream.Splitter(c)
		var plain jsn.Str
		take := func(s jsn.Str) { plain = append(plain, s...) }
		think.Feed(text, take, addThought)
		think.Off(take, addThought)
		text = plain
	}
	if len(text) > 0 {
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemText, Text: text})
	}
	if s := jsn.StrOf(refusal); len(s) > 0 {
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemRefusal, Text: s})
	}
	for it := jsn.Array(images); it.Next(); {
		if m, ok := readImage(it.Value()); ok {
			r.Items = append(r.Items, hub.Item{Kind: hub.ItemImage, Media: m})
		}
	}
	p := parser{c: c, arena: new(hub.Arena)} // answers have no body tokens
	var m hub.Message
	list := jsn.Array(calls)
	p.calls(&m, &list)
	p.legacyCall(&m, legacy)
	for _, call := range m.Calls {
		if call.ID == "" {
			call.ID = c.NewID("call_")
		}
		r.Items = append(r.Items, hub.Item{Kind: hub.ItemCall, Call: call})
	}
}

// joinContent returns content as one text, parts joined without separator (W-3).
// Refusal parts become an item of r.
func joinContent(v []byte, r *hub.Response) jsn.Str {
	if jsn.KindOf(v) != jsn.Arr {
		return jsn.StrOf(v)
	}
	var out jsn.Str
	for it := jsn.Array(v); it.Next(); {
		out = append(out, partText(it.Value())...)
	}
	return out
}

func partText(part []byte) jsn.Str {
	if s := jsn.StrOf(part); s != nil {
		return s
	}
	switch jsn.StrOf(jsn.Get(part, "type")).String() {
	case "text", "output_text", "":
		return jsn.StrOf(jsn.Get(part, "text"))
	case "refusal":
		return jsn.StrOf(jsn.Get(part, "refusal"))
	}
	return nil
}

func readImage(v []byte) (m hub.Media, ok bool) {
	url := jsn.StrOf(jsn.Get(v, "image_url", "url"))
	return imageOf(url), len(url) > 0
}

// AppendResponse writes a chat completion.
func AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	return appendResponse(c, dst, r, c.MessageID("chatcmpl-", r.ID))
}

func appendResponse(c *hub.Ctx, dst []byte, r *hub.Response, id string) ([]byte, error) {
	k := readClient(c)
	model := k.model
	if model == "" {
		model = r.Model
	}
	created := r.Created
	if created == 0 {
		created = c.Now()
	}
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "id", id)
	dst = append(dst, `,"object":"chat.completion"`...)
	dst = jsn.AppendIntMember(dst, "created", created)
	dst = jsn.AppendStringMember(dst, "model", model)
	dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant"`...)
	dst = appendItems(c, dst, r.Items)
	dst = append(dst, '}')
	dst = jsn.AppendKey(dst, "logprobs")
	if r.Logprobs != nil {
		dst = append(dst, r.Logprobs...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = jsn.AppendStringMember(dst, "finish_reason", finishReason(r.Finish))
	dst = append(dst, '}', ']')
	dst = appendUsage(jsn.AppendKey(dst, "usage"), &r.Usage)
	return append(dst, '}'), nil
}

func finishReason(finish string) string {
	if finish == "" || finish == hub.FinishError {
		return hub.FinishStop
	}
	return finish
}

func appendItems(c *hub.Ctx, dst []byte, items []hub.Item) []byte {
	var text, refusal jsn.Str
	var thoughts []hub.Reasoning
	calls, images := 0, 0
	for i := range items {
		switch it := &items[i]; it.Kind {
		case hub.ItemText:
			text = append(text, it.Text...)
		case hub.ItemRefusal:
			refusal = append(refusal, it.Text...)
		case hub.ItemReasoning:
			thoughts = append(thoughts, it.Reasoning)
		case hub.ItemCall:
			calls++
		case hub.ItemImage:
			images++
		}
	}
	dst = jsn.AppendKey(dst, "content")
	if len(text) == 0 && (calls > 0 || len(refusal) > 0) {
		dst = append(dst, "null"...)
	} else {
		dst = jsn.AppendStr(dst, text)
	}
	if len(refusal) > 0 {
		dst = jsn.AppendStrMember(dst, "refusal", refusal)
	} else {
		dst = append(jsn.AppendKey(dst, "refusal"), "null"...)
	}
	if s := hub.JoinReasoning(thoughts); s != nil {
		dst = jsn.AppendStrMember(dst, "reasoning_content", s)
	}
	if images > 0 {
		dst = append(jsn.AppendKey(dst, "images"), '[')
		for i := range items {
			if items[i].Kind == hub.ItemImage {
				dst = appendImage(jsn.Sep(dst), &items[i].Media, -1)
			}
		}
		dst = append(dst, ']')
	}
	if calls > 0 {
		names := repair.Restore(c, toolNames)
		dst = append(jsn.AppendKey(dst, "tool_calls"), '[')
		for i := range items {
			if items[i].Kind == hub.ItemCall {
				call := items[i].Call
				call.Name = names(call.Name)
				dst = AppendCall(dst, jsn.Tokens{}, &call)
				if len(call.GoogleSig) > 0 {
					dst = appendGoogle(dst[:len(dst)-1], call.GoogleSig)
					dst = append(dst, '}')
				}
			}
		}
		dst = append(dst, ']')
	}
	return dst
}

// appendGoogle appends the carrier of a Gemini call signature (E-4).
func appendGoogle(dst []byte, sig jsn.Str) []byte {
	dst = append(dst, `,"extra_content":{"google":{`...)
	dst = jsn.AppendStrMember(dst, "thought_signature", sig)
	return append(dst, '}', '}')
}
