// Package plugintest tests a plugin in plain `go test`:
//
//	func TestAcme(t *testing.T)     { plugintest.Run(t, P, "testdata") }
//	func TestConforms(t *testing.T) { plugintest.Conform(t, func() sdk.Source { return P }, "testdata") }
//
// Run runs the recorded cases (see package fixture for their form); set
// UPDATE_FIXTURES=1 to write their want files from what the plugin does.
// Every stream is also run with its events in batches of other sizes, and must
// give the same events. Conform holds the plugin against what every plugin has
// to keep to (see package conform).
//
// `omniroute plugin test` and `omniroute plugin conform` do the same with the
// WebAssembly module.
package plugintest
