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
//	host.go        Open, Close, the current generation
//	load.go        file -> verified module; trust rules
//	manifest.go    what a plugin says about itself
//	pack.go        provider packs (*.provider.yaml)
//	watch.go       plugin folder -> new generation
//	generation.go  which module serves which part; routes between formats
//	runtime.go     wazero: compile cache, memory limits
//	pool.go        instances of one module: shards, recycling, rest
//	instance.go    one instance: calls, limits, traps
//	translate.go   requests, answers, error bodies
//	stream.go      stream handles and their replay after a trap
//	executor.go    plans and verdicts, NEED rounds; memo.go remembers plans
//	decode.go      plans and local answers out of records
//	fill.go        secrets and auth directives; edits of the body
//	limits.go      what a plugin may use
//	fuel.go        counting and stopping a guest; metered.go keeps what was metered
//	reset.go       setting an instance back after a call
//	breaker.go     plugins that crash too often
//	interim.go     the interpreter, until a module is compiled
//	imports.go     the functions of the ABI a guest may call
//	wasi.go        the few system calls a guest may make
package host
