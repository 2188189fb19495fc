package openai

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Name of the format.
const Name = "openai"

type dialect struct{}

// New returns the dialect.
func New() hub.Dialect { return dialect{} }

// Name implements hub.Dialect.
func (dialect) Name() string { return Name }

// AppendPassthrough implements hub.Passthrough.
func (dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return dst, err
	}
	return hub.AppendPatched(dst, body, c.Model), nil
}

// ParseError implements hub.Dialect.
func (dialect) ParseError(c *hub.Ctx, body []byte) *hub.Error {
	return hub.ReadError(c.Status, body)
}

// AppendError implements hub.Dialect.
func (dialect) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte {
	return hub.AppendOpenAIError(dst, e)
}

// client is what an answer takes from the client's request.
type client struct {
	model string
	usage bool // the usage chunk was asked for
}

func readClient(c *hub.Ctx) client {
	var k client
	for it := jsn.Object(c.Request); it.Next(); {
		switch string(it.Key()) {
		case "model":
			k.model = c.Tokens().Decode(jsn.StrOf(it.Value()))
		case "stream_options":
			k.usage = jsn.IsTrue(jsn.Get(it.Value(), "include_usage"))
		}
	}
	return k
}

// toolNames lists the tool names of the client's request: definitions, then history.
func toolNames(c *hub.Ctx) []string {
	t := c.Tokens()
	var names, history []string
	add := func(list *[]string, v []byte) {
		if s := jsn.StrOf(v); len(s) > 0 {
			*list = append(*list, t.Decode(s))
		}
	}
	for it := jsn.Object(c.Request); it.Next(); {
		switch string(it.Key()) {
		case "tools":
			for el := jsn.Array(it.Value()); el.Next(); {
				def := el.Value()
				for _, path := range [...]string{"function", "custom"} {
					add(&names, jsn.Get(def, path, "name"))
				}
				add(&names, jsn.Get(def, "name"))
			}
		case "functions":
			for el := jsn.Array(it.Value()); el.Next(); {
				add(&names, jsn.Get(el.Value(), "name"))
			}
		case "messages":
			for m := jsn.Array(it.Value()); m.Next(); {
				for el := jsn.Array(jsn.Get(m.Value(), "tool_calls")); el.Next(); {
					add(&history, jsn.Get(el.Value(), "function", "name"))
				}
			}
		}
	}
	return append(names, history...)
}
