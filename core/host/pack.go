package host

import (
	"io"
	"os"
	"slices"

	declared "github.com/omniroute/omniroute/core/host/manifest"
)

// provider is a provider pack in service.
type provider struct {
	*declared.Pack
	digest digest
	off    string // why it is switched off, "" = it is not
	listed bool   // the operator has an entry for it
}

func (p *provider) part() Part {
	part := Part{
		Kind: KindProvider, ID: p.ID, Plugin: p.Plugin, Version: p.Version, File: p.File, State: StateActive,
		Alias: p.Alias, Dialect: p.Format, Endpoints: p.Endpoints, Models: p.Models, Profile: p.Profile,
	}
	if p.off != "" {
		part.State, part.Reason = StateDisabled, p.off
	}
	return part
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// readLimited reads a file up to one byte more than the limit, which is enough
// to see that it is too large.
func readLimited(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)+1))
}
