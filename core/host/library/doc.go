// Package library manages installed plugins: the plugin folder, the lock file
// and the versions that are kept beside it. It needs no network and no engine,
// and a gateway that runs over the same folder sees each change by itself.
//
//	lib := &library.Library{Dir: "plugins", Lock: "omniroute.plugins.lock", Trust: policy}
//	out, err := lib.Install(ctx, library.Source{Name: "acme.wasm", Data: data}, library.Options{Accept: asked})
//	if need := (*library.Consent)(nil); errors.As(err, &need) { … }   // show need.Missing, ask, try again
//	lib.Rollback(name); lib.Approve(name, …); lib.Enable(name, false); lib.Remove(name)
//
// Nothing is taken into service that was not agreed on: the first installation
// needs consent to all it asks for, an update that asks for more waits beside
// the version in service until it is approved.
package library
