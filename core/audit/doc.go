// Package audit is the append-only record of what was done to a gateway and what
// it decided against someone: who started it, changed keys, was denied by a
// budget, or made a backup.
//
//	log, err := audit.Open(ctx, store, audit.Options{})
//	log.Write(ctx, audit.Record{Action: audit.KeyCreate, Actor: audit.CLI, Target: audit.Target{Type: "key", ID: key.ID}})
//
// Each record carries the hash of the one before it, so that a record that was
// changed, removed or put in between is found by [Log.Verify]. Writing never fails
// the work it records: what could not be written is told to Options.OnError.
package audit
