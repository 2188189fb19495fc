// Package archtest proves the direction of imports: which package may know which other one. It has no code
// but a test that reads `go list` and compares every import with the rules written there as data.
//
//	cmd -> boot -> {flow, admin} -> nouns and means -> {config, state, telemetry, fault}
//
// Nouns (account, catalog, health, ledger, oauth, policy) are what decisions are about; means (host, upstream)
// are what carries them out. Neither side knows the other, and doc and fault may be used by anyone. A stage of
// flow never knows another stage. The sdk knows nothing of core, and a plugin knows nothing but the sdk.
package archtest
