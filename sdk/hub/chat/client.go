package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Name of the format.
const Name = "openai"

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
