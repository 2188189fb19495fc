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

import (
	"embed"

	"github.com/klauspost/compress/zstd"
)

//go:embed all:dist
var dist embed.FS

// Core returns core.wasm, the module of the built-in plugins; nil when the
// binary was built without it. It is unpacked at each call: a caller that has
// compiled it can let it go.
func Core() []byte {
	packed, err := dist.ReadFile("dist/core.wasm.zst")
	if err != nil {
		return nil
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil
	}
	defer dec.Close()
	wasm, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return nil
	}
	return wasm
}
