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
	created := r.Created
	if created == 0 {
		created = c.Now()
	}
	dst = k.head(dst, c.MessageID("resp_", r.ID), r.Model, created, status, r.Finish, nil)
	dst = append(jsn.AppendKey(dst, "output"), '[')
	for i := range r.Items {
		it := r.Items[i]
		itemStatus := completed
		if i == len(r.Items)-1 {
			itemStatus = status
		}
		if it.Kind == hub.ItemCall && len(it.Call.GoogleSig) > 0 {
			dst = k.carrier(dst, r.Items[:i], it.Call.GoogleSig)
		}
		if it.Kind == hub.ItemReasoning && i+1 < len(r.Items) && carries(&it, &r.Items[i+1]) {
			it.Reasoning.Sig, it.Reasoning.Provider = r.Items[i+1].Call.GoogleSig, "gemini"
		}
		dst = k.outputItem(dst, &it, itemStatus, r.Logprobs)
	}
	dst = append(dst, ']')
	dst = appendUsage(jsn.AppendKey(dst, "usage"), &r.Usage)
	return append(dst, '}'), nil
}

// carries tells whether a reasoning item takes the signature of the call behind it
// (E-4): it does when it has none itself.
func carries(it, next *hub.Item) bool {
	return it.Kind == hub.ItemReasoning && len(it.Reasoning.Sig) == 0 && len(it.Reasoning.Text) > 0 &&
		next.Kind == hub.ItemCall && len(next.Call.GoogleSig) > 0
}

// carrier appends the item in which the signature of a call travels, unless the item
// before the call carries it.
func (k *client) carrier(dst []byte, before []hub.Item, sig jsn.Str) []byte {
	call := hub.Item{Kind: hub.ItemCall, Call: hub.Call{GoogleSig: sig}}
	if n := len(before); !k.sealed || n > 0 && carries(&before[n-1], &call) {
		return dst
	}
	return k.reasoningItem(jsn.Sep(dst), k.ctx.NewID("rs_"), "", &hub.Reasoning{Sig: sig, Provider: "gemini"})
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
		return k.reasoningItem(jsn.Sep(dst), k.ctx.NewID("rs_"), cutStatus(status), &it.Reasoning)
	case hub.ItemCall:
		o := k.call(it.Call.ID, it.Call.Name)
		args := jsn.Str(k.tokens.AppendQuoted(nil, it.Call.Args.AppendObject(nil, k.tokens)))
		if o.custom {
			args = customInput(k.tokens, args)
		}
		return o.item(jsn.Sep(dst), status, args)
	}
	return dst
}

// cutStatus is the status that a reasoning item shows: none but that it was cut.
func cutStatus(status string) string {
	if status == incomplete {
		return status
	}
	return ""
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
