// Package settle is the last stage of the flow: it books a call, exactly once,
// however it ended.
//
// Usage comes from the provider, or is estimated and marked so; from it follow
// the cost, the counters, the settled budgets, the stored answer, the metrics
// and the row of the request log with its Trace. Nothing here can fail a
// request any more.
package settle
