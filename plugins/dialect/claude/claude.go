package claude

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Name of the format.
const Name = "claude"

type dialect struct{}

// New returns the dialect.
func New() hub.Dialect { return dialect{} }

// Name implements hub.Dialect.
func (dialect) Name() string { return Name }

// ParseError implements hub.Dialect.
func (dialect) ParseError(c *hub.Ctx, body []byte) *hub.Error {
	e := hub.ReadError(c.Status, body)
	e.Code, e.NoCode = "", false
	return e
}

// AppendError implements hub.Dialect.
func (dialect) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte {
	dst = append(dst, `{"type":"error","error":{`...)
	dst = jsn.AppendStringMember(dst, "type", hub.ClaudeErrorType(e.Status))
	dst = jsn.AppendStringMember(dst, "message", e.Message)
	dst = append(dst, '}')
	if e.RequestID != "" {
		dst = jsn.AppendStringMember(dst, "request_id", e.RequestID)
	}
	return append(dst, '}')
}

// AppendPassthrough implements hub.Passthrough. Thinking blocks that another provider
// signed are taken out, and messages that hold nothing else (P-7).
func (dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return dst, err
	}
	return hub.AppendPatched(dst, withoutForeign(c.Tokens(), body), c.Model), nil
}

// withoutForeign returns body without foreign thinking blocks: body itself when there
// are none, which is checked first.
func withoutForeign(t jsn.Tokens, body []byte) []byte {
	it := jsn.Object(body)
	var list []byte
	for list == nil && it.Next() {
		if string(it.Key()) == "messages" {
			list = it.Value()
		}
	}
	found := false
	for m := jsn.Array(list); m.Next() && !found; {
		for b := jsn.Array(jsn.Get(m.Value(), "content")); b.Next() && !found; {
			found = foreign(t, b.Value())
		}
	}
	if !found {
		return body
	}
	at := it.ValueOffset()
	out := make([]byte, 0, len(body))
	out = append(append(out, body[:at]...), '[')
	for m := jsn.Array(list); m.Next(); {
		out = appendNative(out, t, m.Value())
	}
	out = append(out, ']')
	return append(out, body[at+len(list):]...)
}

// foreign tells whether a block is thinking that another provider signed.
func foreign(t jsn.Tokens, block []byte) bool {
	return jsn.StrOf(jsn.Get(block, "type")).Is("thinking") &&
		t.HasPrefix(jsn.StrOf(jsn.Get(block, "signature")), envelope.Prefix)
}

// appendNative appends a message without its foreign blocks, nothing if none is left.
func appendNative(dst []byte, t jsn.Tokens, message []byte) []byte {
	for it := jsn.Object(message); it.Next(); {
		if string(it.Key()) != "content" || jsn.KindOf(it.Value()) != jsn.Arr {
			continue
		}
		list := it.Value()
		kept := []byte{'['}
		removed := false
		for b := jsn.Array(list); b.Next(); {
			if foreign(t, b.Value()) {
				removed = true
				continue
			}
			kept = append(jsn.Sep(kept), b.Value()...)
		}
		switch {
		case !removed:
		case len(kept) == 1:
			return dst
		default:
			at := it.ValueOffset()
			dst = append(jsn.Sep(dst), message[:at]...)
			dst = append(append(dst, kept...), ']')
			return append(dst, message[at+len(list):]...)
		}
		break
	}
	return append(jsn.Sep(dst), message...)
}

// client is what an answer takes from the client's request.
type client struct {
	model   string
	visible bool // thinking is shown (V-1)
}

func readClient(c *hub.Ctx) client {
	if len(c.Request) == 0 {
		return client{visible: true}
	}
	var k client
	for it := jsn.Object(c.Request); it.Next(); {
		switch string(it.Key()) {
		case "model":
			k.model = c.Tokens().Decode(jsn.StrOf(it.Value()))
		case "thinking":
			k.visible = visible(it.Value())
		}
	}
	return k
}

// visible tells whether a thinking setting asks for the thinking to be shown.
func visible(thinking []byte) bool {
	switch jsn.StrOf(jsn.Get(thinking, "type")).String() {
	case "enabled", "adaptive", "auto":
		return !jsn.StrOf(jsn.Get(thinking, "display")).Is("omitted")
	}
	return false
}

// toolNames lists the tool names of the client's request: definitions, then history.
func toolNames(c *hub.Ctx) []string {
	t := c.Tokens()
	var names, history []string
	for it := jsn.Object(c.Request); it.Next(); {
		switch string(it.Key()) {
		case "tools":
			for el := jsn.Array(it.Value()); el.Next(); {
				if s := jsn.StrOf(jsn.Get(el.Value(), "name")); len(s) > 0 {
					names = append(names, t.Decode(s))
				}
			}
		case "messages":
			for m := jsn.Array(it.Value()); m.Next(); {
				for b := jsn.Array(jsn.Get(m.Value(), "content")); b.Next(); {
					if jsn.StrOf(jsn.Get(b.Value(), "type")).Is("tool_use") {
						history = append(history, t.Decode(jsn.StrOf(jsn.Get(b.Value(), "name"))))
					}
				}
			}
		}
	}
	return append(names, history...)
}
