// Package conform holds a plugin against what every plugin has to keep to:
// that it describes itself as its manifest does, answers what it does not know
// with a proper error, survives cut and broken input, gives equal output for
// equal input, keeps streams apart and their memory flat, and asks for nothing
// that its manifest does not name.
//
//	report := conform.Run(conform.Plugin{Manifest: manifest, Cases: cases, Start: start})
//
// The plugin's recorded cases are its inputs; without any, synthetic ones are
// used. `omniroute plugin conform` runs the kit in WebAssembly,
// plugintest.Conform natively.
package conform
