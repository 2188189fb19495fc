// Package settle is the last stage of the flow: it books a call, exactly once,
// however it ended.
//
// Usage comes from the provider, or is estimated and marked so; from it follow
// the cost, the counters, the settled budgets, the stored answer, the metrics,
// the row of the request log with its Trace, the stage log, and the first
// warning and refusal of each budget in the audit log. Nothing here can fail a
// request any more.
package settle
