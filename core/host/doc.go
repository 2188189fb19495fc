// Package host runs plugins: WebAssembly modules that translate between wire
// formats and plan upstream calls. It is the only package that imports wazero.
//
//	h, err := host.Open(ctx, host.Options{Core: bundle.Core(), Dir: "plugins"})
//	<-h.Ready()
//	gen := h.Current()          // pins one generation of plugins
//	defer gen.Release()
//	out, err := gen.Request(ctx, host.Translation{From: "claude", To: "openai", Body: skeleton, Blobs: doc})
//
// A guest does no I/O and sees no secret. What it wants done it returns as a
// [Plan]; [Fill] puts secrets into a plan, and the caller sends it.
//
// Files:
//
//	host.go       Open, Close, the current generation
//	load.go       file -> verified module; trust rules
//	watch.go      plugin directory -> new generation
//	generation.go routing of translations and parts within one generation
//	pool.go       instances of one module: shards, recycling
//	instance.go   one instance: calls, limits, traps
//	stream.go     stream handles and their replay after a trap
//	wasi.go       the few system calls a guest may make
//	imports.go    the functions of the ABI a guest may call
//	plan.go fill.go result.go executor.go   effects and their secrets
package host
