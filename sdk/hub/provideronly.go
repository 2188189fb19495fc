package hub

// ProviderOnly gives a dialect the client half of [Dialect] for a format that only
// providers speak: every use of it is an error that says so. Embed it.
type ProviderOnly struct{ Format string }

// Name implements [Dialect].
func (p ProviderOnly) Name() string { return p.Format }

// ParseRequest implements [Dialect].
func (p ProviderOnly) ParseRequest(*Ctx, []byte) (*Request, error) { return nil, p.err() }

// AppendResponse implements [Dialect].
func (p ProviderOnly) AppendResponse(_ *Ctx, dst []byte, _ *Response) ([]byte, error) {
	return dst, p.err()
}

// NewEncoder implements [Dialect].
func (p ProviderOnly) NewEncoder(*Ctx) Encoder { return p }

// Encode implements [Encoder].
func (p ProviderOnly) Encode(*Chunk, func(Event)) error { return p.err() }

// ParseError implements [Dialect].
func (ProviderOnly) ParseError(c *Ctx, body []byte) *Error { return ReadError(c.Status, body) }

// AppendError implements [Dialect].
func (ProviderOnly) AppendError(_ *Ctx, dst []byte, e *Error) []byte {
	return AppendOpenAIError(dst, e)
}

func (p ProviderOnly) err() *Error {
	return BadRequest("unsupported_format", "", "no client speaks the format "+p.Format)
}
