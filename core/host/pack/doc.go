// Package pack reads and writes plugin files: WebAssembly modules with custom
// sections, and provider packs.
//
//	f, err := pack.Open("acme.wasm", data, sidecar)
//	f.Manifest          // who it is and what it asks for
//	f.ContentDigest     // of the file without its signatures
//	f.FileDigest        // what sha256sum shows
//	f.SignedBy(keys)    // which of these keys vouch for it
//
// A plugin is one file: the module and the custom sections omniroute.manifest,
// omniroute.fixtures (golden vectors with which it tests itself),
// omniroute.readme and, last, omniroute.sig. [Build] makes one out of a plain
// module, [Sign] adds a signature. Nothing here runs a module, and no
// WebAssembly engine is needed.
//
// Signatures are those of minisign: Ed25519 over the BLAKE2b-512 digest of the
// content. Their trusted comment names plugin, version and ABI, and counts only
// for the manifest that says the same, so that a signature cannot be moved to
// another version. The side-car file x.wasm.minisig carries the same bytes and
// can be checked with the minisign tool.
package pack
