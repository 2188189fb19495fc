// Package sdk is what authors of OmniRoute plugins write against.
//
// A plugin is a WebAssembly module that maps inputs to outputs. It never does
// I/O, never waits and never sees a secret: what it wants done it returns, and
// the gateway does it. The same code runs natively in plain `go test`.
//
// The life of a plugin:
//
//  1. The gateway reads the manifest from the file, without running it.
//  2. It compiles the module, makes an instance and asks it to describe itself;
//     the answer must agree with the manifest.
//  3. It configures the instance: the plugin's own settings and, for executors,
//     each provider profile once.
//  4. It calls operations: translate a request, plan an upstream call, judge an
//     answer, feed a stream. Calls of one instance never overlap. Streams are
//     numbered; their state lives in the instance between calls.
//  5. It may replace an instance at any time between two calls, and replays the
//     open streams into the new one. Keep no state outside streams.
//  6. When the file changes, new calls go to the new version; open streams
//     finish in the old one.
//
// A provider in a few lines:
//
//	var P = sdk.Provider("acme/acme-llm", "1.2.0").
//		Base("https://api.acme.example/v1").
//		Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).
//		Models(sdk.Model{ID: "acme-large", Context: 131072, Tools: true}).
//		OnPlan(func(c *sdk.Ctx, p *sdk.Plan) error {
//			p.Body.Drop("logit_bias", "seed")
//			return nil
//		})
//
//	func main() { sdk.Serve(P) }
//
// Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o acme.wasm
//
// and drop the file into plugins/. A wire format of one's own is a
// hub.Dialect, served with translator.Of; several parts in one module are a
// [Bundle]. Package plugintest
// tests a plugin in plain `go test`.
package sdk
