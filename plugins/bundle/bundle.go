// Package bundle carries the built-in plugins: every translator and executor
// below plugins/, linked into one WebAssembly module.
//
//	parts/  the list of parts; a new built-in is added there
//	core/   the main package of the module
//	dist/   the built module, embedded here
//
// `make plugins` builds it. A binary that was built without it works and says
// at start that it has no plugins.
package bundle

import "embed"

//go:embed all:dist
var dist embed.FS

// Core returns the module of the built-in plugins, nil when the binary was
// built without it.
func Core() []byte {
	wasm, err := dist.ReadFile("dist/core.wasm")
	if err != nil {
		return nil
	}
	return wasm
}
