// Package account owns credentials: the keys clients present to the gateway and
// the accounts the gateway presents to providers.
//
// [Keys] issues, finds and revokes client keys. Verification costs one hash and
// one look-up in memory; the key itself is stored as a hash and, if it shall be
// shown again, as ciphertext.
//
// [Pool] holds the accounts of all providers with everything selection needs:
// cooldowns, backoff, model locks, terminal states, stickiness, session
// affinity and use counts. Choosing happens inside one critical section per
// provider; the chooser is the caller's, so that policies decide:
//
//	lease, err := pool.Reserve(account.Query{Provider: "openai", Model: "gpt-4o"}, func(v []account.View) int {
//		return policySet.Accounts(v) // index, or -1
//	})
//	defer lease.Release()
//	... host.Fill(plan, lease.Secret) ...
//	lease.Succeed()            // or lease.Fail(penalty)
//
// A secret lives only in this package and in the request it is filled into.
package account
