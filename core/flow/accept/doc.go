// Package accept is the first stage of the flow: the doors of the gateway.
//
//	app := fiber.New(accept.Config(f))
//	accept.Register(app, f)
//
// A surface (one file each) is a client dialect, a kind of endpoint, and how a
// request of it tells model and stream. [door.open] makes a call of a request:
// body within its limit and decoded, request id, address, client key. From then
// on nothing belongs to fiber any more, which reuses its memory as soon as a
// handler returns.
//
// A whole answer is made within the handler. For a stream the flow runs in a
// goroutine of its own and writes into a pipe that the connection reads from;
// the handler returns when the first bytes are there, or after ten seconds, when
// the client gets status 200 and heartbeats so that it does not give up.
//
// Clients that leave are noticed while they wait (watch.go looks at their
// sockets) and while they read (the pipe is closed); either ends the upstream
// call at once.
package accept
