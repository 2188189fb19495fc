// Package plugintest runs a plugin's recorded cases in plain `go test`:
//
//	func TestAcme(t *testing.T) { plugintest.Run(t, P, "testdata") }
//
// A case is a folder:
//
//	op           name of the operation: ExPlan, TrRequest, TrOpen, …
//	in.json      its input: an object whose members are named like the tags of
//	             the ABI ("Model", "Stream", "Body", …); repeated tags are arrays
//	config.json  optional: a provider profile the executor is configured with
//	host.json    optional: {"now_ms":…, "seed":…, "blobs":["…"]}
//	in.sse       streams: upstream events; a line "---" ends a batch
//	want.json    the output, in the form of in.json; "isError" marks an error record
//	want.sse     streams: the events that came out
//
// Set UPDATE_FIXTURES=1 to write the want files from what the plugin does.
// Every stream is also run with all its events in one batch and with one event
// per batch, and must give the same events.
//
// The same cases run in WebAssembly through another [Runner]; outputs are
// compared byte by byte with [Record].
package plugintest
