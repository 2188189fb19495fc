package canonicalize

import (
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/guard"
	"github.com/omniroute/omniroute/core/policy"
)

// inspect asks the input guard about the body, if a rule or a setting wants to
// know. Personal data is taken out before anybody else sees the body.
func (s *Stage) inspect(c *call.Call) {
	pii := c.Snapshot.Config.File.Guard.PII.Requests
	var look guard.Look
	if c.Snapshot.Wants.Guard {
		look |= guard.Injection
	}
	if pii != "" && pii != "off" {
		look |= guard.Personal
	}
	if look == 0 {
		return
	}
	found := guard.Inspect(c.Body, look)
	c.Guard = &policy.Guard{Hits: found.Hits, Severity: found.Severity}
	if pii != "redact" {
		return
	}
	clean, changed := guard.Redact(c.Body, guard.Requests)
	if !changed {
		return
	}
	d, err := doc.Elide(clean, doc.Options{MaxSize: int(c.Snapshot.Config.File.Server.BodyLimit)})
	if err != nil {
		c.Fail(invalid(err))
		return
	}
	c.Body, c.Doc = clean, d
}
