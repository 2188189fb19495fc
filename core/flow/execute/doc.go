// Package execute is the fourth stage of the flow: it gets the answer.
//
// The attempt loop (loop.go) walks the targets that decide left and, within each,
// the accounts that the rules pick, until one answers or the rules say stop. One
// attempt (attempt.go) shapes the request for its target, asks the executor for a
// plan, fills in the secrets, sends it and judges what came back.
//
// The commit point is in live.go: the head of a stream is held back until it is
// content, an error or the end, so a stream that starts badly still falls over.
// Once content is in the answer nothing falls over any more; penalties are
// applied all the same.
//
//	loop.go       targets, accounts, waits, the final answer
//	attempt.go    one account of one target: plan, send, judge, penalties
//	facts.go      accounts, failures and breakers as rules see them
//	request.go    the body for a target: as it came, or translated
//	shape*.go     what rules change in a request: thinking, system text, context
//	send.go       proxies, base URLs, clocks
//	answer.go     whole answers, and streams collected into one
//	live.go       streamed answers
//	chain.go      executor and translator that a stream passes through
//	spread.go     whole answers cut into a stream; canned replies
//	local.go      answers that an executor makes without any upstream
//	count.go      token counts
//	watch*.go     what an event of each dialect means: content, end, error, usage
//	learn.go      what response headers tell about limits
package execute
