package decide

import (
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
)

// Listing is one row of the model list.
type Listing = catalog.Listing

// Models lists the models that the key of an admitted call may use: those that
// the gate would let pass. full lists hidden ones too, and those of providers
// without an account.
func (s *Stage) Models(c *call.Call, full bool) []Listing {
	opt := catalog.ListOptions{Full: full, Active: s.Pool.Active}
	if c.Key != nil && len(c.Key.Models) > 0 {
		opt.Allow = func(id string) bool { return policy.GlobAny(c.Key.Models, id) }
	}
	return c.Snapshot.Catalog.List(opt)
}
