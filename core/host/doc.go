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
//	candidate.go   files of the plugin folder: what may run, by trust and lock file
//	load.go        file -> module that has been run once
//	pack.go        provider packs (*.provider.yaml)
//	watch.go       plugin folder -> new generation
//	generation.go  which module serves which part; routes between formats
//	runtime.go     wazero: compile cache, memory limits; prune.go bounds the cache
//	pool.go        instances of one module: shards, recycling, rest; turn.go is their lock
//	instance.go    one instance: calls, limits, traps
//	translate.go   requests, answers, error bodies
//	stream.go      stream handles and their replay after a trap
//	executor.go    plans and verdicts, NEED rounds; memo.go remembers plans
//	refresh.go     renewing credentials, asking for quotas
//	exchange.go    tokens that a round of NEED brought
//	decode.go      plans and local answers out of records
//	fill.go        secrets into a plan, derive.go what is made of them; auth.go, sigv4.go, google.go, sign.go its directives
//	reach.go       which hosts a plan may name
//	limits.go      what a plugin may use
//	fuel.go        counting and stopping a guest; metered.go keeps what was metered
//	reset.go       setting an instance back after a call
//	breaker.go     plugins that crash too often
//	interim.go     the interpreter, until a module is compiled
//	imports.go     the functions of the ABI a guest may call; imports_caps.go those that need a grant
//	kv.go          values that plugins store
//	wasi.go        the few system calls a guest may make
//	tap.go         recording of calls; lab.go runs one plugin outside of a gateway
//
// Packages below it: manifest (what a plugin says of itself), pack (the file and
// its signatures), trust, lock, library (installed plugins), index and registry
// (where others are found), meter (the rewriter of modules).
package host
