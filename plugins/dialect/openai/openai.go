package openai

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

// Name of the format.
const Name = chat.Name

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

// ParseRequest implements hub.Dialect.
func (dialect) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	return chat.ParseRequest(c, body)
}

// ParseResponse implements hub.Dialect.
func (dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	return chat.ParseResponse(c, body)
}

// AppendResponse implements hub.Dialect.
func (dialect) AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	return chat.AppendResponse(c, dst, r)
}

// NewDecoder implements hub.Dialect.
func (dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return chat.NewDecoder(c) }

// NewEncoder implements hub.Dialect.
func (dialect) NewEncoder(c *hub.Ctx) hub.Encoder { return chat.NewEncoder(c) }

// ParseError implements hub.Dialect.
func (dialect) ParseError(c *hub.Ctx, body []byte) *hub.Error {
	return hub.ReadError(c.Status, body)
}

// AppendError implements hub.Dialect.
func (dialect) AppendError(_ *hub.Ctx, dst []byte, e *hub.Error) []byte {
	return hub.AppendOpenAIError(dst, e)
}
