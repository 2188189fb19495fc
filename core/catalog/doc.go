// Package catalog knows which models exist, who offers them, what they cost and
// what they are called.
//
// A [Catalog] is an immutable picture built by [Build] from five sources, later
// ones over earlier ones: the embedded provider data, the providers of plugins,
// omniroute.yaml, and the entries made by command or API and kept in the store
// ([Stored], see [Repo]). It is rebuilt and swapped when one of them changes.
//
//	cat, diags := catalog.Build(catalog.Inputs{Config: snap.File, Plugins: parts, Stored: stored})
//	res, err := cat.Resolve(catalog.Query{Model: "fast(high)", Active: accounts.Active})
//	for _, t := range res.Targets { ... }
//
// Resolve turns what a client typed into the ordered list of targets: combos,
// then aliases (exact before wildcard, followed through chains), then
// "provider/model", then bare names. Errors are *fault.Error.
package catalog
