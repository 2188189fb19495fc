// Package manifest reads what a plugin says about itself: the JSON in the
// custom section omniroute.manifest of a module, and the provider packs
// (*.provider.yaml) that need no code.
//
//	m, err := manifest.Parse(raw)
//	asks := m.Asks()                  // capabilities, hosts of base URLs included
//	missing := granted.Missing(asks)  // what an operator has to approve
//
// It runs nothing and needs no WebAssembly engine, so a gateway decides about
// trust before the first instruction of a plugin.
package manifest
