package flow

import (
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/policy"
)

// Call is one request on its way through the stages.
type Call = call.Call

// Snapshot is what calls are decided by; immutable, swapped as a whole.
type Snapshot = call.Snapshot

// Settings are what rules read as cfg.*, from the file.
func Settings(f *config.File) *policy.Cfg { return call.Settings(f) }

// NewSnapshot binds a loaded configuration, policy set and catalogue.
func NewSnapshot(conf *config.Snapshot, set *policy.Set, cat *catalog.Catalog) (*Snapshot, error) {
	return call.NewSnapshot(conf, set, cat)
}
