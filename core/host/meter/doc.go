// Package meter rewrites WebAssembly modules so that what they do can be
// counted and stopped. Bytes go in, bytes come out; it knows no engine.
//
//	metered, err := meter.Rewrite(wasm)
//
// The output imports one function more, [Module].[Yield] of type () -> i64, and
// exports one mutable i64 global more, [Fuel]. The guest takes its fuel from
// the global as it runs; when none is left it calls the function, whose result
// becomes the new amount. A host that answers no longer (it panics) stops the
// guest, wherever that is: in a loop, in a recursion, in straight code of any
// length.
//
// One unit is charged before each branch back to the head of a loop, at the
// entry of each function that calls others, and in straight code after at most
// [Span] instructions; operations on whole ranges of memory are charged by
// their length. What is left uncharged between two of these is short on every
// way through the code, so that no arrangement of it buys time. Equal calls
// cost equal fuel on every machine.
//
// Code of Go's compiler jumps by a dispatcher: a loop around a branch table,
// also for jumps that lead forward. Those are told apart and cost nothing, for
// they cannot make a loop.
//
// Tables may not grow beyond a million elements, of which the limit of memory
// would not know.
//
// Rewriting is also the check of what a module may be made of: everything
// WebAssembly 2.0 has, and no proposal beyond it. Types of operands are not
// checked here; a compiler does so for the output, and the output is well typed
// exactly if the input is.
//
// Files:
//
//	meter.go    Rewrite; the module around the code
//	sections.go reading sections
//	body.go     function bodies: where to charge
//	op.go       instructions and their immediates
//	reader.go   bytes, numbers, names
package meter
