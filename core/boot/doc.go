// Package boot puts the gateway together and takes it apart: the only package that knows every other one.
//
//	gw, err := boot.Start(ctx, boot.Options{Config: "omniroute.yaml", Core: bundle.Core, …})
//	…
//	gw.Reload(ctx)      // the new comes up completely, then one pointer is swapped; a failure keeps the old
//	gw.Shutdown(ctx)    // stop accepting, finish streams up to a limit, flush, close
//
// Opening runs from the ground up: configuration, data directory and store, keys, accounts and ledger, plugins,
// policies, catalogue, flow, listener. [Check] does the same as far as it can be done without serving or touching
// the store, and reports every problem. [OpenDesk] is for commands: it administers the running gateway over its
// control socket, or opens the store itself when none runs.
package boot
