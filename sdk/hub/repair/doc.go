// Package repair makes a conversation acceptable for its target.
//
// Clients send conversations that strict providers refuse: results without calls,
// calls without results, empty texts, two turns of one side, names and ids with the
// wrong characters. The functions here mend a [hub.Request] in place; a dialect
// calls them from AppendRequest, in this order:
//
//	repair.DropBookkeeping(c, r)                  // texts that no target but claude wants
//	repair.Conversation(c, r, repair.Options{})   // R-1 … R-6, N-6
//	repair.Turns(r, prefill)                      // R-7, strict targets only
//	repair.Tools(c, r, repair.ToolOptions{})      // T-1, T-4, T-5, T-7
//	repair.Names(c, r, repair.NameRule{})         // N-1, N-2, T-2
//	repair.CallIDs(r, fit)                        // N-4, N-5
package repair
