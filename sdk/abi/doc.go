// Package abi is the binary contract omni_v1 between the gateway and its
// WebAssembly guests: op codes, record tags, the TLV reader and writer, and
// the packed result of a call. It holds bytes only and no behaviour, so both
// sides and every SDK can share it.
//
// A record is a run of
//
//	u16 tag | u16 flags | u32 length | bytes
//
// little endian, without padding. Payloads may be records again. A repeated
// tag is a list. A reader skips tags it does not know unless FlagCritical is
// set, in which case it must refuse the record.
//
// The tags live in tags.json; tags_gen.go is generated from it:
//
//	go generate ./sdk/abi
package abi

//go:generate go run ./gen -in tags.json -out tags_gen.go -table ../fixture/table_gen.go -shells ..
