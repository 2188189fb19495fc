// Package registry moves plugins over the network, and in and out of OCI
// archives. Only commands use it: a gateway downloads nothing.
//
//	a, err := registry.Pull(ctx, "registry.example/acme/llm:1.2.0", registry.Options{})
//	digest, err := registry.Push(ctx, "registry.example/acme/llm:1.2.0", a, registry.Options{})
//	err = registry.Save("acme.tar", "1.2.0", a)       // an OCI layout, for machines without a network
//	a, err = registry.Load(ctx, "acme.tar", "")
//
// A plugin is an OCI image manifest (version 1.1) with the configuration of the
// CNCF Wasm artifact layout and one layer, the module itself; its signatures are
// a second manifest that refers to it. Images in the older layouts of WebAssembly
// modules are read, too.
package registry
