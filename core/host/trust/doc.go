// Package trust decides which plugin files may run and what each may do.
//
//	v, err := policy.Judge(trust.Subject{File: f, Path: "acme.wasm", Item: item, Entry: locked.Find(name)})
//	if err != nil { … }      // it stays out; the error says why and what to do
//	v.Grants                 // what it may do
//	v.Isolation              // how far its streams are kept apart
//
// The decision needs nothing but the file, the operator's policy and the lock
// file: no network, and no instruction of the plugin.
package trust
