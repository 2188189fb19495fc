package openairesponses

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Name of the format.
const Name = "openai-responses"

type dialect struct{}

// New returns the dialect.
func New() hub.Dialect { return dialect{} }

// Name implements [hub.Dialect].
func (dialect) Name() string { return Name }

// ParseError implements [hub.Dialect].
func (dialect) ParseError(c *hub.Ctx, body []byte) *hub.Error { return hub.ReadError(c.Status, body) }

// AppendError implements [hub.Dialect].
func (dialect) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte {
	return hub.AppendOpenAIError(dst, e)
}

// AppendPassthrough implements [hub.Passthrough]: model replaced, x_omni and
// reasoning items that another provider signed removed (P-1, P-3, P-7).
func (dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return dst, err
	}
	var e hub.Edits
	t := c.Tokens()
	e.Root(body, c.Model, func(key string, v []byte, base int) {
		if key != "input" {
			return
		}
		w := e.Walk(base)
		for it := jsn.Array(v); it.Next(); {
			w.Next(it.ValueOffset(), it.ValueOffset()+len(it.Value()))
			if foreignItem(t, it.Value()) {
				w.Cut()
			} else {
				w.Keep()
			}
		}
		w.End()
	})
	return e.Append(dst, body), nil
}

// foreignItem tells whether an item is reasoning that another provider signed.
func foreignItem(t jsn.Tokens, item []byte) bool {
	if !jsn.StrOf(jsn.Get(item, "type")).Is("reasoning") {
		return false
	}
	_, ok := envelope.Open(t, jsn.StrOf(jsn.Get(item, "encrypted_content")))
	return ok
}
