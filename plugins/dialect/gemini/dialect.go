package gemini

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Dialect is the Gemini wire format. Use [New].
type Dialect struct{ level Level }

// New returns the dialect of the public API.
func New() hub.Dialect { return &Dialect{level: Public} }

// Name implements [hub.Dialect].
func (d *Dialect) Name() string { return "gemini" }

// ParseError implements [hub.Dialect].
func (d *Dialect) ParseError(c *hub.Ctx, body []byte) *hub.Error {
	return hub.ReadError(c.Status, body)
}

// AppendError implements [hub.Dialect].
func (d *Dialect) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte {
	return appendError(dst, e)
}

func appendError(dst []byte, e *hub.Error) []byte {
	status := hub.ClientStatus("gemini", e.Status)
	dst = append(dst, `{"error":{`...)
	dst = jsn.AppendIntMember(dst, "code", int64(status))
	dst = jsn.AppendStringMember(dst, "message", e.Message)
	dst = jsn.AppendStringMember(dst, "status", hub.GoogleStatus(status))
	return append(dst, '}', '}')
}
