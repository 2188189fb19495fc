package gemini

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Envelope is the format of the code assistant back ends: a Gemini request inside
// {"model", "project", "request"}, answers inside {"response"} (GC-1, GC-2). Only
// providers speak it.
type Envelope struct {
	hub.ProviderOnly
	api  *Dialect
	kind string // value of requestType, "" = no such member
}

// NewEnvelope returns the enveloped format of a name, with schemas cleaned to a level.
func NewEnvelope(format string, level Level, requestType string) *Envelope {
	return &Envelope{ProviderOnly: hub.ProviderOnly{Format: format}, api: &Dialect{level: level}, kind: requestType}
}

// AppendRequest implements [hub.Dialect].
func (e *Envelope) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", c.TargetModel(r.Model))
	dst = jsn.AppendStringMember(dst, "project", c.Project)
	if e.kind != "" {
		dst = jsn.AppendStringMember(dst, "requestType", e.kind)
	}
	dst, err := e.api.AppendRequest(c, jsn.AppendKey(dst, "request"), r)
	if err != nil {
		return dst, err
	}
	return append(dst, '}'), nil
}

// AppendPassthrough copies a body that is in the envelope already byte for byte, with
// the model replaced when the call names one.
func (e *Envelope) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	return hub.AppendPatched(dst, body, c.Model), nil
}

// ParseResponse implements [hub.Dialect].
func (e *Envelope) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	return e.api.ParseResponse(c, body)
}

// NewDecoder implements [hub.Dialect].
func (e *Envelope) NewDecoder(c *hub.Ctx) hub.Decoder { return e.api.NewDecoder(c) }
