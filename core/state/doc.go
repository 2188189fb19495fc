// Package state is the durable memory of the gateway: one small key/value
// contract and the engines that fulfil it.
//
// Callers hold a [Store] and never learn which engine stands behind it. The
// contract asks only for what a shared engine (Redis, Valkey) can also give:
// ordered keys, expiry, compare-and-swap, an atomic add, an append log, atomic
// batches and a change feed. Package statetest holds the tests any engine must
// pass.
//
//	dir, err := state.OpenDir("~/.omniroute") // 0700, locked, writable
//	key, err := dir.StorageKey(os.Getenv("OMNIROUTE_STORAGE_KEY"))
//	store, err := state.OpenBadger(dir.Path("badger"), key, state.BadgerOptions{})
//	defer store.Close()
//
// An engine with files of its own may also be a [Maintainer]: it frees space and
// verifies what it holds. [Salvage] takes damaged parts out.
//
// # Durability
//
// A write that returned has been handed to the operating system: it survives
// the death of the process. It survives the loss of power only after Sync, or
// when it was part of a [Batch] marked Durable. Credentials, keys and settled
// spend use durable batches; counters, cooldowns and logs go through a
// [Writer], which coalesces and flushes every 200 ms.
//
// # Keys
//
// Keys are built by [Key]; segments are escaped so that ids may hold any byte.
// Every key starts with the generation of the layout ("1"), so that a later
// layout can be written beside it while it is being migrated:
//
//	1/meta/version                   version of the data
//	1/meta/ledger                    layout of what is derived from the request log
//	1/key/<id>                       client key
//	1/keyuse/<id>                    when a client key was last used
//	1/acct/<id>                      provider account with its credential
//	1/cat/{provider,alias,combo,model,price,chain}/<id>  catalogue entries made by command or API
//	1/d/cool/<account>               condition of an account: cooldown, backoff, last use
//	1/d/mlock/<account>/<model>      model lock
//	1/d/quota/<account>              quota left
//	1/d/ctr/<scope>/<tier>/<bucket>  spend, requests and tokens of a bucket
//	1/d/rsv/<id>                     budget reservation
//	1/u/<time-id>                    usage and request log row
//	1/ut/<time-id>                   stored trace of a request
//	1/ui/<request-id>                request id -> time-id
//	1/ux/<field>/<value>/<time-id>   rows by what lists are filtered by
//	1/uw/<field>/<value>             values that occur
//	1/um/<hour>                      rows of an hour and their bytes
//	1/ur/<tier>/<bucket>/<tuple>     usage rolled up
//	1/a/<number>                     audit record
//
// Lockouts (d/lock), breakers (d/brk), learnt limits (d/lim) and cached responses
// (c) have their names reserved.
package state
