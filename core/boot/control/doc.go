// Package control is the desk behind which a gateway's state is administered: keys, accounts, the request log.
//
// [Desk] is the contract. A running gateway serves it on a Unix socket in its data directory ([Serve]), and
// [Dial] gives the same interface to another process, so that a command need not know whether a server runs:
//
//	desk, err := control.Dial(ctx, filepath.Join(dataDir, control.Socket))
//	if errors.Is(err, control.ErrNoServer) { … open the store … }
//
// The protocol is JSON over HTTP. Whoever can open the socket may administer the gateway; the socket has mode
// 0600 and its directory 0700, so that is the user the gateway runs as.
package control
