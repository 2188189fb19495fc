// Package geminicli translates the code assistant API that the Gemini CLI speaks: the
// Gemini format inside an envelope (GC-1, GC-2).
//
// It is a provider format only: no client speaks it.
package geminicli

import (
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Dialect is the enveloped Gemini format. Use [New].
type Dialect struct{ *gemini.Dialect }

// New returns the dialect.
func New() hub.Dialect { return &Dialect{gemini.WithLevel(gemini.Public)} }

// Name implements [hub.Dialect].
func (d *Dialect) Name() string { return "gemini-cli" }

// AppendRequest writes {"model", "project", "request"}; request is the Gemini body.
func (d *Dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	dst = append(dst, '{')
	dst = jsn.AppendStringMember(dst, "model", c.TargetModel(r.Model))
	dst = jsn.AppendStringMember(dst, "project", c.Project)
	dst, err := d.Dialect.AppendRequest(c, jsn.AppendKey(dst, "request"), r)
	if err != nil {
		return dst, err
	}
	return append(dst, '}'), nil
}

// AppendPassthrough copies a body that is in the envelope already, with the model
// replaced.
func (d *Dialect) AppendPassthrough(c *hub.Ctx, dst, body []byte) ([]byte, error) {
	return gemini.AppendEnvelope(c, dst, body), nil
}
