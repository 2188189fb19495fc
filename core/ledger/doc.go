// Package ledger keeps the books: what every request used and cost, who may
// still spend how much, and the log of requests.
//
// Money is exact: [Money] is int64 nano-USD, rates are pico-USD per token, and
// a price nobody knows gives an unknown cost, never zero.
//
//	res, denied := led.Reserve(id, claims)           // atomically, before the request
//	cost := ledger.Cost(usage, target.Model.Price, opt)
//	receipt := led.Settle(entry, res)                // exactly once, afterwards
//	receipt.Wait(ctx)                                // on disk
//
// Settle changes the counters in memory at once and writes row, counters,
// roll-ups, indexes and the end of the reservation in one atomic batch; a writer
// goroutine groups the batches of concurrent requests, and cuts what is too much
// for one. After a crash the counters therefore equal the sum of the rows.
//
// [Ledger.List] pages through the rows from indexes, [Ledger.Usage] sums usage
// over any span by any dimensions from roll-ups that outlive the rows; both in
// bounded time, however many rows there are. [Rebuild] derives indexes anew.
//
// Counters are kept per scope (key:<id>, team:, tag:, user:, provider:,
// account:, model:, combo:, global) in buckets of a minute, an hour, a day and a
// month; [Ledger.Spend] and its siblings answer for calendar and rolling
// windows and fit the facts policies ask for.
package ledger
