package host

import (
	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
)

// What plugins say about themselves is read in package manifest.
type (
	manifest = declared.Manifest
	provided = declared.Part
)

// Isolation and recovery of a manifest.
const (
	isolationShared = declared.IsolationShared
	isolationStream = declared.IsolationStream
	isolationCall   = declared.IsolationCall
	recoveryReplay  = declared.RecoveryReplay
)

func parseManifest(raw []byte) (*manifest, error) { return declared.Parse(raw) }

func bodyKind(s string) (abi.BodyKind, bool) { return declared.BodyKind(s) }

// partOf is a part of a module as it is listed.
func partOf(p *provided, m *manifest, file string) Part {
	return Part{
		Kind: p.Kind, ID: p.ID, Plugin: m.Name, Version: m.Version, File: file, State: StateActive,
		Alias: p.Alias, Dialect: p.Dialect, From: p.From, To: p.To, Directions: p.Directions,
		Endpoints: p.Endpoints, Local: p.Local, Models: p.Models, Profile: p.Profile(),
	}
}
