// Package caps knows what models can do and maps reasoning efforts.
//
// The knowledge is a table of rows, read from JSON with [Parse]; [Default] is the
// table that comes with the gateway. A model is looked up by the last path segment
// of its name, lower case; the first row that matches wins:
//
//	m := caps.Default().Lookup("anthropic/claude-sonnet-4-5")
//	m.Ceiling // 64000
//
// The effort ladder, budgets and the move to the nearest level a model has are
// plain functions.
package caps
