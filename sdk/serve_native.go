//go:build !wasip1

package sdk

// Serve makes a module's operations available to the gateway. Call it from
// main with a [ProviderPart] or a [Module]. Outside wasm it does nothing, so
// that plugins compile and test natively.
func Serve(Source) {}
