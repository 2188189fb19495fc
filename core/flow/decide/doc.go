// Package decide is the third stage of the flow: it chooses. The rules of the
// policy set are asked in a fixed order,
//
//	ip -> lockout -> auth -> gate -> idempotency -> bypass
//	   -> ( resolve -> budget -> rewrite )* -> cache -> filter -> order
//
// and every answer is written to the Trace of the call. What comes out is either
// a list of targets in the order in which they shall be tried, or an answer that
// needs no target (a stored one, a canned one), or an error.
//
// The stage holds no state of its own: counters, locks and stored answers belong
// to ledger, health and account.
package decide
