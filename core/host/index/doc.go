// Package index reads and writes lists of plugins: an index.json and its
// signature, static files that anyone can publish.
//
//	x, err := index.Open(raw, signature, keys, now)      // form, signature, expiry
//	err = x.NotBefore(lastSerial)                        // it may not go back
//	p, v := x.Choose("acme/llm", "^1.2", index.Any)      // newest version that fits
//
// An index names versions with digests, signers, capabilities and where their
// files are. A serial that only rises and a date of expiry keep an attacker from
// showing an old list for ever; keys it lists itself are accepted the next time,
// which is how keys are exchanged.
package index
