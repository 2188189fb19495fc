// Package flow is the life of one request.
//
//	client ──HTTP──▶ accept        surface, body, request id, address, client key
//	                   │  flow.Call is made; it keeps the Snapshot it started with
//	                   ▼
//	                 canonicalize  facts for the rules; hub document, when needed
//	                   ▼
//	                 decide        rules ─▶ targets in order (or an answer, or a refusal)
//	                   ▼
//	                 execute       target ▶ account ▶ plan ▶ upstream ─┐
//	                   │              ▲                               │ failure:
//	                   │              └──── next account / target ◀───┘ on_error
//	                   │  commit point: the first content; no way back after it
//	                   ▼
//	client ◀──bytes── render       events of the client's dialect, heartbeats, errors
//	                   ▼
//	                 settle        usage, cost, counters, log: exactly once
//
// The stages are packages below this one. They never import each other; what
// they say to one another stands in the Call ([call.Call]), which only grows.
//
//	f := flow.New(flow.Deps{Host: h, Upstream: client, Keys: keys, Pool: pool, …})
//	snap, err := flow.NewSnapshot(conf, policySet, catalogue)
//	f.Swap(snap)                       // again at every reload
//	app := fiber.New(accept.Config(f))
//	accept.Register(app, f)
//
// Stopping: [Flow.Drain] makes /readyz and the gate say no, [Flow.Wait] lets
// running requests end, [Flow.Close] ends those that remain.
package flow
