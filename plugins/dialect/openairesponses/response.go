package openairesponses

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ParseResponse reads a response object.
func (dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	body, err := hub.CheckAnswer(body)
	if err != nil {
		return nil, err
	}
	col := hub.NewCollector(c)
	d := newDecoder(c)
	d.emit = col.Add
	switch status := jsn.StrOf(jsn.Get(body, "status")); {
	case status.Is(failed), status.Is("cancelled"), jsn.Get(body, "output") == nil && !jsn.IsNull(jsn.Get(body, "error")):
		return nil, hub.ReadError(c.Status, body)
	case jsn.Get(body, "output") == nil:
		return nil, hub.ErrEmpty()
	}
	d.start(body)
	d.terminal(body)
	return col.Response()
}

// AppendResponse writes a response object.
func (dialect) AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	k := newClient(c)
	refused := false
	for i := range r.Items {
		refused = refused || r.Items[i].Kind == hub.ItemRefusal
	}
	status := statusOf(r.Finish, r.NativeFinish, refused)
	dst = k.head(dst, c.MessageID("resp_", r.ID), r.Model, r.Created, status, r.Finish, nil)
	dst = append(jsn.AppendKey(dst, "output"), '[')
	for i := range r.Items {
		itemStatus := completed
		if i == len(r.Items)-1 {
			itemStatus = status
		}
		dst = k.outputItem(dst, &r.Items[i], itemStatus, r.Logprobs)
	}
	dst = append(dst, ']')
	dst = appendUsage(jsn.AppendKey(dst, "usage"), &r.Usage)
	return append(dst, '}'), nil
}

// outputItem appends what an item of the answer becomes.
func (k *client) outputItem(dst []byte, it *hub.Item, status string, logprobs []byte) []byte {
	switch it.Kind {
	case hub.ItemText:
		return messageItem(jsn.Sep(dst), k.ctx.NewID("msg_"), status, "output_text", "text", it.Text, contentLogprobs(logprobs))
	case hub.ItemRefusal:
		return messageItem(jsn.Sep(dst), k.ctx.NewID("msg_"), status, "refusal", "refusal", it.Text, nil)
	case hub.ItemImage:
		return messageItem(jsn.Sep(dst), k.ctx.NewID("msg_"), status, "output_text", "text", imageNote(&it.Media), nil)
	case hub.ItemReasoning:
		if len(it.Reasoning.Text) == 0 && (len(it.Reasoning.Sig) == 0 || !k.sealed) {
			return dst
		}
		return k.reasoningItem(jsn.Sep(dst), k.ctx.NewID("rs_"), "", &it.Reasoning)
	case hub.ItemCall:
		if len(it.Call.GoogleSig) > 0 && k.sealed {
			dst = k.reasoningItem(jsn.Sep(dst), k.ctx.NewID("rs_"), "", &hub.Reasoning{Sig: it.Call.GoogleSig, Provider: "gemini"})
		}
		o := k.call(it.Call.ID, it.Call.Name)
		args := jsn.Str(k.tokens.AppendQuoted(nil, it.Call.Args.AppendObject(nil, k.tokens)))
		if o.custom {
			args = customInput(k.tokens, args)
		}
		return o.item(jsn.Sep(dst), status, args)
	}
	return dst
}

// contentLogprobs takes the token list out of chat completions logprobs.
func contentLogprobs(raw []byte) []byte {
	if v := jsn.Get(raw, "content"); jsn.KindOf(v) == jsn.Arr {
		return v
	}
	return nil
}

// imageNote is the text that stands for a generated image (M-6).
func imageNote(m *hub.Media) jsn.Str {
	mime := m.MIME
	if mime == "" {
		mime = "image"
	}
	return jsn.Lit("[image omitted: " + mime + "]")
}
