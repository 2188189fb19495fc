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
	t := c.Tokens()
	input := jsn.Get(body, "input")
	foreign := false
	for it := jsn.Array(input); it.Next(); {
		foreign = foreign || foreignItem(t, it.Value())
	}
	if foreign {
		body = withoutForeign(t, body)
	}
	return hub.AppendPatched(dst, body, c.Model), nil
}

func foreignItem(t jsn.Tokens, item []byte) bool {
	if !jsn.StrOf(jsn.Get(item, "type")).Is("reasoning") {
		return false
	}
	_, ok := envelope.Open(t, jsn.StrOf(jsn.Get(item, "encrypted_content")))
	return ok
}

func withoutForeign(t jsn.Tokens, body []byte) []byte {
	out := append(make([]byte, 0, len(body)), '{')
	for it := jsn.Object(body); it.Next(); {
		out = append(jsn.AppendStr(jsn.Sep(out), it.RawKey()), ':')
		if string(it.Key()) != "input" {
			out = append(out, it.Value()...)
			continue
		}
		out = append(out, '[')
		for el := jsn.Array(it.Value()); el.Next(); {
			if !foreignItem(t, el.Value()) {
				out = append(jsn.Sep(out), el.Value()...)
			}
		}
		out = append(out, ']')
	}
	return append(out, '}')
}
