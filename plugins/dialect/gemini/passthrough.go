package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// AppendPassthrough implements [hub.Passthrough]: the body goes as it came, but for
// the model where the body names one (P-1), a client's x_omni (P-3) and reasoning that
// another provider signed (P-7).
func (d *Dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	if _, err := hub.CheckBody(c, body); err != nil {
		return dst, err
	}
	p := patcher{tokens: c.Tokens(), model: c.Model}
	p.request(body, 0)
	return p.Append(dst, body), nil
}

// patcher collects what changes in a request that stays in its format.
type patcher struct {
	hub.Edits
	tokens jsn.Tokens
	model  string
}

// request patches a request that stands at base: the body, or the one inside of a body
// that counts tokens.
func (p *patcher) request(v []byte, base int) {
	w := p.Walk(base)
	for it := jsn.Object(v); it.Next(); {
		val, at := it.Value(), base+it.ValueOffset()
		w.Next(it.KeyOffset(), it.ValueOffset()+len(val))
		key := name(it.Key())
		if key == omniMember {
			w.Cut()
			continue
		}
		w.Keep()
		switch key {
		case "model":
			p.replaceModel(val, at)
		case "contents":
			p.contents(val, at)
		case "generateContentRequest":
			p.request(val, at)
		}
	}
	w.End()
}

// replaceModel names the target model, with the prefix that the client's name had.
func (p *patcher) replaceModel(v []byte, at int) {
	s := jsn.StrOf(v)
	if p.model == "" || s == nil {
		return
	}
	model := p.model
	const models = "models/"
	if p.tokens.HasPrefix(s, models) && !strings.HasPrefix(model, models) {
		model = models + model
	}
	p.Replace(at, at+len(v), jsn.AppendString(nil, model))
}

// contents cuts foreign reasoning, and contents that hold nothing else.
func (p *patcher) contents(v []byte, base int) {
	w := p.Walk(base)
	for it := jsn.Array(v); it.Next(); {
		content := it.Value()
		w.Next(it.ValueOffset(), it.ValueOffset()+len(content))
		kept, cut := p.look(content)
		if cut > 0 && kept == 0 {
			w.Cut()
			continue
		}
		w.Keep()
		if cut > 0 {
			p.content(content, base+it.ValueOffset())
		}
	}
	w.End()
}

// look counts the parts of a content that stay as they are or change, and those that
// change or go.
func (p *patcher) look(content []byte) (kept, changed int) {
	for it := jsn.Array(member(content, "parts")); it.Next(); {
		foreign := p.foreign(it.Value())
		if foreign {
			changed++
		}
		if !foreign || !isThought(it.Value()) {
			kept++
		}
	}
	return kept, changed
}

func (p *patcher) content(v []byte, base int) {
	for it := jsn.Object(v); it.Next(); {
		if name(it.Key()) != "parts" {
			continue
		}
		parts := it.Value()
		at := base + it.ValueOffset()
		w := p.Walk(at)
		for el := jsn.Array(parts); el.Next(); {
			part := el.Value()
			w.Next(el.ValueOffset(), el.ValueOffset()+len(part))
			switch {
			case !p.foreign(part):
				w.Keep()
			case isThought(part):
				w.Cut()
			default:
				w.Keep()
				p.withoutSignature(part, at+el.ValueOffset())
			}
		}
		w.End()
	}
}

func (p *patcher) withoutSignature(part []byte, base int) {
	w := p.Walk(base)
	for it := jsn.Object(part); it.Next(); {
		w.Next(it.KeyOffset(), it.ValueOffset()+len(it.Value()))
		if name(it.Key()) == "thoughtSignature" {
			w.Cut()
		} else {
			w.Keep()
		}
	}
	w.End()
}

// foreign tells whether a part carries the envelope of another provider's signature.
func (p *patcher) foreign(part []byte) bool {
	_, ok := envelope.OpenBase64(p.tokens, jsn.StrOf(member(part, "thoughtSignature")))
	return ok
}

func isThought(part []byte) bool { return jsn.IsTrue(member(part, "thought")) }
